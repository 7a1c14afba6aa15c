"""Sound files, or parts of them, by number."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError
from artifex.data.fingerprint import digest
from artifex.data.types import Indices, Record

AUDIO_SUFFIXES = (
    ".aif", ".aifc", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wave",
)  # fmt: skip
"""Suffixes of sound files, in lower case."""


@dataclass(frozen=True)
class Files:
    """Files below a folder, as they were when they were listed.

    Attributes:
        root: the folder, as given.
        names: paths relative to it, with "/"; or absolute ones.
        sizes: in bytes, int64 (number of files,); -1 of a file that cannot be found.
        times: of their modification, in nanoseconds, int64.
    """

    root: str
    names: tuple[str, ...]
    sizes: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    def path(self, number: int) -> str:
        """The path of a file, beginning with the root as it was given."""
        name = self.names[number]
        return os.path.join(self.root, name if os.sep == "/" else name.replace("/", os.sep))

    def is_as_listed(self, number: int) -> bool:
        """Whether the file still has that size and time."""
        return _size_and_time(self.path(number)) == (self.sizes[number], self.times[number])

    def digest_parts(self) -> Iterable[bytes | str]:
        """Names and sizes, for a digest that is the same wherever the folder lies."""
        yield from (os.path.basename(name) if os.path.isabs(name) else name for name in self.names)
        yield self.sizes.astype("<i8").tobytes()


def list_files(root: str, names: Sequence[str]) -> Files:
    """Looks up sizes and times of files whose names are known.

    Raises:
        ConfigError: none of them is there.
    """
    facts = np.array([_size_and_time(os.path.join(root, name)) for name in names], np.int64).reshape(-1, 2)
    files = Files(root, tuple(names), facts[:, 0].copy(), facts[:, 1].copy())
    if len(names) and (files.sizes < 0).all():
        raise ConfigError(
            f"none of the {len(names)} files is there, the first one being {files.path(0)!r}; name the folder that "
            f"they are in with `root`"
        )
    return files


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        info = os.stat(path)
    except OSError:
        return -1, 0
    return info.st_size, info.st_mtime_ns


@dataclass(frozen=True)
class AudioSource:
    """Records of sounds; made by `audio_folder`, `audio_manifest`, `librispeech` and `vctk`.

    A record has the keys `path`, and where there are such `label` (an int), `text`, `speaker`, `offset` and
    `duration` (in seconds, of a part of the file; a duration of None goes to the end). Nothing of a file is read.

    Attributes:
        files: the files.
        file_of: the number of each record's file, int64 (number of records,).
        labels: int32 (number of records,), or None.
        classes: names of the labels, in their order; empty without labels, or if they are numbers.
        texts: what is said, or None.
        speakers: who says it, or None.
        spans: (offset, duration) in seconds, or None if records are whole files.
        skipped: (path, reason) of what was left out.
    """

    files: Files
    file_of: Indices
    labels: npt.NDArray[np.int32] | None = None
    classes: tuple[str, ...] = ()
    texts: tuple[str, ...] | None = None
    speakers: tuple[str, ...] | None = None
    spans: tuple[tuple[float, float | None], ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Name of a class -> its label."""
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def numbers(self) -> dict[str, str]:
        """Fields of a batch that are numbers, and their keys in a record."""
        return {} if self.labels is None else {"labels": "label"}

    @property
    def strings(self) -> dict[str, str]:
        """Fields of a batch that are strings, and their keys in a record."""
        found = {"texts": ("text", self.texts), "speakers": ("speaker", self.speakers)}
        return {field: key for field, (key, values) in found.items() if values is not None} | {
            "paths": "path"
        }

    def __len__(self) -> int:
        return len(self.file_of)

    def __getitem__(self, index: int, /) -> Record:
        record: dict[str, Any] = {"path": self.files.path(int(self.file_of[index]))}
        if self.labels is not None:
            record["label"] = int(self.labels[index])
        if self.texts is not None:
            record["text"] = self.texts[index]
        if self.speakers is not None:
            record["speaker"] = self.speakers[index]
        if self.spans is not None:
            record["offset"], record["duration"] = self.spans[index]
        return record

    def fingerprint(self) -> str:
        """A digest of relative names, sizes, labels, texts and so on, the same wherever the files lie."""
        labels = b"" if self.labels is None else self.labels.astype("<i4").tobytes()
        parts = (labels, self.file_of.astype("<i8").tobytes(), repr(self.spans))
        return digest([*self.files.digest_parts(), *parts, *(self.texts or ()), "", *(self.speakers or ())])

    def stamp(self) -> str:
        """A digest of that, the root and the times of modification: another one if a file was changed."""
        return digest(
            [os.path.abspath(self.files.root), self.fingerprint(), self.files.times.astype("<i8").tobytes()]
        )

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """For each record whether its file still has the size and the time of when it was listed."""
        return np.array([self.files.is_as_listed(int(self.file_of[index])) for index in indices], bool)


def number_names(names: Sequence[str]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Labels for names, and the classes: the names in the order of their code points."""
    classes = tuple(sorted(set(names)))
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[name] for name in names], np.int32), classes
