"""Long recordings as windows, each of which is read by itself."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.audio.lengths import read_lengths
from artifex.data.checks import LARGEST_INT32, check_bool, check_size
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import digest
from artifex.data.sources.audio import AudioSource
from artifex.data.types import Indices, Record


class AudioWindows:
    """A source whose records are windows of another's: window k of a sound begins at sample k * stride.

    A sound's last window is the first one that reaches its end; a shorter sound is one window. Where windows lie
    follows from the headers of the files, which are read once and kept in the cache folder; no sound is decoded. A
    file that cannot be read is one window, which is an error when it is read.

    A record has the keys of the sound's, and `start`, the window's first sample, counted from the sound's beginning.

    Args:
        source: the sounds.
        sample_rate: of the samples that are counted, in Hz: that of the codec which will read them.
        length: samples in a window.
        stride: from one window to the next, from 1 to `length`: no sample is left out. None: `length`.
        drop_short: leaves out windows that reach beyond their sound's end.
        cache_dir: where lengths are kept; None: `~/.cache/artifex`.

    Attributes:
        sounds: the source.
        sample_rate: as given.

    Raises:
        ConfigError: a setting is out of range, or no window is left.
    """

    def __init__(
        self,
        source: AudioSource,
        sample_rate: int,
        length: int,
        stride: int | None = None,
        *,
        drop_short: bool = False,
        cache_dir: str | Path | None = None,
    ) -> None:
        self.sounds = source
        self.sample_rate = check_size("sample_rate", sample_rate)
        self._length = check_size("length", length)
        self._stride = self._length if stride is None else check_size("stride", stride, largest=self._length)
        check_bool("drop_short", drop_short)
        self._drop_short = drop_short
        counts = self._counts(_samples_of(source, self.sample_rate, cache_dir))
        self._ends = np.cumsum(counts)
        if not len(self):
            raise ConfigError(
                f"no sound is as long as `length` {length}, and `drop_short` leaves out all others; "
                f"leave it out, or choose a smaller length"
            )

    def _counts(self, samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        beyond = samples - self._length
        if self._drop_short:
            # What cannot be read, with -1 samples, stays: who reads it is to hear of it.
            return np.where(beyond >= 0, 1 + beyond // self._stride, (samples < 0).astype(np.int64))
        return 1 + -(-np.maximum(beyond, 0) // self._stride)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels."""
        return self.sounds.classes

    @property
    def labels(self) -> npt.NDArray[np.int32] | None:
        """The label of each window, int32, or None."""
        return None if self.sounds.labels is None else self.sounds.labels[self.sound_of]

    @property
    def sound_of(self) -> Indices:
        """The number of each window's sound."""
        return np.repeat(np.arange(len(self._ends), dtype=np.int64), np.diff(self._ends, prepend=0))

    @property
    def numbers(self) -> dict[str, str]:
        """Fields of a batch that are numbers, and their keys in a record."""
        return {**self.sounds.numbers, "start": "start"}

    @property
    def strings(self) -> dict[str, str]:
        """Fields of a batch that are strings, and their keys in a record."""
        return self.sounds.strings

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int, /) -> Record:
        number = range(len(self))[index]
        sound = int(np.searchsorted(self._ends, number, side="right"))
        start = (number - (int(self._ends[sound - 1]) if sound else 0)) * self._stride
        if start > LARGEST_INT32:
            raise ConfigError(
                f"window {number} begins at sample {start}, which is no int32; cut the recording in parts"
            )
        return {**self.sounds[sound], "start": start}

    def fingerprint(self) -> str:
        """A digest of the sounds' one, the settings and how many windows each sound has."""
        settings = repr((self.sample_rate, self._length, self._stride, self._drop_short))
        return digest([self.sounds.fingerprint(), settings, self._ends.astype("<i8").tobytes()])

    def stamp(self) -> str:
        """As the sounds' one: another one if a file was changed."""
        return digest([self.sounds.stamp(), self.fingerprint()])

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """For each window whether its file is as it was listed."""
        return self.sounds.unchanged(np.searchsorted(self._ends, indices, side="right"))


def _samples_of(source: AudioSource, sample_rate: int, cache_dir: Any) -> npt.NDArray[np.int64]:
    """How many samples each sound is, -1 where that cannot be known or makes no sense."""
    of_files, rates_of_files = read_lengths(source.files, cache_dir)
    frames, rates = of_files[source.file_of], rates_of_files[source.file_of]
    known = frames >= 0
    if source.spans is not None:
        offsets = np.array([offset for offset, _ in source.spans])
        ends = np.array([np.inf if length is None else offset + length for offset, length in source.spans])
        first = np.rint(offsets * rates)
        known &= first < frames
        frames = np.where(known, np.minimum(frames, np.rint(ends * rates)) - first, 0).astype(np.int64)
    return np.where(known, (2 * frames * sample_rate + rates) // (2 * rates), -1)
