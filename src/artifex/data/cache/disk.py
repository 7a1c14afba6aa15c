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
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifex.data.cache.checksum import Checksum
from artifex.data.cache.files import (
    TEXT_BYTES,
    TICK,
    Field,
    FilesState,
    buffer_of,
    bytes_of_row,
    close_files,
    decode_texts,
    encode_texts,
    grow,
    look,
    open_file,
    read_start,
    write_at,
)
from artifex.data.cache.folders import SUMS, CacheWarning, Identity, alone, make_room, open_folder
from artifex.data.cache.memory import capacity, gather, present
from artifex.data.reader import slots
from artifex.data.types import Arrays, Indices, Spec

_SUM_BYTES = 8

# A cache of up to this many bytes is checked as a whole when its last record was written: that takes less than a
# hundredth of the time in which it was made, while its pages are still in memory, and the next epoch is faster.
_CHECKED_AT_ONCE = 2**30
_BLOCK = 256


def open_disk_store(root: Path, identity: Identity, spec: Spec, num_records: int, limit: int) -> "DiskStore":
    """The store for the records of this identity, all caches under `root` together kept within `limit` bytes.

    Raises:
        ConfigError: `limit` is less than one record, or `root` has other things in it.
        OSError: there is no room beside caches that are in use (ENOSPC), or the disk refuses.
    """
    row_bytes = sum(map(bytes_of_row, spec.values())) + _SUM_BYTES
    wanted = capacity(num_records, row_bytes, limit) * row_bytes
    folder = open_folder(root, identity, limit)
    files = [folder.lock]
    try:
        with alone(root):  # so that others see what this one is going to take
            allowed = make_room(root, folder, wanted, limit)
            if allowed < row_bytes:
                raise OSError(errno.ENOSPC, "other caches that are in use take all of `cache_bytes`")
            fields: dict[str, Field] = {}
            for place, (name, field) in enumerate(spec.items()):
                files.append(open_file(folder.path / f"field-{place}"))
                fields[name] = Field.of(field, files[-1], allowed // row_bytes)
        files.append(open_file(folder.path / SUMS))
        checksum = Checksum(identity.hash, {name: field.row_bytes for name, field in fields.items()})
        opener = partial(open_disk_store, root, identity, spec, num_records, limit)
        return DiskStore(fields, files, checksum, allowed // row_bytes, num_records, opener)
    except BaseException:
        close_files(files)
        raise


class DiskStore:
    """The first records of a dataset, `capacity` of them, in a folder; see `open_disk_store`.

    Attributes:
        damaged: how many records were found that did not match their sum.
    """

    def __init__(
        self,
        fields: Mapping[str, Field],
        files: list[int],
        checksum: Checksum,
        capacity: int,
        num_records: int,
        opener: "Callable[[], DiskStore]",
    ) -> None:
        self._fields, self._sums_file, self._checksum = fields, files[-1], checksum
        self._capacity, self._num_records = capacity, num_records
        self._opener = opener
        weakref.finalize(self, close_files, files)
        self._rows: Arrays = {name: field.rows for name, field in fields.items()}
        # Whether a record is where the map may be read, and whether it was found right in the present files.
        self._is_mapped = np.zeros(capacity, bool)
        self._is_right = np.zeros(capacity, bool)
        # What others add from now on is looked up when it is asked for.
        self._sums = np.zeros(capacity, np.uint64)
        found = read_start(self._sums_file, capacity * _SUM_BYTES)
        self._sums.view(np.uint8)[: len(found)] = np.frombuffer(found, np.uint8)
        self._is_stopped = self._is_checked = False
        self._warned: set[str] = set()
        self._lock = threading.Lock()
        self._seen = look(fields)
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
        is_same = look(self._fields) == files
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
            name: encode_texts(arrays[name], fits)
            if field.spec.is_text
            else np.ascontiguousarray(arrays[name])
            for name, field in self._fields.items()
        }
        if not fits.all():
            self._warn(f"records with strings of more than {TEXT_BYTES - 4} bytes are not kept")
        sums = self._checksum(indices, rows)
        try:
            for row in np.flatnonzero(fits):
                self._write(int(indices[row]), rows, int(row), int(sums[row]))
        except OSError as error:
            self._is_stopped = True
            self._warn(f"nothing more is kept ({error.strerror}); the run goes on without")
        self._check_all_once()

    def _check_all_once(self) -> None:
        size = self._capacity * sum(field.row_bytes for field in self._fields.values())
        if size > _CHECKED_AT_ONCE or not self.is_complete:
            return
        with self._lock:
            is_first, self._is_checked = not self._is_checked, True
        if is_first:
            time.sleep(2 * TICK / 1e9)
            block = slots({name: field.spec for name, field in self._fields.items()}, _BLOCK)
            for start in range(0, self._capacity, _BLOCK):
                numbers = np.arange(start, min(start + _BLOCK, self._capacity))
                self.read_into(numbers, {name: array[: len(numbers)] for name, array in block.items()})

    def _read(self, number: int, row: int, buffers: Arrays) -> bool:
        """Reads a record of which nothing is known; whether it is there.

        By calls that return errors: reading through the map what a bad disk cannot give, or a full one has no
        page for, would end the process.
        """
        if number >= self._capacity:
            return False
        try:
            if self._sums[number] == 0:
                total = self._read_sum(number)
                if total == 0:  # and not noted: another thread may just have written the record
                    return False
                self._sums[number] = total
            for name, field in self._fields.items():
                slot = buffer_of(buffers[name][row : row + 1])
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
                out[name][rows] = decode_texts(buffers[name][rows])
            elif buffers[name] is not out[name]:
                out[name][rows] = buffers[name][rows]

    def _write(self, number: int, rows: Arrays, row: int, total: int) -> None:
        for name, field in self._fields.items():
            write_at(field.file, buffer_of(rows[name][row : row + 1]), number * field.row_bytes)
            field.touch(number)
        write_at(self._sums_file, total.to_bytes(_SUM_BYTES, sys.byteorder), number * _SUM_BYTES)
        self._sums[number] = total
        self._is_mapped[number] = True

    def _read_sum(self, number: int) -> int:
        data = os.pread(self._sums_file, _SUM_BYTES, number * _SUM_BYTES)
        return int.from_bytes(data, sys.byteorder) if len(data) == _SUM_BYTES else 0

    def _unchanged(self) -> "FilesState":
        """The files as they are; if that is another state than before, no record counts as right.

        If they were cut off they are made longer again: reading a map beyond the end would end the process.
        """
        files = look(self._fields)
        if files == self._seen:
            return files
        with self._lock:
            self._is_right[...] = False
            needed = [self._capacity * field.row_bytes for field in self._fields.values()]
            if any(size < least for size, least in zip(files.sizes, needed, strict=True)):
                self._is_mapped[...] = False
                try:
                    for field, least in zip(self._fields.values(), needed, strict=True):
                        grow(field.file, least)
                except OSError as error:
                    self._warn(f"it was cut off and cannot be mended ({error.strerror})")
                files = look(self._fields)
            self._seen = files
        return files

    def _note(self, files: "FilesState", numbers: Indices) -> None:
        """Notes that these records were right in this state of the files."""
        with self._lock:
            if files == self._seen:
                self._is_right[numbers] = True

    def _warn(self, what: str) -> None:
        kind = what.partition(" ")[0]
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(f"cache on disk: {what}", CacheWarning, stacklevel=2)


def _some(arrays: Arrays, rows: npt.NDArray[np.intp], count: int) -> Arrays:
    """These rows of arrays of `count` rows; no copy if that is all of them."""
    return arrays if len(rows) == count else {name: array[rows] for name, array in arrays.items()}
