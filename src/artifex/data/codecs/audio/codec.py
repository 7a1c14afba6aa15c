"""Sound files as samples of one rate and length: the part that is asked for is read, and nothing else.

Samples are float32 from -1 to 1, mono. Any value that is no sound file, or is damaged where it is read, or is cut
short anywhere, is a DecodeError and never a wrong sound.
"""

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_choice, check_integer, check_positive, check_size
from artifex.data.codecs.audio.crop import (
    AudioCrop,
    AudioPad,
    fill_up,
    num_samples,
    part_of,
    place,
    without_silence,
)
from artifex.data.codecs.audio.sound import (
    AudioInfo,
    AudioLimits,
    Memory,
    Sound,
    open_sound,
    soundfile_module,
)
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    MissingPackageError,
    RecordError,
    ShapeError,
)
from artifex.data.types import ArraySpec

HIGHEST_RATE = 768_000
"""Sample rates that can be asked for, in Hz, end here."""

# Frames on each side of a part, as a multiple of the longer period of both rates: beyond it no filter of libsoxr
# differs from the one over the whole file by more than 5e-6 of full scale.
_MARGIN = 128

# What a clip may reach beyond its file: seconds in lists are rounded.
_ROUNDING = 0.1


class ResampleQuality(StrEnum):
    """Filters of libsoxr; the higher, the sharper and the slower."""

    LQ = "lq"
    """Passes up to 0.9 of the lower rate's half, with 16 bits of precision."""
    MQ = "mq"
    HQ = "hq"
    """20 bits of precision."""
    VHQ = "vhq"
    """28 bits of precision, at twice the cost."""


class Clip(NamedTuple):
    """A part of a sound file, as a sound of its own.

    Attributes:
        file: its path, or its bytes.
        offset: where the part begins, in seconds.
        duration: how long it is, in seconds; None: up to the end.
        start: the sample, at the rate of the codec and counted from `offset`, where its crop begins; None: the codec
            chooses.
    """

    file: str | bytes
    offset: float = 0.0
    duration: float | None = None
    start: int | None = None


@dataclass(frozen=True)
class AudioCodec:
    """Decodes sound files, or clips of them, to float32 `(length,)` from -1 to 1.

    WAV, AIFF, FLAC, OGG (Vorbis and Opus) and MP3 of any rate and number of channels. Samples beyond full scale, as
    in files of floats or after resampling, are cut to -1 or 1.

    Only the frames of a crop are read and resampled, with the filter's length on both sides: the result differs by
    less than 5e-6 from the same samples of the whole clip resampled.

    Attributes:
        sample_rate: of the samples, in Hz.
        length: how many there are.
        crop: which part is taken of a clip that is longer.
        pad: what follows a clip that is shorter.
        channel: the number of the one that is taken; None takes the mean of all.
        trim_db: leaves out what comes before the first, and after the last, sample of a clip that is so many
            decibels below its loudest one, or less. All of the clip is decoded for it. None leaves out nothing.
        quality: of resampling.
        limits: what a file may ask for.
    """

    sample_rate: int
    length: int
    crop: AudioCrop = AudioCrop.RANDOM
    pad: AudioPad = AudioPad.ZEROS
    channel: int | None = None
    trim_db: float | None = None
    quality: ResampleQuality = ResampleQuality.HQ
    limits: AudioLimits = field(default_factory=AudioLimits)

    def __post_init__(self) -> None:
        # As plain numbers, since they stand in saved states.
        self._set("sample_rate", check_size("sample_rate", self.sample_rate, largest=HIGHEST_RATE))
        self._set("length", check_size("length", self.length))
        self._set("crop", check_choice(AudioCrop, "crop", self.crop))
        self._set("pad", check_choice(AudioPad, "pad", self.pad))
        self._set("quality", check_choice(ResampleQuality, "quality", self.quality))
        if self.channel is not None:
            self._set("channel", check_integer("channel", self.channel, 0, 1023))
        if self.trim_db is not None:
            self._set("trim_db", check_positive("trim_db", self.trim_db))
        if not isinstance(self.limits, AudioLimits):
            raise ConfigTypeError(f"`limits` must be AudioLimits, got {self.limits!r}")
        # What is missing shows here, not at the first record.
        soundfile_module()
        _soxr()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def spec(self) -> ArraySpec:
        """float32 (length,)."""
        return ArraySpec((self.length,), np.dtype(np.float32))

    @property
    def is_random(self) -> bool:
        """Whether crops are drawn."""
        return self.crop is AudioCrop.RANDOM

    def stamp(self) -> str:
        """Every setting, and the versions of the libraries: another one may round another way."""
        soundfile, soxr = soundfile_module(), _soxr()
        versions = f"libsndfile {soundfile.__libsndfile_version__} libsoxr {soxr.__libsoxr_version__}"
        return f"{self!r} {versions} soxr {soxr.__version__}"

    def describe(self) -> dict[str, Any]:
        """What a fingerprint says of it: the settings that samples depend on."""
        return {
            "sample_rate": self.sample_rate,
            "samples": self.length,
            "crop": self.crop.value,
            "pad": self.pad.value,
            "channel": self.channel,
            "trim_db": self.trim_db,
            "quality": self.quality.value,
        }

    def decode(self, value: Any, out: npt.NDArray[Any], *, rng: np.random.Generator | None = None) -> None:
        """As `decode_clip`."""
        self.decode_clip(value, out, rng=rng)

    def decode_clip(
        self, value: Any, out: npt.NDArray[Any], *, rng: np.random.Generator | None = None
    ) -> int:
        """Writes a clip into `out`, float32 (length,).

        After an error the content of `out` is undefined.

        Args:
            value: a `Clip`, the path of a file (str), or the bytes of one.
            out: the slot.
            rng: draws where a random crop begins.

        Returns:
            How many samples are of the clip, from 1 to `length`; the others are padding.

        Raises:
            ReadError: the file cannot be read.
            DecodeError: it is no sound file, or damaged, or cut short, or over `limits`.
            ShapeError: `out` is not a slot of this codec.
        """
        if out.shape != (self.length,) or out.dtype != np.float32:
            raise ShapeError(f"`out` must be {self.spec}, got {out.dtype}{list(out.shape)}")
        clip = value if isinstance(value, Clip) else Clip(value)
        with open_sound(clip.file, self.limits) as sound:
            try:
                samples = self._samples(sound, clip, rng)
            except RecordError as error:
                raise error.at(path=clip.file if isinstance(clip.file, str) else None) from error.__cause__
        slot = out[: len(samples)]
        np.maximum(np.minimum(samples, 1, out=slot), -1, out=slot)
        fill_up(out, len(samples), self.pad)
        return len(samples)

    def _samples(self, sound: Sound, clip: Clip, rng: np.random.Generator | None) -> npt.NDArray[np.float32]:
        """The samples of the crop, at most `length`."""
        rate = sound.info.sample_rate
        first, last = clip_frames(sound.info, clip)
        mono: npt.NDArray[np.float32] | None = None
        if self.trim_db is not None:
            if clip.start is not None:
                raise ConfigError(
                    "`trim_db` moves the samples of a clip, so that `start` has no meaning; leave one out"
                )
            mono = without_silence(read_mono(sound, first, last, self.channel), self.trim_db)
            first, last = 0, len(mono)
        total = num_samples(last - first, rate, self.sample_rate)
        if total == 0:
            raise DecodeError(
                f"too short: its {last - first} frames at {rate} Hz are no sample at {self.sample_rate} Hz"
            )
        start = place(total, self.length, self.crop, rng) if clip.start is None else clip.start
        if not 0 <= start < total:
            raise DecodeError(f"`start` {start} lies outside of its {total} samples")
        count = min(self.length, total - start)
        part = part_of(start, count, last - first, rate, self.sample_rate, margin_of(rate, self.sample_rate))
        sound.check_memory(num_samples(part.stop - part.start, rate, self.sample_rate), 1, "samples")
        if mono is None:
            mono = read_mono(sound, first + part.start, first + part.stop, self.channel)
        else:
            mono = mono[part.start : part.stop]
        return resampled(mono, rate, self.sample_rate, self.quality)[part.skip : part.skip + count]


