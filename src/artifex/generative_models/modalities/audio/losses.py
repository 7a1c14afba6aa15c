"""Losses between two clips: means over all samples, or over all bins of their spectrograms.

Each takes a prediction and a target of the same shape and gives a scalar, float32 (float64 for float64 clips).
`jax.vmap` gives one per clip.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.stft import frame_spectra, power
from artifex.generative_models.modalities.audio.waveform import safe_sqrt, working
from artifex.generative_models.modalities.audio.windows import Window
from artifex.generative_models.modalities.settings import Number, check_number

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""(n_fft, hop_length, win_length) of Yamamoto, Song & Kim (2020), table 1, for speech at 24 kHz."""


def l1(prediction: Float[Array, " t"], target: Float[Array, " t"]) -> Float[Array, ""]:
    """Mean absolute error of the samples."""
    p, t = _clips(prediction, target)
    return jnp.mean(jnp.abs(p - t))


def l2(prediction: Float[Array, " t"], target: Float[Array, " t"]) -> Float[Array, ""]:
    """Mean squared error of the samples."""
    p, t = _clips(prediction, target)
    return jnp.mean(jnp.square(p - t))


def spectral_convergence(prediction: Float[Array, "*a"], target: Float[Array, "*a"]) -> Float[Array, ""]:
    """The Frobenius norm of the error of magnitudes by that of the target (Arik, Jun & Diamos, 2018).

    Where the target is silent, the norm of the prediction by that of 1e-7 in every bin.
    """
    p, t = working(prediction, None, name="prediction"), working(target, None, name="target")
    return safe_sqrt(jnp.sum(jnp.square(p - t)) / jnp.maximum(jnp.sum(jnp.square(t)), t.size * 1e-14))


def log_magnitude(
    prediction: Float[Array, "*a"], target: Float[Array, "*a"], *, floor: Number = 1e-7
) -> Float[Array, ""]:
    """Mean absolute error of the natural logarithms of magnitudes, of which none is less than `floor`."""
    check_number("floor", floor, low=0, above=True)
    p, t = working(prediction, None, name="prediction"), working(target, None, name="target")
    least = jnp.asarray(floor, p.dtype)
    return jnp.mean(jnp.abs(jnp.log(jnp.maximum(p, least)) - jnp.log(jnp.maximum(t, least))))


def multi_resolution_stft(
    prediction: Float[Array, " t"],
    target: Float[Array, " t"],
    *,
    resolutions: Sequence[tuple[int, int, int]] = RESOLUTIONS,
    window: Window | str = "hann",
    floor: Number = 1e-7,
) -> Float[Array, ""]:
    """`spectral_convergence` plus `log_magnitude`, averaged over several STFTs.

    Yamamoto, Song & Kim, "Parallel WaveGAN" (2020), eq. 6: no one trade of time for frequency suits all sound.

    Args:
        prediction: a clip.
        target: the clip it should be.
        resolutions: (n_fft, hop_length, win_length) of each STFT, centred; static.
        window: of all of them.
        floor: powers that are less are taken for it, > 0, so that silence has a logarithm.

    Raises:
        ShapeError: the two are not of the same length.
    """
    if not resolutions:
        raise ConfigError("`resolutions` is empty; give at least one (n_fft, hop_length, win_length)")
    check_number("floor", floor, low=0, above=True)
    p, t = _clips(prediction, target)
    losses: list[Array] = []
    for n_fft, hop_length, win_length in resolutions:
        spectrogram = partial(
            frame_spectra, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window
        )
        bins = [jnp.sqrt(jnp.maximum(power(spectrogram(x)), jnp.asarray(floor, x.dtype))) for x in (p, t)]
        losses.append(spectral_convergence(*bins) + jnp.mean(jnp.abs(jnp.log(bins[0]) - jnp.log(bins[1]))))
    return jnp.mean(jnp.stack(losses))


class LossKind(StrEnum):
    """The losses of clips, by name."""

    L1 = "l1"
    L2 = "l2"
    MULTI_RESOLUTION_STFT = "multi_resolution_stft"


LOSSES: Mapping[LossKind, Callable[[Array, Array], Array]] = {
    LossKind.L1: l1,
    LossKind.L2: l2,
    LossKind.MULTI_RESOLUTION_STFT: multi_resolution_stft,
}
"""Each loss, `f(prediction, target)` of one clip."""


def _clips(prediction: Array, target: Array) -> tuple[Array, Array]:
    if prediction.shape != target.shape:
        raise ShapeError(
            f"`prediction` has shape {prediction.shape}, but `target` has {target.shape}; they must be of one length"
        )
    return working(prediction, 1, name="prediction"), working(target, 1, name="target")
