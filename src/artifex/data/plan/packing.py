"""Packing: which pieces of which documents stand in which row, so that rows of one length waste little.

Two ways, both a function of the lengths of the documents and a seed alone:

* best fit: documents stay whole. The longest comes first, each goes into the fullest row that still holds it
  ("best fit decreasing"; Johnson, "Near-optimal bin packing algorithms", 1973; for language models Ding et al.,
  "Fewer Truncations Improve Language Modeling", 2024).
* concatenation: documents one after another, cut at every row's end.
"""

from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from artifex.data.checks import LARGEST_INT32, check_bool, check_integer, check_size
from artifex.data.documents import Pieces
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.fingerprint import Fingerprint, digest
from artifex.data.plan.order import MAX_SEED, permute
from artifex.data.types import Indices

# What is shuffled by one seed: the epochs of `permute`, of which packing has no other use.
_DOCUMENTS, _ROWS, _WITHIN_ROWS = range(3)

_RADIX = 2**16  # NumPy sorts numbers below it in linear time


@dataclass(frozen=True, eq=False)
class Packing(ABC):
    """Rows of `row_length` tokens, made of pieces of documents. Small, immutable, picklable.

    Attributes:
        row_length: tokens in a row, padding included.
        seed: of the shuffle, or None without one.
        num_rows: how many rows there are.
        num_tokens: of all documents together; each stands in exactly one row.
        digest: of the lengths of the documents, by which a reader sees that they are its own.
    """

    row_length: int
    seed: int | None
    num_rows: int
    num_tokens: int
    digest: str

    method: ClassVar[str]

    @property
    def waste(self) -> float:
        """The share of padding in all rows, from 0 to 1."""
        return 1 - self.num_tokens / (self.num_rows * self.row_length)

    @abstractmethod
    def pieces(self, rows: Indices) -> Pieces:
        """The pieces of these rows (n,), in their order; row i begins at place i * row_length."""

    def fingerprint(self) -> Fingerprint:
        """What tells this packing from others: the same on every machine, ready for JSON."""
        return {
            "method": self.method,
            "row_length": self.row_length,
            "seed": self.seed,
            "num_rows": self.num_rows,
            "lengths": self.digest,
        }


@dataclass(frozen=True, eq=False)
class BestFitPacking(Packing):
    """Whole documents in rows.

    Attributes:
        edges: row i has the pieces edges[i] to edges[i + 1] - 1; int64 (num_rows + 1,).
        documents: of each piece; int32 or int64 (p,).
        starts: the piece's first token in its document; int32 (p,).
        lengths: tokens in the piece; int32 (p,).
    """

    edges: Indices
    documents: npt.NDArray[np.signedinteger[Any]]
    starts: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]

    method: ClassVar[str] = "best_fit"

    def pieces(self, rows: Indices) -> Pieces:
        first = self.edges[rows]
        counts = self.edges[rows + 1] - first
        before = np.cumsum(counts) - counts  # pieces in the rows before
        chosen = np.repeat(first - before, counts)
        chosen += np.arange(len(chosen))
        lengths = self.lengths[chosen].astype(np.int64)
        begins = np.cumsum(lengths) - lengths
        places = begins + np.repeat(_row_places(len(rows), self.row_length) - begins[before], counts)
        numbers = self.documents[chosen].astype(np.int64)
        return Pieces(numbers, self.starts[chosen].astype(np.int64), lengths, places)


@dataclass(frozen=True, eq=False)
class ConcatPacking(Packing):
    """Documents one after another, cut at every row's end: two numbers per document, none per row.

    Attributes:
        documents: in their order; int32 or int64 (d,). Empty ones are left out.
        ends: where each ends in the whole of them, in tokens; int64 (d,).
    """

    documents: npt.NDArray[np.signedinteger[Any]]
    ends: Indices

    method: ClassVar[str] = "concat"

    def pieces(self, rows: Indices) -> Pieces:
        begin = rows * self.row_length
        stop = np.minimum(begin + self.row_length, self.num_tokens)
        first = np.searchsorted(self.ends, begin, side="right")
        counts = np.searchsorted(self.ends, stop, side="left") - first + 1
        chosen = np.repeat(first - (np.cumsum(counts) - counts), counts)
        chosen += np.arange(len(chosen))
        ends, begin = self.ends[chosen], np.repeat(begin, counts)
        starts = np.where(chosen > 0, self.ends[chosen - 1], 0)
        lower = np.maximum(starts, begin)
        lengths = np.minimum(ends, np.repeat(stop, counts)) - lower
        places = lower - begin + np.repeat(_row_places(len(rows), self.row_length), counts)
        return Pieces(self.documents[chosen].astype(np.int64), lower - starts, lengths, places)


