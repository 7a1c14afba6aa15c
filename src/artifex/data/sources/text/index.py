"""The index of a file: where each of its documents begins, and how long it is.

    bytes 0-511     header: magic, a CRC-32 of the JSON after it, the JSON, zeros
    from 512 on     12 bytes a document, little-endian: where it starts, int64; its length in bytes, uint32

It is written in pieces, mapped when it is used, and made again when the file is not the one that it was made of.
"""

import contextlib
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ReadError
from artifex.data.fingerprint import digest
from artifex.data.sources.text.claim import Draft, draft
from artifex.data.sources.text.scan import Spans

ENTRY = np.dtype([("start", "<i8"), ("length", "<u4")])
HEADER_BYTES = 512
LONGEST = 2**32 - 1
"""The length that stands for itself and all greater ones."""

_VERSION = 1
_MAGIC = b"artifex1"
_AT_ONCE = 2**22
_SAMPLES, _SAMPLE_BYTES = 16, 4096


@dataclass(frozen=True)
class Identity:
    """What tells a file's content from another's: size, time of modification, a digest of 16 pieces of it."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True)
class Index:
    """An index on disk: its path, how many documents it has, and the checksum of its header."""

    path: str
    count: int
    crc: int


def identify(file: int) -> Identity:
    """The identity of an open file; at most 64 KiB of it are read."""
    info = os.fstat(file)
    places = np.linspace(0, max(0, info.st_size - _SAMPLE_BYTES), _SAMPLES).astype(np.int64)
    parts = [os.pread(file, _SAMPLE_BYTES, place) for place in np.unique(places).tolist()]
    return Identity(info.st_size, info.st_mtime_ns, digest(parts))


def describe(identity: Identity, settings: dict[str, Any]) -> dict[str, Any]:
    """What the header of an index says of its file and of how it was cut."""
    return {"version": _VERSION, "data": asdict(identity), "settings": settings}


def open_index(path: str, described: dict[str, Any]) -> Index | None:
    """The index at `path`, all of it checked; None if there is none, or it is damaged, or another file's."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        header = os.pread(file, HEADER_BYTES, 0)
        index = _parsed(path, header, described)
        if index is None or os.fstat(file).st_size != HEADER_BYTES + index[0].count * ENTRY.itemsize:
            return None
        return index[0] if _checksum(file) == index[1] else None
    except OSError:
        return None
    finally:
        os.close(file)


def make_index(path: str, described: dict[str, Any], pieces: Iterable[Spans]) -> Index:
    """Writes the index at `path`, unless another process has just done so.

    Raises:
        OSError: it cannot be written.
    """
    with draft(path) as made:
        # Whom we waited for may have made it; what is there otherwise is damaged or of another file.
        if (index := open_index(path, described)) is not None:
            return index
        return write_index(made, described, pieces)


def write_index(made: Draft, described: dict[str, Any], pieces: Iterable[Spans]) -> Index:
    """Writes an index into a draft, and publishes it."""
    made.write(bytes(HEADER_BYTES))
    count = crc = 0
    for starts, lengths in pieces:
        data = _entries(starts, lengths).tobytes()
        count += len(starts)
        crc = zlib.crc32(data, crc)
        made.write(data)
    header = _header({**described, "count": count, "crc": crc})
    made.write(header, at=0)
    made.publish(shows_damage=True)
    return Index(made.path, count, zlib.crc32(header))


def map_index(index: Index) -> tuple[mmap.mmap, npt.NDArray[Any]]:
    """An index's file, mapped, and its entries therein, (n,) of `ENTRY`.

    Raises:
        ReadError: it is gone, or another one than when it was opened.
    """
    try:
        with open(index.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if (
                size != HEADER_BYTES + index.count * ENTRY.itemsize
                or zlib.crc32(file.read(HEADER_BYTES)) != index.crc
            ):
                raise ReadError(
                    f"its index {index.path!r} was replaced since it was opened; open the data again"
                )
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(f"its index {index.path!r} cannot be read: {error.strerror}") from error
    return mapped, np.frombuffer(mapped, ENTRY, index.count, HEADER_BYTES)


def _entries(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    entries = np.empty(len(starts), ENTRY)
    entries["start"] = starts
    entries["length"] = np.minimum(lengths, LONGEST)
    return entries


def _header(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, sort_keys=True).encode()
    header = _MAGIC + struct.pack("<II", zlib.crc32(text), len(text)) + text
    assert len(header) <= HEADER_BYTES, "settings are short words"
    return header.ljust(HEADER_BYTES, b"\0")


def _parsed(path: str, header: bytes, described: dict[str, Any]) -> tuple[Index, int] | None:
    """The index of a header that is whole and says what it should, and the checksum of its entries."""
    if len(header) != HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    crc, length = struct.unpack_from("<II", header, len(_MAGIC))
    text = header[len(_MAGIC) + 8 :][:length]
    if zlib.crc32(text) != crc:
        return None
    with contextlib.suppress(ValueError, KeyError, TypeError):
        content = json.loads(text)
        count, entries_crc = int(content.pop("count")), int(content.pop("crc"))
        if content == described:
            return Index(path, count, zlib.crc32(header)), entries_crc
    return None


def _checksum(file: int) -> int:
    crc, at = 0, HEADER_BYTES
    while data := os.pread(file, _AT_ONCE, at):
        crc, at = zlib.crc32(data, crc), at + len(data)
    return crc
