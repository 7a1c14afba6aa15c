"""The whole journey, put together: a dataset in, batches of device arrays out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketReader
from artifex.data.cache import CacheKind, cached_reader
from artifex.data.checks import LARGEST_INT32, check_bool, check_choice, check_integer, check_positive
from artifex.data.device import Crossing, Placement, Step, describe_step
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.faults import BadRecord, BadRows, OnError, Tally, make_faults
from artifex.data.feed import Batch, HostFeed, ScanStep, TableFeed
from artifex.data.meter import Meter
from artifex.data.plan import Bucketed, LastBatch, Plan, Rows, arrange, last_batch
from artifex.data.plan.order import MAX_SEED
from artifex.data.preemption import StopOnSignal
from artifex.data.probes import Probes
from artifex.data.processes import ProcessReader
from artifex.data.samples import reader_of
from artifex.data.state import Position, make_state, read_state
from artifex.data.stats import LoaderStats
from artifex.data.types import Spec, sample_bytes
from artifex.data.warn import warn
from artifex.data.workers import worker_count

# Record numbers are computed for several steps at a time: the fixed cost of NumPy's calls is spread.
_RECORDS_AT_ONCE = 8192

HostArrays: TypeAlias = dict[str, npt.NDArray[Any] | list[str]]
"""Field name -> array (b, ...), or a list of b strings."""

_FLOATS = ("float32", "bfloat16", "float16")

# What batches that are read ahead may take together, where the loader chooses how many: from 2 to 8.
_READ_AHEAD_BYTES = 2**28


class DroppedBucketWarning(UserWarning):
    """Buckets with fewer records than a batch has are left out."""


class WorkerKind(StrEnum):
    """Who reads ahead."""

    THREAD = "thread"
    PROCESS = "process"


class DataPlacement(StrEnum):
    """Where the data of a loader are kept."""

    HOST = "host"
    """On the host: a batch crosses when it is due."""
    DEVICE = "device"
    """On the device, all of them, from the start: a batch is a gather there."""


@runtime_checkable
class Prepares(Protocol):
    """A dataset that has something to do on the device: normalise, augment, generate."""

    @property
    def is_augmented(self) -> bool:
        """Whether its samples are augmented while training: the split is "train" and the config says so."""
        ...

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        """The steps, in order; with `training`, the random ones too."""
        ...


class DataLoader:
    """Batches on the device, epoch by epoch; every one a pure function of (plan, step).

    Each `iter(loader)` is the next epoch, in an order of its own where `shuffle` is on. A batch is a dict:
    `jax.Array`s of shape (b, ...) by field name, `index` (b,) int32 with the record numbers, and lists of
    strings. The last batch of an epoch is shorter where the records do not divide, unless `drop_last`.
    Several iterators may run side by side; each is for one thread.

    Use `create_data_loader`, which says what the arguments mean.

    Attributes:
        plan: which records come in which batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        *,
        seed: int = 0,
        last: str | LastBatch | None = None,
        keep: npt.ArrayLike | None = None,
        sample_weights: npt.ArrayLike | None = None,
        balance: npt.ArrayLike | None = None,
        repeat: int = 1,
        num_workers: int | str | None = None,
        prefetch: int | str = "auto",
        transform: Step | Sequence[Step] | None = None,
        training: bool | None = None,
        dtype: npt.DTypeLike = "float32",
        device: Any = None,
        sharding: Any = None,
        placement: str | DataPlacement = DataPlacement.HOST,
        cache: str | CacheKind | None = None,
        cache_dir: str | Path | None = None,
        cache_bytes: int | None = None,
        on_error: str | OnError = OnError.RAISE,
        max_errors: float = 0.1,
        quarantine: str | Path | None = "quarantine.jsonl",
        bad_rows: str | BadRows = BadRows.MASK,
        worker: str | WorkerKind = WorkerKind.THREAD,
        timeout: float | None = None,
        on_stats: Callable[[LoaderStats], None] | None = None,
        stats_every: float = 10.0,
    ) -> None:
        batch_size = check_integer("batch_size", batch_size, 1, LARGEST_INT32)
        seed = check_integer("seed", seed, 0, MAX_SEED)
        reader = reader_of(dataset)
        _check_names(reader.spec)
        if len(reader) > LARGEST_INT32:
            raise ConfigError(
                f"the dataset has {len(reader)} records; a loader numbers them in int32, so {LARGEST_INT32} at most"
            )
        arrangement = arrange(
            dataset,
            len(reader),
            shuffle=shuffle,
            seed=seed,
            keep=keep,
            sample_weights=sample_weights,
            balance=balance,
            repeat=repeat,
            buckets=reader.groups if isinstance(reader, BucketReader) else None,
        )
        if training is not None:
            check_bool("training", training)
        training = isinstance(dataset, Prepares) and dataset.is_augmented and training is not False
        own = dataset.device_steps(training=training) if isinstance(dataset, Prepares) else ()
        steps, dtype = [*own, *_steps(transform)], _float_dtype(dtype)
        prepared = {"training": training, "dtype": dtype, "steps": [describe_step(step) for step in steps]}
        fingerprint = {**reader.fingerprint(), "prepared": prepared}
        self.plan = plan = Plan.of(fingerprint, arrangement, batch_size, last_batch(last, drop_last), seed)
        _warn_of_dropped(plan)
        over = _placement(sharding, device, plan)
        self._sharding = None if over is None else over.sharding
        self._crossing = Crossing(steps, dtype, seed, device, over, fill_to=plan.most_rows)
        if timeout is not None:
            timeout = check_positive("timeout", timeout)
        self._processes: ProcessReader | None = None
        if check_choice(WorkerKind, "worker", worker) is WorkerKind.PROCESS and not reader.in_memory:
            count = worker_count(num_workers, in_memory=False)
            if count == 0:
                raise ConfigError('`worker="process"` needs `num_workers` 1 or more, got 0')
            self._processes = reader = ProcessReader(reader, count, timeout=timeout)
            timeout = None  # the processes are watched, not the threads that wait for them
        self._reader = reader = cached_reader(
            reader, cache, cache_dir=cache_dir, cache_bytes=cache_bytes, training=training
        )
        self._faults = make_faults(on_error, max_errors, quarantine, reader, arrangement.size)
        compact = check_choice(BadRows, "bad_rows", bad_rows) is BadRows.COMPACT
        if compact and over is not None:
            raise ConfigError(
                '`bad_rows="compact"` makes batches of any size, and over several devices all must have one; leave '
                "one of `bad_rows` and `sharding` out"
            )
        self._num_workers = num_workers
        worker_count(num_workers, reader.in_memory)  # raises for a wrong number
        self._prefetch = _prefetch_count(prefetch, reader.spec, batch_size)
        if check_choice(DataPlacement, "placement", placement) is DataPlacement.DEVICE:
            if over is not None:
                raise ConfigError('`placement="device"` keeps all data on one device; leave `sharding` out')
            if self._faults is not None:
                raise ConfigError(
                    '`placement="device"` reads all data at once, so it goes with `on_error="raise"`'
                )
            self._feed = TableFeed(reader, self._crossing, plan, device=device)
        else:
            self._feed = HostFeed(
                reader,
                self._crossing,
                plan,
                training=training,
                num_workers=self._num_workers,
                prefetch=self._prefetch,
                placement=over,
                faults=self._faults,
                compact=compact,
                timeout=timeout,
            )
        if on_stats is not None and not callable(on_stats):
            raise ConfigTypeError(f"`on_stats` must be a function of a LoaderStats or None, got {on_stats!r}")
        worker = WorkerKind.PROCESS if isinstance(reader, ProcessReader) else WorkerKind.THREAD
        every = check_positive("stats_every", stats_every)
        probes = Probes(1 if over is None else jax.process_count())
        self._new_meter = partial(Meter, on_stats, every, worker.value, probes)
        self._meter = self._new_meter()
        self._position = Position(0, 0)
        self._starts_at = self._position
        self._stop: StopOnSignal | None = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.plan.num_steps

    def __repr__(self) -> str:
        workers = worker_count(self._num_workers, self._reader.in_memory)
        return (
            f"DataLoader({self.plan.arrangement.size} records, batch_size={self.plan.batch_size}, "
            f"{len(self)} batches an epoch, num_workers={workers}, prefetch={self._prefetch})"
        )

    @property
    def bad_records(self) -> tuple[BadRecord, ...]:
        """The records that were left out so far, in this process, each once; see `on_error`."""
        return () if self._faults is None else self._faults.records

    @property
    def spec(self) -> Spec:
        """Shape and dtype of each field of one sample, as it comes in a batch; of the largest, with buckets."""
        return self._crossing.spec(self._reader.spec)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch; after `restore`, of the rest of the restored one."""
        if self._stop is not None and self._stop.ends_now:
            return iter(())
        return self._epoch(self._next_epoch())

    def as_numpy_iterator(self) -> Iterator[HostArrays]:
        """The batches of the next epoch as dicts of NumPy arrays, and lists of strings, for what is not JAX.

        The same numbers as `iter(loader)` gives, after all steps on the device; the state moves on alike. Each array
        is a copy that may be written to. `dtype="bfloat16"` comes as the bfloat16 of `ml_dtypes`.

        Raises:
            ConfigError: the batches are spread over several processes, so none has all of one.
        """
        if self._sharding is not None and not self._sharding.is_fully_addressable:
            raise ConfigError(
                "`as_numpy_iterator` needs whole batches, and those of this loader lie on several processes: leave "
                "`sharding` out, or take `array.addressable_shards`"
            )
        return _as_numpy(iter(self))

    def batch(self, step: int) -> Batch:
        """The batch of a step counted over all epochs (epoch * len(loader) + i), by itself.

        It is the one that iterating gives at that step, bit by bit. The iteration is not touched.
        """
        step = check_integer("step", step, 0, len(self) * 2**32 - 1)
        batches = self._feed.batches([self.plan.rows(step)], is_one=True)
        try:
            return next(batches)
        finally:
            batches.close()

    def scan(self, step_fn: ScanStep, carry: Any) -> tuple[Any, Any]:
        """Runs the next epoch in one compiled loop, for data that are on the device as a whole.

        Args:
            step_fn: `step_fn(carry, batch) -> (carry, output)`, as for `jax.lax.scan`; pure. It is compiled
                once for all epochs that it, or a function equal to it, is given to.
            carry: what goes from step to step, e.g. parameters and the state of an optimizer.

        Returns:
            The last carry, and the outputs of all steps, stacked.

        Raises:
            ConfigError: the data are not on the device, or the batches of an epoch differ in size.
        """
        if not isinstance(self._feed, TableFeed):
            raise ConfigError(
                '`scan` needs the data on the device: make the loader with `placement="device"`'
            )
        if not self.plan.is_even:
            raise ConfigError(
                "`scan` needs batches of one size; make the loader with `drop_last=True`, or with `last='pad'` "
                "or 'wrap'"
            )
        position = self._next_epoch()
        rows = self.plan.block(position.epoch, position.step, len(self))
        result = self._feed.scan(step_fn, carry, rows)
        position.epoch, position.step = position.epoch + 1, 0
        return result

    def state(self) -> dict[str, Any]:
        """Where the newest iterator stands: a dict for JSON, under 4 kB, to be saved with the model.

        After k batches of an epoch were handed out it goes on with batch k, whatever was read ahead.
        """
        return make_state(self.plan, self._position)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Makes the next iterator go on where `state` was taken: the rest of the stream is the same.

        The data are recognised by names, sizes and samples of them, and functions by their names: a change
        within a file of the same size is not seen, nor one within a function (`map` takes a `version`).

        Raises:
            StateError: the state is of another plan, or of a version that this release does not read; the message
                names what differs and what to do.
        """
        self._position = self._starts_at = read_state(state, self.plan)

    def close(self) -> None:
        """Ends the processes that read, with `worker="process"`; else they end with the loader, or the program.

        They start again when they are needed. Threads end with the iteration that they read for.
        """
        if self._processes is not None:
            self._processes.close()

    def stop_on(self, *signals: int, save: Callable[[dict[str, Any]], None] | None = None) -> StopOnSignal:
        """Ends the iteration at the next batch boundary after a signal: at once, where a batch is being waited for.

        Then `save(loader.state())` is called, the loop ends as at the end of an epoch, and `is_stopped` is True.
        For machines that may be taken away:

            with loader.stop_on(signal.SIGTERM, save=save_checkpoint):
                for epoch in range(epochs):
                    for batch in loader:
                        ...
                    if loader.is_stopped:
                        break

        Args:
            signals: e.g. `signal.SIGTERM`.
            save: a function of the loader's state; None leaves it to what comes after the loop.

        Raises:
            ConfigError: there is no signal, or this is not the main thread.
        """
        self._stop = StopOnSignal(self.state, save, signals)
        return self._stop

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has ended the iteration; see `stop_on`."""
        return self._stop is not None and self._stop.is_requested

    def stats(self) -> LoaderStats:
        """What the time of the newest iteration goes into, until now or until its end; from any thread.

        All zeros before the first. `batch` and `scan` are no iterations.
        """
        return self._meter.stats()

    def _next_epoch(self) -> Position:
        position = replace(self._starts_at)
        self._position, self._starts_at = position, Position(position.epoch + 1, 0)
        return position

    def _epoch(self, position: Position) -> Iterator[Batch]:
        self._meter = meter = self._new_meter()
        tally = None if self._faults is None else Tally(self._faults, position.samples, position.errors)
        batches = self._feed.batches(self._rows_from(position.epoch, position.step), meter, tally)
        try:
            # Without a name for the batch: it would live on while the next one is made.
            for _ in range(position.step, len(self)):
                meter.turn += 1
                if meter.turn >= meter.next_on:
                    meter.asked()
                if self._stop is None:
                    yield self._handed_out(next(batches), position, meter, tally)
                else:
                    try:
                        yield self._handed_out(self._stop.next(batches), position, meter, tally)
                    except StopIteration:
                        break
            meter.report()
            meter.finish()
            if self._stop is None or not self._stop.ends_now:
                next(batches, None)  # it ends by itself: no interrupt is told as one of its being closed
        finally:
            meter.finish()
            batches.close()
            if self._stop is not None and self._stop.ends_now:
                self._starts_at = self._position  # who goes on in spite of it goes on there
        if self._stop is not None and self._stop.ends_now:
            self._stop.hand_over()

    def _handed_out(self, batch: Batch, position: Position, meter: Meter, tally: Tally | None) -> Batch:
        if meter.is_on:
            meter.handed_out()
        position.step += 1
        if tally is not None:
            tally.handed_out()
            position.samples, position.errors = tally.samples, tally.errors
        if position.step == len(self):
            position.epoch, position.step = position.epoch + 1, 0
            position.samples = position.errors = 0
        return batch

    def _rows_from(self, epoch: int, first: int) -> Iterator[Rows]:
        at_once = max(1, _RECORDS_AT_ONCE // self.plan.batch_size)
        for start in range(first, len(self), at_once):
            yield from self.plan.block(epoch, start, min(start + at_once, len(self)))


def create_data_loader(
    dataset: Any,
    batch_size: int,
    shuffle: bool = True,
    drop_last: bool = False,
    *,
    seed: int = 0,
    last: str | LastBatch | None = None,
    keep: npt.ArrayLike | None = None,
    sample_weights: npt.ArrayLike | None = None,
    balance: npt.ArrayLike | None = None,
    repeat: int = 1,
    num_workers: int | str | None = None,
    prefetch: int | str = "auto",
    transform: Step | Sequence[Step] | None = None,
    training: bool | None = None,
    dtype: npt.DTypeLike = "float32",
    device: Any = None,
    sharding: Any = None,
    placement: str | DataPlacement = DataPlacement.HOST,
    cache: str | CacheKind | None = None,
    cache_dir: str | Path | None = None,
    cache_bytes: int | None = None,
    on_error: str | OnError = OnError.RAISE,
    max_errors: float = 0.1,
    quarantine: str | Path | None = "quarantine.jsonl",
    bad_rows: str | BadRows = BadRows.MASK,
    worker: str | WorkerKind = WorkerKind.THREAD,
    timeout: float | None = None,
    on_stats: Callable[[LoaderStats], None] | None = None,
    stats_every: float = 10.0,
) -> DataLoader:
    """A loader over all records of a dataset, which can be iterated once per epoch.

    Args:
        dataset: a dataset of this package; or any object with `__len__` and `__getitem__` (a list, a grain source or
            `MapDataset`, a torch-style dataset) that gives dicts of arrays, numbers and strings, all of one shape; or
            tuples of such, or one each, which `with_names` names; or an object with `__iter__` alone, which is read
            into memory once; or a dict of arrays.
        batch_size: records in a batch, > 0.
        shuffle: a new order for every epoch, a function of (seed, epoch); False keeps the order of the data.
        drop_last: leaves out a last batch that is not full; otherwise it is shorter.
        seed: 0 to 2**64 - 1, for the order and for all that is random about a record.
        last: what becomes of a last batch that is not full: "short", "drop", "pad" (filled up; `valid`, bool (b,),
            says which rows are records) or "wrap" (filled up with the records that the epoch began with).
        keep: a filter that was computed before: one boolean per record.
        sample_weights: draws with replacement, with probabilities in proportion to these: one number per
            record, 0 or more. An epoch has as many draws as there are records; with buckets each has its share of
            them, as a whole number.
        balance: one label per record, integers or strings: each class comes equally often, exactly, over any stretch
            of batches; within a class each record comes once before any comes again. An epoch has as many samples
            as there are records (that `keep` keeps). Not with buckets.
        repeat: how many times the records come in an epoch, each time in another order, > 0.
        num_workers: threads that read and decode; 0 reads when a batch is asked for; "auto" (or None) chooses: 0
            for data in memory, else one for each core, 16 at most. The batches are the same for any number.
        prefetch: batches that are read ahead, 1 or more; "auto" takes 2 to 8, 256 MiB of them at most.
        transform: one function `(key, sample) -> sample` or a list of them, run on the device after what the
            dataset does itself; pure, jit-safe and on one sample, unless marked with `batch_level`.
        training: False leaves augmentation out. It takes place only where the dataset's split is "train" and
            its config says `augmentation=True`, whatever stands here.
        dtype: what floats come as: float32, bfloat16 or float16.
        device: a `jax.Device` or sharding of one that batches are committed to; None leaves it to JAX.
        sharding: a `jax.sharding.NamedSharding`, or a mesh and a `PartitionSpec` as a tuple, whose first axis says
            how the rows of a batch are split over the mesh. Batches are global arrays then, of all processes; each
            process reads its own rows alone, and strings are those of its rows. `batch_size` is that of the global
            batch.
        placement: "host", or "device" to keep all data on the device, where a batch is a gather; for data in
            memory that fit there.
        cache: "memory" or "disk" keeps what was read and decoded; from the second epoch on reading is a gather.
            What is random on the host cannot be kept; data in memory need no cache and are left as they are.
        cache_dir: folder for the caches on disk; None for the user's cache folder (`$XDG_CACHE_HOME/artifex`,
            `~/.cache/artifex`, on macOS `~/Library/Caches/artifex`).
        cache_bytes: bound of what is kept, all datasets on disk together; None for 4 GiB in memory and 16 GiB on
            disk. Of larger data a part is kept, and the rest read as without a cache.
        on_error: what becomes of a record that cannot be read or decoded, or that a function fails on: "raise" its
            error; or "skip": its row is masked, zeros and False in the batch's `valid`, so that all other rows are
            what they would be, on every host and after a restart; or "quarantine", which also writes it down.
        max_errors: with those two, how many bad samples are too many in one epoch: a count (int), or a share of its
            samples so far (float), which are taken for as many as an epoch has, or 1,000, at least. The counts are
            in the state: a run that was resumed ends where it would have ended. Each process of several counts its
            own.
        quarantine: the file for "quarantine", a line of JSON for each bad record; see `read_quarantine`,
            `retry_quarantine` and `known_good`.
        bad_rows: "mask" them, or "compact": the batch is shorter by them, without `valid`; not with `sharding`.
        worker: "thread" or "process": who reads. Threads are cheaper, and enough for files, which are decoded while
            other threads go on; processes are for functions in pure Python. They are spawned, so a script that uses
            them needs its `if __name__ == "__main__":`, and the dataset must be picklable.
        timeout: seconds that one record may take to read, > 0; then the stacks of all threads are written to the
            standard error, and the error names the record (with `num_workers=0` the program is ended). None waits
            for any time. Records are read one by one then, which costs some microseconds each.
        on_stats: is called with the `LoaderStats` since its last call, in the thread that iterates, when that asks
            for a batch and at the end of an iteration. An error of its ends the iteration.
        stats_every: seconds between two such calls, at least, > 0.

    Raises:
        ConfigError: an argument is out of range, or there are no records.
    """
    return DataLoader(
        dataset,
        batch_size,
        shuffle,
        drop_last,
        seed=seed,
        last=last,
        keep=keep,
        sample_weights=sample_weights,
        balance=balance,
        repeat=repeat,
        num_workers=num_workers,
        prefetch=prefetch,
        transform=transform,
        training=training,
        dtype=dtype,
        device=device,
        sharding=sharding,
        placement=placement,
        cache=cache,
        cache_dir=cache_dir,
        cache_bytes=cache_bytes,
        on_error=on_error,
        max_errors=max_errors,
        quarantine=quarantine,
        bad_rows=bad_rows,
        worker=worker,
        timeout=timeout,
        on_stats=on_stats,
        stats_every=stats_every,
    )


def _as_numpy(batches: Iterator[Batch]) -> Iterator[HostArrays]:
    # Without a name for the batch, as in `_epoch`; a copy, for a view would keep it in use.
    while (arrays := _host_arrays(next(batches, None))) is not None:
        yield arrays


def _host_arrays(batch: Batch | None) -> HostArrays | None:
    if batch is None:
        return None
    return {name: value if isinstance(value, list) else np.array(value) for name, value in batch.items()}


def _steps(transform: Step | Sequence[Step] | None) -> Sequence[Step]:
    if transform is None:
        return ()
    return transform if isinstance(transform, Sequence) else (transform,)


def _float_dtype(dtype: npt.DTypeLike) -> str:
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = repr(dtype)
    if name not in _FLOATS:
        raise ConfigError(f"`dtype` must be one of {', '.join(_FLOATS)}, got {name!r}")
    return name


def _check_names(spec: Spec) -> None:
    for name in ("index", "valid"):
        if name in spec:
            raise ConfigError(
                f"the samples have a field {name!r}, which is the loader's own name (for the record numbers, and for "
                f"which rows are records); rename it, e.g. with `map`"
            )


def _prefetch_count(prefetch: int | str, spec: Spec, batch_size: int) -> int:
    if prefetch == "auto":
        return max(2, min(8, _READ_AHEAD_BYTES // max(batch_size * sample_bytes(spec), 1)))
    check_integer("prefetch", prefetch, 1, 1024)
    return int(prefetch)


def _warn_of_dropped(plan: Plan) -> None:
    """Tells of buckets that are left out whole, which no order of theirs would change."""
    if plan.last is not LastBatch.DROP or not isinstance(plan.arrangement, Bucketed):
        return
    dropped = [part.size for part in plan.arrangement.parts if part.size < plan.batch_size]
    if dropped:
        warn(
            f"`drop_last=True` leaves out {len(dropped)} of {len(plan.arrangement.parts)} buckets in every epoch, "
            f"with {sum(dropped)} of {plan.arrangement.size} records: each has fewer than `batch_size` "
            f"{plan.batch_size}; pass `last='pad'`, 'wrap' or 'short', or fewer buckets",
            DroppedBucketWarning,
        )


def _placement(sharding: Any, device: Any, plan: Plan) -> Placement | None:
    if sharding is None:
        return None
    if device is not None:
        raise ConfigError("`device` and `sharding` exclude each other; give one of the two")
    if not plan.is_even:
        raise ConfigError(
            f"over several devices all batches must have one size, and {plan.arrangement.size} records in batches "
            f"of {plan.batch_size} leave a shorter one: pass `drop_last=True`, or `last='pad'` or 'wrap'"
        )
    return Placement(sharding, plan.batch_size)
