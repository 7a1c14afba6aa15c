"""What the augmentations of one waveform share: Hz and decibels, precision, lengths of Fourier transforms.

A waveform is float (t,), one clip of one channel, nominally in [-1, 1]. Nothing clips but what is called so.
16-bit floats are worked on in float32 and come back in their own dtype.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from artifex.data.checks import check_positive
from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.waveform import working
from artifex.generative_models.modalities.settings import Number, check_number


def on_waveform(waveform: Float[Array, " t"], function: Callable[[Array], Array]) -> Float[Array, " n"]:
    """Applies `function` in working precision and gives its result in the waveform's own.

    Raises:
        ShapeError: it is no waveform: not of floats, or not of one axis.
    """
    return function(working(waveform, 1)).astype(waveform.dtype)


def check_frequency(name: str, value: Any, sample_rate: float) -> None:
    """Raises unless `value` is a scalar array or a number of Hz in (0, sample_rate / 2)."""
    check_number(name, value, low=0, above=True)
    check_positive("sample_rate", sample_rate)
    if isinstance(value, int | float) and value >= sample_rate / 2:
        raise ConfigError(
            f"`{name}` must be below half of `sample_rate`, {sample_rate / 2:g} Hz, got {value}; lower it"
        )


def decibels(value: Number, dtype: Any) -> Float[Array, ""]:
    """The factor of an amplitude: 20 dB are 10."""
    return 10 ** (jnp.asarray(value, dtype) / 20)


def scaled(spectrum: Complex[Array, " k"], gain: Float[Array, " k"]) -> Complex[Array, " k"]:
    """The spectrum times real numbers, in its own precision."""
    gain = gain.astype(spectrum.real.dtype)
    return jax.lax.complex(spectrum.real * gain, spectrum.imag * gain)


def fft_length(least: int) -> int:
    """The smallest even number from `least` on without prime factors above 5: one that is transformed fast."""
    length = max(least, 2)
    while length % 2 or _rest(length) > 1:
        length += 1
    return length


def _rest(number: int) -> int:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number
