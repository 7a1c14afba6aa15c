"""What a thread's time goes into: a clock for each thread, which is in exactly one stage at any moment.

Code that is worth timing switches the clock of the thread that it runs in, and switches it back:

    clock = current_clock()
    before = clock.switch(Stage.DECODE)
    ...
    clock.switch(before)

It needs not know whether anybody looks at that clock: somebody does while a loader reads. After an error the clock
stays where it was until the next switch.
"""

import threading
from collections.abc import Sequence
from enum import IntEnum
from time import perf_counter_ns


class Stage(IntEnum):
    """What can be done with time."""

    READ = 0
    """Bytes or samples come from a source or a user's dataset."""
    DECODE = 1
    """A codec turns bytes into an array."""
    MAP = 2
    """A user's function, on the host."""
    ASSEMBLE = 3
    """Anything else about records: gathering rows, checking and copying samples, talking to a process."""
    WAIT = 4
    """The consumer's thread waits for workers."""
    TRANSFER = 5
    """The call that takes a batch to the device, until it returns."""
    OVERHEAD = 6
    """Anything else about batches: record numbers, buffers, queues."""
    AWAY = 7
    """Outside of the loader: the consumer's own work, or a worker that has nothing to do."""


class Clock:
    """Nanoseconds in each stage. One thread switches it; any may look.

    Args:
        stage: where it begins, now.
    """

    __slots__ = ("_now_in", "_times")

    def __init__(self, stage: Stage = Stage.AWAY) -> None:
        self._times = [0] * len(Stage)
        # One object, so that another thread sees both or neither.
        self._now_in = stage, perf_counter_ns()

    def switch(self, stage: Stage) -> Stage:
        """Goes on in `stage`; returns the one that ends."""
        now = perf_counter_ns()
        before, since = self._now_in
        # First: who looks in between misses some time now, and finds it later, but counts none twice.
        self._now_in = stage, now
        self._times[before] += now - since
        return before

    def credit(self, times: Sequence[int]) -> None:
        """Says what others did in the meantime, in nanoseconds by stage; the present stage is shorter by that."""
        stage, since = self._now_in
        self._now_in = stage, since + sum(times)
        for other, time in enumerate(times):
            self._times[other] += time

    def times(self) -> list[int]:
        """Nanoseconds by stage, until now."""
        times = self._times.copy()
        stage, since = self._now_in
        times[stage] += max(perf_counter_ns() - since, 0)
        return times


class _Here(threading.local):
    """Each thread finds its own."""

    def __init__(self) -> None:
        self.clock = Clock()


_here = _Here()


def current_clock() -> Clock:
    """The clock of the thread that asks."""
    return _here.clock


def use_clock(clock: Clock) -> Clock:
    """Makes `clock` this thread's; returns the one that was it."""
    before, _here.clock = _here.clock, clock
    return before
