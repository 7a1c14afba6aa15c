"""Sounds as samples of one rate and length."""

from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.audio.windows import AudioWindows
from artifex.data.clock import DECODE, READ, current_clock
from artifex.data.codecs.audio import AudioCodec, Clip
from artifex.data.errors import ConfigError, MissingPackageError, RecordError
from artifex.data.fingerprint import Fingerprint, digest, stamp_of
from artifex.data.randomness import RecordRandom
from artifex.data.reader import records_of, unchanged
from artifex.data.sources import Source
from artifex.data.sources.audio import AudioSource
from artifex.data.types import TEXT, Arrays, ArraySpec, Indices, Record, Spec


class AudioReader:
    """Decodes the sounds of a source, straight into the rows of a batch.

    Fields: `audio` float32 (codec.length,) from -1 to 1, `length` int32 (how many of them are no padding),
    `sample_rate` int32, and those that `numbers` (int32) and `strings` name.

    Args:
        source: its records have a `path`, or the file's bytes as `data`, and may have `offset`, `duration` (seconds)
            and `start` (samples), as a `Clip` has. `audio_reader` takes those of the package.
        codec: a file to samples.
        numbers: field -> key of an int in a record.
        strings: field -> key of a str in a record.
        identity: what tells the sounds from others.
    """

    in_memory = False

    def __init__(
        self,
        source: Source,
        codec: AudioCodec,
        *,
        numbers: Mapping[str, str],
        strings: Mapping[str, str],
        identity: Fingerprint,
    ) -> None:
        self._source, self._codec, self._identity = source, codec, identity
        self._numbers, self._strings = dict(numbers), dict(strings)
        scalar = ArraySpec((), np.dtype(np.int32))
        self.spec: Spec = {
            "audio": codec.spec,
            **dict.fromkeys(("length", "sample_rate", *self._numbers), scalar),
            **dict.fromkeys(self._strings, TEXT),
        }

    @property
    def is_random(self) -> bool:
        return self._codec.is_random

    def __len__(self) -> int:
        return len(self._source)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        begun = since = perf_counter_ns()
        reading = 0
        for row, (number, record) in enumerate(zip(indices, records_of(self._source, indices), strict=True)):
            reading += perf_counter_ns() - since
            rng = random.generator(row) if random and self._codec.is_random else None
            try:
                out["length"][row] = self._codec.decode_clip(_clip(record), out["audio"][row], rng=rng)
            except RecordError as error:
                raise error.at(path=record.get("path"), record=int(number)) from error.__cause__
            except MissingPackageError as error:
                raise MissingPackageError(f"record {number}: {record.get('path', '')}: {error}") from error
            for name, key in (*self._numbers.items(), *self._strings.items()):
                out[name][row] = record[key]
            since = perf_counter_ns()
        out["sample_rate"][...] = self._codec.sample_rate
        clock = current_clock()
        clock.credit(READ, reading)
        clock.credit(DECODE, since - begun - reading)

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self._source, indices)

    def fingerprint(self) -> Fingerprint:
        return self._identity

    def stamp(self) -> str:
        return digest([stamp_of(self._source), self._codec.stamp()])


def audio_reader(source: AudioSource | AudioWindows, codec: AudioCodec) -> AudioReader:
    """A reader of all that the records of a source have.

    Besides `audio`, `length` and `sample_rate` the fields are `labels`, `texts` and `speakers`, where the source has
    them, `paths`, and of windows `start`.

    Raises:
        ConfigError: windows are counted at another rate than the codec's, or it is to trim silence off them.
    """
    if isinstance(source, AudioWindows):
        if source.sample_rate != codec.sample_rate:
            raise ConfigError(
                f"windows are counted at `sample_rate` {source.sample_rate} Hz, and the codec's is "
                f"{codec.sample_rate} Hz; give both the same"
            )
        if codec.trim_db is not None:
            raise ConfigError("`trim_db` would move the samples that windows are counted in; leave it out")
    identity: dict[str, Any] = {
        "kind": "audio_windows" if isinstance(source, AudioWindows) else "audio",
        "records": len(source),
        "digest": source.fingerprint(),
        **codec.describe(),
    }
    return AudioReader(source, codec, numbers=source.numbers, strings=source.strings, identity=identity)


def _clip(record: Record) -> Clip:
    file = record["data"] if "data" in record else record["path"]
    return Clip(file, record.get("offset", 0.0), record.get("duration"), record.get("start"))