def clip_frames(info: AudioInfo, clip: Clip) -> tuple[int, int]:
    """The frames (first, after the last) of a clip.

    Raises:
        DecodeError: it begins after the end of its file, or ends more than 0.1 s after it, or is empty.
    """
    if clip.offset == 0 and clip.duration is None:
        return 0, info.frames
    first = round(clip.offset * info.sample_rate)
    last = info.frames if clip.duration is None else round((clip.offset + clip.duration) * info.sample_rate)
    if not 0 <= first < info.frames:
        raise DecodeError(f"`offset` {clip.offset} s lies outside of its {info.duration:.3f} s")
    if last > info.frames + _ROUNDING * info.sample_rate:
        raise DecodeError(
            f"`offset` {clip.offset} s and `duration` {clip.duration} s end after its {info.duration:.3f} s"
        )
    if last <= first:
        raise DecodeError(f"a `duration` of {clip.duration} s holds no frame")
    return first, min(last, info.frames)


def margin_of(rate: int, sample_rate: int) -> int:
    """How many frames around a part have a say in its samples."""
    return _MARGIN * -(-max(rate, sample_rate) // sample_rate)


def resampled(
    mono: npt.NDArray[np.float32], rate: int, sample_rate: int, quality: ResampleQuality
) -> npt.NDArray[np.float32]:
    """The same sound (frames,), or (frames, channels), at another rate; itself if that is its own."""
    if rate == sample_rate:
        return mono
    return _soxr().resample(mono, rate, sample_rate, quality=quality.value.upper())


class _Here(threading.local):
    """Each thread has its own."""

    def __init__(self) -> None:
        self.memory = Memory()


_here = _Here()


def read_mono(sound: Sound, start: int, stop: int, channel: int | None) -> npt.NDArray[np.float32]:
    """Frames of one channel, or the mean of all, float32 (frames,); it lasts until this thread reads again.

    Raises:
        DecodeError: there is no such channel; and as `Sound.read`.
    """
    memory, channels = _here.memory, sound.info.channels
    if channel is not None and channel >= channels:
        raise DecodeError(f"`channel` {channel} of a file of {channels} channels; they are counted from 0")
    frames = sound.read(start, stop, memory)
    mono = memory.array("float32", len(frames), "mono")
    scale = np.float32(1 / 32768 if frames.dtype == np.int16 else 1)
    if channel is not None or channels == 1:
        column = frames[:, channel or 0]
        return np.multiply(column, scale, out=mono)
    # Contiguous conversion and a sum of columns take half as long as anything that converts column by column, and a
    # tenth of the mean over an axis of length 2.
    if frames.dtype == np.int16:
        wide = memory.array("float32", frames.size, "wide").reshape(frames.shape)
        np.copyto(wide, frames)
        frames = wide
    np.add(frames[:, 0], frames[:, 1], out=mono)
    for other in range(2, channels):
        np.add(mono, frames[:, other], out=mono)
    return np.multiply(mono, scale / np.float32(channels), out=mono)


def _soxr() -> Any:
    try:
        import soxr
    except ImportError as error:
        raise MissingPackageError('resampling needs soxr; pip install "artifex-data[audio]"') from error
    return soxr
