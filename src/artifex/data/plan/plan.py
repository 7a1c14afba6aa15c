"""Plan: all that decides which records come in which batch, in a form that can be written down."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from artifex.data.fingerprint import Fingerprint
from artifex.data.plan.order import Order
from artifex.data.types import Indices

# A description is at most this long as JSON; what would make it longer stands there as its hash.
_LONGEST_SOURCE = 2500


@dataclass(frozen=True)
class Plan:
    """An order over the records of a source.

    Attributes:
        order: which record numbers come when.
        source: the source's fingerprint, as JSON (a string, so that a plan can be hashed).
    """

    order: Order
    source: str

    @classmethod
    def of(cls, fingerprint: Fingerprint, order: Order) -> "Plan":
        """The plan for the records with this fingerprint."""
        text = json.dumps(fingerprint, sort_keys=True)
        if len(text) > _LONGEST_SOURCE:
            text = json.dumps({"kind": fingerprint.get("kind"), "digest": _hash(text)})
        return cls(order, text)

    @property
    def num_steps(self) -> int:
        """Batches in an epoch."""
        return self.order.num_steps

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that two plans share only if they give the same stream."""
        return _hash(json.dumps(self.describe(), sort_keys=True))

    def rows(self, step: int) -> Indices:
        """Record numbers of a step, counted over all epochs."""
        return self.order.rows(*divmod(step, self.num_steps))

    def describe(self) -> dict[str, Any]:
        """The plan as a dict for JSON."""
        order = self.order
        return {
            "seed": order.seed,
            "batch_size": order.batch_size,
            "shuffle": order.shuffle,
            "drop_last": order.drop_last,
            "num_records": order.num_records,
            "source": json.loads(self.source),
        }

    def difference(self, other: Mapping[str, Any]) -> list[str]:
        """What differs from another plan's description, a line per field; empty if nothing does."""
        return _differences("", self.describe(), other)


def _differences(path: str, ours: Any, theirs: Any) -> list[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        lines: list[str] = []
        for name in dict.fromkeys([*ours, *theirs]):
            lines += _differences(f"{path}.{name}" if path else str(name), ours.get(name), theirs.get(name))
        return lines
    return [] if ours == theirs else [f"`{path}` was {theirs!r} and is {ours!r}"]


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
