from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from artifex.data.errors import ConfigError, ShapeError, UnknownNameError
from artifex.generative_models.modalities.text import losses

# Compiled whole: operations one by one take longer to compile.
SETTINGS = ("label_smoothing", "z_loss", "reduction")
cross_entropy = jax.jit(losses.cross_entropy, static_argnames=("ignore", *SETTINGS))
perplexity = jax.jit(losses.perplexity, static_argnames="pad_id")
next_token_loss = jax.jit(losses.next_token_loss, static_argnames=("pad_id", *SETTINGS))

B, N, V = 2, 6, 5
LOGITS = 3 * jax.random.normal(jax.random.key(0), (B, N, V), jnp.float32)
TOKENS = jnp.array([[1, 4, 2, 3, 0, 0], [2, 2, 1, 3, 4, 1]], jnp.int32)
EXACT = -special.log_softmax(np.asarray(LOGITS, np.float64), axis=-1)


@cache
def by_token(smoothing: float = 0.0, z_loss: float = 0.0) -> np.ndarray:
    return np.asarray(
        cross_entropy(LOGITS, TOKENS, label_smoothing=smoothing, z_loss=z_loss, reduction="none")
    )


def test_by_hand():
    """softmax(0, ln 3) is (1/4, 3/4)."""
    logits = jnp.log(jnp.array([[1.0, 3.0], [1.0, 3.0]]))
    targets = jnp.array([0, 1], jnp.int32)
    expected = [np.log(4), np.log(4 / 3)]
    np.testing.assert_allclose(cross_entropy(logits, targets, reduction="none"), expected, rtol=1e-6)
    assert float(cross_entropy(logits, targets)) == pytest.approx(sum(expected) / 2, rel=1e-6)
    assert float(cross_entropy(logits, targets, reduction="sum")) == pytest.approx(sum(expected), rel=1e-6)
    # Half of the target spread over both: (3/4, 1/4) and (1/4, 3/4).
    smoothed = cross_entropy(logits, targets, label_smoothing=0.5, reduction="none")
    a, b = expected
    np.testing.assert_allclose(smoothed, [0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], rtol=1e-6)
    z = cross_entropy(logits, targets, z_loss=0.1, reduction="none")
    np.testing.assert_allclose(z, np.array(expected) + 0.1 * np.log(4) ** 2, rtol=1e-6)


