"""Measuring one iteration of a loader: clocks of its threads, counts of its batches, and the figures made of them."""

from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from artifex.data.clock import Clock, Stage, current_clock, use_clock
from artifex.data.stats import LoaderStats

T = TypeVar("T", covariant=True)

_SECOND = 1e9


class _Totals(NamedTuple):
    """What there was since the iteration began, at one moment. Times are in nanoseconds."""

    at: int
    consumer: list[int]
    workers: list[int]
    batches: int
    samples: int
    bytes: int
    on_host: int
    on_device: int
    starved: int


class Meter:
    """What the parts of a loader tell about an iteration. `stats` is for any thread, `piece` for workers.

    All else is for the consumer's thread.

    Args:
        on_stats: is called in the consumer's thread when a batch is asked for, and at the end.
        every: seconds, > 0, that pass at least between two calls.
        worker: "thread" or "process".

    Attributes:
        clock: of the consumer's thread.
        reading: a context in which the consumer's thread reads records itself.
        num_workers: to be set by who starts them.
    """

    def __init__(
        self,
        on_stats: Callable[[LoaderStats], None] | None = None,
        every: float = 1.0,
        worker: str = "thread",
    ) -> None:
        self.clock, self.num_workers = Clock(Stage.OVERHEAD), 0
        self.reading = _Reading(self.clock)
        self._on_stats, self._every, self._worker = on_stats, every * _SECOND, worker
        self._workers: set[Clock] = set()
        self._begin = perf_counter_ns()
        self._crossed: deque[tuple[int, int]] = deque()
        self._batches = self._samples = self._bytes = 0
        self._on_host = self._on_device = self._starved = 0
        self._first: _Totals | None = None
        self._reported: _Totals | None = None
        self._last: _Totals | None = None

    def of(self, batches: "Closing[T]") -> "Metered[T]":
        """The batches of a feed, with a look at when they are asked for and when they are handed out."""
        return Metered(self, batches)

    def asked(self) -> None:
        """The consumer wants a batch."""
        reported = self._reported
        if self._on_stats and reported and perf_counter_ns() - reported.at >= self._every:
            self.report()
        self.clock.switch(Stage.OVERHEAD)

    def handed_out(self) -> None:
        """It has it."""
        rows, nbytes = self._crossed.popleft()
        self._batches += 1
        self._samples += rows
        self._bytes += nbytes
        self.clock.switch(Stage.AWAY)
        if self._first is None:
            self._first = self._reported = self._totals()

    def found(self, on_host: int, on_device: int) -> None:
        """So many batches were ready when one was asked for."""
        self._on_host += on_host
        self._on_device += on_device
        self._starved += not (on_host or on_device)

    def crossed(self, rows: int, nbytes: int) -> None:
        """A batch was taken to the device; they are handed out in the same order."""
        self._crossed.append((rows, nbytes))

    def piece(self) -> Clock:
        """A worker begins a piece of a batch. It is to switch the clock to `Stage.AWAY` at the end of it."""
        clock = current_clock()
        if clock not in self._workers:
            clock = Clock()
            use_clock(clock)
            self._workers.add(clock)
        clock.switch(Stage.ASSEMBLE)
        return clock

    def report(self) -> None:
        """Calls `on_stats` with the figures since the last time."""
        if self._on_stats is not None and self._reported is not None:
            since, self._reported = self._reported, self._totals()
            self._on_stats(self._between(since, self._reported))

    def finish(self) -> None:
        """The iteration is over: time stands still from now on."""
        if self._last is None:
            self._last = self._totals()

    def stats(self) -> LoaderStats:
        """The figures from the first batch to now, or to the end."""
        now = self._last or self._totals()
        return self._between(self._first or now, now)

    def _totals(self) -> _Totals:
        workers = [0] * len(Stage)
        for clock in list(self._workers):
            workers = [a + b for a, b in zip(workers, clock.times(), strict=True)]
        consumer = self.clock.times()
        counts = self._batches, self._samples, self._bytes, self._on_host, self._on_device, self._starved
        return _Totals(perf_counter_ns(), consumer, workers, *counts)

    def _between(self, since: _Totals, now: _Totals) -> LoaderStats:
        consumer = [(b - a) / _SECOND for a, b in zip(since.consumer, now.consumer, strict=True)]
        workers = [(b - a) / _SECOND for a, b in zip(since.workers, now.workers, strict=True)]
        # The consumer's thread reads where there are no workers.
        reading = [a + b for a, b in zip(consumer, workers, strict=True)]
        seconds, asked = sum(consumer), max(now.batches - since.batches, 1)
        per_second = 1 / seconds if seconds else 0.0
        return LoaderStats(
            num_batches=now.batches,
            num_samples=now.samples,
            num_bytes=now.bytes,
            first_batch_seconds=(self._first.at - self._begin) / _SECOND if self._first else 0.0,
            seconds=seconds,
            batches_per_second=(now.batches - since.batches) * per_second,
            samples_per_second=(now.samples - since.samples) * per_second,
            bytes_per_second=(now.bytes - since.bytes) * per_second,
            wait_share=1 - consumer[Stage.AWAY] * per_second if seconds else 0.0,
            consumer_seconds=consumer[Stage.AWAY],
            wait_seconds=consumer[Stage.WAIT],
            transfer_seconds=consumer[Stage.TRANSFER],
            overhead_seconds=consumer[Stage.OVERHEAD],
            read_seconds=reading[Stage.READ],
            decode_seconds=reading[Stage.DECODE],
            map_seconds=reading[Stage.MAP],
            assemble_seconds=reading[Stage.ASSEMBLE],
            idle_seconds=workers[Stage.AWAY],
            ready_on_host=(now.on_host - since.on_host) / asked,
            ready_on_device=(now.on_device - since.on_device) / asked,
            starved_share=(now.starved - since.starved) / asked,
            num_workers=self.num_workers,
            worker=self._worker,
        )


class _Reading:
    """Lends a clock to the thread, so that what runs in it is timed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = self._before = clock

    def __enter__(self) -> None:
        self._before = use_clock(self._clock)
        self._clock.switch(Stage.ASSEMBLE)

    def __exit__(self, *_: object) -> None:
        self._clock.switch(Stage.OVERHEAD)
        use_clock(self._before)


class Closing(Iterator[T], Protocol[T]):
    """An iterator that can be closed, as generators can."""

    def close(self) -> None:
        """Ends it."""
        ...


class Metered(Generic[T]):
    """The batches of a feed, measured."""

    def __init__(self, meter: Meter, batches: Closing[T]) -> None:
        self._meter, self._batches = meter, batches

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        self._meter.asked()
        batch = next(self._batches)
        self._meter.handed_out()
        return batch

    def close(self) -> None:
        """Ends the feed and the measuring."""
        self._batches.close()
        self._meter.finish()
