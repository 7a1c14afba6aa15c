"""One pass over a folder and its sub-folders."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

_Above: TypeAlias = tuple[tuple[int, int], ...]  # (device, inode) of each folder on the way

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


class Walk:
    """One pass over a tree, which asks the system about each candidate once.

    `skipped` and `others` (how many other files there are, by suffix) fill while `files` runs.
    """

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        self._suffixes = suffixes
        self.skipped: list[tuple[str, str]] = []
        self.others: Counter[str] = Counter()

    def files(self, root: str) -> Iterator[tuple[str, int, int]]:
        """(relative path, size in bytes, time of modification in nanoseconds) of each file."""
        info = os.stat(root)
        # Each with its path and the folders that it lies in, by which a loop shows.
        waiting: list[tuple[str, str, _Above]] = [(root, "", ((info.st_dev, info.st_ino),))]
        while waiting:
            folder, prefix, above = waiting.pop()
            try:
                entries = os.scandir(folder)
            except OSError as error:
                self.skipped.append((prefix.rstrip("/"), reason_of(error)))
                continue
            with entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    name = prefix + entry.name
                    if entry.name.lower().endswith(self._suffixes):
                        if (info := self._regular(entry, name)) is not None:
                            yield name, info.st_size, info.st_mtime_ns
                    elif (inside := self._inside(entry, name, above)) is not None:
                        waiting.append((entry.path, name + "/", inside))

    def _regular(self, entry: os.DirEntry[str], name: str) -> os.stat_result | None:
        try:
            info = entry.stat()
        except OSError as error:
            self.skipped.append((name, reason_of(error, is_link=entry.is_symlink())))
            return None
        if stat.S_ISREG(info.st_mode):
            return info
        self.skipped.append((name, kind_of(info.st_mode)))
        return None

    def _inside(self, entry: os.DirEntry[str], name: str, above: _Above) -> _Above | None:
        """The folders above what is in this one, itself the last; None if it is none to look into."""
        try:
            if not entry.is_dir():
                self.others[os.path.splitext(name)[1].lower()] += 1
                return None
            info = os.stat(entry.path)
        except OSError:  # a link to nothing or to itself, without one of the suffixes: none of our business
            return None
        here = (info.st_dev, info.st_ino)
        if here in above:
            self.skipped.append((name, "a link to a folder that it is in"))
            return None
        return (*above, here)


def reason_of(error: OSError, *, is_link: bool = False) -> str:
    """What the system says went wrong."""
    if is_link and isinstance(error, FileNotFoundError):
        return "a link to nothing"
    return error.strerror or str(error)


def kind_of(mode: int) -> str:
    """What a path that is no regular file is, in words."""
    return next((name for test, name in _KINDS if test(mode)), "no regular file")
