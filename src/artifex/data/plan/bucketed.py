"""Arrangements that never share a batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError
from artifex.data.plan.arrangement import Arrangement, Drawn, Kept, Listed, Repeated
from artifex.data.plan.order import MAX_SEED
from artifex.data.types import Indices


@dataclass(frozen=True)
class Bucketed:
    """Several arrangements side by side: each batch is of one of them, e.g. of images of one shape.

    Each has batches and a last batch of its own; the batches of all come in an order of the epoch's own.

    Attributes:
        parts: one per bucket that has records.
        shuffle: whether the batches are shuffled; else one part comes after another.
        seed: 0 to 2**64 - 1.
    """

    parts: tuple[Arrangement, ...]
    shuffle: bool = True
    seed: int = 0

    @property
    def size(self) -> int:
        """Places in an epoch, over all parts."""
        return sum(part.size for part in self.parts)

    def describe(self) -> dict[str, Any]:
        """All that it depends on, for JSON."""
        return {
            "buckets": [part.describe() for part in self.parts],
            "shuffle": self.shuffle,
            "seed": self.seed,
        }


def bucketed(
    buckets: npt.NDArray[np.int32],
    *,
    shuffle: bool,
    seed: int,
    numbers: Indices | None,
    weights: npt.NDArray[np.float64] | None,
    repeat: int,
) -> Bucketed:
    """The arrangement of records in `buckets`, int32 (n,): `numbers` of them alone, or drawn by weight; repeated.

    By weight each bucket has its share of an epoch's draws, of which there are as many as records. Shares are whole
    numbers, by largest remainder: of a bucket whose share is less than half a draw there may be none.
    """
    parts: list[Arrangement] = []
    chosen = np.arange(len(buckets), dtype=np.int64) if numbers is None else numbers
    names = np.unique(buckets[chosen])
    shares = None if weights is None else _shares(weights, buckets, names)
    for at, bucket in enumerate(names):
        own = chosen[buckets[chosen] == bucket]
        own_seed = (seed + int(bucket)) % (MAX_SEED + 1)
        if weights is None or shares is None:
            inner: Arrangement = Listed(len(own), shuffle, own_seed)
        elif shares[at]:
            inner = Drawn.of(weights[own], len(own), places=int(shares[at]), seed=own_seed)
        else:
            continue
        part = Kept(own, inner)
        parts.append(part if repeat == 1 else Repeated(part, repeat))
    if not parts:
        raise ConfigError("no record is left in any bucket")
    return Bucketed(tuple(parts), shuffle, seed)


def _shares(
    weights: npt.NDArray[np.float64], buckets: npt.NDArray[np.int32], names: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """How many of the epoch's draws each bucket has; together as many as there are records."""
    sums = np.array([weights[buckets == name].sum() for name in names])
    exact = len(buckets) * (sums / sums.sum())
    whole = np.floor(exact).astype(np.int64)
    left = len(buckets) - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole
