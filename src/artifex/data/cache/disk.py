"""The file format of the disk cache, and how it is read and written.

A folder has one file per field, `field-0`, `field-1`, ... in the order of the spec: the rows of all records,
one after the other, so that one gather serves a batch. Strings have rows of 1,024 bytes: their length
(uint32), their UTF-8, zeros. The file `sums` has a checksum (uint64) of each record over its rows in all
fields; 0 says that the record is absent. Files are sparse: what was not written takes no space.

A record's rows are written before its sum, and a record counts only if its rows match its sum: so whatever
was torn, flipped, cut off or never written is absent, and made again. Writers need no lock, since all write
the same bytes into the same place. A process checks each record when it first reads it, and again when the
files were written to since, which their sizes and times tell. It checks the copy that it hands out, and looks
at the files after copying: what changes in the middle of a read is found.
"""

import errno
import mmap
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.cache.checksum import Checksum
from artifex.data.cache.folders import SUMS, CacheWarning, Identity, make_room, open_folder
from artifex.data.cache.memory import capacity, gather, present
from artifex.data.types import Arrays, ArraySpec, Indices, Spec

_TEXT_BYTES = 1024
_SUM_BYTES = 8

# The clock behind a file's time may tick as slowly as every 10 ms: what follows a change within one tick cannot
# be told from it.
_TICK = 20_000_000  # nanoseconds


