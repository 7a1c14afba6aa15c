"""Records kept in arrays of this process."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError
from artifex.data.types import Arrays, Indices, Spec

_TEXT_BYTES = 128
"""What a string counts as, whatever its length."""


class MemoryStore:
    """The first records of a dataset, as many as fit in `limit` bytes.

    *Which* records are kept is settled by their numbers and not by who comes first: no table of places is
    needed, and in a whole epoch, in any order, just as many are found.

    Raises:
        ConfigError: not one record fits, or there is not that much memory.
    """

    def __init__(self, spec: Spec, num_records: int, limit: int) -> None:
        self._num_records = num_records
        self._made_of = (spec, num_records, limit)
        self._capacity = capacity(num_records, bytes_of_record(spec), limit)
        try:
            # The system gives the pages when they are first written.
            self._arrays: Mapping[str, npt.NDArray[Any]] = {
                name: np.empty((self._capacity, *field.shape), field.dtype) for name, field in spec.items()
            }
        except MemoryError:
            raise ConfigError(
                f"`cache_bytes` {limit} is more memory than there is; make it smaller"
            ) from None
        self._is_there = np.zeros(self._capacity, bool)

    def opener(self) -> "Callable[[], MemoryStore]":
        """Makes an empty one, in whatever process."""
        return partial(MemoryStore, *self._made_of)

    @property
    def is_complete(self) -> bool:
        """Whether every record is there."""
        return self._capacity == self._num_records and bool(self._is_there.all())

    def read_into(self, indices: Indices, out: Arrays) -> Indices:
        """Writes the records that are there into their rows of `out`; returns the rows of the others."""
        there = present(self._is_there, indices)
        gather(self._arrays, indices, there, out)
        return np.flatnonzero(~there)

    def write(self, indices: Indices, arrays: Arrays) -> None:
        """Keeps these records, of which `arrays` has a row each."""
        rows = np.flatnonzero(indices < self._capacity)
        numbers = indices[rows]
        for name, kept in self._arrays.items():
            kept[numbers] = arrays[name][rows]
        # Last: another thread may be looking.
        self._is_there[numbers] = True


def capacity(num_records: int, row_bytes: int, limit: int) -> int:
    """How many records fit.

    Raises:
        ConfigError: not one does.
    """
    if limit < row_bytes:
        raise ConfigError(f"`cache_bytes` {limit} is less than one record, which has {row_bytes} bytes")
    return min(num_records, limit // row_bytes) if row_bytes else num_records


def present(is_there: npt.NDArray[np.bool_], indices: Indices) -> npt.NDArray[np.bool_]:
    """For each number whether its record is there; numbers beyond the end are not."""
    return np.take(is_there, indices, mode="clip") & (indices < len(is_there))


def gather(kept: Arrays, indices: Indices, wanted: npt.NDArray[np.bool_], out: Arrays) -> None:
    """Copies the records `indices` into `out`, those rows of it that are wanted."""
    if wanted.all():
        for name, array in kept.items():
            # "clip" spares NumPy a buffered copy.
            np.take(array, indices, axis=0, out=out[name], mode="clip")
    elif wanted.any():
        for name, array in kept.items():
            out[name][wanted] = array[indices[wanted]]


def bytes_of_record(spec: Spec) -> int:
    """What one record counts as."""
    return sum(_TEXT_BYTES if field.is_text else field.nbytes for field in spec.values())