def test_it_is_that_of_scipy_and_of_optax():
    expected = np.take_along_axis(EXACT, np.asarray(TOKENS)[..., None], -1)[..., 0]
    np.testing.assert_allclose(by_token(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        by_token(), optax.softmax_cross_entropy_with_integer_labels(LOGITS, TOKENS), rtol=1e-5, atol=1e-6
    )
    smooth = optax.smooth_labels(jax.nn.one_hot(TOKENS, V), 0.2)
    np.testing.assert_allclose(
        by_token(0.2), optax.softmax_cross_entropy(LOGITS, smooth), rtol=1e-5, atol=1e-6
    )


def test_what_does_not_count_is_left_out():
    mask = jnp.array([[True] * 3 + [False] * 3, [True] * 5 + [False]])
    targets = TOKENS.at[1, 0].set(-100)
    counted = by_token()[np.asarray(mask & (targets != -100))]
    assert len(counted) == 7
    assert float(cross_entropy(LOGITS, targets, mask=mask)) == pytest.approx(counted.mean(), rel=1e-5)
    each = cross_entropy(LOGITS, targets, mask=mask, reduction="none")
    assert (np.asarray(each) != 0).sum() == 7


def test_with_everything_masked_loss_and_gradient_are_zero():
    wild = LOGITS.at[0, 0].set(jnp.inf).at[0, 1].set(jnp.nan)

    def loss(x):
        return cross_entropy(x, TOKENS, mask=jnp.zeros((B, N), bool), label_smoothing=0.1, z_loss=1e-4)

    value, gradient = jax.jit(jax.value_and_grad(loss))(wild)
    assert float(value) == 0
    assert not np.asarray(gradient).any()


def test_the_gradient_is_softmax_less_the_target():
    gradient = jax.grad(lambda x: cross_entropy(x, TOKENS, reduction="sum"))(LOGITS)
    expected = np.exp(-EXACT) - np.eye(V)[np.asarray(TOKENS)]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_bfloat16_is_computed_in_float32():
    """65536 tokens of loss ln 2 and large logits, of which bfloat16 would lose all digits."""
    logits = jnp.full((65536, 2), 1000, jnp.bfloat16)
    value = cross_entropy(logits, jnp.zeros(65536, jnp.int32))
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(np.log(2), rel=2e-4)  # float32 near 1000 has steps of 6e-5


@pytest.mark.parametrize("target", [-1, V])
def test_a_target_that_is_no_id_is_loud(target):
    targets = TOKENS.at[0, 0].set(target)
    assert np.isnan(float(cross_entropy(LOGITS, targets)))
    ignored = cross_entropy(LOGITS, targets, ignore=target, reduction="none")
    assert ignored[0, 0] == 0 and np.isfinite(np.asarray(ignored)).all()


def test_wrong_settings():
    with pytest.raises(ConfigError, match="`label_smoothing` must be .*, got 2"):
        cross_entropy(LOGITS, TOKENS, label_smoothing=2)
    with pytest.raises(ConfigError, match="`z_loss` must be at least 0"):
        cross_entropy(LOGITS, TOKENS, z_loss=-1.0)
    with pytest.raises(UnknownNameError, match="`reduction`.*'mean'"):
        cross_entropy(LOGITS, TOKENS, reduction="men")
    with pytest.raises(ConfigError, match="`tokens` must be at least 2 long"):
        next_token_loss(LOGITS[:, :1], TOKENS[:, :1])


# -- the next token


def shifted() -> np.ndarray:
    """The loss of token i + 1 at i, from the exact ones."""
    return np.take_along_axis(EXACT[:, :-1], np.asarray(TOKENS)[:, 1:, None], -1)[..., 0]


def test_each_position_predicts_the_next_one():
    each = np.asarray(next_token_loss(LOGITS, TOKENS, reduction="none"))
    assert each.shape == (B, N)
    np.testing.assert_allclose(each[:, :-1], shifted(), rtol=1e-5, atol=1e-6)
    assert not each[:, -1].any()
    assert float(next_token_loss(LOGITS, TOKENS)) == pytest.approx(shifted().mean(), rel=1e-5)


def test_padding_is_not_predicted_nor_predicted_from():
    value = next_token_loss(LOGITS, TOKENS, pad_id=0, reduction="none")
    counts = np.asarray(value) != 0
    assert counts.tolist() == [[True] * 3 + [False] * 3, [True] * 5 + [False]]
    left = next_token_loss(LOGITS, TOKENS[:, ::-1], pad_id=0, reduction="none")
    assert (np.asarray(left)[0] != 0).tolist() == [False, False, True, True, True, False]


def test_no_prediction_crosses_a_segment():
    segments = jnp.array([[1, 1, 2, 2, 0, 0], [1, 1, 1, 1, 2, 2]], jnp.int32)
    each = next_token_loss(LOGITS, TOKENS, segment_ids=segments, reduction="none")
    counts = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 0, 1]], bool)
    assert (np.asarray(each)[:, :-1] != 0).tolist() == counts.tolist()
    mean = next_token_loss(LOGITS, TOKENS, segment_ids=segments)
    assert float(mean) == pytest.approx(shifted()[counts].mean(), rel=1e-5)


def test_a_mask_says_which_tokens_are_predicted():
    mask = jnp.array([[False, False, True, True, False, False], [True, *[False] * 5]])
    value = next_token_loss(LOGITS, TOKENS, mask=mask)
    assert float(value) == pytest.approx(shifted()[0, 1:3].mean(), rel=1e-5)


def test_perplexity():
    assert float(perplexity(jnp.zeros((N, V)), TOKENS[1])) == pytest.approx(V, rel=1e-6)
    value = perplexity(LOGITS, TOKENS, pad_id=0)
    counted = np.concatenate([shifted()[0, :3], shifted()[1]])
    assert float(value) == pytest.approx(np.exp(counted.mean()), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, N, V), (N, V), (2, 1, V), (2, N + 1, V), ()])
def test_logits_that_only_broadcast_to_the_targets_are_refused(shape):
    # By itself, since the types of arrays are looked at before it is called in a test.
    with pytest.raises(ShapeError, match=r"`logits` must be \(2, 6, 'v'\) for ids of shape \(2, 6\)"):
        losses._check_shapes(jnp.zeros(shape), TOKENS, None)
    with pytest.raises(ShapeError, match=r"`mask` must have the shape of the ids, \(2, 6\), got \(6,\)"):
        losses._check_shapes(LOGITS, TOKENS, jnp.ones(N, bool))
    losses._check_shapes(LOGITS, TOKENS, jnp.ones((2, N), bool))
