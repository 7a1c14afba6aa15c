"""Plan: all that decides which records come in which batch, in a form that can be written down."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from artifex.data.checks import check_integer
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint
from artifex.data.plan.arrangement import Arrangement, Places
from artifex.data.plan.bucketed import Bucketed
from artifex.data.plan.order import MAX_SEED, permute
from artifex.data.types import Indices

# A description is at most this long as JSON; what would make it longer stands there as its hash.
_LONGEST_DESCRIPTION = 2500

_BATCH_ORDER = 0x6261746368  # sets the order of batches apart from the orders of records


class LastBatch(StrEnum):
    """What becomes of the end of an epoch, where the records do not fill a batch."""

    SHORT = "short"
    """It is a shorter batch."""
    DROP = "drop"
    """It is left out."""
    PAD = "pad"
    """It is filled up with copies of its first record, and `valid` says which rows are real."""
    WRAP = "wrap"
    """It is filled up with the records that the epoch began with."""


_CUT = (LastBatch.SHORT, LastBatch.DROP)


class Rows(NamedTuple):  # one is made for every batch, and a tuple is made quickest
    """The rows of one batch.

    Attributes:
        epoch: counted from 0.
        step: of the epoch, counted from 0.
        numbers: record numbers, int64 (b,).
        turns: with the record number what a record's random key follows from, int64 (b,).
        num_valid: how many rows, from the first, are records; the others only fill the batch.
        of: the record numbers of the whole batch, where these rows are a part of it.
    """

    epoch: int
    step: int
    numbers: Indices
    turns: Indices
    num_valid: int
    of: Indices | None = None

    @property
    def whole(self) -> Indices:
        """The record numbers of the whole batch."""
        return self.numbers if self.of is None else self.of

    def part(self, rows: Indices) -> "Rows":
        """Some of the rows, in the order given."""
        valid = int((rows < self.num_valid).sum())
        return Rows(self.epoch, self.step, self.numbers[rows], self.turns[rows], valid, self.whole)


@dataclass(frozen=True)
class Plan:
    """An arrangement of the records of a source, in batches. Two equal plans give the same stream.

    Attributes:
        arrangement: which record stands at which place of which epoch.
        batch_size: rows in a batch, > 0; over all hosts.
        last: what becomes of the end of an epoch.
        seed: for all that is random about a record, 0 to 2**64 - 1.
        source: the source's fingerprint, as JSON.
    """

    arrangement: Arrangement | Bucketed
    batch_size: int
    last: LastBatch = LastBatch.SHORT
    seed: int = 0
    source: str = "{}"

    def __post_init__(self) -> None:
        check_integer("batch_size", self.batch_size, 1, 2**31 - 1)
        check_integer("seed", self.seed, 0, MAX_SEED)
        if self.num_steps == 0:
            most = max(part.size for part in self._parts)
            where = "in any bucket" if isinstance(self.arrangement, Bucketed) else "there are"
            raise ConfigError(
                f"`batch_size` {self.batch_size} is more than the {most} records {where}, so "
                f"with `drop_last=True` an epoch has no batch; lower it or pass `drop_last=False`"
            )

    @classmethod
    def of(
        cls,
        fingerprint: Fingerprint,
        arrangement: Arrangement | Bucketed,
        batch_size: int,
        last: LastBatch,
        seed: int,
    ) -> "Plan":
        """The plan for the records with this fingerprint."""
        return cls(arrangement, batch_size, last, seed, json.dumps(fingerprint, sort_keys=True))

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        return int(self._edges[-1])

    @property
    def last_step(self) -> int:
        """The last one that there is: records are counted in 64 bits, and epochs in 32."""
        return self.num_steps * min(2**32, 2**63 // self.arrangement.size) - 1

    @property
    def is_even(self) -> bool:
        """Whether all batches have `batch_size` rows."""
        return self.last is not LastBatch.SHORT or all(p.size % self.batch_size == 0 for p in self._parts)

    @property
    def most_rows(self) -> int:
        """Rows of the largest batch."""
        return (
            min(self.batch_size, max(part.size for part in self._parts))
            if self.last in _CUT
            else self.batch_size
        )

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that two plans share only if they give the same stream."""
        return _hash(json.dumps(self._full_description(), sort_keys=True))

    def rows(self, step: int) -> Rows:
        """The rows of a step, counted over all epochs: an integer of 0 or more."""
        step = check_integer("step", step, 0, self.last_step)
        epoch, step = divmod(step, self.num_steps)
        return self.block(epoch, step, step + 1)[0]

    def block(self, epoch: int, first: int, stop: int) -> list[Rows]:
        """The rows of the steps `first` to `stop` of an epoch, computed together."""
        steps = np.arange(first, stop, dtype=np.int64)
        if not isinstance(self.arrangement, Bucketed):
            return self._rows_of(self.arrangement, epoch, steps, steps)
        batches = steps
        if self.arrangement.shuffle:
            batches = permute(steps, self.num_steps, self.arrangement.seed ^ _BATCH_ORDER, epoch)
        owners = np.searchsorted(self._edges, batches, side="right") - 1
        rows: list[Rows] = []
        for owner in np.unique(owners):
            mine = owners == owner
            own = batches[mine] - self._edges[owner]
            rows += self._rows_of(self._parts[owner], epoch, own, steps[mine])
        return sorted(rows, key=lambda row: row.step)

    def describe(self) -> dict[str, Any]:
        """The plan as a dict for JSON, under 4 kB."""
        description = self._full_description()
        if len(json.dumps(description["source"])) > _LONGEST_DESCRIPTION:
            source = description["source"]
            description["source"] = {"kind": source.get("kind"), "digest": _hash(self.source)}
        arrangement = description["arrangement"]
        if len(json.dumps(arrangement)) > _LONGEST_DESCRIPTION // 2:
            description["arrangement"] = {"digest": _hash(json.dumps(arrangement, sort_keys=True))}
        return description

    def difference(self, other: "Plan | Mapping[str, Any]") -> list[str]:
        """What differs from another plan, or from its description, a line per field; empty if nothing does."""
        return _differences("", self.describe(), other.describe() if isinstance(other, Plan) else other)

    @property
    def _parts(self) -> tuple[Arrangement, ...]:
        return self.arrangement.parts if isinstance(self.arrangement, Bucketed) else (self.arrangement,)

    @cached_property
    def _edges(self) -> Indices:
        """The number of each part's first batch, and that of all batches."""
        short = 0 if self.last is LastBatch.DROP else self.batch_size - 1
        return np.cumsum(
            [0, *((part.size + short) // self.batch_size for part in self._parts)], dtype=np.int64
        )

    def _rows_of(self, part: Arrangement, epoch: int, batches: Indices, steps: Indices) -> list[Rows]:
        """Batches of an arrangement, by their number in it, as the rows of these steps."""
        within = np.arange(min(self.batch_size, part.size), dtype=np.int64)
        places = (batches[:, None] * self.batch_size + within).ravel()
        if len(batches) and batches.max() * self.batch_size + self.batch_size > part.size:
            places = places[places < part.size]
        numbers, turns = part.at(epoch, places)
        rows: list[Rows] = []
        start = 0
        for batch, step in zip(batches.tolist(), steps.tolist(), strict=True):
            stop = start + min(self.batch_size, part.size - batch * self.batch_size)
            rows.append(self._filled(part, epoch, step, (numbers[start:stop], turns[start:stop])))
            start = stop
        return rows

    def _filled(self, part: Arrangement, epoch: int, step: int, places: Places) -> Rows:
        numbers, turns = places
        missing = self.batch_size - len(numbers)
        if missing <= 0 or self.last in _CUT:
            return Rows(epoch, step, numbers, turns, len(numbers))
        if self.last is LastBatch.PAD:
            more = np.zeros(missing, np.int64)
            return Rows(
                epoch,
                step,
                np.concatenate([numbers, numbers[more]]),
                np.concatenate([turns, turns[more]]),
                len(numbers),
            )
        again = np.arange(missing, dtype=np.int64) % part.size
        more_numbers, more_turns = part.at(epoch, again)
        return Rows(
            epoch,
            step,
            np.concatenate([numbers, more_numbers]),
            np.concatenate([turns, more_turns]),
            self.batch_size,
        )

    def _full_description(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "last": self.last.value,
            "arrangement": self.arrangement.describe(),
            "source": json.loads(self.source),
        }


def _differences(path: str, ours: Any, theirs: Any) -> list[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        lines: list[str] = []
        for name in dict.fromkeys([*ours, *theirs]):
            lines += _differences(f"{path}.{name}" if path else str(name), ours.get(name), theirs.get(name))
        return lines
    return [] if ours == theirs else [f"`{path or 'plan'}` was {theirs!r} and is {ours!r}"]


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
