import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soxr
from scipy import signal

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.varispeed import change_speed

T = np.arange(8000)
# Quiet at both ends, so that nothing depends on what lies beyond.
HUSH = np.sin(np.pi * T / T[-1]) ** 4
fixed = jax.jit(change_speed, static_argnames=("factor", "num_samples"))
traced = jax.jit(change_speed, static_argnames="num_samples")


def tones(position, frequencies):
    """Tones in cycles per sample, under a bell, at any positions: float64."""
    bell = np.where(position <= T[-1], np.sin(np.pi * position / T[-1]) ** 4, 0)
    return bell * sum(np.sin(2 * np.pi * f * position + i) for i, f in enumerate(frequencies))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 2.0, 3.3])
def test_it_is_the_sound_at_other_times(factor):
    """To 1e-5, up to 94 % of the band that is left."""
    frequencies = [0.01, 0.07, 0.47 / max(factor, 1)]
    result = traced(jnp.asarray(tones(T, frequencies), jnp.float32), factor=jnp.float32(factor))
    np.testing.assert_allclose(result, tones(T * float(np.float32(factor)), frequencies), rtol=0, atol=1e-5)


def test_speed_1_changes_nothing():
    x = jnp.asarray(np.random.default_rng(0).standard_normal(len(T)), jnp.float32)
    np.testing.assert_allclose(traced(x, factor=jnp.float32(1)), x, rtol=0, atol=5e-6)


@pytest.mark.parametrize("factor", [1.25, 2.0, 3.0])
def test_what_would_fold_back_is_gone(factor):
    """A tone 1 % above half the new rate leaves nothing: 100 dB down."""
    x = jnp.asarray(HUSH * np.sin(2 * np.pi * 0.505 / factor * T), jnp.float32)
    left = np.abs(np.asarray(traced(x, factor=jnp.float32(factor)))).max()
    assert 20 * np.log10(left) < -100


@pytest.mark.parametrize(("up", "down"), [(4, 5), (5, 4)])
def test_as_other_resamplers(up, down):
    """White noise below 80 % of the narrower band: to 1e-3 of the RMS as soxr's and SciPy's best filters."""
    band = signal.firwin(301, 0.8 * min(1, up / down))
    x = np.convolve(np.random.default_rng(0).standard_normal(len(T)), band, "same") * HUSH
    size = len(T) * up // down
    ours = np.asarray(fixed(jnp.asarray(x, jnp.float32), factor=down / up, num_samples=size))
    by_soxr = soxr.resample(x, down, up, quality="VHQ")[:size]
    taps = signal.firwin(400 * max(up, down) + 1, 0.95 / max(up, down), window=("kaiser", 14.0))
    by_scipy = signal.resample_poly(x, up, down, window=taps)[:size]
    for theirs in (by_soxr, by_scipy):
        assert np.abs(ours - theirs).max() < 1e-3 * theirs.std()


def test_lengths_and_the_end():
    result = np.asarray(fixed(jnp.ones(len(T)), factor=2.0))
    assert result.shape == T.shape
    assert not result[4000:].any() and result[500:3500] == pytest.approx(1, abs=0.005)
    assert jax.eval_shape(lambda x: change_speed(x, factor=2.0, num_samples=9), jnp.ones(20)).shape == (9,)


def test_silence_and_gradients():
    power = jax.jit(jax.value_and_grad(lambda x: (change_speed(x, factor=1.3) ** 2).sum()))
    assert float(power(jnp.zeros(100))[0]) == 0
    for level in (0.0, 1.0):
        assert np.isfinite(power(jnp.full(100, level))[1]).all()


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`factor` must be greater than 0"):
        change_speed(jnp.zeros(10), factor=0.0)
    with pytest.raises(ConfigError, match="`num_samples`"):
        change_speed(jnp.zeros(10), factor=1.0, num_samples=0)
