"""What becomes of a clip on its way to a model, one clip at a time."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from artifex.data.checks import check_size
from artifex.data.codecs.audio import Waveform
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.config import AudioModalityConfig, SpectrogramType
from artifex.generative_models.modalities.audio.mel import log_mel_spectrogram
from artifex.generative_models.modalities.audio.resample import resample
from artifex.generative_models.modalities.audio.stft import magnitude_spectrogram
from artifex.generative_models.modalities.audio.waveform import fix_length, peak_normalize

_INTEGERS = ("uint8", "int16", "int32")


def prepare(
    waveform: Shaped[Array, " t"], config: AudioModalityConfig, *, rate: int
) -> Float[Array, " {config.n_time_steps}"]:
    """The clip at the config's rate and length and, if the config says so, with a peak of 1.

    Args:
        waveform: float, or uint8, int16 or int32 as in WAV files.
        config: what comes out.
        rate: of the waveform, Hz.
    """
    clip = fix_length(
        resample(to_float(waveform), from_rate=rate, to_rate=config.sample_rate), config.n_time_steps
    )
    return peak_normalize(clip) if config.normalize else clip


def to_float(waveform: Shaped[Array, " t"]) -> Float[Array, " t"]:
    """Integers of PCM in [-1, 1): int16 by 2^-15, int32 by 2^-31, uint8 by 2^-7 around 128. Floats stay."""
    if jnp.issubdtype(waveform.dtype, jnp.floating):
        return waveform
    offset = 128 if waveform.dtype == jnp.uint8 else 0
    scale = 2.0 ** (1 - 8 * waveform.dtype.itemsize)
    return (waveform.astype(jnp.float32) - offset) * jnp.float32(scale)


def spectrogram(waveform: Float[Array, " t"], config: AudioModalityConfig) -> Float[Array, "f n"]:
    """The spectrogram that the config names: ln of mel powers, or magnitudes of the STFT."""
    if config.spectrogram_type is SpectrogramType.STFT:
        return magnitude_spectrogram(waveform, **config.stft_settings)
    return log_mel(waveform, config)


def log_mel(waveform: Float[Array, " t"], config: AudioModalityConfig) -> Float[Array, "m n"]:
    """The logarithms, ln, of the powers of the config's mel bands, of which none is less than its `log_floor`."""
    return log_mel_spectrogram(
        waveform, sample_rate=config.sample_rate, floor=config.log_floor, **config.mel_settings
    )


def checked_clips(data: Any) -> Array:
    """Clips (t,) or (b, t), of floats or of PCM's integers.

    Raises:
        ShapeError: they are of another rank or dtype, or empty.
    """
    if not isinstance(data, (jax.Array, np.ndarray)):
        raise ShapeError(f"a waveform must be an array, got {type(data).__name__}")
    if not (jnp.issubdtype(data.dtype, jnp.floating) or data.dtype.name in _INTEGERS):
        raise ShapeError(
            f"a waveform must be of floats in [-1, 1], or of {', '.join(_INTEGERS)} as in WAV files, got {data.dtype}"
        )
    if data.ndim not in (1, 2) or 0 in data.shape:
        raise ShapeError(
            f"a waveform must have shape (t,), or (b, t) for a batch, of one channel, with a sample at least, got "
            f"{data.shape}; mix channels first, e.g. by their mean"
        )
    if isinstance(data, np.ndarray):
        data = np.asarray(data)  # not a Waveform, which would go on saying its rate
        data = data.astype(data.dtype.newbyteorder("="), copy=False)
    return jnp.asarray(data)


def clips_at(data: Any, rate: int) -> Array:
    """`checked_clips` of what is at that rate already; several channels of a `Waveform` are mixed.

    Raises:
        ConfigError: it is a `Waveform` of another rate.
    """
    clips, carried = clips_and_rate(data, None, rate)
    if carried != rate:
        raise ConfigError(
            f"the waveform carries {carried} Hz, and `sample_rate` of the config is {rate}; `process` brings it "
            f"there, and `np.asarray(waveform)` carries no rate"
        )
    return checked_clips(clips)


def clips_and_rate(data: Any, sample_rate: int | None, otherwise: int) -> tuple[Any, int]:
    """Clips of one channel, and their rate: as said, or as a `Waveform` carries it, or `otherwise`.

    Raises:
        ConfigError: both say a rate, and not the same.
    """
    given = None if sample_rate is None else check_size("sample_rate", sample_rate)
    carried = data.sample_rate if isinstance(data, Waveform) else None
    if given is not None and carried not in (None, given):
        raise ConfigError(
            f"`sample_rate` {sample_rate} is not the {carried} Hz that the waveform carries; leave it out, "
            f"or pass `np.asarray(waveform)`"
        )
    if isinstance(data, Waveform) and data.ndim == 2:  # several channels of one sound are no batch
        data = np.asarray(data).mean(axis=0)
    return data, carried or given or otherwise
