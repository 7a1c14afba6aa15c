"""Named shared memory: rows of samples, and how far a process has come with them.

A block is called `artifex-PID-START-NUMBER`, after the process that made it and when that was started (its number the
system may give to another process later). It is removed when it is closed; by Python's resource tracker when its
owner is killed; and if that is killed too, by the next run of anything that uses this module.
"""

import contextlib
import os
from collections.abc import Sequence
from itertools import count
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError
from artifex.data.types import Spec

_PREFIX = "artifex"
_FOLDER = Path("/dev/shm")  # noqa: S108  (Linux alone shows what there is)
_ALIGNMENT = 64
_numbers = count()


class SharedRows:
    """Memory for samples of one of several shapes, and a few words about the state of their reading.

    Args:
        specs: of the fields, one for each shape; strings are left out.
        num_rows: how many samples of each shape it is for, 1 or more.
        name: of an existing block; None makes one.

    Attributes:
        name: by which another process opens it.
        progress: int64 (2,): the row that is being read, and how many have been begun since the start.
        arrays: for each shape, by field, (num_rows, *shape). All lie in the same memory.
    """

    def __init__(self, specs: Sequence[Spec], num_rows: Sequence[int], name: str | None = None) -> None:
        layouts = [_layout(spec, count) for spec, count in zip(specs, num_rows, strict=True)]
        size = max(layout.size for layout in layouts)
        if name is None:
            remove_leftovers()
            self._memory = SharedMemory(f"{_own_prefix()}-{next(_numbers)}", create=True, size=size)
            try:
                _reserve(_FOLDER / self._memory.name.lstrip("/"), size)
            except OSError as error:
                self._memory.close()
                self._memory.unlink()
                raise ConfigError(
                    f'`worker="process"` needs {size} bytes of shared memory for each process, and {_FOLDER} has not '
                    f"so much left ({error.strerror}): give it more (for Docker `--shm-size`), or use fewer "
                    f"processes, or threads"
                ) from error
        else:
            self._memory = SharedMemory(name)
        self.name = self._memory.name
        self.progress = np.ndarray((2,), np.int64, self._memory.buf)
        self.arrays: list[dict[str, npt.NDArray[Any]]] = [
            {
                name: np.ndarray((count, *spec[name].shape), spec[name].dtype, self._memory.buf, offset=place)
                for name, place in layout.places.items()
            }
            for spec, count, layout in zip(specs, num_rows, layouts, strict=True)
        ]

    def close(self, *, remove: bool) -> None:
        """Lets go of the memory, and gives it back to the system with `remove`."""
        self.arrays, self.progress = [], np.zeros(2, np.int64)
        # A view that somebody kept would keep it open; it is gone for others all the same.
        with contextlib.suppress(BufferError):
            self._memory.close()
        if remove:
            with contextlib.suppress(FileNotFoundError):
                self._memory.unlink()


def _reserve(path: Path, size: int) -> None:
    """Takes the memory now: where there is none left, the first write to it would end the program."""
    if hasattr(os, "posix_fallocate") and path.exists():
        file = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(file, 0, size)
        finally:
            os.close(file)


def rows_that_fit(spec: Spec, most_bytes: int) -> int:
    """How many samples take no more than that; one at least."""
    row = sum(field.nbytes for field in spec.values() if not field.is_text)
    return max(1, most_bytes // max(row, 1))


def remove_leftovers() -> list[str]:
    """Removes the blocks of processes that are no more. Returns their names."""
    removed: list[str] = []
    for path in _FOLDER.glob(f"{_PREFIX}-*") if _FOLDER.is_dir() else ():
        parts = path.name.split("-")
        if len(parts) == 4 and all(part.isdigit() for part in parts[1:]):
            pid, start = int(parts[1]), int(parts[2])
            if _start_of(pid) != start:
                with contextlib.suppress(OSError):  # another process was quicker, or it is another user's
                    path.unlink()
                    removed.append(path.name)
    return removed


def _own_prefix() -> str:
    return f"{_PREFIX}-{os.getpid()}-{_start_of(os.getpid())}"


def _start_of(pid: int) -> int:
    """When a process was started, in ticks since the system was; 0 where it is no more, or there is no telling."""
    try:
        # The second field is a name in brackets, with whatever in it.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


class _Layout(NamedTuple):
    """Where each field begins, and the size of all."""

    places: dict[str, int]
    size: int


def _layout(spec: Spec, num_rows: int) -> _Layout:
    places: dict[str, int] = {}
    at = _ALIGNMENT
    for name, field in spec.items():
        if not field.is_text:
            places[name] = at
            at += -(-field.nbytes * num_rows // _ALIGNMENT) * _ALIGNMENT
    return _Layout(places, at)
