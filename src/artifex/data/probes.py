"""Batches that are waited for, now and then, to learn what the device does with one.

A call into JAX returns before the device has done its work, and to wait for each batch would keep the host and the
device from working side by side. So a few are waited for: what the device had to do before, the transfer, and the
steps, one after the other. Then the consumer gets a batch that is ready, with nothing else under way, and the time
that it takes with that one is its own. What it takes longer with the others it has waited for the device.

All that this takes is half a percent of the time: after a probe of t the next one is 200 t later, at the earliest.
"""

from collections import deque
from statistics import median
from typing import NamedTuple

# Of the time, one part in so many may be spent on probes.
_SPARING = 200

# What a probe is taken to cost before one has been tried, in nanoseconds.
_FIRST_COST = 200_000

# So many of the last ones count.
_KEPT = 9


class Probe(NamedTuple):
    """What one batch took, in nanoseconds.

    Attributes:
        transfer: until its arrays were on the device, and for the call that was given them.
        device: from then on until its results were there.
        consumer: what was done with it before the next one was asked for.
    """

    transfer: float
    device: float
    consumer: float


class Probes:
    """The last few, over all iterations of a loader. Written by those who iterate, read by any thread.

    Args:
        share: how many processes wait in turn, each for itself, where all wait for the one that does: their number.
    """

    def __init__(self, share: int = 1) -> None:
        self._sparing = _SPARING * share
        self._due: int | None = None
        self._last: deque[Probe] = deque(maxlen=_KEPT)

    def is_due(self, now: int) -> bool:
        """Whether the next batch is to be waited for, at a time of `perf_counter_ns`."""
        if self._due is None:
            self._due = now + self._sparing * _FIRST_COST
        return now >= self._due

    def spent(self, cost: int, now: int) -> None:
        """A probe took so many nanoseconds, until now."""
        self._due = now + self._sparing * cost

    def add(self, probe: Probe) -> None:
        self._last.append(probe)

    def typical(self) -> Probe | None:
        """The medians of the last few; None if there is none yet."""
        last = list(self._last)
        return Probe(*map(median, zip(*last, strict=True))) if last else None
