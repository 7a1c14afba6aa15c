"""Writing sound files."""

import os
from contextlib import suppress
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_size
from artifex.data.codecs.audio.codec import HIGHEST_RATE
from artifex.data.codecs.audio.sound import as_path, soundfile_module
from artifex.data.errors import ConfigError, ConfigTypeError, RangeError, ShapeError, UnknownNameError
from artifex.data.registry import unknown
from artifex.data.warn import warn

# Suffix -> format, the subtype unless another is asked for, and all that may be, in the words of libsndfile.
_PCM = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_FORMATS = {
    ".wav": ("WAV", ("PCM_16", "PCM_U8", *_PCM[1:])),
    ".wave": ("WAV", ("PCM_16", "PCM_U8", *_PCM[1:])),
    ".flac": ("FLAC", ("PCM_16", "PCM_S8", "PCM_24")),
    ".aif": ("AIFF", ("PCM_16", "PCM_S8", *_PCM[1:])),
    ".aiff": ("AIFF", ("PCM_16", "PCM_S8", *_PCM[1:])),
    ".ogg": ("OGG", ("VORBIS", "OPUS")),
    ".oga": ("OGG", ("VORBIS", "OPUS")),
    ".opus": ("OGG", ("OPUS",)),
    ".mp3": ("MP3", ("MPEG_LAYER_III",)),
}
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
# libsndfile's Vorbis encoder takes stack space for all that it is given at once.
_FRAMES_AT_ONCE = 2**14


class ClippedWarning(UserWarning):
    """Samples beyond full scale were cut to it."""


def save_audio_file(
    path: str | os.PathLike[str],
    waveform: npt.ArrayLike,
    sample_rate: int | None = None,
    *,
    subtype: str | None = None,
) -> None:
    """Writes a sound file, whole or not at all: another one of that name is replaced when it is complete.

    Numbers are stored so that 1 is full scale; what lies beyond is cut to it, with a `ClippedWarning`, unless they
    are stored as floats. What `load_audio_file` has read of a file of whole numbers of up to 24 bits is written back
    bit by bit; of 32 bits a float32 carries 24.

    Args:
        path: its suffix says the format: .wav, .flac, .aiff, .ogg (Vorbis), .opus or .mp3.
        waveform: (frames,) or (channels, frames), real numbers.
        sample_rate: in Hz; None: that of a `Waveform`.
        subtype: how numbers are stored, e.g. "PCM_24" or "FLOAT"; 16 bits unless said otherwise, and what there is
            for formats that lose something.

    Raises:
        ConfigError: the sample rate is missing, or not one of the format's.
        UnknownNameError: the suffix, or the subtype, is not known.
        ShapeError: `waveform` is empty or has another rank.
        RangeError: it has numbers that are not finite.
        OSError: the file cannot be written.
    """
    name = as_path(path)
    format_, kind = _format_of(name, subtype)
    rate = getattr(waveform, "sample_rate", None) if sample_rate is None else sample_rate
    if rate is None:
        raise ConfigError("`sample_rate` is missing: give it, or a `Waveform` that has one")
    rate = check_size("sample_rate", rate, largest=HIGHEST_RATE)
    frames = _stored(_frames(waveform), kind, name)
    soundfile = soundfile_module()
    folder, base = os.path.split(name)
    draft = os.path.join(folder, f".{base.lstrip('.')[:64]}.{uuid4().hex}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        try:
            with soundfile.SoundFile(
                descriptor, "w", rate, frames.shape[1], subtype=kind, format=format_, closefd=False
            ) as file:
                for start in range(0, len(frames), _FRAMES_AT_ONCE):
                    file.write(frames[start : start + _FRAMES_AT_ONCE])
        except soundfile.SoundFileError as error:
            raise ConfigError(
                f"a {format_} file in {kind} of {frames.shape[1]} channels at `sample_rate` {rate} Hz cannot be "
                f"written ({error}); choose another format or rate"
            ) from error
        os.fsync(descriptor)
        os.replace(draft, name)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    finally:
        os.close(descriptor)


def _format_of(name: str, subtype: Any) -> tuple[str, str]:
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in _FORMATS:
        raise UnknownNameError(unknown("suffix of `path`", suffix, _FORMATS))
    format_, subtypes = _FORMATS[suffix]
    if subtype is None:
        return format_, subtypes[0]
    if not isinstance(subtype, str):
        raise ConfigTypeError(f"`subtype` must be one of {', '.join(map(repr, subtypes))}, got {subtype!r}")
    if subtype.upper() not in subtypes:
        raise UnknownNameError(unknown(f"`subtype` of {format_} files", subtype, subtypes))
    return format_, subtype.upper()


def _frames(waveform: npt.ArrayLike) -> npt.NDArray[Any]:
    """The samples as float (frames, channels)."""
    array = np.asarray(waveform)
    if array.dtype.kind != "f":
        raise ConfigTypeError(
            f"`waveform` must be floats with full scale at 1, got {array.dtype}; divide integers by their largest"
        )
    if array.ndim not in (1, 2) or array.size == 0:
        raise ShapeError(
            f"`waveform` must be (frames,) or (channels, frames), not empty, got shape {array.shape}"
        )
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise RangeError(f"`waveform` has {bad} samples that are not finite (NaN or infinity)")
    return array[:, None] if array.ndim == 1 else array.T


def _stored(frames: npt.NDArray[Any], kind: str, name: str) -> npt.NDArray[Any]:
    """The numbers as libsndfile is to take them: it would round another way than files are read."""
    if kind in ("FLOAT", "DOUBLE"):
        return frames.astype(np.float64 if kind == "DOUBLE" else np.float32)
    over = int(np.count_nonzero(np.abs(frames) > 1))
    if over:
        warn(
            f"{name}: {over} of {frames.size} samples lay beyond full scale and were cut to it; the largest was "
            f"{float(np.abs(frames).max()):.3g}",
            ClippedWarning,
        )
    bits = _BITS.get(kind)
    if bits is None:
        return np.clip(frames, -1, 1).astype(np.float32)
    scale = 2 ** (bits - 1)
    whole = np.clip(np.rint(frames.astype(np.float64) * scale), -scale, scale - 1)
    if bits <= 16:
        return whole.astype(np.int16) << (16 - bits)
    return whole.astype(np.int32) << (32 - bits)
