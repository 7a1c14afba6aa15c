"""Arrangements: endless sequences of records, cut into epochs, of which any place can be asked for by itself.

An arrangement is a frozen value with a `size` (places in an epoch) and `at(epoch, places)`, which gives for
each place the record number and the *turn*: how often the arrangement came around to that record's list
before. Turn and record number make a record's random key, so that a record that comes twice in an epoch is
augmented in two ways. They nest: a mixture of a filtered and a repeated list is one more arrangement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_integer, is_real
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.data.fingerprint import digest
from artifex.data.plan.order import MAX_RECORDS, MAX_SEED, mix_words, permute, permute_each
from artifex.data.types import Indices

# Of the weights of a mixture: products of two such numbers fit 64 bits.
_LARGEST_SUM = 2**31 - 1

# Shares that differ by less are the same number, written in binary.
_SAME = Fraction(1, 10**9)
_LEAST_SHARE = Fraction(1, 2 * 10**6)

# With fewer places of each epoch than this it is quicker to compute each place by itself.
_FEW_PLACES = 256

Places = tuple[Indices, Indices]
"""Record numbers and turns, int64 of shape (n,) each."""


class Arrangement(Protocol):
    """Which record stands at which place of which epoch."""

    @property
    def size(self) -> int:
        """Places in an epoch, > 0."""
        ...

    def at(self, epoch: int, places: Indices) -> Places:
        """What stands at `places` (0 to size - 1) of an epoch."""
        ...

    def describe(self) -> dict[str, Any]:
        """All that it depends on, for JSON."""
        ...


@dataclass(frozen=True)
class Listed:
    """Every record once per epoch: in an order of the epoch's own, or in that of the data.

    Attributes:
        num_records: how many there are, > 0.
        shuffle: whether the epochs have orders of their own.
        seed: 0 to 2**64 - 1.
    """

    num_records: int
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer("num_records", self.num_records, 1, MAX_RECORDS)
        check_integer("seed", self.seed, 0, MAX_SEED)

    @property
    def size(self) -> int:
        return self.num_records

    def at(self, epoch: int, places: Indices) -> Places:
        numbers = permute(places, self.num_records, self.seed, epoch) if self.shuffle else places
        return numbers, np.full(len(places), epoch, np.int64)

    def at_each(self, epochs: Indices, places: Indices) -> Places:
        """The same for an epoch of its own for each place, (n,) both."""
        if not self.shuffle:
            return places, epochs
        sizes = np.full_like(places, self.num_records)
        return permute_each(places, sizes, np.full(len(places), self.seed, np.uint64), epochs), epochs

    def describe(self) -> dict[str, Any]:
        return {"num_records": self.num_records, "shuffle": self.shuffle, "seed": self.seed}


@dataclass(frozen=True)
class Kept:
    """Some records only, those of a filter that was computed before, arranged as `inner` says.

    Attributes:
        numbers: the records that are kept, int64 (n,), ascending.
        inner: an arrangement of 0 to n - 1.
    """

    numbers: Indices = field(repr=False, compare=False)
    inner: Arrangement
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", digest([np.ascontiguousarray(self.numbers, "<i8").tobytes()]))

    @classmethod
    def of(cls, mask: npt.ArrayLike, num_records: int, *, shuffle: bool, seed: int) -> "Kept":
        """What a mask keeps: True for each of `num_records` records that stays.

        Raises:
            ShapeError: the mask is not one boolean per record.
            ConfigError: it keeps nothing.
        """
        numbers = kept_numbers(mask, num_records)
        return cls(numbers, Listed(len(numbers), shuffle, seed))

    @property
    def size(self) -> int:
        return self.inner.size

    def at(self, epoch: int, places: Indices) -> Places:
        numbers, turns = self.inner.at(epoch, places)
        return self.numbers[numbers], turns

    def describe(self) -> dict[str, Any]:
        return {"kept": len(self.numbers), "digest": self.identity, "of": self.inner.describe()}


@dataclass(frozen=True)
class Repeated:
    """Several epochs of another arrangement as one.

    Attributes:
        inner: what is repeated.
        times: how many of its epochs make one, > 0.
    """

    inner: Arrangement
    times: int

    def __post_init__(self) -> None:
        check_integer("repeat", self.times, 1, MAX_RECORDS // self.inner.size)

    @property
    def size(self) -> int:
        return self.inner.size * self.times

    def at(self, epoch: int, places: Indices) -> Places:
        return at_running_places(self.inner, epoch * self.size + places)

    def describe(self) -> dict[str, Any]:
        return {"repeat": self.times, "of": self.inner.describe()}


@dataclass(frozen=True)
class Mixed:
    """Several arrangements, interleaved in exact proportions; each goes through its own epochs in turn.

    In any stretch of the stream, whatever its place and length, each part has its share of the records,
    give or take less than one record for each level of the tree of two-way choices below. So a mixture is
    as even over 10 batches as over an epoch, and each place is computed by itself.

    Attributes:
        parts: what is mixed.
        weights: shares as whole numbers > 0; part i has weights[i] of every sum(weights) places.
        offsets: what is added to the record numbers of each part.
        places: in an epoch, > 0.
    """

    parts: tuple[Arrangement, ...]
    weights: tuple[int, ...]
    offsets: tuple[int, ...]
    places: int

    def __post_init__(self) -> None:
        if not len(self.parts) == len(self.weights) == len(self.offsets) >= 1:
            raise ConfigError(
                f"`weights` must have one number for each of the {len(self.parts)} parts, got {len(self.weights)}"
            )
        for weight in self.weights:
            check_integer("weights", weight, 1, _LARGEST_SUM)
        check_integer("sum(weights)", sum(self.weights), 1, _LARGEST_SUM)
        check_integer("places", self.places, 1, MAX_RECORDS)

    @property
    def size(self) -> int:
        return self.places

    def at(self, epoch: int, places: Indices) -> Places:
        numbers, turns = np.empty_like(places), np.empty_like(places)
        running = epoch * self.places + places  # the parts' epochs do not start anew with ours
        rows = np.arange(len(places))
        rest = sum(self.weights)
        for part, weight, offset in zip(self.parts, self.weights, self.offsets, strict=True):
            # Of the first p places this part has floor(p * weight / rest); the others share what is left.
            before, after = (_share(running + i, weight, rest) for i in (0, 1))
            mine = after > before
            numbers[rows[mine]], turns[rows[mine]] = at_running_places(part, before[mine])
            numbers[rows[mine]] += offset
            running, rows, rest = (running - before)[~mine], rows[~mine], rest - weight
        return numbers, turns

    def describe(self) -> dict[str, Any]:
        return {
            "weights": list(self.weights),
            "places": self.places,
            "parts": [part.describe() for part in self.parts],
        }


@dataclass(frozen=True)
class Drawn:
    """Records drawn with replacement, each with a probability in proportion to its weight.

    Attributes:
        cumulative: sums of the weights up to and with each record, divided by the whole: float64 (n,).
        places: draws in an epoch, > 0.
        seed: 0 to 2**64 - 1.
    """

    cumulative: npt.NDArray[np.float64] = field(repr=False, compare=False)
    places: int
    seed: int = 0
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        check_integer("places", self.places, 1, MAX_RECORDS)
        check_integer("seed", self.seed, 0, MAX_SEED)
        object.__setattr__(self, "identity", digest([self.cumulative.astype("<f8").tobytes()]))

    @classmethod
    def of(cls, weights: npt.ArrayLike, num_records: int, *, places: int, seed: int) -> "Drawn":
        """Draws by one weight per record, each 0 or more and not all 0.

        Raises:
            ShapeError: there is not one weight per record.
            ConfigError: a weight is negative or no number, or all are 0.
        """
        cumulative = np.cumsum(checked_weights(weights, num_records))
        return cls(cumulative / cumulative[-1], places, seed)

    @property
    def size(self) -> int:
        return self.places

    def at(self, epoch: int, places: Indices) -> Places:
        uniform = (mix_words(places, self.seed, epoch) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        numbers = np.searchsorted(self.cumulative, uniform, side="right").astype(np.int64)
        # Each draw is a turn of its own, as far as turns go: they fill 32 bits of a key.
        return numbers, (epoch * self.places + places) % (2**32)

    def describe(self) -> dict[str, Any]:
        return {"drawn": self.places, "seed": self.seed, "weights": self.identity}


def kept_numbers(mask: npt.ArrayLike, num_records: int) -> Indices:
    """The numbers of the records that a mask keeps, ascending; errors as for `Kept.of`."""
    try:
        kept = np.asarray(mask)
    except ValueError as error:
        raise ShapeError(
            f"`keep` must be one boolean for each of the {num_records} records ({error})"
        ) from None
    if kept.dtype != np.bool_ or kept.shape != (num_records,):
        raise ShapeError(
            f"`keep` must be one boolean for each of the {num_records} records, got "
            f"{kept.dtype}{list(kept.shape)}"
        )
    numbers = np.flatnonzero(kept).astype(np.int64)
    if not len(numbers):
        raise ConfigError("`keep` is False for every record: nothing would be left")
    return numbers


def checked_weights(weights: npt.ArrayLike, num_records: int) -> npt.NDArray[np.float64]:
    """One weight per record, float64 (n,), the largest of them 1; errors as for `Drawn.of`."""
    try:
        given = np.asarray(weights)
        if given.dtype.kind in "cSUmM":
            raise ConfigTypeError(f"`sample_weights` must be real numbers, got {given.dtype}")
        given = given.astype(np.float64)
    except ConfigTypeError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigTypeError(f"`sample_weights` must be numbers ({error})") from None
    if given.shape != (num_records,):
        raise ShapeError(
            f"`sample_weights` must be one number for each of the {num_records} records, got shape {given.shape}"
        )
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= 0)))
    if len(wrong):
        raise ConfigError(
            f"`sample_weights` must be numbers of 0 or more, got {given[wrong[0]]} for record {wrong[0]}"
        )
    if not given.any():
        raise ConfigError("`sample_weights` must have a number greater than 0, got 0 for every record")
    return given / given.max()


def at_running_places(arrangement: Arrangement, running: Indices) -> Places:
    """What stands at places counted over all epochs of an arrangement, (n,), in any order."""
    epochs, places = np.divmod(running, arrangement.size)
    each = np.unique(epochs)
    if isinstance(arrangement, Listed) and len(running) < _FEW_PLACES * len(each):
        return arrangement.at_each(epochs, places)
    numbers, turns = np.empty_like(running), np.empty_like(running)
    for epoch in each:
        here = epochs == epoch
        numbers[here], turns[here] = arrangement.at(int(epoch), places[here])
    return numbers, turns


def whole_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as whole numbers in the same proportions: exact, or to one part in 10**9.

    Raises:
        ConfigTypeError: a weight is no number.
        ConfigError: one is not > 0, or a million times smaller than another where they are no whole numbers.
    """
    if not all(map(is_real, weights)):
        raise ConfigTypeError(f"`weights` must be numbers > 0, got {list(weights)!r}")
    if not len(weights) or not all(0 < weight < float("inf") for weight in weights):
        raise ConfigError(f"`weights` must be numbers > 0, got {list(weights)!r}")
    given = [Fraction(int(w) if isinstance(w, (int, np.integer)) else float(w)) for w in weights]
    total = sum(given)
    shares = [weight / total for weight in given]
    simple = [share.limit_denominator(1000) for share in shares]
    if sum(simple) != 1 or not all(s and abs(s - w) < _SAME for s, w in zip(simple, shares, strict=True)):
        simple = shares
    if whole := _over_one_denominator(shares) or _over_one_denominator(simple):
        return whole
    if min(shares) < _LEAST_SHARE:
        raise ConfigError(
            f"`weights` must be within a factor of a million of each other, got {list(weights)!r}"
        )
    return tuple(round(share * (_LARGEST_SUM - len(shares))) for share in shares)


def _over_one_denominator(shares: Sequence[Fraction]) -> tuple[int, ...] | None:
    """Fractions as whole numbers in the same proportions, if these are not too large."""
    common = lcm(*(share.denominator for share in shares))
    return tuple(int(share * common) for share in shares) if common <= _LARGEST_SUM else None


def _share(places: Indices, weight: int, whole: int) -> Indices:
    """floor(places * weight / whole), without the overflow of the product."""
    full, rest = np.divmod(places, whole)
    return full * weight + rest * weight // whole