def pack_best_fit(
    lengths: npt.NDArray[np.integer[Any]], row_length: int, *, shuffle: bool = True, seed: int = 0
) -> BestFitPacking:
    """Whole documents into rows, with little padding: best fit decreasing.

    Only what is longer than a row is cut: into rows of its own, and a rest that is packed like a document. Which of
    the documents of one length goes where, the order within a row and that of the rows are shuffled by `seed`.
    Without `shuffle` they follow the corpus as far as they can: a row comes by its first document.

    Args:
        lengths: tokens in each document, integers >= 0 of shape (n,). Empty documents take no place.
        row_length: tokens in a row.
        shuffle: whether the seed is used.
        seed: from 0 to 2**64 - 1.

    Raises:
        ConfigError: a setting is out of range, or no document has a token.
        ShapeError: `lengths` is no array (n,) of integers.
    """
    sizes, row_length, used_seed = _checked(lengths, row_length, shuffle, seed)
    documents, starts, pieces = _cut(sizes, row_length)
    count, numbers = len(pieces), np.arange(len(pieces))
    row = _best_fit_rows(np.bincount(pieces, minlength=row_length + 1), row_length)
    num_rows = int(row.max()) + 1
    # The places come from the longest pieces to the shortest; those of one length are given out by chance.
    chance = numbers if used_seed is None else permute(numbers, count, used_seed, _DOCUMENTS)
    piece_at = chance[_stable_order(row_length - pieces[chance], row_length)]
    if used_seed is None:
        within = np.empty(count, np.int64)
        within[piece_at] = numbers
        firsts = np.full(num_rows, count)
        np.minimum.at(firsts, row, piece_at)
        rank = np.empty(num_rows, np.int64)
        rank[np.argsort(firsts)] = np.arange(num_rows)
    else:
        within = permute(numbers, count, used_seed, _WITHIN_ROWS)
        rank = permute(np.arange(num_rows), num_rows, used_seed, _ROWS)
    row = rank[row]
    chosen = piece_at[within[_stable_order(row[within], num_rows)]]
    edges = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=num_rows))])
    return BestFitPacking(
        row_length,
        used_seed,
        num_rows,
        int(sizes.sum()),
        lengths_digest(sizes),
        edges,
        documents[chosen],
        starts[chosen],
        pieces[chosen],
    )


