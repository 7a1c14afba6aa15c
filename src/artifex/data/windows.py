"""Sliding windows over documents that are longer than what a model takes."""

import numpy as np

from artifex.data.checks import LARGEST_INT32, check_integer, check_size
from artifex.data.documents import Documents, Pieces, lie_in_memory
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint, stamp_of
from artifex.data.packed import write_pieces
from artifex.data.plan.packing import checked_lengths
from artifex.data.randomness import RecordRandom
from artifex.data.types import Arrays, ArraySpec, Indices, Spec


class WindowReader:
    """A `Reader` whose records are windows: window k of a document has its tokens from k * stride on.

    A document's last window is the first one that reaches its end. A shorter document is one window, and an empty one
    none. The fields, all int32:

    * `text_tokens` (length,): the ids, then `pad_id`.
    * `length` (): how many of them are tokens, from 1 to `length`.
    * `document` (): the document's number.
    * `start` (): the window's first token in its document.

    It keeps one number per document; the one of a window follows by a search.

    Args:
        documents: what the windows are of.
        length: tokens in a window.
        stride: from one window to the next, from 1 to `length`: no token is left out.
        pad_id: what fills a window up, from 0 to 2**31 - 1.

    Raises:
        ConfigError: a setting is out of range, or no document has a token.
    """

    is_random = False

    def __init__(self, documents: Documents, length: int, stride: int, pad_id: int = 0) -> None:
        self._length, self._documents = check_size("length", length), documents
        self._stride = check_size("stride", stride, largest=self._length)
        self._pad_id = check_integer("pad_id", pad_id, 0, LARGEST_INT32)
        if len(documents) > LARGEST_INT32:
            raise ConfigError(
                f"`documents` must be at most {LARGEST_INT32} for an int32 number, got {len(documents)}"
            )
        lengths = checked_lengths(documents.lengths).astype(np.int64)
        more = -(-np.maximum(lengths - self._length, 0) // self._stride)
        self._ends = np.cumsum(np.where(lengths > 0, 1 + more, 0))

    @property
    def in_memory(self) -> bool:
        return lie_in_memory(self._documents)

    @property
    def spec(self) -> Spec:
        scalar = ArraySpec((), np.dtype(np.int32))
        tokens = ArraySpec((self._length,), np.dtype(np.int32))
        return {"text_tokens": tokens, **dict.fromkeys(("length", "document", "start"), scalar)}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        numbers = np.searchsorted(self._ends, indices, side="right")
        first = np.where(numbers > 0, self._ends[numbers - 1], 0)
        starts = (indices - first) * self._stride
        lengths = np.minimum(self._documents.lengths[numbers] - starts, self._length)
        places = np.arange(len(indices), dtype=np.int64) * self._length
        write_pieces(
            self._documents, Pieces(numbers, starts, lengths, places), self._pad_id, out["text_tokens"]
        )
        out["length"][...], out["document"][...], out["start"][...] = lengths, numbers, starts

    def fingerprint(self) -> Fingerprint:
        settings = {"length": self._length, "stride": self._stride, "pad_id": self._pad_id}
        return {"kind": "windows", **settings, "documents": self._documents.fingerprint()}

    def stamp(self) -> str:
        return stamp_of(self._documents)
