"""Feeds: how the rows of a plan become batches on the device, from the host or from a table that is there already."""

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from functools import partial
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

import jax
import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketReader, refuse_buckets
from artifex.data.device import Crossing, DeviceArrays
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.faults import Faults, Tally
from artifex.data.loader import HostBatch, HostBatches
from artifex.data.meter import Meter
from artifex.data.placement import Placement
from artifex.data.plan import LastBatch, Plan, Rows
from artifex.data.reader import Reader
from artifex.data.reuse import SpareBatches
from artifex.data.types import Indices, Spec, sample_bytes
from artifex.data.workers import worker_count

Batch: TypeAlias = dict[str, Any]
"""Field name -> `jax.Array` (b, ...), or a list of b strings."""

ScanStep: TypeAlias = Callable[[Any, DeviceArrays], tuple[Any, Any]]
"""`step(carry, batch) -> (carry, output)`, as for `jax.lax.scan`."""

# Batches that are on the device, or on the way, before they are asked for.
_DEVICE_AHEAD = 2

# Of batches that take as long as timing them a hundred times, one in so many is timed.
_TIMED_OF_QUICK = 8

# What a call into JAX takes that does not wait for the device, at most, in nanoseconds.
_LONGEST_CALL = 200_000

_SMALL_BATCH_BYTES = 2**20

# Functions for `scan` that are kept compiled: one to train and one to evaluate, and some more.
_MOST_SCANS = 8


class Feed(Protocol):
    """Makes batches of rows."""

    def batches(
        self,
        rows: Iterable[Rows],
        meter: Meter | None = None,
        tally: Tally | None = None,
        *,
        is_one: bool = False,
    ) -> Generator[Batch, None, None]:
        """The batches, in that order, some of them made ahead. To be closed, as generators are.

        The `meter` is told what time goes into, the `tally` of bad records, where they are left out. With `is_one`
        nothing is prepared for further ones.
        """
        ...


