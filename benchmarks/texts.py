"""What becomes of documents: their ids, and rows of these, padded or packed.

A sequence is BOS, the ids of a document, EOS. What a peer is given runs in its processes as well: it is picklable,
and loads where it is used first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<bos>", "<eos>")

# How `tokenizers` cuts a text into words for a byte-level BPE, which is how GPT-2 does it.
_WORDS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Texts:
    """The texts of a Parquet file, in Arrow's memory: a Python string is made of those that are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._column: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_column": None}

    @property
    def column(self) -> Any:
        """An Arrow array of strings."""
        if self._column is None:
            import pyarrow.parquet as parquet

            self._column = parquet.read_table(self.path).column("text").combine_chunks()
        return self._column

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, row: int) -> str:
        return self.column[int(row)].as_py()

    def many(self, rows: np.ndarray | Sequence[int]) -> list[str]:
        import pyarrow as pa

        return self.column.take(pa.array(rows)).to_pylist()


class Encode:
    """Texts to ids by `tokenizers`, which has threads of its own for several texts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_tokenizer": None}

    def __call__(self, texts: list[str]) -> list[list[int]]:
        if self._tokenizer is None:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(self.path))
        return [e.ids for e in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


class EncodeByTiktoken:
    """The same ids by `tiktoken`, from the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._encode: Callable[[str], list[int]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_encode": None}

    def __call__(self, texts: list[str]) -> list[list[int]]:
        if self._encode is None:
            self._encode = self._load()
        return [self._encode(text) for text in texts]

    def _load(self) -> Any:
        import json

        import tiktoken

        vocabulary = json.loads(self.path.read_text())["model"]["vocab"]
        byte_of = _bytes_of_characters()
        ranks = {
            bytes(byte_of[character] for character in token): number
            for token, number in vocabulary.items()
            if token not in SPECIAL
        }
        encoding = tiktoken.Encoding("bench", pat_str=_WORDS, mergeable_ranks=ranks, special_tokens={})
        return encoding.encode_ordinary  # the others look for special tokens, which takes as long again


def _bytes_of_characters() -> dict[str, int]:
    """The characters that byte-level tokenizers write bytes with: printable as they are, others from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def padded(ids: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """int32 (n, length); documents that are too long are cut, EOS stays."""
    rows = np.zeros((len(ids), length), np.int32)
    for row, one in zip(rows, ids, strict=True):
        size = min(len(one), length - 2)
        row[0] = BOS
        row[1 : size + 1] = one[:size]
        row[size + 1] = EOS
    return rows


def sequence(ids: Sequence[int]) -> np.ndarray:
    """int32 (n + 2,): BOS, ids, EOS."""
    out = np.empty(len(ids) + 2, np.int32)
    out[0], out[1:-1], out[-1] = BOS, ids, EOS
    return out


def packed(documents: Iterable[Sequence[int]], batch_size: int, length: int) -> Iterator[np.ndarray]:
    """int32 (batch_size, length): one document after the other, cut where a row ends."""
    pieces, size, full = [], 0, batch_size * length
    for ids in documents:
        pieces.append(sequence(ids))
        size += len(ids) + 2
        if size >= full:
            stream = np.concatenate(pieces)
            yield stream[:full].reshape(batch_size, length)
            pieces, size = [stream[full:]], size - full


def sliced(work: Any, rows: np.ndarray) -> np.ndarray:
    """The documents of these rows from the tokens of all, `data.Tokens`, padded: int32 (n, length)."""
    batch = np.zeros((len(rows), work.length), np.int32)
    begins, ends = work.offsets[rows].tolist(), work.offsets[rows + 1].tolist()
    for row, begin, end in zip(batch, begins, ends, strict=True):
        size = end - begin
        if size > work.length:
            row[:] = work.ids[begin : begin + work.length]
            row[-1] = EOS
        else:
            row[:size] = work.ids[begin:end]
    return batch


def table(work: Any) -> np.ndarray:
    """The tokens of all documents in their order, cut into rows: uint16 (m, length), memory-mapped."""
    count = len(work.ids) // work.length
    return work.ids[: count * work.length].reshape(count, work.length)


def segments(work: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of that table: the number of the document within its row, from 1, and of the token within that document's part
    of the row, from 0; uint16 (m, length) each."""
    rows = table(work)
    lengths = np.diff(work.offsets)
    documents = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[: rows.size].reshape(rows.shape)
    begins = np.repeat(work.offsets[:-1], lengths)[: rows.size].reshape(rows.shape)
    first = np.arange(0, rows.size, rows.shape[1])[:, None]
    columns = np.arange(rows.shape[1])
    positions = columns - np.maximum(begins - first, 0)
    return (documents - documents[:, :1] + 1).astype(np.uint16), positions.astype(np.uint16)


def best_fit(lengths: np.ndarray, row_length: int) -> np.ndarray:
    """The row of each document, int32 (n,), longest first into the fullest row that holds it; none is longer."""
    rows_with: list[list[int]] = [[] for _ in range(row_length + 1)]  # by the room that they have left
    rooms, num_rows = 0, 0  # bit r: there is a row with room for r
    row_of = np.empty(len(lengths), np.int32)
    order = np.argsort(-lengths, kind="stable")
    rows = []
    for length in lengths[order].tolist():
        if fitting := rooms >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            row = rows_with[room].pop()
            if not rows_with[room]:
                rooms &= ~(1 << room)
        else:
            room, row = row_length, num_rows
            num_rows += 1
        rows.append(row)
        left = room - length
        rows_with[left].append(row)
        rooms |= 1 << left
    row_of[order] = rows
    return row_of
