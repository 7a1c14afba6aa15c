import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.examples import text_transformer
from artifex.examples.text_transformer import (
    ADAM,
    WIDTH,
    Transformer,
    count_tokens,
    rotated,
    total_bits,
    train_step,
)

V = 40
SEGMENTS = jnp.asarray([[1] * 5 + [2] * 6 + [0], [1] * 12], jnp.int32)
POSITIONS = jnp.asarray([[*range(5), *range(6), 0], [*range(12)]], jnp.int32)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(4, V, (2, 12)), jnp.int32)
TOKENS = TOKENS.at[0, 11].set(0)


def small():
    """A new model with two blocks, which compile in half the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_transformer, "LAYERS", 2)
        return Transformer(V, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def model():
    """Its weights are random where a new model has zeros, so that every path counts."""
    model = small()
    for number, block in enumerate(model.blocks):
        for layer in (block.gather, block.narrow):
            shape = layer.kernel[...].shape
            layer.kernel[...] = 0.1 * jax.random.normal(jax.random.key(number), shape)
    return model


@pytest.fixture(scope="module")
def apply():
    return nnx.jit(lambda model, *fields: model(*fields))


def changed_at(apply, model, row, column):
    """Where logits differ if one token does: bool (2, 12)."""
    other = TOKENS.at[row, column].set((TOKENS[row, column] - 3) % (V - 4) + 4)
    one, two = (np.asarray(apply(model, tokens, SEGMENTS, POSITIONS)) for tokens in (TOKENS, other))
    return (one != two).any(axis=-1)


def test_a_token_matters_to_its_document_from_its_place_on_and_to_nothing_else(apply, model):
    assert (np.flatnonzero(changed_at(apply, model, 0, 2)[0]) == [2, 3, 4]).all()
    assert (np.flatnonzero(changed_at(apply, model, 0, 7)[0]) == [7, 8, 9, 10]).all()
    assert not changed_at(apply, model, 0, 7)[1].any()
    assert (np.flatnonzero(changed_at(apply, model, 1, 0)[1]) == np.arange(12)).all()
    assert (np.flatnonzero(changed_at(apply, model, 1, 11)[1]) == [11]).all()


def test_a_document_has_the_logits_that_it_has_alone(apply, model):
    packed = apply(model, TOKENS, SEGMENTS, POSITIONS)[0, 5:11]
    alone = jnp.zeros_like(TOKENS).at[:, :6].set(TOKENS[:1, 5:11])
    segments = jnp.zeros_like(SEGMENTS).at[:, :6].set(1)
    positions = jnp.broadcast_to(jnp.arange(12, dtype=jnp.int32), (2, 12))
    np.testing.assert_allclose(apply(model, alone, segments, positions)[0, :6], packed, rtol=0, atol=2e-5)
    # and the order of its tokens matters
    swapped = alone.at[:, :2].set(alone[:, 1::-1])
    assert np.abs(apply(model, swapped, segments, positions)[0, 5] - packed[5]).max() > 1e-3


def test_continued_is_the_logits_of_the_last_token(apply, model):
    full = apply(model, TOKENS, jnp.ones_like(TOKENS), jnp.tile(POSITIONS[1:], (2, 1)))
    continued = nnx.jit(Transformer.continued)
    for length in (1, 7, 12):
        actual = continued(model, TOKENS, jnp.asarray(length, jnp.int32))
        np.testing.assert_allclose(actual, full[:, length - 1], rtol=0, atol=2e-5)


def test_rotation_is_that_of_complex_numbers():
    rng = np.random.default_rng(0)
    x, positions = rng.standard_normal((1, 4, 2, 8)).astype(np.float32), np.array([[0, 1, 5, 100]], np.int32)
    pairs = x[..., :4].astype(np.complex128) + 1j * x[..., 4:]
    turned = pairs * np.exp(1j * positions[..., None, None] * 10_000.0 ** (-np.arange(4) / 4))
    expected = np.concatenate([turned.real, turned.imag], axis=-1)
    np.testing.assert_allclose(rotated(jnp.asarray(x), jnp.asarray(positions)), expected, rtol=0, atol=2e-5)


def test_products_depend_on_the_distance_alone():
    x = jax.random.normal(jax.random.key(0), (1, 2, 1, 32))
    near, far = (rotated(x, jnp.asarray([[at, at + 3]], jnp.int32)) for at in (0, 90))
    product = [float((y[0, 0, 0] * y[0, 1, 0]).sum()) for y in (near, far)]
    assert product[0] == pytest.approx(product[1], abs=1e-4)


def test_weights_are_shared_and_few(model):
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert count == V * WIDTH + 2 * (12 * WIDTH**2 + 2 * WIDTH) + 2 * WIDTH


def test_total_bits_are_those_of_the_probabilities(apply, model):
    logits = np.asarray(apply(model, TOKENS, SEGMENTS, POSITIONS), np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    pairs = [(0, i) for i in (0, 1, 2, 3, 5, 6, 7, 8, 9)] + [(1, i) for i in range(11)]
    expected = -sum(np.log2(probabilities[row, i, TOKENS[row, i + 1]]) for row, i in pairs)
    bits, count = total_bits(model, TOKENS, SEGMENTS, POSITIONS)
    assert int(count) == len(pairs)
    assert float(bits) == pytest.approx(expected, rel=1e-5)
    mean = nnx.jit(text_transformer.bits_per_token)(model, TOKENS, SEGMENTS, POSITIONS)
    assert float(mean) == pytest.approx(expected / len(pairs), rel=1e-5)


def test_a_new_model_knows_nothing_and_learns():
    model = small()
    optimizer = nnx.Optimizer(model, ADAM, wrt=nnx.Param)
    with jax.numpy_dtype_promotion("standard"):  # optax raises a float to the power of an integer
        losses = [float(train_step(model, optimizer, TOKENS, SEGMENTS, POSITIONS)) for _ in range(30)]
    assert losses[0] == pytest.approx(np.log2(V), abs=0.5)
    assert losses[-1] < 1


def test_tokens_are_counted_without_padding():
    assert count_tokens({"segment_ids": SEGMENTS}) == 23