def pack_concat(
    lengths: npt.NDArray[np.integer[Any]], row_length: int, *, shuffle: bool = True, seed: int = 0
) -> ConcatPacking:
    """Documents one after another, cut at every `row_length` tokens: only the last row has padding.

    The documents come in an order shuffled by `seed`, or without `shuffle` in that of the corpus. The row of a piece
    follows by a search in the cumulative lengths.

    Args:
        lengths: tokens in each document, integers >= 0 of shape (n,). Empty documents take no place.
        row_length: tokens in a row.
        shuffle: whether the seed is used.
        seed: from 0 to 2**64 - 1.

    Raises:
        ConfigError: a setting is out of range, or no document has a token.
        ShapeError: `lengths` is no array (n,) of integers.
    """
    sizes, row_length, used_seed = _checked(lengths, row_length, shuffle, seed)
    documents = np.flatnonzero(sizes)
    if used_seed is not None:
        documents = documents[permute(np.arange(len(documents)), len(documents), used_seed, _DOCUMENTS)]
    ends = np.cumsum(sizes[documents], dtype=np.int64)
    tokens = int(ends[-1])
    rows = -(-tokens // row_length)
    compact = documents.astype(_number_type(len(sizes)))
    return ConcatPacking(row_length, used_seed, rows, tokens, lengths_digest(sizes), compact, ends)


def lengths_digest(lengths: npt.NDArray[np.integer[Any]]) -> str:
    """What tells these lengths from others, 16 hexadecimal digits."""
    return digest([lengths.astype("<i4").tobytes()])


def checked_lengths(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """The lengths as int32 (n,).

    Raises:
        ShapeError: they are no array (n,) of integers.
        ConfigError: one is below 0 or above 2**31 - 1, or all are 0.
    """
    array = np.asarray(lengths)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ShapeError(
            f"`lengths` must be an array (n,) of integers, got {array.dtype}{list(array.shape)}; "
            f"e.g. `documents.lengths`"
        )
    if not array.any():
        raise ConfigError(f"`lengths` must have a document with a token, got {len(array)} without any")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > LARGEST_INT32:
        raise ConfigError(f"`lengths` must be from 0 to {LARGEST_INT32}, got {low if low < 0 else high}")
    return array.astype(np.int32, copy=False)


def _checked(
    lengths: npt.NDArray[np.integer[Any]], row_length: int, shuffle: bool, seed: int
) -> tuple[npt.NDArray[np.int32], int, int | None]:
    check_bool("shuffle", shuffle)
    seed = check_integer("seed", seed, 0, MAX_SEED)
    return checked_lengths(lengths), check_size("row_length", row_length), seed if shuffle else None


def _number_type(documents: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if documents <= LARGEST_INT32 else np.int64


def _row_places(rows: int, row_length: int) -> Indices:
    return np.arange(0, rows * row_length, row_length, dtype=np.int64)


def _cut(
    lengths: npt.NDArray[np.int32], row_length: int
) -> tuple[npt.NDArray[np.signedinteger[Any]], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(document, start, length) of each document's pieces of at most `row_length` tokens."""
    counts = -(-lengths.astype(np.int64) // row_length)
    documents = np.repeat(np.arange(len(lengths), dtype=_number_type(len(lengths))), counts)
    starts = np.arange(len(documents)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts *= row_length
    pieces = np.minimum(lengths[documents] - starts, row_length)
    return documents, starts.astype(np.int32), pieces.astype(np.int32)


def _best_fit_rows(counts: npt.NDArray[np.int64], row_length: int) -> Indices:
    """The row of each piece, from the longest pieces to the shortest, for `counts` pieces of each length.

    Rows with the same space left are alike, so pieces of one length go into all of them at a time: what is kept
    is ranges of rows by their space, and the spaces there are as the bits of one integer.
    """
    ranges: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    spaces, num_rows = 0, 0
    done: list[tuple[int, int, int]] = []  # first row, number of rows, pieces in each
    for length in np.flatnonzero(counts)[::-1].tolist():
        left = int(counts[length])
        while left:
            fitting = spaces >> length
            if fitting:
                space = length + (fitting & -fitting).bit_length() - 1
                first, stop = ranges[space].pop()
            else:
                space, first = row_length, num_rows
                stop = num_rows = first + max(left // (row_length // length), 1)
            each = min(space // length, left)
            rows = min(stop - first, left // each)
            if fitting and first + rows < stop:
                ranges[space].append((first + rows, stop))
            elif fitting and not ranges[space]:
                spaces ^= 1 << space
            done.append((first, rows, each))
            left -= rows * each
            if rest := space - each * length:
                ranges[rest].append((first, first + rows))
                spaces |= 1 << rest
    first_rows, rows_of, each_of = np.array(done, np.int64).T
    pieces = rows_of * each_of
    place = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.repeat(first_rows, pieces) + place // np.repeat(each_of, pieces)


def _stable_order(keys: npt.NDArray[np.integer[Any]], most: int) -> Indices:
    """The order that sorts keys from 0 to `most`, equal ones as they come."""
    return np.argsort(keys.astype(np.uint16) if most < _RADIX else keys, kind="stable")
