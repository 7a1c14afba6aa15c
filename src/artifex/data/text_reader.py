"""Texts as token sequences of one length."""

from collections.abc import Sequence
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from artifex.data.clock import DECODE, READ, current_clock
from artifex.data.errors import ArtifexError, DecodeError
from artifex.data.fingerprint import Fingerprint, digest, stamp_of
from artifex.data.randomness import RecordRandom
from artifex.data.reader import records_of, unchanged
from artifex.data.sequences import Frame
from artifex.data.sources import Source
from artifex.data.tokenizers import Ids, SpecialTokens, Tokenizer
from artifex.data.types import TEXT, Arrays, ArraySpec, Indices, Record, Spec


class TextReader:
    """Reads the texts of a source and tokenizes them, straight into the rows of a batch.

    Fields: `text_tokens` int32 (length,), `length` int32 (how many of them are no padding), and `texts`.

    Args:
        source: its records have a str `text`, and may have a `path`.
        tokenizer: text to ids.
        frame: BOS, EOS, padding and the length.
        fold_case: whether texts are case-folded before they are tokenized; `texts` stay as they are.
        identity: what tells the texts from others.
    """

    in_memory = False
    is_random = False

    def __init__(
        self, source: Source, tokenizer: Tokenizer, frame: Frame, *, fold_case: bool, identity: Fingerprint
    ) -> None:
        self._source, self._tokenizer, self._frame = source, tokenizer, frame
        self._fold_case, self._identity = fold_case, identity
        self.spec: Spec = {
            "text_tokens": ArraySpec((frame.length,), np.dtype(np.int32)),
            "length": ArraySpec((), np.dtype(np.int32)),
            "texts": TEXT,
        }

    def __len__(self) -> int:
        return len(self._source)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        begun = perf_counter_ns()
        records = list(records_of(self._source, indices))
        read = perf_counter_ns()
        texts = [str(record["text"]) for record in records]
        tokens, lengths = out["text_tokens"], out["length"]
        for row, ids in enumerate(self._encoded(indices, records, texts)):
            lengths[row] = self._frame.write(ids, tokens[row])
        out["texts"][:] = texts
        clock = current_clock()
        clock.credit(READ, read - begun)
        clock.credit(DECODE, perf_counter_ns() - read)

    def encode(self, indices: Indices) -> list[Ids]:
        """The ids of these texts, uncut, without BOS and EOS."""
        records = list(records_of(self._source, indices))
        return self._encoded(indices, records, [str(record["text"]) for record in records])

    @property
    def text_identity(self) -> Fingerprint:
        """What tells the ids of these texts from others: `fingerprint` without the frame."""
        return {**self._identity, "tokenizer": self._tokenizer.stamp(), "fold_case": self._fold_case}

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self._source, indices)

    def fingerprint(self) -> Fingerprint:
        return {**self.text_identity, "sequence": self._frame.describe()}

    def stamp(self) -> str:
        return digest([stamp_of(self._source), self._tokenizer.stamp()])

    def _encoded(self, indices: Indices, records: Sequence[Record], texts: list[str]) -> list[Ids]:
        if self._fold_case:
            texts = [fold_case(text) for text in texts]
        try:
            return self._tokenizer.encode_many(texts)
        except ArtifexError:
            for number, record, text in zip(indices, records, texts, strict=True):
                try:
                    self._tokenizer.encode(text)
                except ArtifexError as error:
                    raise DecodeError(str(error), path=record.get("path"), record=int(number)) from error
            raise


class FramedTexts:
    """The texts of a reader as whole documents of ids: BOS, ids, EOS, as far as there are such, and no padding.

    Args:
        texts: what is tokenized.
        special: for BOS and EOS.
    """

    def __init__(self, texts: TextReader, special: SpecialTokens) -> None:
        self._texts, self._special = texts, special
        before, after = ([] if token is None else [token] for token in (special.bos, special.eos))
        self._before, self._after = np.array(before, np.int32), np.array(after, np.int32)

    def __len__(self) -> int:
        return len(self._texts)

    def encode(self, indices: Indices) -> list[Ids]:
        """The ids (n,) of these documents."""
        return [np.concatenate([self._before, ids, self._after]) for ids in self._texts.encode(indices)]

    def fingerprint(self) -> Fingerprint:
        """What tells these ids from others, on every machine."""
        return {**self._texts.text_identity, "bos": self._special.bos, "eos": self._special.eos}

    def stamp(self) -> str:
        """Differs whenever the ids do."""
        return self._texts.stamp()


def fold_case(text: str) -> str:
    """The text in lower case: what a model that does not tell "Hello" from "hello" is given."""
    return text.lower()
