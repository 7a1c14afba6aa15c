"""Class-balanced arrangements: every class equally often, however many records it has."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_integer
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.fingerprint import digest
from artifex.data.plan.arrangement import Places
from artifex.data.plan.order import MAX_RECORDS, MAX_SEED, permute_each
from artifex.data.types import Indices

_CLASS_ORDER = 0x636C617373  # sets the order of the classes apart from the orders within them


@dataclass(frozen=True)
class Balanced:
    """Rounds of one record of each class; each class goes through epochs of its own.

    Over any stretch of the stream two classes differ by at most two records in number, and within its class each
    record comes once before any comes again. So nothing is left to chance that weighted draws would leave.

    Attributes:
        numbers: the records, those of the first class first: int64 (n,).
        sizes: records of each class, > 0: int64 (c,).
        places: in an epoch, > 0.
        shuffle: whether classes and records have an order of their own in each round and epoch.
        seed: 0 to 2**64 - 1.
    """

    numbers: Indices = field(repr=False, compare=False)
    sizes: Indices = field(repr=False, compare=False)
    places: int
    shuffle: bool = True
    seed: int = 0
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        check_integer("places", self.places, 1, MAX_RECORDS)
        check_integer("seed", self.seed, 0, MAX_SEED)
        parts = [np.ascontiguousarray(a, "<i8").tobytes() for a in (self.numbers, self.sizes)]
        object.__setattr__(self, "identity", digest(parts))

    @classmethod
    def of(
        cls, labels: npt.ArrayLike, num_records: int, *, numbers: Indices | None, shuffle: bool, seed: int
    ) -> "Balanced":
        """The arrangement for one label per record, of all records or of `numbers` alone.

        Raises:
            ShapeError: there is not one label per record.
            ConfigError: the labels are no integers or strings.
        """
        try:
            given = np.asarray(labels)
        except ValueError as error:
            raise ShapeError(f"`balance` must be one label per record ({error})") from None
        if given.shape != (num_records,):
            raise ShapeError(
                f"`balance` must be one label for each of the {num_records} records, got shape {given.shape}"
            )
        if given.dtype.kind not in "biuUSO":
            raise ConfigError(f"`balance` must be labels, integers or strings, got {given.dtype}")
        chosen = np.arange(num_records) if numbers is None else numbers
        if given.dtype == object:
            if len({type(label) for label in given}) > 1:
                raise ConfigError("`balance` must be labels of one kind, all integers or all strings")
            if not isinstance(given[0], (int, np.integer, np.bool_, str, bytes)):
                raise ConfigError(f"`balance` must be labels, integers or strings, got {given[0]!r}")
            given = given.astype(str)
        _, classes = np.unique(given[chosen], return_inverse=True)
        order = np.argsort(classes, kind="stable")
        sizes = np.bincount(classes).astype(np.int64)
        return cls(chosen[order].astype(np.int64), sizes, len(chosen), shuffle, seed)

    @property
    def size(self) -> int:
        return self.places

    def at(self, epoch: int, places: Indices) -> Places:
        rounds, classes = np.divmod(epoch * self.places + places, len(self.sizes))
        if self.shuffle:
            count = np.full_like(places, len(self.sizes))
            seeds = np.full(len(places), self.seed ^ _CLASS_ORDER, np.uint64)
            classes = permute_each(classes, count, seeds, rounds)
        sizes = self.sizes[classes]
        turns, within = np.divmod(rounds, sizes)
        if self.shuffle:
            # Seeds one apart give orders that have nothing in common, and wrap around at 2**64.
            within = permute_each(within, sizes, np.uint64(self.seed) + classes.astype(np.uint64), turns)
        return self.numbers[self._starts[classes] + within], turns

    @cached_property
    def _starts(self) -> Indices:
        return np.cumsum(self.sizes) - self.sizes

    def describe(self) -> dict[str, Any]:
        return {
            "balanced": len(self.sizes),
            "places": self.places,
            "digest": self.identity,
            "shuffle": self.shuffle,
            "seed": self.seed,
        }
