"""Documents of many files, by number."""

import contextlib
import mmap
import operator
import os
import struct
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import DecodeError, ReadError, RecordError
from artifex.data.fingerprint import digest
from artifex.data.sources.text.index import ENTRY, HEADER_BYTES, LONGEST, Index, map_index
from artifex.data.sources.text.parse import Parser
from artifex.data.types import Indices, Record

_FILES_OPEN = 128
# Files of so many bytes together are asked for as a whole when they are opened: in random order a disk that has to be
# waited for gives one document at a time, and all of them one after another in a second or two.
_ASKED_FOR = 2**29
_ASKED_AT_ONCE = 2**17  # of more Linux reads no more than its read-ahead, which may be as little as this
# Documents that lie so close to each other are read together.
_GAP, _RUN_BYTES = 4096, 2**20
_ENTRY = struct.Struct("<qI")


@dataclass(frozen=True, slots=True)
class Damage:
    """Why the rest of a compressed file is lost, and the byte of it where that begins, if that is known."""

    reason: str
    position: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One file.

    Attributes:
        path: its path, as it was found.
        size, mtime_ns: of that file.
        data: the file with the documents' bytes: itself, or what it was unpacked to.
        data_size, data_mtime_ns: of that one.
        index: where the documents are; None if all of it from `first` on is one.
        first: the entries of the index, or the bytes, before the first document.
        parser: makes text of them.
        damage: what the last record stands for; None for a whole file.
        described: its settings in words, for the fingerprint.
    """

    path: str
    size: int
    mtime_ns: int
    data: str
    data_size: int
    data_mtime_ns: int
    index: Index | None
    first: int
    parser: Parser
    damage: Damage | None
    described: str

    @property
    def num_documents(self) -> int:
        """Documents that can be read."""
        if self.index is None:
            return int(self.damage is None and self.data_size > self.first)
        return max(0, self.index.count - self.first)

    @property
    def num_records(self) -> int:
        """Those, and one for what is lost."""
        return self.num_documents + (self.damage is not None)


class TextSource:
    """The documents of files, numbered in their order; made by `open_text`.

    A record has the keys `text` (a str) and `path` (of its file, as it was given). Thread-safe, picklable; up to
    128 files are open at a time.

    Attributes:
        paths: the files.
    """

    def __init__(self, parts: Sequence[Part], max_document_bytes: int) -> None:
        self._parts = tuple(parts)
        self._max = max_document_bytes
        counts = np.array([part.num_records for part in self._parts], np.int64)
        self._ends = np.cumsum(counts)
        self._start()

    def _start(self) -> None:
        self._stops: list[int] = self._ends.tolist()
        self._is_small = sum(part.data_size for part in self._parts) <= _ASKED_FOR
        self._files: OrderedDict[int, _OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_parts": self._parts, "_max": self._max, "_ends": self._ends}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(part.path for part in self._parts)

    def __len__(self) -> int:
        return self._stops[-1] if self._stops else 0

    def __repr__(self) -> str:
        return f"TextSource({len(self)} documents of {len(self._parts)} files)"

    def __getitem__(self, index: int, /) -> Record:
        """Document `index`.

        Raises:
            ReadError: its file changed, is gone or cannot be read.
            DecodeError: its bytes are no text of the declared kind, are too many, or are lost.
        """
        number = self._checked(operator.index(index))
        which = bisect_right(self._stops, number)
        part = self._parts[which]
        try:
            place = number - self._stops[which] + part.num_records
            file = self._file(which)
            start, length = self._fits(*file.span(place))
            data = file.read(start, length)
            file.check()
            return {"text": part.parser(data, start), "path": part.path}
        except RecordError as error:
            raise error.at(path=part.path, record=number) from error.__cause__

    def read_many(self, indices: Indices, /) -> list[Record]:
        """Documents `indices` (n,), in this order; those that lie close together are read together.

        Raises:
            RecordError: as for one; the first in this order that is bad.
        """
        numbers = np.asarray(indices)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            numbers = np.array([self._checked(number) for number in numbers.tolist()], np.int64)
        files = np.searchsorted(self._ends, numbers, side="right")
        found: list[tuple[bytes, int] | RecordError] = [(b"", 0)] * len(numbers)
        touched: list[int] = np.unique(files).tolist() if len(self._parts) > 1 else [0]
        for file in touched:
            rows = np.flatnonzero(files == file)
            self._read_file(file, numbers[rows], rows.tolist(), found)
        records: list[Record] = []
        owners = [self._parts[int(file)] for file in files]
        for number, part, document in zip(numbers.tolist(), owners, found, strict=True):
            try:
                if isinstance(document, RecordError):
                    raise document
                records.append({"text": part.parser(*document), "path": part.path})
            except RecordError as error:
                raise error.at(path=part.path, record=number) from error.__cause__
        return records

    def names(self) -> str:
        """A digest of the names below the folder that holds all files, and of how they were cut; of no content."""
        return digest(
            [*_names([part.path for part in self._parts]), *(part.described for part in self._parts)]
        )

    def fingerprint(self) -> str:
        """A digest of names below the folder that holds all files, sizes and settings, the same wherever it lies."""
        settings = [f"{part.size} {part.described}" for part in self._parts]
        return digest([*_names([part.path for part in self._parts]), *settings])

    def stamp(self) -> str:
        """A digest of paths, sizes, settings and modification times: another one if a file was changed."""
        times = [f"{os.path.abspath(part.path)} {part.mtime_ns}" for part in self._parts]
        return digest([self.fingerprint(), *times])

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """For each record whether its file still has the size and the time of when it was opened."""
        files, rows = np.unique(np.searchsorted(self._ends, indices, side="right"), return_inverse=True)
        return np.array([_is_as_opened(self._parts[which]) for which in files.tolist()], bool)[rows]

    def _checked(self, number: int) -> int:
        length = len(self)
        if not -length <= number < length:
            raise IndexError(f"there is no record {number}; there are {length}")
        return number + length if number < 0 else number

    def _fits(self, start: int, length: int) -> tuple[int, int]:
        if length > self._max:
            more = "or more " if length == LONGEST else ""
            raise DecodeError(f"{length} bytes {more}are over `max_document_bytes` {self._max}", offset=start)
        if start < 0:
            raise DecodeError("it is null in its column")
        return start, length

    def _read_file(
        self, which: int, numbers: Indices, rows: list[int], found: list[tuple[bytes, int] | RecordError]
    ) -> None:
        """Puts the bytes of documents of one file and their starts, or what is wrong, in their rows of `found`."""
        part = self._parts[which]
        places = numbers - (int(self._ends[which]) - part.num_records)
        try:
            file = self._file(which)
            spans = file.spans(places)
            starts, lengths = spans["start"].tolist(), spans["length"].tolist()
            good: list[tuple[int, int, int]] = []
            for place, start, length, row in zip(places.tolist(), starts, lengths, rows, strict=True):
                if start >= 0 and length <= self._max and place < part.num_documents:
                    good.append((start, start + length, row))
                    continue
                try:
                    self._fits(*file.span(place))
                except RecordError as error:
                    found[row] = error
            _read_spans(file, sorted(good), found)
            file.check()
        except RecordError as error:
            for row in rows:
                found[row] = type(error)(error.reason, offset=error.offset)

    def _file(self, which: int) -> "_OpenFile":
        with self._lock:
            if (file := self._files.get(which)) is not None:
                self._files.move_to_end(which)
                return file
        file = _OpenFile(self._parts[which])
        if self._is_small:
            file.ask_for_all()
        with self._lock:
            self._files[which] = file
            # One that a thread still reads from is closed when that lets go of it.
            while len(self._files) > _FILES_OPEN:
                self._files.popitem(last=False)
        return file


class _OpenFile:
    """The descriptor of a file and its index, mapped; both end with the object."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._descriptor = -1
        self._index: mmap.mmap | None = None
        self._entries: npt.NDArray[Any] | None = None
        try:
            self._descriptor = os.open(part.data, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ReadError(error.strerror or str(error)) from error
        self.check()
        if part.index is not None:
            self._index, _ = map_index(part.index)
            if part.num_documents:
                first = HEADER_BYTES + ENTRY.itemsize * part.first
                self._entries = np.frombuffer(self._index, ENTRY, part.num_documents, first)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def ask_for_all(self) -> None:
        """Has the system read the file into its own memory, as far as it has room there, while this goes on."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):  # not a thing of every file system
                for start in range(0, self._part.data_size, _ASKED_AT_ONCE):
                    os.posix_fadvise(self._descriptor, start, _ASKED_AT_ONCE, os.POSIX_FADV_WILLNEED)

    def check(self) -> None:
        """Raises unless the file is as it was when it was indexed."""
        info = os.fstat(self._descriptor)
        if (info.st_size, info.st_mtime_ns) != (self._part.data_size, self._part.data_mtime_ns):
            raise ReadError("the file changed since it was opened; open the data again")

    def span(self, place: int) -> tuple[int, int]:
        """Where a document starts, and its length."""
        part = self._part
        if part.damage is not None and place == part.num_documents:
            damage = part.damage
            where = "" if damage.position is None else f", at byte {damage.position} of the compressed file"
            raise DecodeError(
                f"{damage.reason}{where}; what comes from there on, and the document that it cuts in two, are lost",
                offset=damage.position,
            )
        if self._index is None:
            return part.first, part.data_size - part.first
        return _ENTRY.unpack_from(self._index, HEADER_BYTES + ENTRY.itemsize * (part.first + place))

    def spans(self, places: Indices) -> npt.NDArray[Any]:
        """`span` of many as an array of `ENTRY`; a place beyond the documents has the last one's."""
        part = self._part
        if self._entries is not None:
            return self._entries[np.minimum(places, part.num_documents - 1)]
        whole = np.array((part.first, min(part.data_size - part.first, LONGEST)), ENTRY)
        return np.full(len(places), whole, ENTRY)

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on."""
        try:
            data = os.pread(self._descriptor, length, start)
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data), start + len(data))
                if not more:
                    raise ReadError(f"it ends at byte {start + len(data)}, within a document", offset=start)
                data += more
        except ReadError:
            raise
        except OSError as error:
            raise ReadError(error.strerror or str(error), offset=start) from error
        return data


def _read_spans(
    file: _OpenFile, spans: list[tuple[int, int, int]], found: list[tuple[bytes, int] | RecordError]
) -> None:
    """Reads (start, end, row) in the order of their starts, those together that lie close together."""
    i = 0
    while i < len(spans):
        first, end, _ = spans[i]
        stop = i + 1
        while stop < len(spans) and spans[stop][0] <= end + _GAP and spans[stop][1] <= first + _RUN_BYTES:
            end = max(end, spans[stop][1])
            stop += 1
        data = file.read(first, end - first)
        for start, last, row in spans[i:stop]:
            found[row] = data[start - first : last - first], start
        i = stop


def _names(paths: Sequence[str]) -> list[str]:
    """Paths relative to the folder that holds them all, with "/"."""
    full = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in full])
    return [os.path.relpath(path, common).replace(os.sep, "/") for path in full]


def _is_as_opened(part: Part) -> bool:
    try:
        info = os.stat(part.path)
    except OSError:
        return False
    return (info.st_size, info.st_mtime_ns) == (part.size, part.mtime_ns)
