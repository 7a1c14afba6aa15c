"""An open sound file: its facts, held against its bytes, and its frames.

Read through libsndfile, which reads more formats than these; what it reads of a file that is cut short it takes for
all there was, so only formats are opened whose end is checked here.
"""

import io
import math
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_positive, check_size
from artifex.data.codecs.audio import flac, iff, mpeg, ogg
from artifex.data.codecs.audio.content import Content, InMemory, OnDisk, opened
from artifex.data.errors import ConfigTypeError, DecodeError, MissingPackageError, RecordError

# Sixteen times full scale is 24 dB over it; whole numbers that were stored as floats are far above.
_LOUDEST = 16.0
# Frames that are read at a time to get past them, where a file cannot be entered: in GSM, at the end of Vorbis.
_PASSED_OVER = 2**14
_SIXTEEN_BITS = frozenset({"PCM_16", "PCM_S8", "PCM_U8"})


class AudioFormat(StrEnum):
    """What a file is, by its first bytes; its name does not count."""

    WAV = "wav"
    AIFF = "aiff"
    FLAC = "flac"
    OGG = "ogg"
    """Vorbis or Opus."""
    MP3 = "mp3"


@dataclass(frozen=True)
class AudioLimits:
    """What a file may ask for; more is refused before memory is taken.

    Attributes:
        max_duration: of a file, in seconds. Of a long file no more is read than the part that is asked for.
        max_decoded_bytes: of what is decoded at once, and of what resampling makes of it: 4 bytes for each frame and
            channel.
        max_channels: of a file.
        max_sample_rate: of a file, in Hz.
    """

    max_duration: float = math.inf
    max_decoded_bytes: int = 2**30
    max_channels: int = 64
    max_sample_rate: int = 768_000

    def __post_init__(self) -> None:
        if self.max_duration != math.inf:
            check_positive("max_duration", self.max_duration)
        for field in fields(self)[1:]:
            check_size(field.name, getattr(self, field.name), largest=2**62)

    def check(self, info: "AudioInfo") -> None:
        """Raises DecodeError for a sound that is empty or over a limit."""
        if info.frames < 1:
            raise DecodeError("it holds no sound: its header tells of 0 frames")
        if info.sample_rate < 1:
            raise DecodeError(f"its sample rate is {info.sample_rate} Hz")
        if info.sample_rate > self.max_sample_rate:
            raise DecodeError(f"{info.sample_rate} Hz are over `max_sample_rate` {self.max_sample_rate}")
        if info.channels > self.max_channels:
            raise DecodeError(f"{info.channels} channels are over `max_channels` {self.max_channels}")
        if info.duration > self.max_duration:
            raise DecodeError(f"{info.duration:.1f} s are over `max_duration` {self.max_duration} s")


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The facts of a sound file.

    Attributes:
        frames: samples of each channel.
        sample_rate: in Hz.
        channels: how many.
        format: what kind of file it is.
        subtype: how numbers are stored, in the words of libsndfile: "PCM_16", "FLOAT", "VORBIS" ...
    """

    frames: int
    sample_rate: int
    channels: int
    format: AudioFormat
    subtype: str

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.frames / self.sample_rate


class Sound:
    """An open sound file; made by `open_sound`.

    Attributes:
        info: its facts.
    """

    def __init__(
        self, file: Any, info: AudioInfo, limits: AudioLimits, last_entry: int, run_up: int = 0
    ) -> None:
        self._file, self.info, self._limits = file, info, limits
        self._at, self._last_entry, self._run_up = 0, last_entry, run_up

    def check_memory(self, count: int, channels: int, what: str = "frames") -> None:
        """Raises DecodeError if `count` numbers of each channel are more bytes than the limits allow."""
        if 4 * count * channels > self._limits.max_decoded_bytes:
            raise DecodeError(
                f"{count} {what} of {channels} channels are {4 * count * channels} bytes, over `max_decoded_bytes` "
                f"{self._limits.max_decoded_bytes}"
            )

    def read(self, start: int, stop: int, out: "Memory | None" = None) -> npt.NDArray[Any]:
        """The frames from `start` to `stop`, (frames, channels).

        They are int16 where the file has 16 bits or less, otherwise float32; full scale is 32768, or 1.

        Args:
            start: number of the first frame.
            stop: number of the frame after the last one.
            out: where they are written; the result lasts until it is used again. None: fresh memory.

        Raises:
            DecodeError: there are fewer, they are damaged, too many for the limits, or no finite numbers.
        """
        count, channels = stop - start, self.info.channels
        self.check_memory(count, channels)
        dtype = "int16" if self.info.subtype in _SIXTEEN_BITS else "float32"
        frames = (out or Memory()).array(dtype, count * channels).reshape(count, channels)
        try:
            if start != self._at:
                self._go_to(start, dtype)
            got = self._file.buffer_read_into(frames, dtype=dtype)
            self._at = start + got
        except Exception as error:
            raise DecodeError(f"damaged between frames {start} and {stop} ({_message(error)})") from error
        if got != count:
            raise DecodeError(
                f"its header tells of {self.info.frames} frames, and its sound ends after {start + got}"
            )
        if dtype == "float32" and not _peak(frames) <= _LOUDEST:
            raise DecodeError(self._odd_numbers(_peak(frames)))
        return frames

    def _go_to(self, start: int, dtype: str) -> None:
        if self._file.can_seek():
            self._at = max(0, min(start - self._run_up, self._last_entry))
            self._file.seek(self._at)
        memory = np.empty((_PASSED_OVER, self.info.channels), dtype)
        while self._at < start:
            count = min(_PASSED_OVER, start - self._at)
            if self._file.buffer_read_into(memory[:count], dtype=dtype) != count:
                raise DecodeError(f"its sound ends before frame {start}")
            self._at += count

    def _odd_numbers(self, peak: float) -> str:
        if not math.isfinite(peak):
            return "it has samples that are no finite numbers (NaN or infinity)"
        return f"it has samples as far from 0 as {peak:.6g}, and full scale is 1: store it as numbers from -1 to 1"


class Memory:
    """Memory that is used again: fresh memory costs a tenth of the time that reading takes."""

    def __init__(self) -> None:
        self._of: dict[str, npt.NDArray[Any]] = {}

    def array(self, dtype: str, count: int, use: str = "") -> npt.NDArray[Any]:
        """`count` numbers; those that were given out before, for the same dtype and use, are void."""
        memory = self._of.get(dtype + use)
        if memory is None or len(memory) < count:
            memory = np.empty(count, dtype)
            if memory.nbytes <= _LARGEST_KEPT:
                self._of[dtype + use] = memory
        return memory[:count]


_LARGEST_KEPT = 2**24


@contextmanager
def open_sound(value: Any, limits: AudioLimits) -> Generator[Sound]:
    """A sound file, checked, and closed at the end.

    Args:
        value: a path (str), or the bytes of a file.
        limits: what it may ask for.

    Raises:
        ReadError: it cannot be read.
        DecodeError: it is none of the formats, damaged, cut short, empty, or over the limits.
        MissingPackageError: soundfile is not installed.
    """
    if not isinstance(value, str):
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise DecodeError(f"a sound file is a path or bytes, got {type(value).__name__}")
        with _decoding(InMemory(bytes(value)), limits) as sound:
            yield sound
        return
    try:
        with opened(value) as content, _decoding(content, limits) as sound:
            yield sound
    except RecordError as error:
        raise error.at(path=value) from error.__cause__


@contextmanager
def _decoding(content: Content, limits: AudioLimits) -> Generator[Sound]:
    checked = _checked(content)
    kind = _sound_file()
    try:
        source = _source(content, checked.begin)
        file = kind(source, closefd=False) if isinstance(source, int) else kind(source)
    except Exception as error:
        raise DecodeError(f"no sound file that can be read ({_message(error)})") from error
    with file:
        info = AudioInfo(file.frames, file.samplerate, file.channels, checked.format, file.subtype)
        limits.check(info)
        sound = Sound(file, info, limits, max(0, info.frames - checked.closed_end), checked.run_up)
        if checked.counted is not None and abs(checked.counted - info.frames) > _MOST_HIDDEN:
            raise DecodeError(
                f"its frames hold {checked.counted} samples, and the decoder takes them for {info.frames}, since "
                f"there is no header that tells; encode it again, or give it one (`ffmpeg -i in.mp3 -c copy out.mp3`)"
            )
        if not checked.is_whole:
            sound.read(info.frames - 1, info.frames)
        yield sound


# Samples that an encoder may have put before and after the sound, two frames and a decoder's delay.
_MOST_HIDDEN = 2 * 1152 + 529 + 1152


class _Checked(NamedTuple):
    """What a look at a file's bytes gives.

    Attributes:
        format: what it is.
        begin: where the decoder is to begin; 0 if it finds that itself.
        counted: samples that had to be counted, since no header tells of them.
        is_whole: whether its end is there for sure; if not, the decoder is to try.
        closed_end: samples at the end that the decoder must come to from before.
        run_up: samples before the first one that is wanted, at which the decoder is to enter.
    """

    format: AudioFormat
    begin: int = 0
    counted: int | None = None
    is_whole: bool = True
    closed_end: int = 0
    run_up: int = 0


def _checked(content: Content) -> _Checked:
    """Raises DecodeError for a file that is none of the formats, or is cut short."""
    head = content.head
    if head.startswith((b"RIFF", b"RIFX", b"RF64")) and head[8:12] == b"WAVE":
        iff.check_wav(content)
        return _Checked(AudioFormat.WAV)
    if head.startswith(b"fLaC"):
        return _Checked(AudioFormat.FLAC, is_whole=flac.check_flac(content, 0))
    if head.startswith(b"OggS"):
        return _Checked(AudioFormat.OGG, closed_end=ogg.check_ogg(content))
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        iff.check_aiff(content)
        return _Checked(AudioFormat.AIFF)
    start = mpeg.after_id3(content)
    if start and content.read(start, 4) == b"fLaC":
        return _Checked(AudioFormat.FLAC, start, is_whole=flac.check_flac(content, start))
    first = mpeg.first_frame(content, start)
    if first is None:
        what = "an empty file" if not content.size else f"begins with {bytes(head[:12])!r}"
        raise DecodeError(f"no WAV, FLAC, OGG, MP3 or AIFF: {what}")
    return _Checked(
        AudioFormat.MP3, first, mpeg.check_mpeg(content, first), run_up=mpeg.run_up(content, first)
    )


def _source(content: Content, begin: int) -> Any:
    """What libsndfile opens: the file itself where it begins with what it looks for."""
    if isinstance(content, OnDisk) and begin == 0:
        return content.file
    return _From(content, begin)


class _From(io.RawIOBase):
    """The bytes from `begin` on, as a file."""

    def __init__(self, content: Content, begin: int) -> None:
        self._content, self._begin, self._at = content, begin, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.size - self._begin}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        data = self._content.read(self._begin + self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def read_audio_info(path: Any, *, limits: AudioLimits | None = None) -> AudioInfo:
    """The facts of a sound file, without decoding it.

    Raises:
        ReadError: it cannot be read.
        DecodeError: it is no sound file, cut short, or over `limits`.
    """
    with open_sound(as_path(path), limits or AudioLimits()) as sound:
        return sound.info


def as_path(path: Any) -> str:
    """A path as a string; a ConfigTypeError if it is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigTypeError(f"`path` must be a path, got {path!r}")
    return os.fspath(path)


def _peak(frames: npt.NDArray[Any]) -> float:
    """The largest magnitude; NaN where there is one."""
    return float(max(-frames.min(), frames.max())) if frames.size else 0.0


def _message(error: Exception) -> str:
    return getattr(error, "error_string", None) or f"{type(error).__name__}: {error}"


@cache
def _sound_file() -> Any:
    """The class of open files."""
    soundfile = soundfile_module()

    class File(soundfile.SoundFile):
        """A file that does not look where it stands after each read: in FLAC that costs as much as to seek."""

        def seekable(self) -> bool:
            return False

        def can_seek(self) -> bool:
            return super().seekable()

    return File


def soundfile_module() -> Any:
    """The package soundfile; a MissingPackageError if it is not there."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingPackageError('sound files need soundfile; pip install "artifex-data[audio]"') from error
    return soundfile