def open_disk_store(root: Path, identity: Identity, spec: Spec, num_records: int, limit: int) -> "DiskStore":
    """The store for the records of this identity, all caches under `root` together kept within `limit` bytes.

    Raises:
        ConfigError: `limit` is less than one record.
        OSError: there is no room beside caches that are in use (ENOSPC), or the disk refuses.
    """
    row_bytes = sum(map(_row_bytes, spec.values())) + _SUM_BYTES
    wanted = capacity(num_records, row_bytes, limit) * row_bytes
    folder = open_folder(root, identity)
    files = [folder.lock]
    try:
        allowed = make_room(root, folder, wanted, limit)
        if allowed < row_bytes:
            raise OSError(errno.ENOSPC, "other caches that are in use take all of `cache_bytes`")
        fields: dict[str, _Field] = {}
        for place, (name, field) in enumerate(spec.items()):
            files.append(_open(folder.path / f"field-{place}"))
            fields[name] = _Field.of(field, files[-1], allowed // row_bytes)
        files.append(_open(folder.path / SUMS))
        checksum = Checksum(identity.hash, {name: field.row_bytes for name, field in fields.items()})
        opener = partial(open_disk_store, root, identity, spec, num_records, limit)
        return DiskStore(fields, files, checksum, allowed // row_bytes, num_records, opener)
    except BaseException:
        _close(files)
        raise


@dataclass(frozen=True)
class _Field:
    """One field's file: `rows` is its memory map, (capacity, *shape), or uint8 (capacity, 1024) for strings."""

    spec: ArraySpec
    row_bytes: int
    file: int
    rows: npt.NDArray[Any]

    @classmethod
    def of(cls, spec: ArraySpec, file: int, capacity: int) -> "_Field":
        row_bytes = _row_bytes(spec)
        shape, dtype = ((row_bytes,), np.dtype(np.uint8)) if spec.is_text else (spec.shape, spec.dtype)
        size = capacity * row_bytes
        if size == 0:
            return cls(spec, 0, file, np.empty((capacity, *shape), dtype))
        _grow(file, size)
        mapped = np.frombuffer(mmap.mmap(file, size, access=mmap.ACCESS_READ), np.uint8)
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
class _Files:
    """A state of the fields' files: sizes in bytes, and when they were last written to, in nanoseconds."""

    sizes: tuple[int, ...]
    times: tuple[int, ...]

    def is_settled(self) -> bool:
        """Whether a later change would have another time."""
        return time.time_ns() - max(self.times, default=0) > _TICK


class DiskStore:
    """The first records of a dataset, `capacity` of them, in a folder; see `open_disk_store`.

    Attributes:
        damaged: how many records were found that did not match their sum.
    """

    def __init__(
        self,
        fields: Mapping[str, _Field],
        files: list[int],
        checksum: Checksum,
        capacity: int,
        num_records: int,
        opener: "Callable[[], DiskStore]",
    ) -> None:
        self._fields, self._sums_file, self._checksum = fields, files[-1], checksum
        self._capacity, self._num_records = capacity, num_records
        self._opener = opener
        weakref.finalize(self, _close, files)
        self._rows: Arrays = {name: field.rows for name, field in fields.items()}
        # Whether a record is where the map may be read, and whether it was found right in the present files.
        self._is_mapped = np.zeros(capacity, bool)
        self._is_right = np.zeros(capacity, bool)
        # What others add from now on is looked up when it is asked for.
        self._sums = np.zeros(capacity, np.uint64)
        found = _read(self._sums_file, capacity * _SUM_BYTES)
        self._sums.view(np.uint8)[: len(found)] = np.frombuffer(found, np.uint8)
        self._is_stopped = False
        self._warned: set[str] = set()
        self._lock = threading.Lock()
        self._seen = _look(fields)
        self.damaged = 0

    def opener(self) -> "Callable[[], DiskStore]":
        """Opens the same folder, in whatever process."""
        return self._opener

    @property
    def is_complete(self) -> bool:
        """Whether every record is there, as this process has seen or made it: reading is a mere gather."""
        return self._capacity == self._num_records and bool(self._is_mapped.all())

    def read_into(self, indices: Indices, out: Arrays) -> Indices:
        """Writes the records that are there into their rows of `out`; returns the rows of the others."""
        files = self._unchanged()
        there, right = present(self._is_mapped, indices), present(self._is_right, indices)
        buffers = {name: field.buffer(out[name]) for name, field in self._fields.items()}
        gather(self._rows, indices, there, buffers)
        for row in np.flatnonzero(~there):
            there[row] = self._read(int(indices[row]), int(row), buffers)
        is_same = _look(self._fields) == files
        unchecked = np.flatnonzero(there & ~right if is_same else there)
        if len(unchecked):
            numbers = indices[unchecked]
            there[unchecked] = self._check(numbers, _some(buffers, unchecked, len(indices)))
            if is_same and files.is_settled():
                self._note(files, indices[np.flatnonzero(there)])
        self._hand_over(buffers, np.flatnonzero(there), out)
        return np.flatnonzero(~there)

    def write(self, indices: Indices, arrays: Arrays) -> None:
        """Keeps these records, of which `arrays` has a row each, until the disk refuses to."""
        inside = np.flatnonzero(indices < self._capacity)
        if self._is_stopped or len(inside) == 0:
            return
        indices, arrays = indices[inside], _some(arrays, inside, len(indices))
        fits = np.ones(len(indices), bool)
        rows = {
            name: _encoded(arrays[name], fits) if field.spec.is_text else np.ascontiguousarray(arrays[name])
            for name, field in self._fields.items()
        }
        if not fits.all():
            self._warn(f"records with strings of more than {_TEXT_BYTES - 4} bytes are not kept")
        sums = self._checksum(indices, rows)
        try:
            for row in np.flatnonzero(fits):
                self._write(int(indices[row]), rows, int(row), int(sums[row]))
        except OSError as error:
            self._is_stopped = True
            self._warn(f"nothing more is kept ({error.strerror}); the run goes on without")

    def _read(self, number: int, row: int, buffers: Arrays) -> bool:
        """Reads a record of which nothing is known; whether it is there.

        By calls that return errors: reading through the map what a bad disk cannot give, or a full one has no
        page for, would end the process.
        """
        if number >= self._capacity:
            return False
        try:
            if self._sums[number] == 0:
                self._sums[number] = self._read_sum(number)
            if self._sums[number] == 0:
                return False
            for name, field in self._fields.items():
                slot = _buffer_of(buffers[name][row : row + 1])
                if len(slot) and os.preadv(field.file, [slot], number * field.row_bytes) < len(slot):
                    return False  # the file was cut off
        except OSError as error:
            self._warn(f"it cannot be read ({error.strerror}); what is missing is made again")
            return False
        return True

    def _check(self, numbers: Indices, rows: Arrays) -> npt.NDArray[np.bool_]:
        """Which of these records match their sums."""
        right = self._checksum(numbers, rows) == self._sums[numbers]
        self._is_mapped[numbers[right]] = True
        wrong = numbers[~right]
        if len(wrong):
            # Their sums are read again next time: another process may have made them anew.
            self._sums[wrong], self._is_mapped[wrong] = 0, False
            self.damaged += len(wrong)
            self._warn(f"record {wrong[0]} is damaged; it is made again, and so are any others that are")
        return right

    def _hand_over(self, buffers: Arrays, rows: npt.NDArray[np.intp], out: Arrays) -> None:
        for name, field in self._fields.items():
            if field.spec.is_text:
                out[name][rows] = _decoded(buffers[name][rows])
            elif buffers[name] is not out[name]:
                out[name][rows] = buffers[name][rows]

    def _write(self, number: int, rows: Arrays, row: int, total: int) -> None:
        for name, field in self._fields.items():
            _write(field.file, _buffer_of(rows[name][row : row + 1]), number * field.row_bytes)
            field.touch(number)
        _write(self._sums_file, total.to_bytes(_SUM_BYTES, sys.byteorder), number * _SUM_BYTES)
        self._sums[number] = total
        self._is_mapped[number] = True

    def _read_sum(self, number: int) -> int:
        data = os.pread(self._sums_file, _SUM_BYTES, number * _SUM_BYTES)
        return int.from_bytes(data, sys.byteorder) if len(data) == _SUM_BYTES else 0

    def _unchanged(self) -> "_Files":
        """The files as they are; if that is another state than before, no record counts as right.

        If they were cut off they are made longer again: reading a map beyond the end would end the process.
        """
        files = _look(self._fields)
        if files == self._seen:
            return files
        with self._lock:
            self._is_right[...] = False
            needed = [self._capacity * field.row_bytes for field in self._fields.values()]
            if any(size < least for size, least in zip(files.sizes, needed, strict=True)):
                self._is_mapped[...] = False
                try:
                    for field, least in zip(self._fields.values(), needed, strict=True):
                        _grow(field.file, least)
                except OSError as error:
                    self._warn(f"it was cut off and cannot be mended ({error.strerror})")
                files = _look(self._fields)
            self._seen = files
        return files

    def _note(self, files: "_Files", numbers: Indices) -> None:
        """Notes that these records were right in this state of the files."""
        with self._lock:
            if files == self._seen:
                self._is_right[numbers] = True

    def _warn(self, what: str) -> None:
        kind = what.partition(" ")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(f"cache on disk: {what}", CacheWarning, stacklevel=2)


def _look(fields: Mapping[str, _Field]) -> _Files:
    infos = [os.fstat(field.file) for field in fields.values()]
    return _Files(tuple(info.st_size for info in infos), tuple(info.st_mtime_ns for info in infos))


def _row_bytes(field: ArraySpec) -> int:
    return _TEXT_BYTES if field.is_text else prod(field.shape) * field.dtype.itemsize


def _some(arrays: Arrays, rows: npt.NDArray[np.intp], count: int) -> Arrays:
    """These rows of arrays of `count` rows; no copy if that is all of them."""
    return arrays if len(rows) == count else {name: array[rows] for name, array in arrays.items()}


def _buffer_of(array: npt.NDArray[Any]) -> memoryview:
    return _as_bytes(array).data


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _encoded(texts: npt.NDArray[Any], fits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """A row for each string; `fits` becomes False where it is too long for one."""
    rows = np.zeros((len(texts), _TEXT_BYTES), np.uint8)
    for row, text in enumerate(texts):
        data = text.encode("utf-8", "surrogatepass")  # a path may hold bytes that are no characters
        fits[row] &= len(data) <= _TEXT_BYTES - 4
        if fits[row]:
            rows[row, : 4 + len(data)] = np.frombuffer(len(data).to_bytes(4, "little") + data, np.uint8)
    return rows


def _decoded(rows: npt.NDArray[np.uint8]) -> list[str]:
    data, lengths = rows.tobytes(), rows[:, :4].copy().view("<u4")[:, 0].tolist()
    starts = range(4, len(data), _TEXT_BYTES)
    return [
        data[i : i + length].decode("utf-8", "surrogatepass")
        for i, length in zip(starts, lengths, strict=True)
    ]


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _grow(file: int, size: int) -> None:
    if os.fstat(file).st_size < size:
        os.ftruncate(file, size)


def _read(file: int, size: int) -> bytes:
    """The first `size` bytes, fewer if there are no more."""
    pieces: list[bytes] = []
    while size and (data := os.pread(file, size, sum(map(len, pieces)))):
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


def _write(file: int, data: bytes | memoryview, place: int) -> None:
    """Writes all of it. Through a map a full disk would end the process; here it is an OSError."""
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written
