"""Token sequences of one length: BOS, content, EOS, padding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.tokenizers import Ids, SpecialTokens


@dataclass(frozen=True)
class Frame:
    """What stands around the content of a sequence, and how long it is.

    Attributes:
        length: of the sequence, padding included; more than its special tokens.
        special: BOS and EOS are left out where they are None.
    """

    length: int
    special: SpecialTokens

    def write(self, ids: Ids, out: npt.NDArray[np.int32]) -> int:
        """Writes BOS, ids (n,), EOS and padding into `out` (length,); content that is too long is cut, EOS stays.

        Returns:
            How many of them are no padding.
        """
        start = 0
        if self.special.bos is not None:
            out[0], start = self.special.bos, 1
        stop = start + min(len(ids), self.room)
        out[start:stop] = ids[: stop - start]
        if self.special.eos is not None:
            out[stop] = self.special.eos
            stop += 1
        out[stop:] = self.special.pad
        return stop

    @property
    def room(self) -> int:
        """How many ids of content fit."""
        return self.length - (self.special.bos is not None) - (self.special.eos is not None)

    def describe(self) -> dict[str, Any]:
        """What a fingerprint says of it."""
        return {"length": self.length, **dict(self.special.named())}
