"""Host batches: read ahead, in order, each record straight into its slot of the batch."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy.typing as npt

from artifex.data.buckets import BucketReader
from artifex.data.buffers import BufferPool
from artifex.data.clock import ASSEMBLE, IDLE, Clock, use_clock
from artifex.data.faults import Bad, Tally, read_all, read_what_is_good
from artifex.data.meter import Meter
from artifex.data.plan import Rows
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, Records
from artifex.data.types import Arrays, Indices
from artifex.data.watch import Watch, WatchedReader
from artifex.data.workers import Workers

# Pieces of a batch per worker: few, since each costs a hand-over; several where nothing else is being read, since
# records differ in cost, and who is done early would wait.
_PIECES_PER_WORKER = 1
_PIECES_OF_THE_NEXT = 4


_ReadRows: TypeAlias = Callable[[Indices, Arrays, RecordRandom | None], list[Bad]]
_Read: TypeAlias = tuple[Rows, dict[str, npt.NDArray[Any]], list[Bad]]


class HostBatch(NamedTuple):  # one is made for every batch, and a tuple is made quickest
    """A batch before it crosses: arrays `(b, ...)` and strings by field, and where it came from."""

    rows: Rows
    arrays: dict[str, npt.NDArray[Any]]
    texts: dict[str, list[str]]
    bad: tuple[int, ...] = ()
    """Rows of records that could not be had."""


class HostBatches:
    """The batches for `rows`, in that order, read `prefetch` batches ahead by `num_workers` threads.

    With a `seed` the reader gets each record's own random numbers, without one it gets none.
    Without workers each batch is read when it is asked for, by the one who asks.
    An error surfaces at the batch that it belongs to, and is the one of the earliest bad row: which
    error comes does not depend on the number of workers. After it, or after `close`, there is nothing more. With
    a `tally` a bad record is no error, but a row that is told in `bad`. The `meter` is told what reading goes into.
    """

    def __init__(
        self,
        reader: Reader,
        rows: Iterable[Rows],
        batch_size: int,
        *,
        num_workers: int,
        prefetch: int,
        seed: int | None = None,
        tally: Tally | None = None,
        timeout: float | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._tally, self._meter = tally, Meter() if meter is None else meter
        self._meter.num_workers = num_workers
        # A mere gather is not worth a clock.
        self._clock = None if num_workers or reader.in_memory else self._meter.new_clock()
        self._watch = None if timeout is None else Watch(timeout, ends_program=num_workers == 0)
        self._reader, self._rows = reader, iter(rows)
        records: Records = reader if self._watch is None else WatchedReader(reader, self._watch)
        self._read: _ReadRows = partial(read_all if tally is None else read_what_is_good, records)
        self._texts = [name for name, field in reader.spec.items() if field.is_text]
        self._pool = BufferPool(reader.spec, batch_size)
        self._workers = Workers(num_workers) if num_workers else None
        self._prefetch, self._seed = prefetch, seed
        self._ahead: deque[_Reading] = deque()
        self._has_begun = False

    def __iter__(self) -> Iterator[HostBatch]:
        return self

    def __next__(self) -> HostBatch:
        try:
            read = self._read_next()
            if read is not None and self._tally is not None:
                self._tally.count(len(read[0].numbers), [error for _, error in read[2]])
        except BaseException:
            self.close()
            raise
        if read is None:
            self.close()  # out here, where no error is on its way that an interrupt would be told along with
            raise StopIteration
        rows, arrays, bad = read
        texts = {name: arrays.pop(name).tolist() for name in self._texts}
        return HostBatch(rows, arrays, texts, tuple(row for row, _ in bad))

    def begin(self) -> bool:
        """Begins to read the first batch, and says whether that goes on by itself: by threads."""
        if self._workers is None:
            return False
        self._fill(self._workers, 1)
        return True

    def is_ready(self) -> bool:
        """Whether the next batch is there already: asking for it neither waits nor fails."""
        return bool(self._ahead) and self._ahead[0].is_good()

    def num_ready(self) -> int:
        """How many batches are there already, without a gap."""
        for number, reading in enumerate(self._ahead):
            if not reading.is_good():
                return number
        return len(self._ahead)

    def read_ahead(self) -> None:
        """Begins to read what comes next. To be called once the first batch is where it is wanted.

        Until then it is the only one that is read: it is waited for from its beginning, and what comes with it,
        like compiling, would only take turns with threads that read others.
        """
        if self._workers is not None and self._has_begun:
            self._fill(self._workers, self._prefetch)

    def close(self) -> None:
        """Ends the threads. What was read ahead is dropped."""
        workers, self._workers = self._workers, None
        self._rows = iter(())
        self._ahead.clear()
        if workers is not None:
            workers.close()
        if self._watch is not None:
            self._watch.close()

    def _read_next(self) -> _Read | None:
        if self._workers is not None:
            return self._read_by(self._workers)
        return self._read_here() if self._clock is None else self._read_timed(self._clock)

    def _read_timed(self, clock: Clock) -> _Read | None:
        before = use_clock(clock)
        clock.switch(ASSEMBLE)
        try:
            return self._read_here()
        finally:
            clock.switch(IDLE)
            use_clock(before)

    def _read_here(self) -> _Read | None:
        rows = next(self._rows, None)
        if rows is None:
            return None
        arrays = self._slots(rows)
        return rows, arrays, self._read(rows.numbers, arrays, self._random(rows))

    def _read_by(self, workers: Workers) -> _Read | None:
        self._fill(workers, self._prefetch if self._has_begun else 1)
        if not self._ahead:
            return None
        reading = self._ahead.popleft()
        reading.wait(self._watch)
        if self._has_begun:
            self._fill(workers, self._prefetch)
        self._has_begun = True
        return reading.rows, reading.arrays, sorted(reading.bad, key=lambda bad: bad[0])

    def _fill(self, workers: Workers, count: int) -> None:
        while len(self._ahead) < count:
            rows = next(self._rows, None)
            if rows is None:
                return
            arrays = self._slots(rows)
            random = self._random(rows)
            is_next = not self._ahead
            self._ahead.append(_Reading(self._read, rows, random, arrays, workers, self._meter, is_next))

    def _slots(self, rows: Rows) -> dict[str, npt.NDArray[Any]]:
        reader = self._reader
        spec = reader.specs[reader.bucket(rows.whole)] if isinstance(reader, BucketReader) else None
        return self._pool.take(len(rows.numbers), spec)

    def _random(self, rows: Rows) -> RecordRandom | None:
        return None if self._seed is None else RecordRandom(self._seed, rows.turns, rows.numbers)


class _Reading:
    """One batch on its way through the workers: its slots, what is still to be read, and what went wrong."""

    def __init__(
        self,
        read: _ReadRows,
        rows: Rows,
        random: RecordRandom | None,
        arrays: dict[str, npt.NDArray[Any]],
        workers: Workers,
        meter: Meter,
        is_next: bool,
    ) -> None:
        self.rows, self.arrays = rows, arrays
        self.bad: list[Bad] = []
        self._read_rows, self._random, self._meter = read, random, meter
        self._lock, self._done = threading.Lock(), threading.Event()
        self._errors: list[tuple[int, BaseException]] = []
        size = len(rows.numbers)
        each = _PIECES_OF_THE_NEXT if is_next else _PIECES_PER_WORKER
        self._unfinished = pieces = min(size, len(workers) * each)
        edges = [size * i // pieces for i in range(pieces + 1)]
        for start, stop in pairwise(edges):
            workers.submit(partial(self._read, start, stop))

    def is_good(self) -> bool:
        return self._done.is_set() and not self._errors and not self.bad

    def wait(self, watch: Watch | None) -> None:
        """Returns when all is read; raises what went wrong with the earliest row."""
        if watch is None:
            self._done.wait()
        else:
            while not self._done.wait(watch.patience):
                watch.check()
        if self._errors:
            raise min(self._errors, key=lambda error: error[0])[1]

    def _read(self, start: int, stop: int) -> None:
        clock = self._meter.begin_piece()
        try:
            out = {name: array[start:stop] for name, array in self.arrays.items()}
            random = self._random.rows(start, stop) if self._random else None
            bad = self._read_rows(self.rows.numbers[start:stop], out, random)
            with self._lock:
                self.bad += [(start + row, error) for row, error in bad]
        except BaseException as error:  # carried to the thread that waits for the batch
            with self._lock:
                self._errors.append((start, error))
        clock.switch(IDLE)
        with self._lock:
            self._unfinished -= 1
            if self._unfinished == 0:
                self._done.set()
