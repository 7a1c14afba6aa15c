"""Bytes as tokens: lossless, and without training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.checks import LARGEST_INT32, check_integer
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import digest
from artifex.data.tokenizers import Ids, SpecialTokens
from artifex.data.tokenizers.ids import checked_ids, checked_text

_BYTES = 256


class ByteTokenizer:
    """The bytes of UTF-8: byte b has the b-th of the ids that are not special, in ascending order.

    Args:
        special: ids that stand for no text.
        vocab_size: ids are 0 to vocab_size - 1; None takes just as many as are needed. What is above the bytes
            and the special ids is never used.

    Raises:
        ConfigError: `vocab_size` has no room for the bytes beside the special ids.
    """

    def __init__(self, special: SpecialTokens | None = None, vocab_size: int | None = None) -> None:
        self.special = SpecialTokens() if special is None else special
        free = np.setdiff1d(np.arange(_BYTES + len(self.special.ids)), self.special.ids)[:_BYTES]
        least = max(int(free[-1]), *self.special.ids) + 1
        if vocab_size is None:
            vocab_size = least
        check_integer("vocab_size", vocab_size, 1, LARGEST_INT32)
        if vocab_size < least:
            raise ConfigError(
                f"`vocab_size` {vocab_size} is too small for the 256 bytes beside the special ids "
                f"{list(self.special.ids)}: make it {least} or more, or give a `tokenizer` with its own vocabulary"
            )
        self.vocab_size = vocab_size
        self._id_of = free.astype(np.int32)
        self._byte_of = np.full(least, -1, np.int16)
        self._byte_of[free] = np.arange(_BYTES)

    def encode(self, text: str) -> Ids:
        """The ids of a text's bytes, int32 (n,).

        Raises:
            ConfigError: the text has half of a surrogate pair, which UTF-8 does not know.
        """
        return self._id_of[np.frombuffer(checked_text(text), np.uint8)]

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """`[self.encode(text) for text in texts]`."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids (n,), without special ones; bytes that are no UTF-8 come as U+FFFD.

        Raises:
            RangeError: an id is not in the vocabulary.
        """
        numbers = checked_ids(ids, self.vocab_size)
        found = self._byte_of[numbers[numbers < len(self._byte_of)]]
        return found[found >= 0].astype(np.uint8).tobytes().decode("utf-8", "replace")

    def stamp(self) -> str:
        """A digest of what its ids follow from."""
        return digest(["bytes", repr(self.special.named())])

    def describe(self) -> dict[str, Any]:
        """What `save_tokenizer` writes down."""
        return {"kind": "bytes", "vocab_size": self.vocab_size}
