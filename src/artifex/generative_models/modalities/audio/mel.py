"""The mel scale: its filter bank, and spectrograms on it; conventions as in `transforms`.

Scales and banks are made in NumPy, in float64, once for each configuration.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike, NDArray

from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.warn import warn
from artifex.generative_models.modalities.audio.stft import StftSettings, frame_spectra, magnitude, power
from artifex.generative_models.modalities.audio.waveform import working
from artifex.generative_models.modalities.settings import Number, check_number

_SLANEY_STEP = 200 / 3  # Hz a mel, below the bend
_SLANEY_BEND = 1000.0  # Hz; 15 mel
_SLANEY_LOG_STEP = np.log(6.4) / 27  # above it 27 mel are a factor of 6.4


class MelScale(StrEnum):
    """Slaney's (Auditory Toolbox, 1998): linear to 1000 Hz, then logarithmic. HTK's: 2595 log10(1 + f / 700)."""

    SLANEY = "slaney"
    HTK = "htk"


class MelNorm(StrEnum):
    """Whether a filter has area 1 (Slaney: noise is flat on the scale), or a peak of 1 (none)."""

    SLANEY = "slaney"
    NONE = "none"


class EmptyFilterWarning(UserWarning):
    """A mel filter is so narrow that it lies between two bins and is always 0."""


class BankSettings(TypedDict, total=False):
    """The mel bands. All are static."""

    n_mels: int
    """Bands; 80."""
    f_min: float
    """Lower edge of the lowest, Hz; 0."""
    f_max: float | None
    """Upper edge of the highest, Hz; None means half the sample rate."""
    mel_scale: MelScale | str
    """ "slaney"."""
    mel_norm: MelNorm | str
    """ "slaney"."""


class MelSettings(BankSettings, StftSettings, total=False):
    """The bands and the frames of a mel spectrogram."""


def hz_to_mel(frequency: ArrayLike, *, mel_scale: MelScale | str = "slaney") -> NDArray[np.float64]:
    """The place of frequencies, in Hz and >= 0, on the mel scale."""
    f = np.asarray(frequency, np.float64)
    if check_choice(MelScale, "mel_scale", mel_scale) is MelScale.HTK:
        return 2595 * np.log10(1 + f / 700)
    above = np.log(np.maximum(f, _SLANEY_BEND) / _SLANEY_BEND) / _SLANEY_LOG_STEP
    return np.minimum(f, _SLANEY_BEND) / _SLANEY_STEP + above


def mel_to_hz(mel: ArrayLike, *, mel_scale: MelScale | str = "slaney") -> NDArray[np.float64]:
    """The inverse of `hz_to_mel`."""
    m = np.asarray(mel, np.float64)
    if check_choice(MelScale, "mel_scale", mel_scale) is MelScale.HTK:
        return 700 * (10 ** (m / 2595) - 1)
    bend = _SLANEY_BEND / _SLANEY_STEP
    return np.minimum(m, bend) * _SLANEY_STEP * np.exp(_SLANEY_LOG_STEP * np.maximum(m - bend, 0))


def mel_filter_bank(
    *,
    sample_rate: int,
    n_fft: int = 1024,
    n_mels: int = 80,
    f_min: float = 0.0,
    f_max: float | None = None,
    mel_scale: MelScale | str = "slaney",
    mel_norm: MelNorm | str = "slaney",
) -> NDArray[np.float32]:
    """Triangular filters, evenly spaced on the mel scale: (n_mels, n_fft // 2 + 1), read-only.

    As `librosa.filters.mel`. Filter i rises from edge i to edge i + 1 and falls to edge i + 2, linearly in Hz.
    Where filters are narrower than the bins are apart, some have none and are 0; this warns of them.

    Args:
        sample_rate: Hz.
        n_fft: samples in a frame, even.
        n_mels: number of filters.
        f_min: Hz, >= 0.
        f_max: Hz, more than `f_min`, at most half the sample rate, which None means.
        mel_scale: "slaney" or "htk".
        mel_norm: "slaney" or "none".

    Raises:
        ConfigError: a number is out of range.
    """
    check_size("n_fft", n_fft)
    check_size("n_mels", n_mels)
    top = check_bands(sample_rate=sample_rate, f_min=f_min, f_max=f_max)
    scale = check_choice(MelScale, "mel_scale", mel_scale)
    norm = check_choice(MelNorm, "mel_norm", mel_norm)
    bank = _bank(sample_rate, n_fft, n_mels, float(f_min), top, scale, norm)
    empty = np.flatnonzero(~bank.any(axis=1))
    if len(empty):
        warn(
            f"{len(empty)} of `n_mels` {n_mels} filters have no bin (first: filter {empty[0]}): at `n_fft` "
            f"{n_fft} and {sample_rate} Hz bins are {sample_rate / n_fft:.4g} Hz apart, which is more than those "
            f"filters are wide; take fewer bands, a larger `n_fft` or a higher `f_min`",
            EmptyFilterWarning,
        )
    return bank


def check_bands(*, sample_rate: int, f_min: float, f_max: float | None) -> float:
    """The upper edge, Hz, if bands from `f_min` to there fit below half the sample rate, which None means.

    Raises:
        ConfigError: they do not.
    """
    half = check_size("sample_rate", sample_rate) / 2
    check_number("f_min", f_min, low=0)
    top = half if f_max is None else f_max
    check_number("f_max", top, low=0, above=True)
    if top > half:
        raise ConfigError(
            f"`f_max` {top} Hz is more than half the sample rate, {half} Hz; lower it, or leave it out"
        )
    if f_min >= top:
        raise ConfigError(f"`f_min` {f_min} Hz must be below `f_max`, {top} Hz")
    return float(top)


def spectrogram_to_mel(
    spectrogram: Float[Array, "f n"], *, sample_rate: int, **settings: Unpack[BankSettings]
) -> Float[Array, "m n"]:
    """The bands of a power or magnitude spectrogram: the sums of its bins, weighted by `mel_filter_bank`."""
    s = working(spectrogram, 2, name="spectrogram")
    bank = mel_filter_bank(sample_rate=sample_rate, n_fft=2 * (s.shape[0] - 1), **settings)
    return _bands(s.T, bank).T


def mel_spectrogram(
    waveform: Float[Array, " t"], *, sample_rate: int, exponent: int = 2, **settings: Unpack[MelSettings]
) -> Float[Array, "m n"]:
    """The spectrogram of a clip on the mel scale, as `librosa.feature.melspectrogram`.

    Args:
        waveform: the clip.
        sample_rate: its rate, Hz.
        exponent: 2 sums the powers of the bins, 1 their magnitudes.
        **settings: see `MelSettings`.
    """
    if exponent not in (1, 2):
        raise ConfigError(f"`exponent` must be 2 (power) or 1 (magnitude), got {exponent!r}")
    of_frames, of_bank = _parted(settings)
    spectra = frame_spectra(waveform, **of_frames)
    bins = power(spectra) if exponent == 2 else magnitude(spectra)
    n_fft = 2 * (bins.shape[1] - 1)
    return _bands(bins, mel_filter_bank(sample_rate=sample_rate, n_fft=n_fft, **of_bank)).T


def log_mel_spectrogram(
    waveform: Float[Array, " t"], *, sample_rate: int, floor: Number = 1e-5, **settings: Unpack[MelSettings]
) -> Float[Array, "m n"]:
    """ln(max(power, floor)) of `mel_spectrogram`, with its settings; no gradient flows where the floor is."""
    check_number("floor", floor, low=0, above=True)
    mel = mel_spectrogram(waveform, sample_rate=sample_rate, **settings)
    return jnp.log(jnp.maximum(mel, jnp.asarray(floor, mel.dtype)))


def mel_to_spectrogram(
    mel: Float[Array, "m n"],
    *,
    sample_rate: int,
    n_fft: int = 1024,
    n_iter: int = 32,
    **settings: Unpack[BankSettings],
) -> Float[Array, "f n"]:
    """A spectrogram >= 0 that has about these mel bands: many have, and this is a smooth one.

    By the multiplicative steps of Richardson (1972) and Lucy (1974), which begin with each bin at the lower level
    of the two bands that see it. Bins that no filter sees are 0.

    Args:
        mel: bands, >= 0, of powers or magnitudes, which the result is of as well; not their logarithm.
        sample_rate: Hz.
        n_fft: samples in a frame.
        n_iter: steps, static. 32 bring the bands within one per cent where they are those of sound.
        **settings: as they were for the mel spectrogram.
    """
    check_size("n_iter", n_iter)
    bands = working(mel, 2, name="mel")
    bank = mel_filter_bank(sample_rate=sample_rate, n_fft=n_fft, **settings)
    if bank.shape[0] != bands.shape[0]:
        raise ShapeError(f"`mel` has {bands.shape[0]} bands, but `n_mels` is {bank.shape[0]}")
    seen = bank.sum(axis=0)[:, None]
    back = jnp.asarray(np.divide(bank.T, seen, out=np.zeros_like(bank.T), where=seen > 0), bands.dtype)
    there = jnp.asarray(bank, bands.dtype)
    x = jnp.where(jnp.asarray(seen > 0), _lower_level(bands, bank), 0)
    for _ in range(n_iter):
        present = jnp.matmul(there, x, precision="highest")
        ratio = jnp.where(present > 0, bands / jnp.where(present > 0, present, 1), 0)
        x *= jnp.matmul(back, ratio, precision="highest")
    return x


def _lower_level(bands: Array, bank: NDArray[np.float32]) -> Array:
    """For each bin the lower of the levels that its two bands would have if they were flat.

    A step raises a bin as fast as need be, but lowers it slowly: from above, quiet bands beside loud ones would
    take hundreds. What is 0 would stay it, so that nothing begins more than 60 dB below the louder band.
    """
    weight = bank.sum(axis=1)
    level = bands / jnp.asarray(np.where(weight > 0, weight, 1), bands.dtype)[:, None]
    first = (bank > 0).argmax(axis=0)
    last = len(bank) - 1 - (bank[::-1] > 0).argmax(axis=0)
    one, other = level[first], level[last]
    return jnp.maximum(jnp.minimum(one, other), 1e-6 * jnp.maximum(one, other))


def _bands(bins: Array, bank: NDArray[np.float32]) -> Array:
    """(n, f) times the bank: (n, m), without the bins that no filter sees."""
    seen = np.flatnonzero(bank.any(axis=0))
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, 0)
    weights = jnp.asarray(bank[:, first : last + 1].T, bins.dtype)
    # "highest": accelerators would round to fewer bits. In one product, though several of the bins that a part of
    # the filters sees are a tenth faster on CPU: XLA takes twice as long to compile those.
    return jnp.matmul(bins[:, first : last + 1], weights, precision="highest")


def _parted(settings: Any) -> tuple[StftSettings, BankSettings]:
    """The settings of the frames, and those of the bank."""
    of_bank = {name: value for name, value in settings.items() if name in BankSettings.__annotations__}
    rest = {name: value for name, value in settings.items() if name not in of_bank}
    return StftSettings(**rest), BankSettings(**of_bank)


@lru_cache(maxsize=32)
def _bank(
    sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, scale: MelScale, norm: MelNorm
) -> NDArray[np.float32]:
    lowest, highest = hz_to_mel([f_min, f_max], mel_scale=scale)
    edges = mel_to_hz(np.linspace(lowest, highest, n_mels + 2), mel_scale=scale)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    bank = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    bank[bank < 1e-9] = 0  # at the very edges of a filter, what rounding leaves
    if norm is MelNorm.SLANEY:
        bank *= 2 / (high - low)
    result = bank.astype(np.float32)
    result.setflags(write=False)
    return result
