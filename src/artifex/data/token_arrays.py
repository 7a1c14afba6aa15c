"""Documents in memory: one flat array of token ids, and where each document begins in it."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from artifex.data.checks import LARGEST_INT32
from artifex.data.documents import Pieces
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.fingerprint import Fingerprint, digest, of_arrays, stamp_of_arrays
from artifex.data.types import Indices

_DTYPES = ("uint8", "int16", "uint16", "int32")


class TokenArrays:
    """`Documents` as slices of one flat array, which may be memory-mapped.

    Of a file that is mapped as a whole, pickling keeps the name alone.

    Args:
        tokens: the ids of all documents, uint8, int16, uint16 or int32 (m,), contiguous, none below 0.
        offsets: document i is tokens[offsets[i]:offsets[i + 1]]; integers (n + 1,) from 0 to m, none below the
            one before.
        identity: what tells these documents from others, for the fingerprint; without it a sample of the tokens.

    Raises:
        ShapeError: an array is of another shape or dtype.
        ConfigError: the offsets fall or leave the tokens, or a document has more than 2**31 - 1 tokens.
    """

    in_memory = True

    def __init__(
        self,
        tokens: npt.NDArray[np.integer[Any]],
        offsets: npt.NDArray[np.integer[Any]],
        identity: Fingerprint | None = None,
    ) -> None:
        if tokens.ndim != 1 or tokens.dtype.name not in _DTYPES or not tokens.flags.c_contiguous:
            raise ShapeError(
                f"`tokens` must be a contiguous array (m,) of {', '.join(_DTYPES)}, got "
                f"{tokens.dtype}{list(tokens.shape)}; see `np.ascontiguousarray` and `astype(np.int32)`"
            )
        self._files = (_file_of(tokens), _file_of(offsets))
        self.tokens, self.offsets = np.asarray(tokens), _checked_offsets(offsets, len(tokens))
        self._lengths = np.diff(self.offsets).astype(np.int32)
        self._first, self._num_tokens = int(self.offsets[0]), int(self.offsets[-1] - self.offsets[0])
        self._identity = identity

    def __getstate__(self) -> dict[str, Any]:
        arrays = (self.tokens, self.offsets)
        kept = [file or array for file, array in zip(self._files, arrays, strict=True)]
        return {"arrays": kept, "identity": self._identity}

    def __setstate__(self, state: dict[str, Any]) -> None:
        tokens, offsets = (
            kept.opened() if isinstance(kept, _MappedFile) else kept for kept in state["arrays"]
        )
        self.__init__(tokens, offsets, state["identity"])

    @classmethod
    def from_documents(cls, documents: Sequence[npt.ArrayLike], identity: Fingerprint | None = None) -> Self:
        """Joins the ids of each document; as uint16 where all fit.

        Raises:
            ConfigError: there are no documents, or none has a token, or an id is below 0 or above 2**31 - 1.
            ShapeError: a document is no list or array (n,) of integers.
        """
        arrays = [np.asarray(document) for document in documents]
        for number, array in enumerate(arrays):
            if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
                raise ShapeError(
                    f"document {number} of `documents` must be a list or array (n,) of integers, got "
                    f"{array.dtype}{list(array.shape)}"
                )
        full = [array for array in arrays if array.size]
        if not full:
            raise ConfigError(f"`documents` must have a token, got {len(arrays)} documents without any")
        low, high = min(int(array.min()) for array in full), max(int(array.max()) for array in full)
        if low < 0 or high > LARGEST_INT32:
            raise ConfigError(
                f"ids in `documents` must be from 0 to {LARGEST_INT32}, got {low if low < 0 else high}"
            )
        dtype = np.uint16 if high < 2**16 else np.int32
        tokens = np.concatenate(full, dtype=dtype, casting="unsafe")
        return cls(tokens, np.cumsum([0, *(array.size for array in arrays)]), identity)

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        return self._lengths

    def __len__(self) -> int:
        return len(self._lengths)

    def read_pieces(self, pieces: Pieces, out: npt.NDArray[np.int32]) -> None:
        begins = self.offsets[pieces.numbers] + pieces.starts
        gaps = np.empty(len(begins) + 1, np.int64)  # before each piece, and after the last
        gaps[:-1], gaps[-1] = pieces.places, len(out)
        gaps[1:] -= pieces.places + pieces.lengths
        if not gaps.any():
            out[...] = self._joined(begins, pieces.lengths)
        elif gaps.min() < 0:  # pieces in another order than that of their places
            stretches = zip(begins.tolist(), pieces.places.tolist(), pieces.lengths.tolist(), strict=True)
            for begin, place, length in stretches:
                out[place : place + length] = self.tokens[begin : begin + length]
        else:
            spans = np.empty(2 * len(begins) + 1, np.int64)
            spans[::2], spans[1::2] = gaps, pieces.lengths
            written = np.repeat(np.arange(len(spans)) % 2 == 1, spans)
            out[written] = self._joined(begins, pieces.lengths)

    def rows(self, length: int) -> npt.NDArray[np.integer[Any]]:
        first, count = self._first, self._num_tokens // length
        return self.tokens[first : first + count * length].reshape(count, length)

    def _joined(self, begins: Indices, lengths: Indices) -> npt.NDArray[np.integer[Any]]:
        # Joining slices of the bytes takes half the time of an array of indices, or of one copy per piece.
        data, width = self.tokens.view(np.uint8).data, self.tokens.itemsize
        ends = ((begins + lengths) * width).tolist()
        parts = [data[begin:end] for begin, end in zip((begins * width).tolist(), ends, strict=True)]
        return np.frombuffer(b"".join(parts), self.tokens.dtype)

    def fingerprint(self) -> Fingerprint:
        own = of_arrays({"tokens": self.tokens}) if self._identity is None else self._identity
        lengths = digest([self._lengths.astype("<i4").tobytes()])
        return {**own, "kind": "token_arrays", "documents": len(self), "lengths": lengths}

    def stamp(self) -> str:
        return stamp_of_arrays({"tokens": self.tokens, "offsets": self.offsets})


class _MappedFile(NamedTuple):
    """A file that is mapped as a whole."""

    path: str
    dtype: str
    size: int

    def opened(self) -> npt.NDArray[np.integer[Any]]:
        return np.memmap(self.path, np.dtype(self.dtype), "r", shape=(self.size,))


def _file_of(array: npt.NDArray[Any]) -> _MappedFile | None:
    if not isinstance(array, np.memmap) or array.filename is None or array.offset or array.mode != "r":
        return None
    path = os.path.abspath(array.filename)
    # A slice of a mapped array is one as well.
    whole = array.ndim == 1 and array.nbytes == os.path.getsize(path)
    return _MappedFile(path, array.dtype.str, len(array)) if whole else None


def _checked_offsets(offsets: npt.NDArray[np.integer[Any]], tokens: int) -> Indices:
    array = np.asarray(offsets)
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) < 2:
        raise ShapeError(
            f"`offsets` must be an array (n + 1,) of integers for n > 0 documents, got "
            f"{array.dtype}{list(array.shape)}"
        )
    array = array.astype(np.int64, copy=False)
    lengths = np.diff(array)
    if array[0] < 0 or array[-1] > tokens or lengths.min() < 0:
        raise ConfigError(
            f"`offsets` must rise from 0 or more to {tokens} (the tokens) or less, got {array[0]} to {array[-1]}"
            f"{', with falls between' if lengths.min() < 0 else ''}"
        )
    if lengths.max() > LARGEST_INT32:
        raise ConfigError(
            f"a document in `offsets` has {lengths.max()} tokens, and at most {LARGEST_INT32} go"
        )
    return array
