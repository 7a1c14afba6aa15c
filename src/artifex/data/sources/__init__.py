"""Containers: where records come from. One file per kind."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from artifex.data.types import Indices, Record


@runtime_checkable
class Source(Protocol):
    """Random access to raw records.

    Implementations are deterministic, thread-safe and picklable, and need no base class: anything with
    these two methods is a source (a list of dicts is one). They are the methods of grain's random-access
    sources, so each side's sources work in the other.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Record: ...


@runtime_checkable
class BatchSource(Source, Protocol):
    """A source that can read many records faster together than one by one."""

    def read_many(self, indices: Indices, /) -> Sequence[Record]:
        """The records with these numbers, in this order; the same as `[self[i] for i in indices]`."""
        ...
