"""Deterministic functions of a waveform's amplitude and place; conventions as in `clips`.

Their results are what the random functions of `augment` give for a drawn number.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from artifex.data.checks import LARGEST_INT32, check_integer
from artifex.generative_models.modalities.audio.clips import decibels, on_waveform
from artifex.generative_models.modalities.settings import Number, check_number


def apply_gain(waveform: Float[Array, " t"], *, gain_db: Number) -> Float[Array, " t"]:
    """Makes it louder by `gain_db` decibels: 6.02 doubles the amplitude."""
    check_number("gain_db", gain_db)
    return on_waveform(waveform, lambda x: x * decibels(gain_db, x.dtype))


def invert_polarity(waveform: Float[Array, " t"]) -> Float[Array, " t"]:
    """Turns it upside down, which nobody hears."""
    return on_waveform(waveform, lambda x: -x)


def shift_time(
    waveform: Float[Array, " t"], *, samples: int | Int[Array, ""], wrap: bool = False
) -> Float[Array, " t"]:
    """Moves it by that many samples, to the right if they are more than 0.

    With `wrap` what leaves at one end comes in at the other; else zeros come in, and a shift by the whole length
    leaves only these.
    """
    if isinstance(samples, int):
        check_integer("samples", samples, -LARGEST_INT32, LARGEST_INT32)
    moved = jnp.roll(waveform, samples)
    if wrap:
        return moved
    source = jnp.arange(len(waveform), dtype=jnp.int32) - jnp.asarray(samples, jnp.int32)
    return jnp.where((source >= 0) & (source < len(waveform)), moved, jnp.zeros((), waveform.dtype))


def hard_clip(waveform: Float[Array, " t"], *, threshold: Number) -> Float[Array, " t"]:
    """Cuts off what is above `threshold` or below its negative, as an overdriven converter does."""
    check_number("threshold", threshold, low=0)

    def cut(x: Array) -> Array:
        limit = jnp.asarray(threshold, x.dtype)
        return jnp.clip(x, -limit, limit)

    return on_waveform(waveform, cut)


def clip_share(waveform: Float[Array, " t"], *, share: Number) -> Float[Array, " t"]:
    """`hard_clip` at the level that this share of the samples, the loudest ones, is above.

    The level is the quantile 1 - share of the absolute values (interpolated linearly, as by `numpy.quantile`).
    """
    check_number("share", share, low=0, high=1)

    def cut(x: Array) -> Array:
        return hard_clip(x, threshold=jnp.quantile(jnp.abs(x), 1 - jnp.asarray(share, x.dtype)))

    return on_waveform(waveform, cut)


def clip_depth(waveform: Float[Array, " t"], *, depth_db: Number) -> Float[Array, " t"]:
    """`hard_clip` at `depth_db` >= 0 decibels below the waveform's own peak: 6.02 halves it."""
    check_number("depth_db", depth_db, low=0)

    def cut(x: Array) -> Array:
        return hard_clip(x, threshold=jnp.abs(x).max() / decibels(depth_db, x.dtype))

    return on_waveform(waveform, cut)
