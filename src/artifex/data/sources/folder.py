"""A folder of files, one record each."""

import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, ConfigTypeError, ReadError, UnknownNameError
from artifex.data.fingerprint import digest
from artifex.data.registry import unknown
from artifex.data.sources.walk import Walk, kind_of, reason_of
from artifex.data.types import Indices, Record
from artifex.data.warn import warn

Labels: TypeAlias = npt.NDArray[np.int32]

_MAX_BYTES = 2**26
# Opening what turned into a pipe since it was listed must not wait for someone to write to it.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_AT_ONCE = 2**20


class SkippedFilesWarning(UserWarning):
    """Something in a folder is named like a record and is none."""


class FolderSource:
    """The files under a folder and its sub-folders whose names end in one of `suffixes`.

    They are in the order of their paths relative to `root`, written with "/" and compared character by
    character by code point, whatever the system and its locale. A record has the keys `data` (the file's
    bytes), `path` (below `root` as it was given) and, where there are labels, `label` (an int).

    What begins with a dot is passed over. Links are followed, but never back into a folder that they are
    in. What has the right suffix and is no regular file is never opened: it is left out and told in
    `skipped`, as are folders that cannot be listed, with one `SkippedFilesWarning` for all.

    Args:
        root: the folder.
        suffixes: endings with their dot, e.g. `(".png",)`; case does not matter.
        labels: "folder": the label of a file is its first-level sub-folder; there are none if all files lie
            directly in `root`. A mapping from relative path to label: an int, or a class by its name (then
            all are, and classes are numbered in the order of all names in the mapping). None: no labels.
        max_bytes: a file longer than this is a ReadError, before any of it is read.

    Attributes:
        root: the folder, as given.
        names: the relative paths.
        classes: names of the classes, sorted by code point: sub-folders that hold files, or names from the
            mapping. Empty without labels or if they are ints.
        labels: int32 of shape (number of files,), or None.
        skipped: (path, reason) of what was left out.

    Raises:
        ConfigError: there is no such folder, or no such file in it, or some files have no label.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        suffixes: Sequence[str],
        *,
        labels: str | Mapping[str, int | str] | None = "folder",
        max_bytes: int = _MAX_BYTES,
    ) -> None:
        self.root = os.fspath(root)
        self._above = os.path.join(self.root, "")
        self._suffixes = _checked_suffixes(suffixes)
        if max_bytes < 1:
            raise ConfigError(f"`max_bytes` must be > 0, got {max_bytes}")
        self._max_bytes = max_bytes
        walk = Walk(self._suffixes)
        found = sorted(walk.files(self._checked_root()))
        self.skipped = tuple(sorted((self._path(name), reason) for name, reason in walk.skipped))
        if not found:
            raise ConfigError(self._nothing_found(walk.others))
        self.names = [name for name, _, _ in found]
        self._sizes = np.array([size for _, size, _ in found], np.int64)
        self._times = np.array([time for _, _, time in found], np.int64)
        self.labels, self.classes = _label(self.root, self.names, labels)
        if self.skipped:
            warn(_tell(self.skipped), SkippedFilesWarning)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Name of a class -> its label."""
        return {name: i for i, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int, /) -> Record:
        """Record `index`.

        Raises:
            ReadError: the file is gone, unreadable or too long.
        """
        path = self._path(self.names[index])
        record: dict[str, bytes | str | int] = {"data": _read(path, self._max_bytes), "path": path}
        if self.labels is not None:
            record["label"] = int(self.labels[index])
        return record

    def read_start(self, index: int, length: int) -> bytes:
        """The first `length` bytes of a record's file, or all there are; errors as for a record."""
        return _read(self._path(self.names[index]), self._max_bytes, length)

    def fingerprint(self) -> str:
        """A digest of relative names, sizes and labels, the same wherever the folder lies."""
        labels = b"" if self.labels is None else self.labels.astype("<i4").tobytes()
        return digest([*self.names, self._sizes.astype("<i8").tobytes(), labels])

    def stamp(self) -> str:
        """A digest of root, names, sizes, labels and modification times: another one if a file was changed."""
        return digest([os.path.abspath(self.root), self.fingerprint(), self._times.astype("<i8").tobytes()])

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """For each record whether its file still has the size and the time of when the folder was listed."""
        return np.array([self._is_as_listed(int(index)) for index in indices], bool)

    def _is_as_listed(self, index: int) -> bool:
        try:
            info = os.stat(self._path(self.names[index]))
        except OSError:
            return False
        return (info.st_size, info.st_mtime_ns) == (self._sizes[index], self._times[index])

    def _path(self, name: str) -> str:
        return self._above + (name if os.sep == "/" else name.replace("/", os.sep))

    def _checked_root(self) -> str:
        if not os.path.lexists(self.root):
            raise ConfigError(
                f"`root` {self.root!r} does not exist; it was to hold files in {_list(self._suffixes)}"
            )
        if not os.path.isdir(self.root):
            parent = os.path.dirname(self.root) or "."
            raise ConfigError(f"`root` {self.root!r} is no folder; give the folder it is in, {parent!r}")
        return self.root

    def _nothing_found(self, others: Counter[str]) -> str:
        there = ", ".join(f"{n} in {suffix or 'no suffix'}" for suffix, n in others.most_common(5))
        left_out = f"; left out {_tell(self.skipped)}" if self.skipped else ""
        return (
            f"no file under `root` {self.root!r} ends in {_list(self._suffixes)}; "
            f"files there are: {there or 'none'}{left_out}"
        )


