"""The short-time Fourier transform, its inverse, and the phase that is missing; conventions as in `transforms`."""

from functools import lru_cache
from typing import TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key
from numpy.typing import NDArray

from artifex.data.checks import check_bool, check_size
from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.framing import (
    PadMode,
    check_frames,
    frame,
    overlap_add,
    pad_center,
)
from artifex.generative_models.modalities.audio.waveform import safe_sqrt, working
from artifex.generative_models.modalities.audio.windows import Window, window_weights
from artifex.generative_models.modalities.settings import Number, check_number


class InverseSettings(TypedDict, total=False):
    """How frames lie: what `istft` must know of the `stft` that it undoes. All are static."""

    hop_length: int
    """Samples from frame to frame; 256."""
    win_length: int | None
    """Samples under the window, which stands in the middle of a frame; None means all of it."""
    window: Window | str
    """ "hann"."""
    center: bool
    """Whether frame i has its middle, not its beginning, at sample i * hop_length; True."""


class StftSettings(InverseSettings, total=False):
    """The same and two more: the settings of `stft`, which all that is made from it takes as well."""

    n_fft: int
    """Samples in a frame, even; 1024."""
    pad_mode: PadMode | str
    """What lies beyond the clip, where `center` is True; "reflect"."""


def stft(waveform: Float[Array, " t"], **settings: Unpack[StftSettings]) -> Complex[Array, "f n"]:
    """The spectra of the windowed frames, f = n_fft // 2 + 1 bins from 0 Hz to half the sample rate.

    As `librosa.stft` (whose `pad_mode` is "constant" by default): the windows' sum is not divided by.
    n = 1 + t // hop_length frames with `center` (the default), else 1 + (t - n_fft) // hop_length.

    Args:
        waveform: the clip.
        **settings: see `StftSettings`.

    Raises:
        ConfigError: `n_fft` is odd, or less than `hop_length` or `win_length`.
        ShapeError: the clip is empty or, without `center`, shorter than a frame.
    """
    return frame_spectra(waveform, **settings).T


def frame_spectra(
    waveform: Float[Array, " t"],
    *,
    n_fft: int = 1024,
    hop_length: int = 256,
    win_length: int | None = None,
    window: Window | str = "hann",
    center: bool = True,
    pad_mode: PadMode | str = "reflect",
) -> Complex[Array, "n f"]:
    """`stft`, frame by frame: as it lies in memory, for what goes on from there."""
    check_frames(n_fft, hop_length)
    check_bool("center", center)
    x = working(waveform, 1)
    weights = window_weights(window, n_fft if win_length is None else win_length, n_fft=n_fft)
    if center:
        x = pad_center(x, frame_length=n_fft, pad_mode=pad_mode)
    taps = jnp.asarray(weights, x.dtype)
    return jnp.fft.rfft(frame(x, frame_length=n_fft, hop_length=hop_length, weights=taps))


def power(spectrum: Complex[Array, "*a"]) -> Float[Array, "*a"]:
    """The squared absolute value, whose gradient is finite everywhere."""
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def magnitude(spectrum: Complex[Array, "*a"]) -> Float[Array, "*a"]:
    """The absolute value, with gradient 0 at 0."""
    return safe_sqrt(power(spectrum))


def magnitude_spectrogram(
    waveform: Float[Array, " t"], **settings: Unpack[StftSettings]
) -> Float[Array, "f n"]:
    """The magnitudes of `stft`, with its settings."""
    return magnitude(frame_spectra(waveform, **settings)).T


def power_spectrogram(waveform: Float[Array, " t"], **settings: Unpack[StftSettings]) -> Float[Array, "f n"]:
    """The squared magnitudes of `stft`, with its settings."""
    return power(frame_spectra(waveform, **settings)).T


