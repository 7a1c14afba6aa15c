"""The random numbers that device functions draw: float32 scalars, checked at the door."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.generative_models.modalities.settings import Number, check_number


def uniform(key: Key[Array, ""], lower: Number, upper: Number) -> Float[Array, ""]:
    """A number from `lower` to `upper`."""
    return jax.random.uniform(key, (), jnp.float32, lower, upper)


def symmetric(key: Key[Array, ""], limit: Number) -> Float[Array, ""]:
    """A number from -limit to limit."""
    return uniform(key, -limit, limit)


def log_uniform(key: Key[Array, ""], lower: Number, upper: Number) -> Float[Array, ""]:
    """A number from `lower` to `upper` whose logarithm is uniform: doubling is as likely as halving."""
    low, high = (jnp.log(jnp.asarray(value, jnp.float32)) for value in (lower, upper))
    return jnp.exp(uniform(key, low, high))


def chance(key: Key[Array, ""], probability: Number) -> Bool[Array, ""]:
    """True with that probability."""
    check_number("probability", probability, low=0, high=1)
    return jax.random.bernoulli(key, jnp.asarray(probability, jnp.float32))
