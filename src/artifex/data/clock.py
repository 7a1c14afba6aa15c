"""What a thread's time goes into while it reads: a clock for each thread, in exactly one stage at any moment.

Code that is worth timing switches the clock of the thread that it runs in, and switches it back:

    clock = current_clock()
    before = clock.switch(DECODE)
    ...
    clock.switch(before)

It needs not know whether anybody looks at that clock: somebody does while a loader reads. After an error the clock
stays where it was until the next switch.
"""

import threading
from time import perf_counter_ns

# Plain integers: these are used for every record, and members of an enumeration take as long as all else here.
READ, DECODE, MAP, ASSEMBLE, IDLE = range(5)
"""Fetching bytes, or samples of a user's dataset; turning bytes into an array; a user's function on the host; all
else that is done for a record; and nothing."""


class Clock:
    """Nanoseconds in each stage. One thread switches it; any may look.

    Args:
        stage: where it begins, now.
    """

    __slots__ = ("_since", "_stage", "_times")

    def __init__(self, stage: int = IDLE) -> None:
        self._stage, self._since = stage, perf_counter_ns()
        self._times = [0, 0, 0, 0, 0]

    def switch(self, stage: int) -> int:
        """Goes on in `stage`; returns the one that ends."""
        now = perf_counter_ns()
        before = self._stage
        self._times[before] += now - self._since
        # In this order: who looks in between finds no more time in a stage than there was.
        self._since = now
        self._stage = stage
        return before

    def credit(self, stage: int, time: int) -> None:
        """Says that so many nanoseconds of the present stage belong to another."""
        self._times[stage] += time
        self._since += time

    def times(self) -> list[int]:
        """Nanoseconds by stage. Work counts when its stage ends, for until then it may be credited to another."""
        times = self._times.copy()
        if self._stage == IDLE:
            times[IDLE] += max(perf_counter_ns() - self._since, 0)
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
    """Gives the thread that asks another clock; returns the one that it had."""
    before, _here.clock = _here.clock, clock
    return before
