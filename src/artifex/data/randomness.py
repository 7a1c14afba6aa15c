"""The random numbers of a record, on the host.

They belong to the record: a function of (seed, turn, record number), whatever batch, step, thread or
host it comes with; the turn is the epoch, unless a record comes several times in one. Philox is a
counter-based generator (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): its key is
(seed, turn), its counter starts at the record's own range.
On the device a `jax.random` key follows from the same three numbers.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.types import Indices

Words: TypeAlias = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: multiples of it are far from each other


@dataclass(frozen=True)
class RecordRandom:
    """Generators for the rows of a batch.

    Attributes:
        seed: the loader's.
        turns: of each row, int64 of shape (n,).
        index: the record number of each row, int64 of shape (n,).
        consumer: who draws: two that are chained must not see the same numbers.
    """

    seed: int
    turns: Indices
    index: Indices
    consumer: int = 0

    def generator(self, row: int) -> np.random.Generator:
        """A fresh generator for the record in this row; the same one each time it is asked for."""
        # The lowest counter word is the draws' own: 2**64 of them before two records could meet.
        counter = np.array([0, self.index[row], self.consumer, 0], np.uint64)
        key = np.array([self.seed, self.turns[row]], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def rows(self, start: int, stop: int) -> "RecordRandom":
        """The same for a part of the rows."""
        return RecordRandom(self.seed, self.turns[start:stop], self.index[start:stop], self.consumer)

    def chosen(self, rows: Indices) -> "RecordRandom":
        """The same for some of the rows."""
        return RecordRandom(self.seed, self.turns[rows], self.index[rows], self.consumer)

    def next_consumer(self) -> "RecordRandom":
        """Other generators for the same records."""
        return RecordRandom(self.seed, self.turns, self.index, self.consumer + 1)


def record_words(
    seed: int, turns: npt.NDArray[np.integer], index: npt.NDArray[np.integer]
) -> npt.NDArray[np.uint32]:
    """Two random words for each of n records, (n, 2): a hash of (seed, turn, record number).

    They are the records' keys on the device. Hashed there, the compiler takes half a second for it.
    """
    words = mix(turns.astype(np.uint64), mix(np.array([seed], np.uint64), _ODD))
    words ^= index.astype(np.uint64) * _ODD
    return mix(words, _ODD).astype("<u8").view("<u4").reshape(-1, 2)


def mix(x: Words, key: Words | np.uint64) -> Words:
    """A hash of 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), keyed."""
    x = x + key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x