def _read(path: str, max_bytes: int, length: int | None = None) -> bytes:
    # System calls alone, no file object, which would make twice as many: at each of them a thread may have to wait
    # for its turn.
    try:
        file = os.open(path, _FLAGS)
        try:
            info = os.fstat(file)
            if not stat.S_ISREG(info.st_mode):
                raise ReadError(f"{kind_of(info.st_mode)}, no file", path=path)
            if info.st_size > max_bytes:
                raise ReadError(f"{info.st_size} bytes are over `max_bytes` {max_bytes}", path=path)
            if length is not None:
                return os.read(file, length)
            data = os.read(file, info.st_size + 1)
            return data if len(data) == info.st_size else data + _rest(file, path, max_bytes - len(data))
        finally:
            os.close(file)
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(reason_of(error), path=path) from error


def _rest(file: int, path: str, max_bytes: int) -> bytes:
    """What comes after a part of a file that did not end where it was to: it grows, or was given in parts."""
    parts: list[bytes] = []
    while part := os.read(file, _AT_ONCE):
        parts.append(part)
        max_bytes -= len(part)
        if max_bytes < 0:
            raise ReadError("it grew over `max_bytes` while it was read", path=path)
    return b"".join(parts)


def _label(root: str, names: list[str], labels: object) -> tuple[Labels | None, tuple[str, ...]]:
    if labels is None:
        return None, ()
    if isinstance(labels, str):
        if labels != "folder":
            raise UnknownNameError(unknown("`labels`", labels, ["folder"]))
        return _by_folder(root, names)
    if not isinstance(labels, Mapping):
        raise ConfigTypeError(f"`labels` must be 'folder', a mapping or None, got {type(labels).__name__}")
    missing = [name for name in names if name not in labels]
    if missing:
        raise ConfigError(
            f"`labels` has no entry for {len(missing)} of {len(names)} files under {root!r}: "
            f"{_list(missing)}; its keys are paths relative to the root, "
            f"like {next(iter(labels), 'a/b.png')!r}"
        )
    values = [labels[name] for name in names]
    if all(isinstance(value, str) for value in labels.values()):
        classes = tuple(sorted({str(value) for value in labels.values()}))
        numbers = {name: i for i, name in enumerate(classes)}
        return np.array([numbers[value] for value in values], np.int32), classes
    for name, value in zip(names, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ConfigTypeError(f"`labels` must be all ints or all names, got {value!r} for {name!r}")
        if not -(2**31) <= value < 2**31:
            raise ConfigError(f"`labels` must fit in int32, got {value} for {name!r}")
    return np.array(values, np.int32), ()


def _by_folder(root: str, names: list[str]) -> tuple[Labels | None, tuple[str, ...]]:
    folders = [name.partition("/")[0] if "/" in name else None for name in names]
    if not any(folders):
        return None, ()
    if None in folders:
        raise ConfigError(
            f"{names[folders.index(None)]!r} lies directly in `root` {root!r}, others in sub-folders, so "
            f"that it has no label; move it, or pass `labels=None` or a mapping from relative path to label"
        )
    classes = tuple(sorted({folder for folder in folders if folder}))
    numbers = {name: i for i, name in enumerate(classes)}
    return np.array([numbers[folder] for folder in folders if folder], np.int32), classes


def _checked_suffixes(suffixes: Sequence[str]) -> tuple[str, ...]:
    if isinstance(suffixes, str):
        raise ConfigTypeError(f"`suffixes` must be a sequence of strings, e.g. ({suffixes!r},), got a string")
    lower = tuple(suffix.lower() for suffix in suffixes)
    for suffix in lower or ("",):
        if not suffix.startswith(".") or suffix == ".":
            raise ConfigError(f"`suffixes` must be endings with their dot, e.g. ('.png',), got {lower}")
    return lower


def _tell(skipped: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"{path!r} ({reason})" for path, reason in skipped[:3])
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"left out, since they cannot be read as files: {shown}{more}; all are listed in `skipped`"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
