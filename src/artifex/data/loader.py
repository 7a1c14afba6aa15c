"""Host batches: read ahead, in order, each record straight into its slot of the batch."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy.typing as npt

from artifex.data.buffers import BufferPool
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader
from artifex.data.types import Indices
from artifex.data.workers import Workers

# Pieces of a batch per worker: few, since each costs a hand-over; several, since records differ in cost.
_PIECES_PER_WORKER = 4


@dataclass(frozen=True)
class Rows:
    """A batch that is to be read: which records, and whose random numbers."""

    epoch: int
    step: int
    index: Indices
    random: RecordRandom | None = None


@dataclass(frozen=True)
class HostBatch:
    """A batch before it crosses: arrays `(b, ...)` and strings by field, and where it came from."""

    rows: Rows
    arrays: dict[str, npt.NDArray[Any]] = field(repr=False)
    texts: dict[str, list[str]] = field(repr=False)


class HostBatches:
    """The batches for `rows`, in that order, read `prefetch` batches ahead by `num_workers` threads.

    Without workers each batch is read when it is asked for, by the one who asks.
    An error surfaces at the batch that it belongs to, and is the one of the earliest bad row: which
    error comes does not depend on the number of workers. After it, or after `close`, there is nothing more.
    """

    def __init__(
        self, reader: Reader, rows: Iterable[Rows], batch_size: int, *, num_workers: int, prefetch: int
    ) -> None:
        self._reader, self._rows = reader, iter(rows)
        self._pool = BufferPool(reader.spec, batch_size)
        self._workers = Workers(num_workers) if num_workers else None
        self._prefetch = prefetch if num_workers else 1
        self._ahead: deque[_Reading] = deque()

    def __iter__(self) -> Iterator[HostBatch]:
        return self

    def __next__(self) -> HostBatch:
        try:
            self._read_ahead()
            if not self._ahead:
                raise StopIteration
            reading = self._ahead.popleft()
            reading.wait()
            if self._workers:
                self._read_ahead()
            return reading.batch()
        except BaseException:
            self.close()
            raise

    def is_ready(self) -> bool:
        """Whether the next batch is there already: asking for it neither waits nor fails."""
        return bool(self._ahead) and self._ahead[0].is_good()

    def close(self) -> None:
        """Ends the threads. What was read ahead is dropped."""
        workers, self._workers = self._workers, None
        self._rows = iter(())
        self._ahead.clear()
        if workers is not None:
            workers.close()

    def _read_ahead(self) -> None:
        while len(self._ahead) < self._prefetch:
            rows = next(self._rows, None)
            if rows is None:
                return
            reading = _Reading(self._reader, rows, self._pool.take(len(rows.index)))
            if self._workers:
                reading.submit(self._workers)
            self._ahead.append(reading)


class _Reading:
    """One batch on its way: its slots, what is still to be read, and what went wrong."""

    def __init__(self, reader: Reader, rows: Rows, arrays: dict[str, npt.NDArray[Any]]) -> None:
        self._reader, self._rows, self._arrays = reader, rows, arrays
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._unfinished = 0
        self._submitted = False
        self._errors: list[tuple[int, BaseException]] = []

    def submit(self, workers: Workers) -> None:
        size = len(self._rows.index)
        pieces = min(size, len(workers) * _PIECES_PER_WORKER)
        edges = [size * i // pieces for i in range(pieces + 1)]
        self._unfinished, self._submitted = pieces, True
        for start, stop in pairwise(edges):
            workers.submit(lambda start=start, stop=stop: self._read_piece(start, stop))

    def is_good(self) -> bool:
        return self._done.is_set() and not self._errors

    def wait(self) -> None:
        """Returns when all is read; raises what went wrong with the earliest row."""
        if self._submitted:
            self._done.wait()
        else:
            self._read(0, len(self._rows.index))
        if self._errors:
            raise min(self._errors, key=lambda error: error[0])[1]

    def batch(self) -> HostBatch:
        arrays, texts = {}, {}
        for name, array in self._arrays.items():
            if self._reader.spec[name].is_text:
                texts[name] = array.tolist()
            else:
                arrays[name] = array
        return HostBatch(self._rows, arrays, texts)

    def _read_piece(self, start: int, stop: int) -> None:
        try:
            self._read(start, stop)
        except BaseException as error:  # carried to the thread that waits for the batch
            with self._lock:
                self._errors.append((start, error))
        with self._lock:
            self._unfinished -= 1
            if self._unfinished == 0:
                self._done.set()

    def _read(self, start: int, stop: int) -> None:
        rows = self._rows
        out = {name: array[start:stop] for name, array in self._arrays.items()}
        random = rows.random.rows(start, stop) if rows.random else None
        self._reader.read_into(rows.index[start:stop], out, random)
