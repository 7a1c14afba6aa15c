"""Butterworth filters by the bilinear transform, cutoffs in Hz; conventions as in `clips`.

They are those of `scipy.signal.butter`, run from rest: causal, with their phase. The response is evaluated
analytically at each frequency of a Fourier transform, where float32 is as good at 20 Hz as at 8 kHz, instead of
running the recursion of rounded coefficients, and a cutoff may be a traced number. The impulse response must die
away within the zeros behind the waveform: for a number they are as many as are needed, for a traced cutoff half a
second, enough (1e-5 of the peak) from 20 Hz on up to order 8, for a band of 40 Hz and more.
"""

from collections.abc import Callable
from math import ceil, pi

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Complex, Float

from artifex.data.checks import check_integer
from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.clips import (
    check_frequency,
    fft_length,
    on_waveform,
    scaled,
)
from artifex.generative_models.modalities.settings import Number

_TIME_CONSTANTS = 14  # e^-14 is 1e-6


def low_pass(
    waveform: Float[Array, " t"], *, sample_rate: float, cutoff: Number, order: int = 4
) -> Float[Array, " t"]:
    """Keeps what is below `cutoff`, where it has -3.01 dB; above it falls by 6 * order dB per octave.

    Args:
        waveform: the sound.
        sample_rate: in Hz.
        cutoff: in Hz, above 0 and below half the rate.
        order: 1 to 8.
    """
    check_frequency("cutoff", cutoff, sample_rate)
    rest = _zeros(order, sample_rate, cutoff)

    def response(sine: Array, cosine: Array) -> Array:
        edge = _half_angle(cutoff, sample_rate)
        return _prototype(order, sine * jnp.cos(edge), cosine * jnp.sin(edge))

    return _filtered(waveform, response, rest)


def high_pass(
    waveform: Float[Array, " t"], *, sample_rate: float, cutoff: Number, order: int = 4
) -> Float[Array, " t"]:
    """Keeps what is above `cutoff`; arguments and slope as of `low_pass`. It takes the mean out."""
    check_frequency("cutoff", cutoff, sample_rate)
    rest = _zeros(order, sample_rate, cutoff)

    def response(sine: Array, cosine: Array) -> Array:
        edge = _half_angle(cutoff, sample_rate)
        return _prototype(order, -cosine * jnp.sin(edge), sine * jnp.cos(edge))

    return _filtered(waveform, response, rest)


def band_pass(
    waveform: Float[Array, " t"], *, sample_rate: float, low: Number, high: Number, order: int = 2
) -> Float[Array, " t"]:
    """Keeps what is between `low` and `high`, where it has -3.01 dB.

    Args:
        waveform: the sound.
        sample_rate: in Hz.
        low: lower edge in Hz, above 0.
        high: upper edge in Hz, above `low` and below half the rate.
        order: 1 to 8, of each slope, as SciPy counts: the filter has twice as many poles.
    """
    check_frequency("low", low, sample_rate)
    check_frequency("high", high, sample_rate)
    if isinstance(low, int | float) and isinstance(high, int | float) and low >= high:
        raise ConfigError(f"`low` {low} Hz must be below `high` {high} Hz; swap them")
    rest = _zeros(order, sample_rate, low, high)

    def response(sine: Array, cosine: Array) -> Array:
        lower, upper = _half_angle(low, sample_rate), _half_angle(high, sample_rate)
        inside = sine**2 * jnp.cos(lower) * jnp.cos(upper) - cosine**2 * jnp.sin(lower) * jnp.sin(upper)
        return _prototype(order, inside, sine * cosine * jnp.sin(upper - lower))

    return _filtered(waveform, response, rest)


def _half_angle(frequency: Number, sample_rate: float) -> Float[Array, ""]:
    return jnp.asarray(frequency, jnp.float32) * (pi / sample_rate)


def _poles(order: int) -> npt.NDArray[np.complex128]:
    """Those of the low-pass of cutoff 1 rad/s, on the left half of the unit circle."""
    return np.exp(1j * (np.pi / 2 + np.pi * (2 * np.arange(order) + 1) / (2 * order)))


def _prototype(order: int, over: Float[Array, " k"], under: Float[Array, " k"]) -> Complex[Array, " k"]:
    """The low-pass of cutoff 1 rad/s at s = j * over / under, where `under` may be 0: one factor for each pole."""
    result = jnp.ones_like(over, jnp.complex64)
    for pole in _poles(order):
        below = jax.lax.complex(-pole.real * under, over - pole.imag * under)
        result = scaled(result, under) / below
    return result


def _zeros(order: int, sample_rate: float, *edges: Number) -> int:
    """How many zeros must follow the waveform for its echo to die away in them."""
    check_integer("order", order, 1, 8)
    numbers = [float(edge) for edge in edges if not isinstance(edge, jax.Array)]
    if len(numbers) < len(edges):
        return ceil(sample_rate / 2)
    poles, warped = _poles(order), np.tan(np.pi * np.asarray(numbers) / sample_rate)
    if len(numbers) == 1:
        poles = np.concatenate([poles * warped[0], warped[0] / poles])  # of the low-pass and of the high-pass
    else:
        half = poles * (warped[1] - warped[0]) / 2
        root = np.sqrt(half**2 - warped[0] * warped[1])
        poles = np.concatenate([half - root, half + root])
    slowest = np.abs((1 + poles) / (1 - poles)).max()
    return ceil(_TIME_CONSTANTS / -np.log(slowest))


def _filtered(waveform: Array, response: Callable[[Array, Array], Array], rest: int) -> Array:
    """`response` is given the sine and cosine of half of each angular frequency per sample."""

    def run(x: Array) -> Array:
        n = fft_length(len(x) + rest)
        half = np.pi * np.arange(n // 2 + 1) / n
        spectrum = jnp.fft.rfft(x, n)
        gain = response(jnp.asarray(np.sin(half), jnp.float32), jnp.asarray(np.cos(half), jnp.float32))
        return jnp.fft.irfft(spectrum * gain.astype(spectrum.dtype), n)[: len(x)]

    return on_waveform(waveform, run)
