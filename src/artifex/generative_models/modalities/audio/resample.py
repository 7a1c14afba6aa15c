"""Another sample rate, by a polyphase filter; conventions as in `transforms`."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, gcd

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from artifex.data.checks import check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.framing import frame
from artifex.generative_models.modalities.audio.waveform import working

_PASS = 0.913  # up to this share of half the lower rate nothing changes; from 1 on nothing is left
_STOP_DB = 110.0  # by how much what lies beyond is damped

# Kaiser & Schafer (1980): the shape of the window for that damping, and half its length, in samples of the lower
# rate, for that transition.
_BETA = 0.1102 * (_STOP_DB - 8.7)
_HALF_WIDTH = (_STOP_DB - 7.95) / (2.285 * np.pi * (1 - _PASS)) / 2

# Outputs of one matrix product. Fewer would waste work where frames overlap, more on zeros of the matrix.
_BLOCK = 80
_LARGEST_TABLE = 2**24  # weights; 64 MiB


def resample(waveform: Float[Array, " t"], *, from_rate: int, to_rate: int) -> Float[Array, " t2"]:
    """The clip at `to_rate`, as ceil(t * to_rate / from_rate) samples: librosa's length.

    A windowed sinc (Kaiser) that keeps what lies below 0.913 of half the lower rate, and damps what lies above half
    the lower rate by 110 dB, so that nothing is aliased. Sample i is at the time i / to_rate: there is no delay.
    Beyond the ends of the clip there is silence.

    Args:
        waveform: the clip.
        from_rate: its rate, Hz, static.
        to_rate: the rate wanted, Hz, static.

    Raises:
        ConfigError: a rate is no positive number, or the two have so little in common that the filter for each
            phase would not fit into memory: 44100 and 16001, say.
    """
    n = resampled_length(waveform.shape[0], from_rate=from_rate, to_rate=to_rate)
    x = working(waveform, 1)
    if from_rate == to_rate:
        return waveform
    common = gcd(from_rate, to_rate)
    bank = _polyphase(to_rate // common, from_rate // common)
    # Each row holds what one period of outputs sees; groups of outputs see parts of it.
    periods = -(-n // bank.outputs)
    missing = max(0, (periods - 1) * bank.inputs + bank.span - bank.before - x.shape[0])
    padded = jnp.pad(x, (bank.before, missing))
    rows = frame(padded, frame_length=bank.span, hop_length=bank.inputs)[:periods]
    parts = [
        jnp.matmul(rows[:, start : start + len(weights)], jnp.asarray(weights, x.dtype), precision="highest")
        for first, start, weights in zip(bank.firsts, bank.starts, bank.weights, strict=True)
        if periods > 1 or first < n
    ]
    return jnp.concatenate(parts, axis=1).reshape(-1)[:n].astype(waveform.dtype)


def resampled_length(n_samples: int, *, from_rate: int, to_rate: int) -> int:
    """How many samples `resample` makes of `n_samples`: as many as begin before the clip ends."""
    check_size("from_rate", from_rate)
    check_size("to_rate", to_rate)
    if n_samples < 1:
        raise ShapeError("`waveform` has no samples, so that there is nothing to resample")
    return -(-n_samples * to_rate // from_rate)


@dataclass(frozen=True)
class _Polyphase:
    """The filters of a ratio: `outputs` samples are made of every `inputs` samples and those around them."""

    outputs: int
    inputs: int
    before: int
    """Samples before the first of a period that its first output sees."""
    span: int
    """Samples that a period sees."""
    firsts: tuple[int, ...]
    """The first output of each group."""
    starts: tuple[int, ...]
    """Where in them each group of outputs begins to look."""
    weights: tuple[NDArray[np.float32], ...]
    """Of each group: (samples, outputs)."""


@lru_cache(maxsize=16)
def _polyphase(up: int, down: int) -> _Polyphase:
    """The filters for up / down, in lowest terms, of the rate."""
    half = _HALF_WIDTH * max(1.0, down / up)
    repeats = max(1, _BLOCK // up)
    outputs, inputs = up * repeats, down * repeats
    block = ceil(outputs / max(1, round(outputs / _BLOCK)))
    if outputs * (block * down / up + 2 * half) > _LARGEST_TABLE:
        raise ConfigError(
            f"`to_rate` / `from_rate` is {up} / {down} in lowest terms, which needs {up} filters of "
            f"{ceil(2 * half)} samples: more than fit; take rates with a larger common divisor, or resample files "
            f"as they are read"
        )
    before = ceil(half)
    firsts = tuple(range(0, outputs, block))
    starts: list[int] = []
    weights: list[NDArray[np.float32]] = []
    for first in firsts:
        places = np.arange(first, min(first + block, outputs)) * (down / up)
        low, high = floor(places[0] - half) + 1, floor(places[-1] + half)
        starts.append(before + low)
        weights.append(_kernel(np.arange(low, high + 1)[:, None] - places, half, min(1.0, up / down)))
    span = starts[-1] + len(weights[-1])
    return _Polyphase(outputs, inputs, before, span, firsts, tuple(starts), tuple(weights))


def _kernel(distance: NDArray[np.float64], half: float, band: float) -> NDArray[np.float32]:
    """The windowed sinc at so many samples from its middle; `band` is the lower rate's share of the clip's."""
    cutoff = band * (1 + _PASS) / 2
    inside = 1 - np.square(distance / half)
    window = np.i0(_BETA * np.sqrt(np.maximum(inside, 0))) / np.i0(_BETA)
    return (cutoff * np.sinc(cutoff * distance) * np.where(inside > 0, window, 0)).astype(np.float32)
