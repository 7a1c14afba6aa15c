"""The clip itself: what is taken for one, its length and its peak; conventions as in `transforms`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.data.checks import check_size
from artifex.data.errors import ShapeError


def working(array: Array, rank: int | None, *, name: str = "waveform") -> Array:
    """The array in the precision that is worked in: float32, or its own if that is wider.

    Raises:
        ShapeError: it is not of floats, or not of `rank` axes (None: of any number).
    """
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ShapeError(
            f"`{name}` must be float, got {array.dtype}; scale integers to [-1, 1], e.g. int16 by 1 / 32768"
        )
    if rank is not None and array.ndim != rank:
        raise ShapeError(
            f"`{name}` must have {rank} axes, got shape {array.shape}: it is that of one clip, of one "
            f"channel; use jax.vmap for a batch"
        )
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def fix_length(waveform: Float[Array, " t"], length: int) -> Float[Array, " {length}"]:
    """The first `length` samples, with zeros behind them where there are not as many."""
    check_size("length", length)
    present = waveform.shape[0]
    return waveform[:length] if present >= length else jnp.pad(waveform, (0, length - present))


def peak_normalize(waveform: Float[Array, " t"]) -> Float[Array, " t"]:
    """Scales so that the largest sample is 1 or -1. Silence stays silence."""
    x = working(waveform, 1)
    peak = jnp.max(jnp.abs(x), initial=0)
    divisor = jnp.where(peak > 0, peak, 1)
    # In two steps, of which the second divides by 1: the gradient of one has the square of a small peak below it.
    level = jax.lax.stop_gradient(divisor)
    return (x / level / (divisor / level)).astype(waveform.dtype)


# Samples that are done at once, and those of a part of what is more.
_WHOLE, _PART = 2**19, 2**17


def map_clips(function: Callable[[Array], Any], clips: Float[Array, "b t"]) -> Any:
    """What `jax.vmap(function)` gives of a batch; for large ones in half the time on CPU, where it makes spectra.

    The spectra of a large batch are more than a CPU keeps at hand, so that of more than 2^19 samples a few clips,
    of about 2^17, are done at a time. Other devices are given all at once.

    Args:
        function: of one clip, (t,), to an array or a tree of them.
        clips: b of them.
    """
    together = max(1, _PART // max(1, clips.shape[1]))
    if clips.size <= _WHOLE or clips.shape[0] <= together:
        return jax.vmap(function)(clips)
    in_turn = partial(jax.lax.map, function, batch_size=together)
    return jax.lax.platform_dependent(clips, cpu=in_turn, default=jax.vmap(function))


def safe_sqrt(x: Array) -> Array:
    """The square root of what is >= 0, with gradient 0 at 0, where that of `jnp.sqrt` is infinite."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)
