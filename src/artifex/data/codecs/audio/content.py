"""The bytes of a sound file: of one on disk, read a piece at a time, or of one in memory."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from artifex.data.errors import ReadError

_HEAD_BYTES = 4096
# Opening what turned into a pipe since it was listed must not wait for someone to write to it.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"))


class Content(Protocol):
    """Random access to bytes.

    Attributes:
        size: how many there are.
        head: the first 4096 of them.
    """

    @property
    def size(self) -> int: ...

    @property
    def head(self) -> bytes: ...

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at` on; fewer at the end."""
        ...


class InMemory(NamedTuple):
    """Bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def head(self) -> bytes:
        return self.data[:_HEAD_BYTES]

    def read(self, at: int, count: int) -> bytes:
        return self.data[at : at + count]


class OnDisk(NamedTuple):
    """An open file."""

    file: int
    size: int
    head: bytes

    def read(self, at: int, count: int) -> bytes:
        if at + count <= len(self.head):
            return self.head[at : at + count]
        return os.pread(self.file, count, at)


@contextmanager
def opened(path: str) -> Generator[OnDisk]:
    """An open file, closed at the end.

    Raises:
        ReadError: it is not there, cannot be read, or is no regular file.
    """
    try:
        file = os.open(path, _FLAGS)
    except OSError as error:
        raise ReadError(error.strerror or str(error), path=path) from error
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode):
            kind = next((name for test, name in _KINDS if test(info.st_mode)), "a device or the like")
            raise ReadError(f"{kind}, no file", path=path)
        yield OnDisk(file, info.st_size, os.pread(file, _HEAD_BYTES, 0))
    finally:
        os.close(file)
