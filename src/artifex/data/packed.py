"""Packed rows: several documents in a row of fixed length, with what an attention mask is made from."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.checks import LARGEST_INT32, check_bool, check_integer
from artifex.data.documents import Documents, Joined, Pieces, lie_in_memory
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint, stamp_of
from artifex.data.plan.packing import ConcatPacking, Packing, lengths_digest
from artifex.data.randomness import RecordRandom
from artifex.data.types import Arrays, ArraySpec, Indices, Spec


@dataclass(frozen=True, eq=False)
class PackedReader:
    """A `Reader` whose records are the rows of a packing.

    The fields are int32 (row_length,):

    * `text_tokens`: the ids of the row's pieces one after another, then `pad_id`.
    * `segment_ids`: 1 in the first piece of the row, 2 in the second and so on, 0 in the padding.
    * `positions`: from 0 in each piece, 0 in the padding. A document that goes on in another row begins there at 0
      again: nothing before it is in the row.

    Args:
        documents: whose lengths the packing was made from.
        packing: which piece stands where.
        pad_id: what fills the rows up, from 0 to 2**31 - 1.
        with_segments: whether there are `segment_ids` and `positions`, or `text_tokens` alone.

    Raises:
        ConfigError: the packing was made from other lengths, or `pad_id` is out of range.
    """

    documents: Documents
    packing: Packing
    pad_id: int = 0
    with_segments: bool = True
    # The documents, if a row is a stretch of them as they lie, and nothing else is asked for.
    _in_order: Joined | None = field(init=False, default=None, repr=False)

    is_random = False

    def __post_init__(self) -> None:
        check_integer("pad_id", self.pad_id, 0, LARGEST_INT32)
        check_bool("with_segments", self.with_segments)
        if lengths_digest(self.documents.lengths) != self.packing.digest:
            raise ConfigError(
                "`packing` was made from other lengths than those of `documents`; make it from `documents.lengths`"
            )
        in_order = isinstance(self.packing, ConcatPacking) and self.packing.seed is None
        joined = self.documents if in_order and isinstance(self.documents, Joined) else None
        object.__setattr__(self, "_in_order", None if self.with_segments else joined)

    @property
    def in_memory(self) -> bool:
        return lie_in_memory(self.documents)

    @property
    def spec(self) -> Spec:
        names = ("text_tokens", "segment_ids", "positions") if self.with_segments else ("text_tokens",)
        return dict.fromkeys(names, ArraySpec((self.packing.row_length,), np.dtype(np.int32)))

    def __len__(self) -> int:
        return self.packing.num_rows

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        length = self.packing.row_length
        if self._in_order is not None:
            with suppress(IndexError):  # of the last row, if it is not whole
                out["text_tokens"][...] = self._in_order.rows(length)[indices]
                return
        pieces = self.packing.pieces(indices)
        write_pieces(self.documents, pieces, self.pad_id, out["text_tokens"])
        if self.with_segments:
            _write_segments(pieces, out["segment_ids"], out["positions"])

    def fingerprint(self) -> Fingerprint:
        return {
            "kind": "packed",
            "pad_id": self.pad_id,
            "segments": self.with_segments,
            "packing": self.packing.fingerprint(),
            "documents": self.documents.fingerprint(),
        }

    def stamp(self) -> str:
        return stamp_of(self.documents)


def write_pieces(documents: Documents, pieces: Pieces, pad_id: int, out: npt.NDArray[Any]) -> None:
    """Writes pieces into rows `out`, int32 (n, length), and `pad_id` where there are none."""
    flat = out.reshape(-1)  # a view, if it can be one
    if int(pieces.lengths.sum()) < flat.size:
        flat.fill(pad_id)
    documents.read_pieces(pieces, flat)
    if not out.flags.c_contiguous:
        out[...] = flat.reshape(out.shape)


def _write_segments(
    pieces: Pieces, segment_ids: npt.NDArray[np.int32], positions: npt.NDArray[np.int32]
) -> None:
    rows, row_length = segment_ids.shape
    place = pieces.places % row_length
    # A piece and the padding after it, if there is any, are two stretches; those of length 0 do nothing.
    ends = np.append(pieces.places[1:], rows * row_length)
    spans = np.empty((len(place), 2), np.int64)
    spans[:, 0], spans[:, 1] = pieces.lengths, ends - pieces.places - pieces.lengths
    number = np.arange(len(place))
    segments = np.zeros(spans.shape, np.int32)
    segments[:, 0] = number - np.maximum.accumulate(np.where(place == 0, number, 0)) + 1
    spans = spans.reshape(-1)
    segment_ids[...] = np.repeat(segments.reshape(-1), spans).reshape(segment_ids.shape)
    begins = np.zeros(segments.shape, np.int32)
    begins[:, 0] = place
    columns = np.arange(row_length, dtype=np.int32)
    np.subtract(columns, np.repeat(begins.reshape(-1), spans).reshape(positions.shape), out=positions)
    if spans[1::2].any():
        positions *= segment_ids > 0