class HostFeed:
    """Batches that are read on the host, by threads, and cross when they are due.

    Args:
        reader: what is read.
        crossing: what takes a batch over.
        plan: for the size of a batch, the seed, and the rule for its end.
        training: whether the reader gets random numbers.
        num_workers: threads; 0 reads when a batch is asked for; None or "auto" chooses, each time reading begins:
            once a cache is full, the threads of the first epoch are of no use.
        prefetch: batches that are read ahead.
        placement: which rows of a batch this process reads; None reads all.
        faults: what happens to bad records; None raises their errors.
        compact: whether their rows are taken out of a batch, instead of masked.
        timeout: seconds that a record may take.
    """

    def __init__(
        self,
        reader: Reader,
        crossing: Crossing,
        plan: Plan,
        *,
        training: bool,
        num_workers: int | str | None,
        prefetch: int,
        placement: Placement | None,
        faults: Faults | None = None,
        compact: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._faults, self._compact, self._timeout = faults, compact, timeout
        self._reader, self._crossing, self._plan, self._placement = reader, crossing, plan, placement
        self._seed = plan.seed if training else None
        self.prefetch, self._num_workers = prefetch, num_workers
        self._is_small = _is_worth_it(reader.spec, plan)
        self._has_buckets = isinstance(reader, BucketReader)
        self._row_bytes = 0 if self._has_buckets else sample_bytes(reader.spec)

    @property
    def num_workers(self) -> int:
        """Threads that read; fewer once all records are in memory."""
        return worker_count(self._num_workers, self._reader.in_memory)

    @property
    def spec(self) -> Spec:
        """The fields of one sample, as it comes in a batch; of the largest, with buckets."""
        return self._crossing.spec(self._reader.spec)

    def batches(
        self,
        rows: Iterable[Rows],
        meter: Meter | None = None,
        tally: Tally | None = None,
        *,
        is_one: bool = False,
    ) -> Generator[Batch, None, None]:
        meter = Meter() if meter is None else meter
        host = HostBatches(
            self._reader,
            (self._local(row) for row in rows),
            self._plan.batch_size,
            num_workers=self.num_workers,
            prefetch=self.prefetch,
            seed=self._seed,
            tally=None if self._faults is None else tally or Tally(self._faults),
            timeout=self._timeout,
            meter=meter,
        )
        is_quick = self._reader.in_memory and self._is_small
        meter.stride, meter.row_bytes = _TIMED_OF_QUICK if is_quick else 1, self._row_bytes
        ahead: deque[Batch] = deque()
        spares = None if is_one else self._crossing.spares()
        try:
            if not is_one and not self._has_buckets and host.begin():
                size = self._plan.most_rows
                self._crossing.compile(self._reader.spec, size, self._with_valid({}, size, size), spares)
            while True:
                if meter.is_on:
                    meter.found(host.num_ready(), len(ahead))
                # A file's batch is taken over ahead only once it is there, so an error surfaces at its own
                # batch, when all before it were handed out.
                while not ahead or (
                    len(ahead) < _DEVICE_AHEAD and not meter.is_probing and (is_quick or host.is_ready())
                ):
                    if not self._cross_next(host, ahead, spares, meter):
                        break
                    if spares is not None and not spares.is_needed and not self._has_buckets:
                        spares = None
                if not ahead:
                    return
                yield ahead.popleft()
        finally:
            host.close()

    def _local(self, rows: Rows) -> Rows:
        return rows if self._placement is None else rows.part(self._placement.local_rows)

    def _cross_next(
        self, host: HostBatches, ahead: deque[Batch], spares: SpareBatches | None, meter: Meter
    ) -> bool:
        batch = next(host, None)
        if batch is None:
            return False
        meter.taken += 1
        meter.samples += len(batch.rows.numbers)
        if not self._row_bytes:
            meter.bytes += sum(array.nbytes for array in batch.arrays.values())
        if meter.is_on:
            fetched = perf_counter_ns()
            probe = _Probe(self._crossing, meter, ahead) if meter.is_probe_due() else None
            ahead.append(self._cross(batch, spares, probe))
            meter.crossed(fetched)
        else:
            ahead.append(self._cross(batch, spares))
        host.read_ahead()
        return True

    def _cross(self, host: HostBatch, spares: SpareBatches | None, probe: "_Probe | None" = None) -> Batch:
        rows = host.rows
        arrays = self._with_valid(host.arrays, len(rows.numbers), rows.num_valid, host.bad)
        turns, numbers, texts = rows.turns, rows.numbers, host.texts
        if host.bad and self._compact:
            good = np.flatnonzero(_without(np.ones(len(numbers), bool), host.bad))
            arrays = {name: array[good] for name, array in arrays.items()}
            texts = {name: [values[row] for row in good] for name, values in texts.items()}
            turns, numbers = turns[good], numbers[good]
        cross = self._crossing if probe is None else probe
        return {**cross(turns, numbers.astype(np.int32), arrays, None, spares), **texts}

    def _with_valid(
        self, arrays: Mapping[str, Any], count: int, num_valid: int, bad: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """The arrays of `count` rows, and which of these are good records, where a batch says so."""
        arrays = {**arrays, **_valid(self._plan, count, num_valid)}
        if self._faults is not None and not self._compact:
            arrays["valid"] = _without(arrays.get("valid", np.ones(count, bool)), bad)
        return arrays


class _Probe:
    """A crossing that waits for its batch, and for what was on the device before, so that all three are known.

    Args:
        crossing: is called.
        meter: is told.
        ahead: batches that may be under way.
    """

    def __init__(self, crossing: Crossing, meter: Meter, ahead: Iterable[Batch]) -> None:
        self._crossing, self._meter, self._ahead = crossing, meter, ahead

    def __call__(
        self,
        turns: Indices,
        index: npt.NDArray[np.int32],
        arrays: Mapping[str, Any],
        table: DeviceArrays | None,
        spares: SpareBatches | None,
    ) -> DeviceArrays:
        began = perf_counter_ns()
        for batch in self._ahead:
            jax.block_until_ready([value for value in batch.values() if not isinstance(value, list)])
        self._crossing.wait_for_earlier(index)
        free = perf_counter_ns()
        arrays = self._crossing.place(arrays)
        there = perf_counter_ns()
        made = self._crossing(turns, index, arrays, table, spares)
        called = perf_counter_ns()
        jax.block_until_ready(made)
        ready = perf_counter_ns()
        # What a call takes longer than a call does, the device has done in the meantime.
        call = min(called - there, _LONGEST_CALL)
        waited = free - began + ready - called
        self._meter.probed(there - free + call, ready - there - call, waited, ready - began)
        return made


def _is_worth_it(spec: Spec, plan: Plan) -> bool:
    """Whether to fetch ahead what is in memory, which takes no waiting, given the fields of a sample.

    Not for large batches on the CPU back end: their results come from fresh pages of memory then, where
    those of the batch before would have been used again, which costs more than the fetching.
    """
    return jax.default_backend() != "cpu" or plan.batch_size * sample_bytes(spec) < _SMALL_BATCH_BYTES


class TableFeed:
    """Batches that are gathered from arrays of all records, which lie on the device.

    Args:
        reader: is read once, whole; strings are left out.
        crossing: what prepares a batch.
        plan: for the rule for the end of an epoch.
        device: where the table is kept; None leaves it to JAX.

    Attributes:
        spec: the fields of one sample, as it comes in a batch.
        prefetch: batches that are under way while another is used.

    Raises:
        ConfigError: the reader has strings or random parts, which a table cannot hold.
    """

    num_workers = 0

    def __init__(self, reader: Reader, crossing: Crossing, plan: Plan, *, device: Any = None) -> None:
        refuse_buckets(reader, '`placement="device"`')
        if not reader.in_memory:
            raise ConfigError(
                '`placement="device"` is for data in memory, and these are read from files; load them into an '
                "array first"
            )
        texts = [name for name, field in reader.spec.items() if field.is_text]
        if texts:
            raise ConfigError(
                f'`placement="device"` takes numbers only, and the data have strings: {", ".join(texts)}; drop '
                f"them (e.g. with `map`)"
            )
        self._crossing, self._plan = crossing, plan
        self.spec = crossing.spec(reader.spec)
        # One batch may be under way while another is used: a call returns before its result is there.
        self.prefetch = int(_is_worth_it(self.spec, plan))
        self._compiled: dict[Hashable, Any] = {}
        numbers = np.arange(len(reader), dtype=np.int64)
        rows = Rows(0, 0, numbers, np.zeros_like(numbers), len(numbers))
        host = HostBatches(reader, [rows], len(numbers), num_workers=0, prefetch=1)
        self.table: DeviceArrays = jax.device_put(dict(next(host).arrays), device)

    def batches(
        self,
        rows: Iterable[Rows],
        meter: Meter | None = None,
        tally: Tally | None = None,
        *,
        is_one: bool = False,
    ) -> Generator[Batch, None, None]:
        meter = Meter() if meter is None else meter
        meter.stride, meter.row_bytes = _TIMED_OF_QUICK, np.dtype(np.int32).itemsize
        ahead: deque[Batch] = deque()
        spares = None if is_one else self._crossing.spares()
        for row in rows:
            index = row.numbers.astype(np.int32)
            meter.taken += 1
            meter.samples += len(index)
            fetched = perf_counter_ns() if meter.is_on else 0
            cross = _Probe(self._crossing, meter, ahead) if meter.is_probe_due() else self._crossing
            ahead.append(
                cross(row.turns, index, _valid(self._plan, len(index), row.num_valid), self.table, spares)
            )
            if spares is not None and not spares.is_needed:
                spares = None
            if meter.is_on:
                meter.crossed(fetched)
            if len(ahead) > self.prefetch:
                yield ahead.popleft()
                if meter.is_on:
                    meter.found(0, len(ahead))
        while ahead:
            yield ahead.popleft()

    def scan(self, step_fn: ScanStep, carry: Any, rows: list[Rows]) -> tuple[Any, Any]:
        """Runs `step_fn` over the batches of `rows`, all of one size, in one compiled loop."""
        if not callable(step_fn):
            raise ConfigTypeError(f"`step_fn` must be a function of (carry, batch), got {step_fn!r}")
        key = _key_of(step_fn)
        if key not in self._compiled:
            if len(self._compiled) == _MOST_SCANS:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = jax.jit(partial(_scan, self._crossing, step_fn))
        inputs = jax.tree.map(lambda *columns: np.stack(columns), *(self._inputs(row) for row in rows))
        return self._compiled[key](carry, inputs, self.table)

    def _inputs(self, rows: Rows) -> tuple[Any, Any, dict[str, Any]]:
        index = rows.numbers.astype(np.int32)
        return (
            self._crossing.words(rows.turns, index),
            index,
            _valid(self._plan, len(rows.numbers), rows.num_valid),
        )


def _key_of(step_fn: ScanStep) -> Hashable:
    """What tells a function from others: by equality, for a bound method is another object each time.

    One that has no hash is told by itself.
    """
    try:
        hash(step_fn)
    except TypeError:
        return id(step_fn)
    return step_fn


def _scan(
    crossing: Crossing, step_fn: ScanStep, carry: Any, inputs: Any, table: DeviceArrays
) -> tuple[Any, Any]:
    def step(carry: Any, one: tuple[Any, Any, dict[str, Any]]) -> tuple[Any, Any]:
        words, index, arrays = one
        result = step_fn(carry, crossing.traced(words, index, arrays, table))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise ConfigTypeError(
                f"`step_fn` must return (carry, output), as for `jax.lax.scan`, got {type(result).__name__}"
            )
        return result[0], result[1]

    return jax.lax.scan(step, carry, inputs)


def _without(valid: npt.NDArray[np.bool_], bad: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    valid[list(bad)] = False
    return valid


def _valid(plan: Plan, count: int, num_valid: int) -> dict[str, Any]:
    """Which of `count` rows are records, where an end of an epoch is filled up with others."""
    return {} if plan.last is not LastBatch.PAD else {"valid": np.arange(count) < num_valid}
