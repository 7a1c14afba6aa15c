"""Files that are made once, whole or not at all, by one of several processes."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Generator
from dataclasses import dataclass
from uuid import uuid4

_NOT_WORTH_WAITING = 2**18  # bytes
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True)
class Draft:
    """A file in the making: its descriptor, its name for now, and the one it is to have."""

    file: int
    name: str
    path: str

    def write(self, data: bytes | memoryview, at: int | None = None) -> None:
        """Writes all of `data`, at a place or where the last such write ended."""
        rest = memoryview(data).cast("B")
        while rest:
            done = os.write(self.file, rest) if at is None else os.pwrite(self.file, rest, at)
            rest, at = rest[done:], None if at is None else at + done

    def publish(self, *, shows_damage: bool = False) -> None:
        """Gives the file its name, when all of it is safely on disk.

        A small one that shows when it is damaged is not waited for: it costs less to make it again.
        """
        if shows_damage and os.fstat(self.file).st_size <= _NOT_WORTH_WAITING:
            os.replace(self.name, self.path)
            return
        os.fsync(self.file)
        os.replace(self.name, self.path)
        folder = os.open(os.path.dirname(self.path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def draft(path: str) -> Generator[Draft]:
    """An empty file beside `path`, deleted at the end unless it was published.

    It is waited for while another process makes the same file: look whether that is there before you write. Who
    is killed meanwhile leaves a file that the next one takes over.

    Raises:
        OSError: the folder cannot be written to.
    """
    file, name = _locked(path)
    try:
        os.ftruncate(file, 0)
        yield Draft(file, name, path)
    finally:
        # While the lock is held, so that nobody else's file of this name is meant.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file), os.stat(name)):
                os.unlink(name)
        os.close(file)


def _locked(path: str) -> tuple[int, str]:
    folder, base = os.path.split(path)
    name = os.path.join(folder, f".{base.lstrip('.')}.part")
    while True:
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file), os.stat(name)):
                return file, name
        except FileNotFoundError:
            pass  # its maker has given it its name
        except OSError as error:
            os.close(file)
            if error.errno not in _NO_LOCKS:
                raise
            # Without locks each process makes its own, and the last one's stays.
            name = f"{name}-{uuid4().hex}"
            return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), name
        os.close(file)
