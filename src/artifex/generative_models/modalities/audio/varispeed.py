"""Band-limited interpolation at any speed, also a traced one; conventions as in `clips`.

The band is cut in the frequency domain; there the waveform is also put on a grid twice as fine and corrected for
the kernel that interpolates between its points, exp(b (sqrt(1 - (2 z / w)^2) - 1)) over w = 8 points: a non-uniform
Fourier transform (Barnett, Magland and af Klinteberg, 2019), right to about 1e-6 of the peak.
"""

from functools import cache

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Int32

from artifex.data.checks import check_size
from artifex.generative_models.modalities.audio.clips import fft_length, on_waveform, scaled
from artifex.generative_models.modalities.audio.fixed_point import multiples
from artifex.generative_models.modalities.settings import Number, check_number

_WIDTH = 8  # points of the kernel
_SHARPNESS = 2.3 * _WIDTH  # `b`, for a grid twice as fine
_ROLL_OFF = 0.05  # share of the new band in which the anti-alias filter falls from 1 to 0
_MARGIN = 256  # zeros behind the waveform, so that its end and its beginning are no neighbours


def change_speed(
    waveform: Float[Array, " t"], *, factor: Number, num_samples: int | None = None
) -> Float[Array, " n"]:
    """Plays it `factor` times as fast, as a tape does: length, pitch and formants change together.

    Sample n of the result is the waveform at n * factor. Faster than 1 what would be above half the sample rate is
    removed first: the filter falls from 1 to 0 over the last 5 % of the band that is left.

    Args:
        waveform: the sound.
        factor: > 0; 2 is an octave up.
        num_samples: of the result; None means as many as before. Behind the sound's end there are zeros.
    """
    check_number("factor", factor, low=0, above=True)
    length = len(waveform) if num_samples is None else check_size("num_samples", num_samples)
    whole, part = multiples(factor, count=length)

    def play(x: Array) -> Array:
        grid = _fine_grid(x, jnp.asarray(factor, jnp.float32))
        sound = _interpolate(grid, whole, part)
        return jnp.where(whole < len(x), sound, 0)

    return on_waveform(waveform, play)


def _fine_grid(x: Float[Array, " t"], factor: Float[Array, ""]) -> Float[Array, " m"]:
    """The band-limited waveform at half samples from -w / 4 on, corrected for the kernel."""
    n = fft_length(len(x) + _MARGIN)
    place = jnp.linspace(0, 1, n // 2 + 1, dtype=jnp.float32)  # share of half the sample rate
    gain = jnp.where(factor > 1, _fall(place * factor), 1)
    correction = jnp.asarray(2 / _transform(n))
    fine = jnp.fft.irfft(scaled(jnp.fft.rfft(x, n), gain * correction), 2 * n)
    return jnp.concatenate([fine[-_WIDTH // 2 :], fine, fine[: _WIDTH // 2]])


def _fall(place: Float[Array, " k"]) -> Float[Array, " k"]:
    """1 up to 1 - _ROLL_OFF, 0 from 1 on, half a cosine between."""
    along = jnp.clip((place - (1 - _ROLL_OFF)) / _ROLL_OFF, 0, 1)
    return 0.5 + 0.5 * jnp.cos(jnp.pi * along)


def _interpolate(
    grid: Float[Array, " m"], whole: Int32[Array, " n"], part: Float[Array, " n"]
) -> Float[Array, " n"]:
    double = 2 * part
    step = jnp.floor(double)
    inside = double - step
    first = jnp.minimum(2 * whole + step.astype(jnp.int32) + 1, len(grid) - _WIDTH)
    # The grid begins w / 2 points before the waveform, the kernel's first point is w / 2 - 1 before `inside`.
    point = np.arange(_WIDTH)[:, None]
    weights = _kernel(inside[None] + jnp.asarray(_WIDTH // 2 - 1 - point, jnp.float32))
    return (grid[first[None] + jnp.asarray(point, jnp.int32)] * weights).sum(axis=0)


def _kernel(distance: Float[Array, "w n"]) -> Float[Array, "w n"]:
    inner = jnp.maximum(1 - (2 * distance / _WIDTH) ** 2, 0)
    return jnp.exp(_SHARPNESS * (jnp.sqrt(inner) - 1))


@cache
def _transform(n: int) -> npt.NDArray[np.float32]:
    """The kernel's Fourier transform at the frequencies of n samples, halved in the last, which is for two."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    values = np.exp(_SHARPNESS * (np.sqrt(1 - nodes**2) - 1)) * weights * _WIDTH / 2
    frequencies = np.arange(n // 2 + 1) / (2 * n)  # cycles per point of the fine grid
    result = np.zeros(len(frequencies))
    for node, value in zip(nodes, values, strict=True):
        result += value * np.cos(np.pi * _WIDTH * frequencies * node)
    result[-1] *= 2
    return result.astype(np.float32)
