"""What is made of a log-mel spectrogram: MFCC and slopes over time; conventions as in `transforms`."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from artifex.data.checks import check_integer, check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.waveform import working


def mfcc(log_mel: Float[Array, "m n"], *, n_mfcc: int = 20, lifter: int = 0) -> Float[Array, "{n_mfcc} n"]:
    """Mel-frequency cepstral coefficients: the first of the orthonormal DCT-II over the bands of each frame.

    As `librosa.feature.mfcc(S=log_mel)`, whose log mel spectrogram is in dB: `power_to_db(mel_spectrogram(...))`.

    Args:
        log_mel: logarithms of mel bands, in dB or nepers; the coefficients scale with them.
        n_mfcc: how many, at most as many as there are bands.
        lifter: L > 0 multiplies coefficient k = 1, 2, ... by 1 + L / 2 sin(pi k / L); 0 leaves all as they are.
    """
    x = working(log_mel, 2, name="log_mel")
    check_size("n_mfcc", n_mfcc)
    check_integer("lifter", lifter, 0, 2**15)
    if n_mfcc > x.shape[0]:
        raise ConfigError(f"`n_mfcc` {n_mfcc} must not be more than the {x.shape[0]} mel bands")
    return jnp.matmul(jnp.asarray(_cosines(n_mfcc, x.shape[0], lifter), x.dtype), x, precision="highest")


def delta(features: Float[Array, "f n"], *, width: int = 9, order: int = 1) -> Float[Array, "f n"]:
    """The `order`-th derivative over time, per frame, of the polynomial of that degree fitted to `width` frames.

    Savitzky & Golay (1964); the frames at both ends, which have not `width` / 2 neighbours, take the fit to the
    first or last `width` frames. As `librosa.feature.delta`.

    Args:
        features: any, frames last.
        width: frames of a fit, odd, >= 3, more than `order`.
        order: 1 for the slope, 2 for the curvature.

    Raises:
        ShapeError: there are fewer than `width` frames.
    """
    check_integer("width", width, 3, 2**15)
    check_size("order", order)
    if width % 2 == 0 or order >= width:
        raise ConfigError(f"`width` must be odd and more than `order` {order}, got {width}")
    x = working(features, 2, name="features")
    n = x.shape[1]
    if n < width:
        raise ShapeError(f"`features` has {n} frames, fewer than `width` {width}; take a smaller odd `width`")
    weights = _derivative(width, order)
    slope = sum(
        (x[:, k : k + n - width + 1] * weights[k] for k in range(1, width)),
        x[:, : n - width + 1] * weights[0],
    )
    # The highest derivative of a polynomial is the same everywhere, at the ends of its frames too.
    return jnp.pad(slope, ((0, 0), (width // 2, width // 2)), mode="edge")


@lru_cache(maxsize=16)
def _cosines(n_mfcc: int, n_mels: int, lifter: int) -> NDArray[np.float64]:
    k, m = np.arange(n_mfcc)[:, None], np.arange(n_mels)
    matrix = np.sqrt(2 / n_mels) * np.cos(np.pi * k * (2 * m + 1) / (2 * n_mels))
    matrix[0] /= np.sqrt(2)
    if lifter:
        matrix *= 1 + lifter / 2 * np.sin(np.pi * (k + 1) / lifter)
    return matrix


@lru_cache(maxsize=16)
def _derivative(width: int, order: int) -> list[float]:
    """The weights of `width` frames whose sum is the derivative of the fit."""
    place = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(place, order + 1, increasing=True))
    return (fit[-1] * np.prod(np.arange(1, order + 1))).tolist()
