"""The random numbers of a record, on the host.

They belong to the record: a function of (seed, turn, record number), whatever batch, step, thread or
host it comes with; the turn is the epoch, unless a record comes several times in one. Philox is a
counter-based generator (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): its key is
(seed, turn), its counter starts at the record's own range.
The device side folds the same three numbers into a `jax.random` key.
"""

from dataclasses import dataclass

import numpy as np

from artifex.data.types import Indices

_WORD = 2**32 - 1
_PARITY = 0x1BD11BDA
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


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


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32 with 20 rounds, the generator behind `jax.random`: two words of 32 bits from two and a key.

    Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011, section 3.3.
    """
    keys = (*key, key[0] ^ key[1] ^ _PARITY)
    left, right = (counter[0] + keys[0]) & _WORD, (counter[1] + keys[1]) & _WORD
    for group in range(5):
        for bits in _ROTATIONS[group % 2]:
            left = (left + right) & _WORD
            right = ((right << bits | right >> (32 - bits)) & _WORD) ^ left
        left = (left + keys[(group + 1) % 3]) & _WORD
        right = (right + keys[(group + 2) % 3] + group + 1) & _WORD
    return left, right
