"""Loudness as it is heard: ITU-R BS.1770-5, of one channel; conventions as in `transforms`."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from artifex.data.checks import check_integer
from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.audio.waveform import working

_OFFSET = -0.691  # so that a full-scale sine of 997 Hz measures -3.01
_ABSOLUTE_GATE = -70.0  # LKFS
_RELATIVE_GATE = -10.0  # LU, against what passes the absolute one
_STEPS = 4  # of 100 ms in a block of 400 ms: blocks overlap by three quarters

# The two filters of annex 1 as analogue ones, from which those of any rate follow; at 48 kHz they are the
# standard's tables 1 and 2 to all their digits.
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_MIDDLE = 0.4996667741545416  # exponent of the gain at the shelf's middle
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


def loudness(waveform: Float[Array, " t"], *, sample_rate: int) -> Float[Array, ""]:
    """Integrated loudness, LKFS: of the blocks of 400 ms that are loud enough to count.

    Blocks begin every 100 ms (at rates that are no multiple of 10 Hz, at the nearest whole number of samples);
    samples behind the last whole block do not count. A block counts if it is louder than -70 LKFS and than
    10 LU below the mean of those. -inf, with gradient 0, where none is louder than -70.

    Args:
        waveform: the clip, full scale +-1; one channel, of weight 1.
        sample_rate: Hz, static, at least 4000.

    Raises:
        ShapeError: the clip is shorter than 400 ms.
    """
    check_integer("sample_rate", sample_rate, 4000, 2**20)
    x = working(waveform, 1)
    step = round(sample_rate / 10)
    steps = x.shape[0] // step
    if steps < _STEPS:
        raise ShapeError(
            f"`waveform` has {x.shape[0]} samples, which at {sample_rate} Hz is shorter than one block of 400 ms "
            f"({_STEPS * step}); loudness is not defined for less"
        )
    heard = k_weighting(x, sample_rate=sample_rate)[: steps * step]
    energies = jnp.mean(jnp.square(heard.reshape(steps, step)), axis=1)
    blocks = sum(
        (energies[k : steps - _STEPS + 1 + k] for k in range(1, _STEPS)), energies[: steps - _STEPS + 1]
    )
    blocks = blocks / _STEPS
    loud = blocks > 10 ** ((_ABSOLUTE_GATE - _OFFSET) / 10)
    counted = loud & (blocks > _mean(blocks, loud) * 10 ** (_RELATIVE_GATE / 10))
    mean, any_counted = _mean(blocks, counted), jnp.any(counted)
    level = _OFFSET + 10 / np.log(10) * jnp.log(jnp.where(any_counted, mean, 1))
    return jnp.where(any_counted, level, -jnp.inf)


def k_weighting(waveform: Float[Array, " t"], *, sample_rate: int) -> Float[Array, " t"]:
    """The clip as an ear hears it, roughly: treble is raised by 4 dB above 1.7 kHz, bass falls below 60 Hz.

    Both filters at once, as a product of spectra. They ring for ever, but after the zeros that are put behind the
    clip by less than 1e-9, so that nothing wraps around.
    """
    check_integer("sample_rate", sample_rate, 4000, 2**20)
    x = working(waveform, 1)
    response, size = _response(sample_rate, x.shape[0])
    spectrum = jnp.fft.rfft(x, n=size)
    return jnp.fft.irfft(spectrum * jnp.asarray(response, spectrum.dtype), n=size)[: x.shape[0]]


def k_weighting_filters(sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two biquads at a rate: numerators (2, 3) and denominators (2, 3), the first of which is 1.

    By the bilinear transform of the analogue filters, which bends the treble a little where the rate is low: at
    16 kHz the tone of 997 Hz measures 0.04 dB more than at 48 kHz. The high-pass's numerator is (1, -2, 1), as in
    table 2.
    """
    k, q = np.tan(np.pi * _SHELF_HZ / sample_rate), _SHELF_Q
    high = 10 ** (_SHELF_DB / 20)
    middle = high**_SHELF_MIDDLE
    shelf = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k])
    shelf_poles = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    k, q = np.tan(np.pi * _HIGH_PASS_HZ / sample_rate), _HIGH_PASS_Q
    poles = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    numerators = np.stack([shelf / shelf_poles[0], np.array([1.0, -2.0, 1.0])])
    return numerators, np.stack([shelf_poles / shelf_poles[0], poles / poles[0]])


@lru_cache(maxsize=16)
def _response(sample_rate: int, n_samples: int) -> tuple[NDArray[np.complex128], int]:
    """The filters' spectrum, and the length of the transform: clip and ringing, rounded up to a fast one."""
    numerators, denominators = k_weighting_filters(sample_rate)
    slowest = max(np.abs(np.roots(poles)).max() for poles in denominators)
    # Twice, since the two poles of the high-pass all but coincide, which makes it ring longer.
    ringing = int(2 * np.log(1e-9) / np.log(slowest))
    size = _fast_size(n_samples + ringing)
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)[:, None] ** np.arange(3)
    return np.prod((z @ numerators.T) / (z @ denominators.T), axis=1), size


def _fast_size(least: int) -> int:
    """The least even 2^a 3^b 5^c that is no less: transforms of other lengths are slow."""
    size = least + least % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


def _mean(blocks: Array, counted: Array) -> Array:
    count = jnp.maximum(jnp.sum(counted), 1).astype(blocks.dtype)
    return jnp.sum(jnp.where(counted, blocks, 0)) / count
