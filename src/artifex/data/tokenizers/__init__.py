"""Tokenizers: text to ids and back. One file per kind."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.tokenizers.special import SpecialTokens as SpecialTokens

Ids: TypeAlias = npt.NDArray[np.int32]
"""Token ids: int32 of shape (n,)."""


@runtime_checkable
class Tokenizer(Protocol):
    """Text to ids and back. Thread-safe, picklable; the same text gives the same ids in every process, for ever.

    It encodes content alone: who makes sequences adds BOS, EOS and padding. Text that looks like a special token is
    ordinary text, so that no document can forge one.
    """

    @property
    def vocab_size(self) -> int:
        """Ids are 0 to vocab_size - 1, special ones included."""
        ...

    @property
    def special(self) -> SpecialTokens:
        """The ids that stand for no text."""
        ...

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 (n,); none is special but UNK, for what a closed vocabulary does not have."""
        ...

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """`[self.encode(text) for text in texts]`, faster."""
        ...

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids (n,), without those that are special."""
        ...

    def stamp(self) -> str:
        """A digest that differs whenever any text's ids could."""
        ...
