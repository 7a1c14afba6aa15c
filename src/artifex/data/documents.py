"""Documents as token ids: what packing, windows and buckets of lengths are made from."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.fingerprint import Fingerprint
from artifex.data.types import Indices


class Pieces(NamedTuple):
    """Stretches of documents, and where they go: int64 (p,) each.

    Attributes:
        numbers: of the documents.
        starts: the first token of each piece in its document.
        lengths: tokens in each piece, > 0.
        places: where each piece begins in what is written.
    """

    numbers: Indices
    starts: Indices
    lengths: Indices
    places: Indices


@runtime_checkable
class Documents(Protocol):
    """Documents as token ids, by number, BOS and EOS included. Thread-safe, picklable, no JAX."""

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Tokens in each document, int32 (n,)."""
        ...

    def __len__(self) -> int: ...

    def read_pieces(self, pieces: Pieces, out: npt.NDArray[np.int32]) -> None:
        """Writes the tokens of each piece into `out`, int32 (m,), from its place on; the rest of `out` stays."""
        ...

    def fingerprint(self) -> Fingerprint:
        """What tells these documents' ids from others: the same on every machine, small, ready for JSON."""
        ...


@runtime_checkable
class Joined(Protocol):
    """Documents that lie one after another, without a gap."""

    def rows(self, length: int) -> npt.NDArray[np.integer[Any]]:
        """The tokens of all documents, cut into rows (n, length), which is no copy; what is over is left out."""
        ...


@runtime_checkable
class Placed(Protocol):
    """Documents that know where they lie."""

    @property
    def in_memory(self) -> bool:
        """Whether reading is a mere gather, for which threads would cost more than they bring."""
        ...


def lie_in_memory(documents: Documents) -> bool:
    """Whether reading these documents is a mere gather; not unless they say so."""
    return documents.in_memory if isinstance(documents, Placed) else False
