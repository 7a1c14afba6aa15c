"""Multiples of a step, exact for clips of any length: float32 has 24 bits, which an hour's sample numbers use up."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, UInt32

from artifex.data.checks import check_size
from artifex.generative_models.modalities.settings import Number, check_number

_FULL = 2.0**32


def multiples(step: Number, *, count: int) -> tuple[Int32[Array, " {count}"], Float[Array, " {count}"]]:
    """The numbers n * step for n = 0 to count - 1, as whole numbers and fractions in [0, 1).

    A Python number is multiplied in float64. Of an array the fraction counts in 2^-32, so that a float32 `step`
    from 2^-8 on is taken exactly. No gradient flows to `step`.

    Args:
        step: >= 0.
        count: how many; count * step must be below 2^31.
    """
    check_number("step", step, low=0)
    check_size("count", count)
    if not isinstance(step, jax.Array):
        exact = np.arange(count) * float(step)
        floor = np.floor(exact)
        # Rounded down, so that it stays below 1.
        part = np.floor((exact - floor) * 2**24) / 2**24
        return jnp.asarray(floor, jnp.int32), jnp.asarray(part, jnp.float32)
    step = step.astype(jnp.float32)
    whole = jnp.floor(step)
    part = fraction_bits(step - whole)
    n = jnp.arange(count, dtype=jnp.uint32)
    carried = n * whole.astype(jnp.uint32) + _high_word(n, part)
    return carried.astype(jnp.int32), fraction(n * part)


def fraction_bits(value: Float[Array, "*s"]) -> UInt32[Array, "*s"]:
    """The fractional part of numbers from 0 on, in units of 2^-32: sums of these wrap around as phases do."""
    scaled = jnp.floor((value % 1) * _FULL)
    return scaled.astype(jnp.uint32)


def fraction(bits: UInt32[Array, "*s"]) -> Float[Array, "*s"]:
    """The number in [0, 1) that `fraction_bits` stands for; rounded down to 24 bits, so that it stays below 1."""
    return (bits >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def _high_word(a: UInt32[Array, " n"], b: UInt32[Array, ""]) -> UInt32[Array, " n"]:
    """The upper 32 bits of a * b, from products of 16 bits."""
    low, high = a & 0xFFFF, a >> 16
    middle = high * (b & 0xFFFF) + (low * (b & 0xFFFF) >> 16)
    other = low * (b >> 16) + (middle & 0xFFFF)
    return high * (b >> 16) + (middle >> 16) + (other >> 16)
