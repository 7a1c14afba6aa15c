"""Noise, and how it is added at a given ratio of powers; conventions as in `clips`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.data.checks import check_size
from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.audio.clips import fft_length, on_waveform, scaled
from artifex.generative_models.modalities.settings import Number, check_number


def colored_noise(
    key: Key[Array, ""], *, num_samples: int, exponent: Number = 0.0
) -> Float[Array, " {num_samples}"]:
    """Gaussian noise whose power per Hz falls as 1 / f^exponent, shaped in the frequency domain.

    0 is white, 1 pink (-3.01 dB per octave), 2 brown (-6.02), -1 blue, -2 violet. But for white noise the mean is
    taken out, as is what is below sample_rate / num_samples. The expected power is 1, float32.
    """
    check_size("num_samples", num_samples)
    check_number("exponent", exponent)
    white = jax.random.normal(key, (fft_length(num_samples),), jnp.float32)
    if not isinstance(exponent, jax.Array) and exponent == 0:
        return white[:num_samples]
    spectrum = jnp.fft.rfft(white)
    bins = jnp.arange(1, len(spectrum), dtype=jnp.float32)
    shape = bins ** (-jnp.asarray(exponent, jnp.float32) / 2)
    # Bins but the last stand for two: the mean power of white noise through this filter is 1.
    power = (2 * (shape**2).sum() - shape[-1] ** 2) / len(white)
    shape = jnp.concatenate([jnp.zeros(1, jnp.float32), shape / jnp.sqrt(power)])
    return jnp.fft.irfft(scaled(spectrum, shape), len(white))[:num_samples]


def add_noise(
    waveform: Float[Array, " t"], noise: Float[Array, " n"], *, snr_db: Number
) -> Float[Array, " t"]:
    """Adds `noise`, scaled so that the signal-to-noise ratio is `snr_db` decibels.

    The ratio is that of the mean squares over the whole clip, a mean and padding among them. To a silent waveform
    nothing is added, whatever the ratio, and silent noise adds nothing.

    Raises:
        ShapeError: they differ in length.
    """
    check_number("snr_db", snr_db)
    if noise.shape != waveform.shape:
        raise ShapeError(
            f"`noise` must be as long as the waveform, {len(waveform)} samples, got shape {noise.shape}; "
            "crop it, or see `augment.random_background`"
        )

    def add(x: Array) -> Array:
        y = noise.astype(x.dtype)
        signal, disturbance = (x**2).mean(), (y**2).mean()
        heard = (signal > 0) & (disturbance > 0)
        # Both branches have finite gradients: the square root of 0 has none.
        ratio = jnp.where(heard, signal, 1) / jnp.where(heard, disturbance, 1)
        scale = jnp.sqrt(ratio) * 10 ** (-jnp.asarray(snr_db, x.dtype) / 20)
        return x + jnp.where(heard, scale, 0) * y

    return on_waveform(waveform, add)
