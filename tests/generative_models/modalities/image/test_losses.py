import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.image import losses

# Errors 0, 0.5, -0.25, 1.
PREDICTION = jnp.array([0.5, 0.5, 0.75, 1.0]).reshape(2, 2, 1)
TARGET = jnp.array([0.5, 0.0, 1.0, 0.0]).reshape(2, 2, 1)
ALL = {
    "mse": losses.mse,
    "l1": losses.l1,
    "huber": losses.huber,
    "bce": losses.bce,
    "bce_with_logits": losses.bce_with_logits,
}


def test_mse_by_hand():
    assert float(losses.mse(PREDICTION, TARGET)) == (0.25 + 0.0625 + 1) / 4


def test_l1_by_hand():
    assert float(losses.l1(PREDICTION, TARGET)) == (0.5 + 0.25 + 1) / 4


def test_huber_by_hand():
    """With delta 0.5: 0, 0.125, 0.03125 and 0.5 (1 - 0.25)."""
    assert float(losses.huber(PREDICTION, TARGET, delta=0.5)) == (0.125 + 0.03125 + 0.375) / 4
    assert float(losses.huber(PREDICTION, TARGET)) == float(losses.mse(PREDICTION, TARGET)) / 2
    with pytest.raises(ConfigError, match="`delta` must be greater than 0"):
        losses.huber(PREDICTION, TARGET, delta=0.0)


def test_bce_by_hand():
    """Of (0.5, 0.5) and (0.5, 0): ln 2 each. Of (0.75, 1): ln 4/3."""
    value = losses.bce(PREDICTION[:, :1], TARGET[:, :1])
    assert float(value) == pytest.approx((np.log(2) + np.log(4 / 3)) / 2, rel=1e-6)


def test_bce_of_a_certain_mistake_is_finite_and_so_is_its_gradient():
    wrong = jnp.ones((1, 1, 1))
    assert 15.9 < float(losses.bce(wrong, 1 - wrong)) < 16.2
    assert 15.9 < float(losses.bce(1 - wrong, wrong)) < 16.2
    assert bool(jnp.isfinite(jax.grad(lambda p: losses.bce(p, 1 - wrong))(wrong)).all())


def test_bce_with_logits_is_bce_of_the_sigmoid():
    logits = jnp.linspace(-5, 5, 24).reshape(2, 4, 3)
    target = jnp.linspace(0, 1, 24).reshape(2, 4, 3)
    expected = losses.bce(jax.nn.sigmoid(logits), target)
    assert float(losses.bce_with_logits(logits, target)) == pytest.approx(float(expected), rel=1e-5)
    huge = losses.bce_with_logits(jnp.full((1, 1, 1), -1000.0), jnp.ones((1, 1, 1)))
    assert float(huge) == 1000.0


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", ALL)
def test_16_bit_images_have_a_float32_loss(name, dtype):
    """65536 pixels, whose sum float16 does not hold and of which bfloat16 would lose most."""
    prediction, target = jnp.full((256, 256, 1), 0.5, dtype), jnp.full((256, 256, 1), 0.25, dtype)
    value = ALL[name](prediction, target)
    assert value.dtype == jnp.float32
    exact = ALL[name](jnp.full((1, 1, 1), 0.5), jnp.full((1, 1, 1), 0.25))
    assert float(value) == pytest.approx(float(exact), rel=3e-5)  # a float32 sum of 65536


@pytest.mark.parametrize("name", ALL)
def test_vmapped_is_one_per_image(name):
    a, b = jax.random.uniform(jax.random.key(0), (2, 3, 4, 4, 3))
    values = jax.jit(jax.vmap(ALL[name]))(a, b)
    np.testing.assert_allclose(values, [ALL[name](x, y) for x, y in zip(a, b, strict=True)], rtol=1e-5)


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "bce"])
def test_it_is_least_where_both_are_equal(name):
    target = jnp.linspace(0.1, 0.9, 12).reshape(2, 2, 3)
    best = float(ALL[name](target, target))
    for change in (-0.05, 0.05):
        assert float(ALL[name](target + change, target)) > best
