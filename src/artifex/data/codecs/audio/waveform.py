"""Whole sounds: an array that knows its sample rate, and how one is read from a file."""

import os
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_bool, check_choice, check_positive, check_size
from artifex.data.codecs.audio.codec import (
    HIGHEST_RATE,
    ResampleQuality,
    margin_of,
    read_mono,
    resampled,
)
from artifex.data.codecs.audio.crop import num_samples, part_of
from artifex.data.codecs.audio.sound import AudioLimits, Sound, as_path, open_sound
from artifex.data.errors import ConfigError, DecodeError, RecordError, ShapeError


class Waveform(np.ndarray[Any, np.dtype[np.float32]]):
    """A NumPy array of samples, float32, (frames,) or (channels, frames), that carries its sample rate.

    It is an array like any other; slices, copies and results of arithmetic carry the rate along. One that takes every
    second sample does too, though it is no more right then.

    Args:
        samples: (frames,) or (channels, frames), full scale being from -1 to 1.
        sample_rate: in Hz, > 0.

    Attributes:
        sample_rate: in Hz; None of an array that was made by a view of one without a rate.
    """

    sample_rate: int | None

    def __new__(cls, samples: npt.ArrayLike, sample_rate: int) -> Self:
        array = np.asarray(samples, np.float32)
        if array.ndim not in (1, 2):
            raise ShapeError(f"`samples` must be (frames,) or (channels, frames), got shape {array.shape}")
        made = array.view(cls)
        made.sample_rate = check_size("sample_rate", sample_rate)
        return made

    def __array_finalize__(self, obj: Any) -> None:
        self.sample_rate = getattr(obj, "sample_rate", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if return_scalar:  # a mean is a number and has no rate
            return array[()]
        return super().__array_wrap__(array, context, return_scalar)

    @property
    def duration(self) -> float:
        """In seconds."""
        if self.sample_rate is None:
            raise ConfigError("this array has no `sample_rate`; make it by `Waveform(samples, sample_rate)`")
        return self.shape[-1] / self.sample_rate

    def __reduce__(self) -> Any:
        rebuild, arguments, state = super().__reduce__()
        return rebuild, arguments, (self.sample_rate, state)

    def __setstate__(self, state: Any, /) -> None:
        self.sample_rate = state[0]
        super().__setstate__(state[1])


def load_audio_file(
    path: str | os.PathLike[str],
    sample_rate: int | None = None,
    *,
    offset: float = 0.0,
    duration: float | None = None,
    mono: bool = True,
    quality: str | ResampleQuality = ResampleQuality.HQ,
    limits: AudioLimits | None = None,
) -> Waveform:
    """Reads a sound file, or a part of it: no more is decoded.

    Args:
        path: a WAV, AIFF, FLAC, OGG (Vorbis or Opus) or MP3 file.
        sample_rate: that it is resampled to, in Hz; None keeps the file's.
        offset: where the part begins, in seconds.
        duration: how long it is at most, in seconds; None: up to the end.
        mono: whether channels are mixed, by their mean. If not, the result is (channels, frames).
        quality: of resampling.
        limits: what the file may ask for; by default a part of up to 1 GiB, for which `duration` counts.

    Returns:
        float32, (frames,) or (channels, frames). Full scale is from -1 to 1; files of floats may go beyond.

    Raises:
        ReadError: the file cannot be read.
        DecodeError: it is no sound file, or damaged, or cut short, or over `limits`; or `offset` is after its end; or
            the part is less than one sample at `sample_rate`.
        ConfigError: a setting is out of range.
        MissingPackageError: soundfile, or soxr, is not installed.
    """
    check_bool("mono", mono)
    filter_ = check_choice(ResampleQuality, "quality", quality)
    if sample_rate is not None:
        check_size("sample_rate", sample_rate, largest=HIGHEST_RATE)
    if offset != 0:
        check_positive("offset", offset)
    if duration is not None:
        check_positive("duration", duration)
    name = as_path(path)
    try:
        with open_sound(name, limits or AudioLimits()) as sound:
            rate = sound.info.sample_rate
            samples = _part(sound, sample_rate or rate, offset, duration, mono=mono, quality=filter_)
    except RecordError as error:
        raise error.at(path=name) from error.__cause__
    return Waveform(samples, sample_rate or rate)


def _part(
    sound: Sound, to: int, offset: float, duration: float | None, *, mono: bool, quality: ResampleQuality
) -> npt.NDArray[np.float32]:
    info = sound.info
    rate = info.sample_rate
    first = round(offset * rate)
    if first >= info.frames:
        raise DecodeError(f"`offset` {offset} s lies after its end at {info.duration:.3f} s")
    last = info.frames if duration is None else min(info.frames, first + max(1, round(duration * rate)))
    # The same samples as of the whole file: the first one asked for is the one nearest to `offset`.
    start = num_samples(first, rate, to)
    count = num_samples(last, rate, to) - start
    if count < 1:
        raise DecodeError(
            f"too short: its {last - first} frames at {rate} Hz are less than one sample at {to} Hz"
        )
    part = part_of(start, count, info.frames, rate, to, margin_of(rate, to))
    # The samples around the part, which the filter needs, are made as well.
    made = num_samples(part.stop - part.start, rate, to)
    sound.check_memory(made, 1 if mono else info.channels, "samples")
    if mono:
        frames = read_mono(sound, part.start, part.stop, None)
    else:
        frames = sound.read(part.start, part.stop)
        if frames.dtype == np.int16:
            frames = frames.astype(np.float32) * np.float32(1 / 32768)
    samples = resampled(frames, rate, to, quality)[part.skip : part.skip + count]
    return samples.copy() if mono else np.ascontiguousarray(samples.T)
