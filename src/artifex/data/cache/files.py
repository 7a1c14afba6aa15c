"""The files of a folder of the disk cache: their rows, their state, and reading and writing without a map."""

import errno
import fcntl
import mmap
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.types import ArraySpec

TEXT_BYTES = 1024
"""Of a row of a string: 4 for its length, the others for its UTF-8."""

# The clock behind a file's time may tick as slowly as every 10 ms: what follows a change within one tick cannot
# be told from it.
TICK = 20_000_000
"""In nanoseconds."""


@dataclass(frozen=True)
class Field:
    """One field's file: `rows` is its memory map, (capacity, *shape), or uint8 (capacity, 1024) for strings."""

    spec: ArraySpec
    row_bytes: int
    file: int
    rows: npt.NDArray[Any]

    @classmethod
    def of(cls, spec: ArraySpec, file: int, capacity: int) -> "Field":
        """The field in this file, which is made long enough.

        Raises:
            OSError: the disk refuses, or the file was cut off meanwhile (ESTALE).
        """
        row_bytes = bytes_of_row(spec)
        shape, dtype = ((row_bytes,), np.dtype(np.uint8)) if spec.is_text else (spec.shape, spec.dtype)
        size = capacity * row_bytes
        if size == 0:
            return cls(spec, 0, file, np.empty((capacity, *shape), dtype))
        grow(file, size)
        try:
            mapped = np.frombuffer(mmap.mmap(file, size, access=mmap.ACCESS_READ), np.uint8)
        except ValueError as error:
            raise OSError(errno.ESTALE, "a file was cut off while it was opened") from error
        return cls(spec, row_bytes, file, mapped.view(dtype).reshape(capacity, *shape))

    def touch(self, number: int) -> None:
        """Brings a row's pages into the map: while records are made this takes no notice, later it would."""
        if self.row_bytes >= mmap.PAGESIZE:
            np.max(_as_bytes(self.rows[number : number + 1])[:: mmap.PAGESIZE])

    def buffer(self, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Where rows are read to: the slots themselves, if they have the form that they have in the file."""
        if out.flags.c_contiguous and not self.spec.is_text:
            return out
        return np.empty((len(out), *self.rows.shape[1:]), self.rows.dtype)


@dataclass(frozen=True)
class FilesState:
    """A state of the fields' files: sizes in bytes, and when they were last changed, in nanoseconds.

    By the time of change (ctime), which comes with every write, and which nobody can set back.
    """

    sizes: tuple[int, ...]
    times: tuple[int, ...]

    def is_settled(self) -> bool:
        """Whether a later change would have another time."""
        return time.time_ns() - max(self.times, default=0) > TICK


def look(fields: Mapping[str, Field]) -> FilesState:
    """The present state."""
    infos = [os.fstat(field.file) for field in fields.values()]
    return FilesState(tuple(info.st_size for info in infos), tuple(info.st_ctime_ns for info in infos))


def bytes_of_row(field: ArraySpec) -> int:
    """Bytes of a row of this field."""
    return TEXT_BYTES if field.is_text else field.nbytes


def buffer_of(array: npt.NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, to read from or into."""
    return _as_bytes(array).data


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def encode_texts(texts: npt.NDArray[Any], fits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A row for each string; `fits` becomes False where it is too long for one."""
    rows = np.zeros((len(texts), TEXT_BYTES), np.uint8)
    for row, text in enumerate(texts):
        data = text.encode("utf-8", "surrogatepass")  # a path may hold bytes that are no characters
        fits[row] &= len(data) <= TEXT_BYTES - 4
        if fits[row]:
            rows[row, : 4 + len(data)] = np.frombuffer(len(data).to_bytes(4, "little") + data, np.uint8)
    return rows


def decode_texts(rows: npt.NDArray[np.uint8]) -> list[str]:
    """The strings of rows that were found right."""
    data, lengths = rows.tobytes(), rows[:, :4].copy().view("<u4")[:, 0].tolist()
    starts = range(4, len(data), TEXT_BYTES)
    return [
        data[i : i + length].decode("utf-8", "surrogatepass")
        for i, length in zip(starts, lengths, strict=True)
    ]


def open_file(path: Path) -> int:
    """A descriptor of the file, which is made if it is not there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def close_files(files: list[int]) -> None:
    """Closes all descriptors."""
    for file in files:
        os.close(file)


def grow(file: int, size: int) -> None:
    """Makes a file at least this long; what is added takes no space. Several processes may at once.

    One of them at a time looks and grows: else one that wants less would cut off what another has mapped.
    """
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def read_start(file: int, size: int) -> bytes:
    """The first `size` bytes, fewer if there are no more."""
    pieces: list[bytes] = []
    while size and (data := os.pread(file, size, sum(map(len, pieces)))):
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


def write_at(file: int, data: bytes | memoryview, place: int) -> None:
    """Writes all of it. Through a map a full disk would end the process; here it is an OSError."""
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written
