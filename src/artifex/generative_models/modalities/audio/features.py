"""What is measured in each frame: of its spectrum, or of its samples; conventions as in `transforms`.

A spectrogram is that of `magnitude_spectrogram`, f bins from 0 Hz to half the sample rate.
"""

import jax.numpy as jnp
from jax.lax import stop_gradient
from jaxtyping import Array, Float

from artifex.data.checks import check_bool
from artifex.generative_models.modalities.audio.framing import PadMode, frame, frame_count, pad_center
from artifex.generative_models.modalities.audio.waveform import safe_sqrt, working
from artifex.generative_models.modalities.settings import Number, check_number


def spectral_centroid(magnitudes: Float[Array, "f n"], *, sample_rate: Number) -> Float[Array, " n"]:
    """The mean frequency, Hz, of each frame, weighted by magnitude; 0 in silence."""
    shares, frequencies = _shares(magnitudes, sample_rate)
    return jnp.sum(shares * frequencies, axis=0)


def spectral_bandwidth(
    magnitudes: Float[Array, "f n"], *, sample_rate: Number, order: Number = 2
) -> Float[Array, " n"]:
    """How far frequencies lie from the centroid, Hz: the p-norm, weighted by magnitude; 0 in silence.

    Args:
        magnitudes: of the bins.
        sample_rate: Hz.
        order: p >= 1; 2 is the standard deviation.
    """
    check_number("order", order, low=1)
    shares, frequencies = _shares(magnitudes, sample_rate)
    centre = jnp.sum(shares * frequencies, axis=0, keepdims=True)
    p = jnp.asarray(order, shares.dtype)
    moment = jnp.sum(shares * jnp.power(jnp.abs(frequencies - centre), p), axis=0)
    spread = moment > 0
    return jnp.where(spread, jnp.power(jnp.where(spread, moment, 1), 1 / p), 0)


def spectral_rolloff(
    magnitudes: Float[Array, "f n"], *, sample_rate: Number, share: Number = 0.85
) -> Float[Array, " n"]:
    """The lowest frequency, Hz, of a bin up to which lies at least that `share` of all magnitude; 0 in silence.

    It moves from bin to bin: its gradient is 0.
    """
    check_number("share", share, low=0, high=1)
    x = working(magnitudes, 2, name="magnitudes")
    below = jnp.cumsum(x, axis=0)
    wanted = jnp.asarray(share, x.dtype) * below[-1:]
    # A count, as the first bin that is not below: those before it are, since magnitudes are not negative.
    first = jnp.sum(below < wanted, axis=0)
    return first.astype(x.dtype) * _bin_width(x, sample_rate)


def spectral_flatness(magnitudes: Float[Array, "f n"], *, floor: Number = 1e-10) -> Float[Array, " n"]:
    """Geometric by arithmetic mean of the powers: 1 for white noise (and silence), near 0 for a tone.

    Args:
        magnitudes: of the bins.
        floor: powers that are less are taken for it, > 0.
    """
    check_number("floor", floor, low=0, above=True)
    x = working(magnitudes, 2, name="magnitudes")
    powers = jnp.maximum(jnp.square(x), jnp.asarray(floor, x.dtype))
    return jnp.exp(jnp.mean(jnp.log(powers), axis=0)) / jnp.mean(powers, axis=0)


def rms(
    waveform: Float[Array, " t"],
    *,
    frame_length: int = 1024,
    hop_length: int = 256,
    center: bool = True,
    pad_mode: PadMode | str = "constant",
) -> Float[Array, " n"]:
    """The root mean square of the samples of each frame, unwindowed; frames as those of `stft`."""
    frames = _frames(waveform, frame_length, hop_length, center, pad_mode)
    return safe_sqrt(jnp.mean(jnp.square(frames), axis=1))


def zero_crossing_rate(
    waveform: Float[Array, " t"],
    *,
    frame_length: int = 1024,
    hop_length: int = 256,
    center: bool = True,
    pad_mode: PadMode | str = "edge",
    threshold: Number = 1e-10,
) -> Float[Array, " n"]:
    """The share of the samples of each frame that have another sign than the one before; 0 is positive.

    Args:
        waveform: the clip.
        frame_length: samples.
        hop_length: samples from frame to frame.
        center: whether frame i has its middle at sample i * hop_length.
        pad_mode: what lies beyond the clip then.
        threshold: what is not farther from 0 than that is 0.
    """
    check_number("threshold", threshold, low=0)
    frames = _frames(waveform, frame_length, hop_length, center, pad_mode)
    negative = frames < -jnp.asarray(threshold, frames.dtype)
    crossings = jnp.sum(negative[:, 1:] != negative[:, :-1], axis=1)
    return crossings.astype(frames.dtype) / frame_length


def _frames(
    waveform: Array, frame_length: int, hop_length: int, center: bool, pad_mode: PadMode | str
) -> Array:
    x = working(waveform, 1)
    check_bool("center", center)
    frame_count(x.shape[0], frame_length=frame_length, hop_length=hop_length, center=center)
    if center:
        x = pad_center(x, frame_length=frame_length, pad_mode=pad_mode)
    return frame(x, frame_length=frame_length, hop_length=hop_length)


def _bin_width(magnitudes: Array, sample_rate: Number) -> Array:
    check_number("sample_rate", sample_rate, low=0, above=True)
    return jnp.asarray(sample_rate, magnitudes.dtype) / (2 * (magnitudes.shape[0] - 1))


def _shares(magnitudes: Array, sample_rate: Number) -> tuple[Array, Array]:
    """Magnitudes that sum to 1 in each frame that is not silent, and the frequency of each bin (f, 1)."""
    x = working(magnitudes, 2, name="magnitudes")
    # Shares have no scale, so that the largest may be divided by first, as a constant: in the derivative the sum
    # stands squared, which is 0 for magnitudes of 1e-20. Derivatives grow as magnitudes shrink; before they are too
    # large for a float they are left out, as in silence.
    largest = stop_gradient(jnp.max(x, axis=0, keepdims=True))
    x = jnp.where(largest > 1e7 * jnp.finfo(x.dtype).tiny, x, stop_gradient(x))
    x = x / jnp.where(largest > 0, largest, 1)
    total = jnp.sum(x, axis=0, keepdims=True)
    frequencies = jnp.arange(x.shape[0], dtype=x.dtype)[:, None] * _bin_width(x, sample_rate)
    return x / jnp.where(total > 0, total, 1), frequencies
