import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio import adjust

X = jnp.asarray(np.random.default_rng(0).standard_normal(1001), jnp.float32)


def test_gain_by_hand():
    result = adjust.apply_gain(jnp.array([0.1, -0.5]), gain_db=20.0)
    np.testing.assert_allclose(result, [1.0, -5.0], rtol=1e-6)
    np.testing.assert_allclose(adjust.apply_gain(X, gain_db=-6.0206), X / 2, rtol=1e-5)


def test_polarity():
    np.testing.assert_array_equal(adjust.invert_polarity(X), -X)


@pytest.mark.parametrize(
    ("samples", "wrap", "expected"),
    [
        (1, False, [0, 1, 2, 3]),
        (-1, False, [2, 3, 4, 0]),
        (4, False, [0, 0, 0, 0]),
        (-9, False, [0, 0, 0, 0]),
        (0, False, [1, 2, 3, 4]),
        (1, True, [4, 1, 2, 3]),
        (-5, True, [2, 3, 4, 1]),
    ],
)
def test_shift_by_hand(samples, wrap, expected):
    x = jnp.array([1.0, 2.0, 3.0, 4.0])
    assert adjust.shift_time(x, samples=samples, wrap=wrap).tolist() == expected
    traced = jax.jit(lambda s: adjust.shift_time(x, samples=s, wrap=wrap))(jnp.int32(samples))
    assert traced.tolist() == expected


def test_hard_clip_by_hand():
    x = jnp.array([0.2, -0.7, 1.0, 0.5])
    np.testing.assert_allclose(adjust.hard_clip(x, threshold=0.5), [0.2, -0.5, 0.5, 0.5])
    gradient = jax.grad(lambda x: adjust.hard_clip(x, threshold=0.6).sum())(x)
    assert gradient.tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_clip_share_is_a_quantile(share):
    level = np.quantile(np.abs(X), 1 - share)
    result = np.asarray(adjust.clip_share(X, share=share))
    np.testing.assert_allclose(result, np.clip(X, -level, level), atol=1e-6)
    assert (np.abs(X) > np.abs(result).max() + 1e-6).mean() == pytest.approx(share, abs=2 / len(X))


def test_clip_depth_is_below_the_peak():
    result = np.asarray(adjust.clip_depth(X, depth_db=6.0206))
    np.testing.assert_allclose(result, np.clip(X, -np.abs(X).max() / 2, np.abs(X).max() / 2), rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_and_a_constant_give_no_nan(level):
    x = jnp.full(16, level)
    for function in (
        lambda x: adjust.clip_share(x, share=0.1),
        lambda x: adjust.clip_depth(x, depth_db=3.0),
    ):
        result, gradient = jax.jit(jax.value_and_grad(lambda x, f=function: f(x).sum()))(x)
        assert np.isfinite(result) and np.isfinite(gradient).all()


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`gain_db`"):
        adjust.apply_gain(X, gain_db=float("nan"))
    with pytest.raises(ConfigError, match="`threshold` must be at least 0"):
        adjust.hard_clip(X, threshold=-0.1)
    with pytest.raises(ConfigError, match="`share` must be at least 0 and at most 1"):
        adjust.clip_share(X, share=1.5)
    with pytest.raises(ConfigError, match="`depth_db` must be at least 0"):
        adjust.clip_depth(X, depth_db=-3.0)
