"""The arrangement that a loader's arguments ask for."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_bool, check_choice, check_integer
from artifex.data.errors import ConfigError
from artifex.data.plan.arrangement import (
    Arrangement,
    Drawn,
    Kept,
    Listed,
    Repeated,
    checked_weights,
    kept_numbers,
)
from artifex.data.plan.balanced import Balanced
from artifex.data.plan.bucketed import Bucketed, bucketed
from artifex.data.plan.order import MAX_RECORDS
from artifex.data.plan.plan import LastBatch


@runtime_checkable
class Arranged(Protocol):
    """A dataset that says itself in what arrangement its records come, like a mixture."""

    def arrangement(self, *, shuffle: bool, seed: int) -> Arrangement:
        """The arrangement of its records."""
        ...


def arrange(
    dataset: Any,
    num_records: int,
    *,
    shuffle: bool,
    seed: int,
    keep: npt.ArrayLike | None,
    sample_weights: npt.ArrayLike | None,
    balance: npt.ArrayLike | None,
    repeat: int,
    buckets: npt.NDArray[np.int32] | None = None,
) -> Arrangement | Bucketed:
    """Which record stands at which place, for the arguments of `create_data_loader`.

    `buckets` says which records may share a batch, int32 (n,); None lets all.

    Raises:
        ConfigError: two arguments exclude each other.
    """
    check_bool("shuffle", shuffle)
    repeat = check_integer("repeat", repeat, 1, MAX_RECORDS)
    if keep is not None and sample_weights is not None:
        raise ConfigError(
            "`keep` and `sample_weights` exclude each other: give what is left out the weight 0"
        )
    if balance is not None and sample_weights is not None:
        raise ConfigError("`balance` and `sample_weights` exclude each other; give one of the two")
    if buckets is not None:
        if balance is not None:
            raise ConfigError(
                "`balance` does not go with buckets; `sample_weights` of 1 / (records of its class) balance on "
                "average"
            )
        numbers = None if keep is None else kept_numbers(keep, num_records)
        weights = None if sample_weights is None else checked_weights(sample_weights, num_records)
        _check_drawing(shuffle, sample_weights)
        return bucketed(buckets, shuffle=shuffle, seed=seed, numbers=numbers, weights=weights, repeat=repeat)
    if isinstance(dataset, Arranged):
        if not (keep is sample_weights is balance is None):
            raise ConfigError(
                f"{type(dataset).__name__} arranges its records itself, so `keep`, `sample_weights` and `balance` "
                f"do not apply to it; filter or weight its parts"
            )
        arrangement = dataset.arrangement(shuffle=shuffle, seed=seed)
    elif sample_weights is not None:
        _check_drawing(shuffle, sample_weights)
        arrangement = Drawn.of(sample_weights, num_records, places=num_records, seed=seed)
    elif balance is not None:
        numbers = None if keep is None else kept_numbers(keep, num_records)
        arrangement = Balanced.of(balance, num_records, numbers=numbers, shuffle=shuffle, seed=seed)
    elif keep is not None:
        arrangement = Kept.of(keep, num_records, shuffle=shuffle, seed=seed)
    else:
        arrangement = Listed(num_records, shuffle, seed)
    return arrangement if repeat == 1 else Repeated(arrangement, repeat)


def _check_drawing(shuffle: bool, sample_weights: npt.ArrayLike | None) -> None:
    if sample_weights is not None and not shuffle:
        raise ConfigError("`sample_weights` draws at random; it needs `shuffle=True`")


def last_batch(last: str | LastBatch | None, drop_last: bool) -> LastBatch:
    """What becomes of the end of an epoch, for the arguments `last` and `drop_last`.

    Raises:
        ConfigError: they contradict each other.
    """
    check_bool("drop_last", drop_last)
    if last is None:
        return LastBatch.DROP if drop_last else LastBatch.SHORT
    kind = check_choice(LastBatch, "last", last)
    if drop_last and kind is not LastBatch.DROP:
        raise ConfigError(f"`drop_last=True` contradicts `last={kind.value!r}`; give one of the two")
    return kind