def istft(
    spectrum: Complex[Array, "f n"],
    *,
    hop_length: int = 256,
    win_length: int | None = None,
    window: Window | str = "hann",
    center: bool = True,
    length: int | None = None,
) -> Float[Array, " t"]:
    """The clip whose `stft` is nearest to a spectrum in the mean square (Griffin & Lim, 1984, eq. 6).

    The exact inverse where the spectrum is one of a clip, but for samples that no frame sees.

    Args:
        spectrum: f bins for n_fft = 2 (f - 1).
        hop_length: as it was for `stft`, like the next three.
        win_length: None means `n_fft`.
        window: its name.
        center: whether the margins that `stft` added are to be cut off.
        length: samples of the result, cut or filled with zeros; None means hop_length * (n - 1) with
            `center`, where up to hop_length - 1 samples of the clip may be missing, else as many as there are.

    Raises:
        ConfigError: the windows leave gaps, so that samples cannot be had.
    """
    n_fft = 2 * (spectrum.shape[0] - 1)
    check_frames(n_fft, hop_length)
    check_bool("center", center)
    win_length = n_fft if win_length is None else win_length
    weights = window_weights(window, win_length, n_fft=n_fft)
    _check_no_gaps(weights, hop_length, win_length)
    frames = jnp.fft.irfft(spectrum.T, n=n_fft)
    frames *= jnp.asarray(weights, frames.dtype)[None]
    total = overlap_add(frames, hop_length=hop_length)
    norm = _overlapped_power(str(window), win_length, n_fft, hop_length, spectrum.shape[1])
    start = n_fft // 2 if center else 0
    if length is None:
        length = hop_length * (spectrum.shape[1] - 1) + (0 if center else n_fft)
    check_size("length", length)
    clip = (total * jnp.asarray(1 / norm, total.dtype))[start : start + length]
    return jnp.pad(clip, (0, length - clip.shape[0]))


def griffin_lim(
    key: Key[Array, ""],
    magnitudes: Float[Array, "f n"],
    *,
    n_iter: int = 32,
    momentum: Number = 0.99,
    length: int | None = None,
    pad_mode: PadMode | str = "reflect",
    **settings: Unpack[InverseSettings],
) -> Float[Array, " t"]:
    """A clip with about these magnitudes: begins with random phases, and takes those of the nearest clip n times.

    Griffin & Lim (1984), sped up by Perraudin, Balazs & Søndergaard (2013), as `librosa.griffinlim` does.

    Args:
        key: of the random phases.
        magnitudes: of each bin, >= 0, as `magnitude_spectrogram` gives them.
        n_iter: iterations, static.
        momentum: from 0 (the algorithm of 1984) to 1; close to 1 converges fastest.
        length: samples of the result, see `istft`.
        pad_mode: as it was for `stft`.
        **settings: as they were for `stft`.
    """
    check_size("n_iter", n_iter)
    check_number("momentum", momentum, low=0, high=1)
    sizes = working(magnitudes, 2, name="magnitudes")
    n_fft = 2 * (sizes.shape[0] - 1)
    share = jnp.asarray(momentum, sizes.dtype)
    angles = 2 * jnp.pi * jax.random.uniform(key, sizes.shape, sizes.dtype)
    start = jax.lax.complex(sizes * jnp.cos(angles), sizes * jnp.sin(angles))
    step = (share / (1 + share)).astype(start.dtype)

    def improve(_: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        spectrum, before = state
        clip = istft(spectrum, length=length, **settings)
        rebuilt = _fit_frames(stft(clip, n_fft=n_fft, pad_mode=pad_mode, **settings), sizes.shape[1])
        return _with_magnitude(rebuilt - step * before, sizes), rebuilt

    spectrum, _ = jax.lax.fori_loop(0, n_iter, improve, (start, jnp.zeros_like(start)))
    return istft(spectrum, length=length, **settings)


def _with_magnitude(spectrum: Array, sizes: Array) -> Array:
    """The spectrum, scaled to these magnitudes; where it is 0, so is the result."""
    present = magnitude(spectrum)
    scale = sizes / jnp.where(present > 0, present, 1)
    return jax.lax.complex(spectrum.real * scale, spectrum.imag * scale)


def _fit_frames(spectrum: Array, n: int) -> Array:
    """As many frames as there were: a `length` that does not fit to them gives a few more or less."""
    present = spectrum.shape[1]
    return spectrum[:, :n] if present >= n else jnp.pad(spectrum, ((0, 0), (0, n - present)))


def _check_no_gaps(weights: NDArray[np.float64], hop_length: int, win_length: int) -> None:
    whole = np.pad(np.square(weights), (0, -len(weights) % hop_length))
    if whole.reshape(-1, hop_length).sum(axis=0).min() < 1e-8:
        raise ConfigError(
            f"`hop_length` {hop_length} leaves gaps between windows of {win_length} samples: what lies there "
            f"cannot be had again; take a quarter of the window, {max(1, win_length // 4)}"
        )


@lru_cache(maxsize=16)
def _overlapped_power(
    window: str, win_length: int, n_fft: int, hop_length: int, n: int
) -> NDArray[np.float64]:
    """The sum of the squared windows over each sample; 1 where there are none."""
    squared = np.square(window_weights(window, win_length, n_fft=n_fft))
    total = np.zeros((n - 1) * hop_length + n_fft)
    for i in range(n):
        total[i * hop_length : i * hop_length + n_fft] += squared
    return np.where(total > np.finfo(np.float32).tiny, total, 1)
