import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.generative_models.modalities.compose import compose, with_probability

KEY = jax.random.key(0)


def test_limits_hold_for_the_end_alone():
    steps = [lambda _, x: x + 1.0, lambda _, x: x - 0.9]
    x = jnp.array([0.5, 0.0, 0.95])
    np.testing.assert_allclose(compose(steps)(KEY, x), x + 0.1, atol=1e-6)
    np.testing.assert_allclose(compose(steps, limits=(0.0, 1.0))(KEY, x), [0.6, 0.1, 1.0], atol=1e-6)


def test_errors_say_what_a_step_takes():
    with pytest.raises(ConfigTypeError, match=r"`steps\[0\]` must be a function of .key, clip., got 3"):
        compose([3], takes="clip")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="`probability`"):
        with_probability(lambda _, x: x, 2.0)
    with pytest.raises(ShapeError, match="`step` must keep shape and dtype"):
        with_probability(lambda _, x: x[:1], 0.5)(KEY, jnp.ones(3))
