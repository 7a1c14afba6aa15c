"""One document per row, filled up or cut to a length: one for all, or the least of a few that holds it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketReader
from artifex.data.checks import LARGEST_INT32, check_integer, check_size
from artifex.data.documents import Documents, Pieces, lie_in_memory
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint, stamp_of
from artifex.data.packed import write_pieces
from artifex.data.plan.packing import checked_lengths
from artifex.data.randomness import RecordRandom
from artifex.data.types import Arrays, ArraySpec, Indices, Spec


@dataclass(frozen=True, eq=False)
class PaddedReader:
    """A `Reader` whose records are the documents, each in a row of `length`.

    A longer document is cut. If it ends with `eos_id`, so does what is left of it: its last token makes room.
    The fields, all int32:

    * `text_tokens` (length,): the ids, then `pad_id`.
    * `length` (): how many of them are tokens, from 0 to `length`.

    Args:
        documents: one per record.
        length: of every row.
        pad_id: what fills a row up, from 0 to 2**31 - 1.
        eos_id: the token at the end of a document, or None if a cut is just a cut.

    Raises:
        ConfigError: a setting is out of range.
    """

    documents: Documents
    length: int
    pad_id: int = 0
    eos_id: int | None = None

    is_random = False

    def __post_init__(self) -> None:
        check_size("length", self.length)
        check_integer("pad_id", self.pad_id, 0, LARGEST_INT32)
        if self.eos_id is not None:
            check_integer("eos_id", self.eos_id, 0, LARGEST_INT32)

    @property
    def in_memory(self) -> bool:
        return lie_in_memory(self.documents)

    @property
    def spec(self) -> Spec:
        int32 = np.dtype(np.int32)
        return {"text_tokens": ArraySpec((self.length,), int32), "length": ArraySpec((), int32)}

    def __len__(self) -> int:
        return len(self.documents)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        whole = self.documents.lengths[indices]
        lengths = np.minimum(whole, self.length)
        rows = np.flatnonzero(lengths)  # a piece has at least one token
        pieces = Pieces(
            indices[rows], np.zeros(len(rows), np.int64), lengths[rows].astype(np.int64), rows * self.length
        )
        write_pieces(self.documents, pieces, self.pad_id, out["text_tokens"])
        out["length"][...] = lengths
        cut = np.flatnonzero(whole > self.length)
        if self.eos_id is not None and len(cut):
            ended = self._last_tokens(indices[cut], whole[cut]) == self.eos_id
            out["text_tokens"][cut[ended], -1] = self.eos_id

    def fingerprint(self) -> Fingerprint:
        settings = {"length": self.length, "pad_id": self.pad_id, "eos_id": self.eos_id}
        return {"kind": "padded", **settings, "documents": self.documents.fingerprint()}

    def stamp(self) -> str:
        return stamp_of(self.documents)

    def _last_tokens(self, numbers: Indices, lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        last = np.empty(len(numbers), np.int32)
        ones, places = np.ones(len(numbers), np.int64), np.arange(len(numbers), dtype=np.int64)
        self.documents.read_pieces(Pieces(numbers, lengths.astype(np.int64) - 1, ones, places), last)
        return last


def length_buckets(
    documents: Documents, edges: Sequence[int], pad_id: int = 0, eos_id: int | None = None
) -> BucketReader:
    """Each document in the least of the lengths `edges` that holds it; each batch has rows of one length.

    What is longer than the last is cut to that. The fields are those of `PaddedReader`.

    Args:
        documents: one per record.
        edges: lengths of rows, each greater than the one before; see `bucket_edges`.
        pad_id: what fills a row up, from 0 to 2**31 - 1.
        eos_id: the token at the end of a document, or None if a cut is just a cut.

    Raises:
        ConfigError: a setting is out of range, or the edges do not rise, or there are no documents.
    """
    return _in_edges(documents, edges, pad_id, eos_id, mixed=False)


def padded_to_longest(
    documents: Documents, edges: Sequence[int], pad_id: int = 0, eos_id: int | None = None
) -> BucketReader:
    """Each batch, of any documents, in the least of the lengths `edges` that holds its longest one.

    What is longer than the last is cut to that. The fields are those of `PaddedReader`. The documents of a batch are
    those that it has where all are padded to one length: the edges decide how much of the padding comes with them,
    and how many shapes there are.

    Args:
        documents: one per record.
        edges: lengths of rows, each greater than the one before; see `bucket_edges`.
        pad_id: what fills a row up, from 0 to 2**31 - 1.
        eos_id: the token at the end of a document, or None if a cut is just a cut.

    Raises:
        ConfigError: a setting is out of range, or the edges do not rise, or there are no documents.
    """
    return _in_edges(documents, edges, pad_id, eos_id, mixed=True)


def _in_edges(
    documents: Documents, edges: Sequence[int], pad_id: int, eos_id: int | None, *, mixed: bool
) -> BucketReader:
    if not len(edges) or any(after <= before for before, after in pairwise(edges)):
        raise ConfigError(f"`edges` must be lengths that rise, e.g. (64, 128, 512), got {tuple(edges)}")
    if not len(documents):
        raise ConfigError("`documents` must be at least one, got none")
    bucket = np.searchsorted(np.asarray(edges), documents.lengths, side="left")
    readers = [PaddedReader(documents, edge, pad_id, eos_id) for edge in edges]
    return BucketReader(readers, np.minimum(bucket, len(edges) - 1).astype(np.int32), mixed=mixed)


def bucket_edges(
    lengths: npt.NDArray[np.integer[Any]], count: int, *, multiple: int = 8, longest: int | None = None
) -> tuple[int, ...]:
    """The row lengths, at most `count`, with which `length_buckets` pads least.

    Exact, by dynamic programming over the different lengths m: O(count * m * log m).

    Args:
        lengths: tokens in each document, integers >= 0 of shape (n,).
        count: the most lengths there may be; each is one more shape to compile for.
        multiple: what each length is a multiple of.
        longest: the greatest length, to which longer documents are cut; rounded up to a `multiple`. None: that of
            the longest document.

    Raises:
        ConfigError: a setting is out of range, or no document has a token.
        ShapeError: `lengths` is no array (n,) of integers.
    """
    count, multiple = check_size("count", count), check_size("multiple", multiple)
    sizes = checked_lengths(lengths).astype(np.int64)
    if longest is not None:
        sizes = np.minimum(sizes, check_size("longest", longest))
    edges, numbers = np.unique(-(-np.maximum(sizes, 1) // multiple) * multiple, return_counts=True)
    before = np.concatenate([[0], np.cumsum(numbers)])  # documents in the shorter lengths
    # cost[j]: tokens of the rows of the first j lengths, in as many buckets as there are rounds. The last bucket
    # begins after some i: cost[i] + edges[j - 1] * (documents between).
    cost = np.concatenate([[0], edges * before[1:]])
    chosen: list[Indices] = []
    for _ in range(1, min(count, len(edges))):
        cost, begin = _one_more(cost, edges, before)
        chosen.append(begin)
    last = len(edges)
    found = [int(edges[last - 1])]
    for begin in reversed(chosen):
        last = int(begin[last])
        if last == 0:
            break
        found.append(int(edges[last - 1]))
    return tuple(reversed(found))


def _one_more(cost: Indices, edges: Indices, before: Indices) -> tuple[Indices, Indices]:
    """The least cost with one bucket more, and where the last bucket begins, for each number of lengths.

    Where it begins does not fall as the lengths grow (the costs satisfy the quadrangle inequality; Yao, 1980), so
    halving all intervals at a time leaves about 2 m candidates per round: each middle's lie between the results of
    its neighbours.
    """
    size = len(cost)
    best, begin = np.zeros(size, np.int64), np.zeros(size, np.int64)
    step = 1 << (size - 1).bit_length()
    begin_of = np.zeros(2 * step + 1, np.int64)
    begin_of[size:] = size - 1  # beyond the end: no bound
    while step:
        middle = np.arange(step, size, 2 * step)
        low, high = begin_of[middle - step], np.minimum(begin_of[middle + step], middle - 1)
        counts = high - low + 1
        edge_of, first = np.repeat(middle, counts), np.cumsum(counts) - counts
        start = np.arange(len(edge_of)) - np.repeat(first - low, counts)
        tokens = cost[start] + edges[edge_of - 1] * (before[edge_of] - before[start])
        if len(middle):
            least = np.minimum.reduceat(tokens, first)
            at = np.flatnonzero(tokens == np.repeat(least, counts))
            at = at[np.searchsorted(at, first)]  # of equal ones the first
            best[middle], begin[middle], begin_of[middle] = least, start[at], start[at]
        step //= 2
    return best, begin
