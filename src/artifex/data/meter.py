"""Measuring one iteration of a loader: clocks of those who read, counts of batches, and the figures made of them.

A batch of data in memory takes 100 microseconds in all, of which a look at the clock with what belongs to it is one
half to one: so of such batches some are timed and the others only counted.
"""

from collections.abc import Callable
from time import perf_counter_ns
from typing import NamedTuple

from artifex.data.clock import ASSEMBLE, DECODE, IDLE, MAP, READ, Clock, current_clock, use_clock
from artifex.data.errors import ConfigError
from artifex.data.probes import Probe, Probes
from artifex.data.stats import LoaderStats

_SECOND = 1e9
_NEVER = 2**63


class _Totals(NamedTuple):
    """What there was since the iteration began, at one moment. Times are in nanoseconds."""

    at: int
    inside: int
    fetched: int
    crossed: int
    waited: int
    reading: list[int]
    batches: int
    timed: int
    taken: int
    samples: int
    bytes: int
    on_host: int
    on_device: int
    starved: int


class Meter:
    """What the parts of a loader tell about an iteration.

    Who hands batches on counts `turn`, calls `asked` when it is `next_on`, and `handed_out` while `is_on`. The feed
    counts what it takes, and calls `found` and `crossed` while `is_on`; if it `is_probe_due` it waits for a batch and
    calls `probed`. Whoever reads records calls `begin_piece`. `stats` is for any thread.

    Args:
        on_stats: is called in the consumer's thread when a batch is asked for, and by `report`.
        every: seconds, > 0, that pass at least between two calls.
        worker: "thread" or "process".
        probes: what the device does with a batch; those of the loader.

    Attributes:
        is_probing: whether the present batch was waited for; then nothing is to cross besides.
        num_workers: of threads or processes, once they have started.
        stride: of so many batches one is timed, after as many at the beginning; 1 for all.
        turn: the batch that was asked for last, from 0.
        next_on: the next one that is timed.
        is_on: whether the present batch is timed.
        taken: batches that were taken to the device.
        samples: rows of them.
        row_bytes: bytes of a row, if all have as many.
        bytes: of all rows, if not.
    """

    def __init__(
        self,
        on_stats: Callable[[LoaderStats], None] | None = None,
        every: float = 1.0,
        worker: str = "thread",
        probes: Probes | None = None,
    ) -> None:
        self._probes, self.is_probing = Probes() if probes is None else probes, False
        self.num_workers, self.stride, self.turn, self.next_on, self.is_on = 0, 1, -1, 0, True
        self.taken = self.samples = self.row_bytes = self.bytes = 0
        self._on_stats, self._every, self._worker = on_stats, int(every * _SECOND), worker
        self._due = _NEVER
        self._clocks: set[Clock] = set()
        self._begin = perf_counter_ns()
        # When the present batch was asked for, 0 if it was handed out; and what was last heard of it.
        self._asked = self._mark = 0
        self._inside = self._fetched = self._crossed = self._waited = 0
        # Of the batch that was waited for: the transfer, the device, and when it was handed out.
        self._probed = 0, 0
        self._probed_at: int | None = None
        self._timed = self._on_host = self._on_device = self._starved = 0
        self._first: _Totals | None = None
        self._reported: _Totals | None = None
        self._last: _Totals | None = None

    def asked(self) -> None:
        """The consumer wants a batch that is timed."""
        if self._probed_at is not None:
            self._probes.add(Probe(*self._probed, perf_counter_ns() - self._probed_at))
            self._probed_at = None
        if perf_counter_ns() >= self._due:
            self.turn -= 1  # it does not count yet
            self.report()
            self.turn += 1
        self.is_on = True
        self._asked = self._mark = perf_counter_ns()

    def found(self, on_host: int, on_device: int) -> None:
        """So many batches had been read, and so many had crossed, when one was asked for."""
        self._on_host += on_host
        self._on_device += on_device
        self._starved += not (on_host or on_device)

    def crossed(self, fetched_at: int) -> None:
        """A batch was taken to the device, after it had been got at `fetched_at` (of `perf_counter_ns`)."""
        now = perf_counter_ns()
        self._fetched += fetched_at - self._mark
        self._crossed += now - fetched_at
        self._mark = now

    def is_probe_due(self) -> bool:
        """Whether the batch that crosses next is to be waited for."""
        return self._first is not None and self.is_on and self._probes.is_due(perf_counter_ns())

    def probed(self, transfer: int, device: int, waited: int, cost: int) -> None:
        """The batch that crosses was waited for. To be called before `crossed`.

        Args:
            transfer: nanoseconds until its arrays were on the device, and for the call.
            device: nanoseconds from then on until its results were there.
            waited: nanoseconds of waiting, which there would not have been without.
            cost: those, and all else that it took.
        """
        self.is_probing, self._probed = True, (transfer, device)
        self._waited += waited
        self._asked += waited  # which makes it no part of the time inside
        self._crossed -= waited
        self._probes.spent(cost, perf_counter_ns())

    def handed_out(self) -> None:
        """The consumer has its batch."""
        now = perf_counter_ns()
        self._inside += now - self._asked
        self._timed += 1
        self._asked = 0
        self.next_on = self.turn + (1 if self.is_probing or self.turn < self.stride else self.stride)
        if self.is_probing:
            self.is_probing, self._probed_at = False, now
        self.is_on = self.stride == 1
        if self._first is None:
            self._first = self._totals()
            self._set_reported(self._first)

    def begin_piece(self) -> Clock:
        """A worker begins to read. It is to switch the clock to `IDLE` at the end of it."""
        clock = current_clock()
        if clock not in self._clocks:
            clock = self.new_clock()
            use_clock(clock)
        clock.switch(ASSEMBLE)
        return clock

    def new_clock(self) -> Clock:
        """One whose times count."""
        clock = Clock()
        self._clocks.add(clock)
        return clock

    def report(self) -> None:
        """Calls `on_stats` with the figures since the last time."""
        if self._on_stats is not None and self._reported is not None:
            since, now = self._reported, self._totals()
            self._set_reported(now)
            try:
                self._on_stats(self._between(since, now))
            except StopIteration as error:  # it would be taken for the end of the iteration
                raise ConfigError(
                    "`on_stats` must not raise StopIteration, and has: catch it there, or leave the loop with `break`"
                ) from error

    def finish(self) -> None:
        """The iteration is over: time stands still from now on."""
        if self._last is None:
            self._last = self._totals()

    def stats(self) -> LoaderStats:
        """The figures from the first batch to now, or to the end."""
        now = self._last or self._totals()
        return self._between(self._first or now, now)

    def _set_reported(self, totals: _Totals) -> None:
        self._reported = totals
        self._due = _NEVER if self._on_stats is None else totals.at + self._every

    def _totals(self) -> _Totals:
        reading = [0] * 5
        for clock in list(self._clocks):
            reading = [a + b for a, b in zip(reading, clock.times(), strict=True)]
        now, asked = perf_counter_ns(), self._asked
        return _Totals(
            at=now,
            inside=self._inside + (now - asked if asked else 0),
            fetched=self._fetched,
            crossed=self._crossed,
            waited=self._waited,
            reading=reading,
            batches=self.turn + (asked == 0),
            timed=self._timed,
            taken=self.taken,
            samples=self.samples,
            bytes=self.bytes + self.samples * self.row_bytes,
            on_host=self._on_host,
            on_device=self._on_device,
            starved=self._starved,
        )

    def _between(self, since: _Totals, now: _Totals) -> LoaderStats:
        seconds, timed = (now.at - since.at) / _SECOND, max(now.timed - since.timed, 1)
        batches, taken = now.batches - since.batches, max(now.taken - since.taken, 1)
        # Those that were timed stand for all.
        scale = max(batches / timed, 1.0) / _SECOND
        waited = (now.waited - since.waited) / _SECOND
        inside = min((now.inside - since.inside) * scale, seconds - waited)
        fetched, crossed = (now.fetched - since.fetched) * scale, (now.crossed - since.crossed) * scale
        consumer = max(seconds - waited - inside, 0.0)
        device, held_up = self._of_device(batches, consumer)
        reading = [(b - a) / _SECOND for a, b in zip(since.reading, now.reading, strict=True)]
        if not self.num_workers:  # whatever the readers do not tell
            reading[ASSEMBLE] = max(fetched - reading[READ] - reading[DECODE] - reading[MAP], 0.0)
        per_second = batches / seconds if seconds else 0.0
        return LoaderStats(
            num_batches=now.batches,
            num_samples=now.samples,
            num_bytes=now.bytes,
            first_batch_seconds=(self._first.at - self._begin) / _SECOND if self._first else 0.0,
            seconds=seconds,
            batches_per_second=per_second,
            # Batches cross before they are handed out: their mean size is known, not which of them count.
            samples_per_second=(now.samples - since.samples) / taken * per_second,
            bytes_per_second=(now.bytes - since.bytes) / taken * per_second,
            wait_share=(seconds - consumer) / seconds if seconds else 0.0,
            consumer_seconds=consumer,
            wait_seconds=fetched if self.num_workers else 0.0,
            transfer_seconds=crossed,
            overhead_seconds=max(inside - fetched - crossed, 0.0) + waited,
            device_seconds=device,
            device_wait_seconds=held_up,
            probe_seconds=waited,
            read_seconds=reading[READ],
            decode_seconds=reading[DECODE],
            map_seconds=reading[MAP],
            assemble_seconds=reading[ASSEMBLE],
            idle_seconds=reading[IDLE] if self.num_workers else 0.0,
            ready_on_host=(now.on_host - since.on_host) / timed,
            ready_on_device=(now.on_device - since.on_device) / timed,
            starved_share=(now.starved - since.starved) / timed,
            num_workers=self.num_workers,
            worker=self._worker,
        )

    def _of_device(self, batches: int, consumer: float) -> tuple[float, float]:
        """Seconds that the device was at so many batches, and that their consumer waited for it in its own time."""
        typical = self._probes.typical()
        if typical is None:
            return 0.0, 0.0
        more = consumer * _SECOND / max(batches, 1) - typical.consumer
        held_up = min(max(more, 0.0), typical.transfer + typical.device)
        return typical.device * batches / _SECOND, held_up * batches / _SECOND
