"""The whole journey, put together: a dataset in, a loader of batches out."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketReader
from artifex.data.cache import CacheKind, cached_reader
from artifex.data.checks import (
    LARGEST_INT32,
    check_bool,
    check_choice,
    check_count,
    check_integer,
    check_positive,
    is_auto,
)
from artifex.data.device import Crossing, Step, describe_step
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.faults import BadRows, Faults, OnError, make_faults
from artifex.data.feed import HostFeed, TableFeed
from artifex.data.iteration import DataLoader
from artifex.data.meter import Meter
from artifex.data.placement import Placement
from artifex.data.plan import Bucketed, LastBatch, Plan, arrange, last_batch
from artifex.data.plan.order import MAX_SEED
from artifex.data.probes import Probes
from artifex.data.processes import ProcessPool
from artifex.data.reader import Reader
from artifex.data.samples import reader_of
from artifex.data.stats import LoaderStats
from artifex.data.types import Spec, sample_bytes
from artifex.data.warn import warn
from artifex.data.workers import worker_count

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
        cache_dir: folder for the caches on disk, which lie in its `records`; None for the user's cache folder
            (`$XDG_CACHE_HOME/artifex`, `~/.cache/artifex`, on macOS `~/Library/Caches/artifex`).
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
            other threads go on; processes are for functions in pure Python. Data in memory need neither, and are
            gathered here. Processes are spawned, so a script that uses
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
    batch_size = check_integer("batch_size", batch_size, 1, LARGEST_INT32)
    seed = check_integer("seed", seed, 0, MAX_SEED)
    reader = reader_of(dataset)
    _check_spec(reader)
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
    training = _is_training(dataset, training)
    own = dataset.device_steps(training=training) if isinstance(dataset, Prepares) else ()
    steps, dtype = [*own, *_steps(transform)], _float_dtype(dtype)
    prepared = {"training": training, "dtype": dtype, "steps": [describe_step(step) for step in steps]}
    fingerprint = {**reader.fingerprint(), "prepared": prepared}
    plan = Plan.of(fingerprint, arrangement, batch_size, last_batch(last, drop_last), seed)
    _warn_of_dropped(plan)
    over = _placement(sharding, device, plan)
    crossing = Crossing(steps, dtype, seed, device, over, fill_to=plan.most_rows)

    if timeout is not None:
        timeout = check_positive("timeout", timeout)
    processes: ProcessPool | None = None
    if check_choice(WorkerKind, "worker", worker) is WorkerKind.PROCESS and not reader.in_memory:
        processes = _processes(reader, num_workers, timeout)
        reader = processes.reader()
        timeout = None  # the processes are watched, not the threads that wait for them
    reader = cached_reader(reader, cache, cache_dir=cache_dir, cache_bytes=cache_bytes, training=training)
    faults = make_faults(on_error, max_errors, quarantine, reader, arrangement.size)
    compact = check_choice(BadRows, "bad_rows", bad_rows) is BadRows.COMPACT
    worker_count(num_workers, reader.in_memory)  # raises for a wrong number
    prefetch = _prefetch_count(prefetch, reader.spec, batch_size)
    on_device = check_choice(DataPlacement, "placement", placement) is DataPlacement.DEVICE
    _check_together(over, faults, compact=compact, on_device=on_device)
    if on_device:
        feed = TableFeed(reader, crossing, plan, device=device)
    else:
        feed = HostFeed(
            reader,
            crossing,
            plan,
            training=training,
            num_workers=num_workers,
            prefetch=prefetch,
            placement=over,
            faults=faults,
            compact=compact,
            timeout=timeout,
        )

    if on_stats is not None and not callable(on_stats):
        raise ConfigTypeError(f"`on_stats` must be a function of a LoaderStats or None, got {on_stats!r}")
    who = WorkerKind.THREAD if processes is None else WorkerKind.PROCESS
    probes = Probes(1 if over is None else jax.process_count())
    return DataLoader(
        plan,
        feed,
        new_meter=partial(Meter, on_stats, check_positive("stats_every", stats_every), who.value, probes),
        faults=faults,
        processes=processes,
        is_whole=over is None or over.is_whole,
    )


def _is_training(dataset: Any, training: bool | None) -> bool:
    if training is not None:
        check_bool("training", training)
    return isinstance(dataset, Prepares) and dataset.is_augmented and training is not False


def _processes(reader: Reader, num_workers: int | str | None, timeout: float | None) -> ProcessPool:
    count = worker_count(num_workers, in_memory=False)
    if count == 0:
        raise ConfigError('`worker="process"` needs `num_workers` 1 or more, got 0')
    return ProcessPool(reader, count, timeout=timeout)


def _check_together(over: Placement | None, faults: Faults | None, *, compact: bool, on_device: bool) -> None:
    """Raises ConfigError for settings that exclude each other."""
    if compact and over is not None:
        raise ConfigError(
            '`bad_rows="compact"` makes batches of any size, and over several devices all must have one; leave '
            "one of `bad_rows` and `sharding` out"
        )
    if on_device and over is not None:
        raise ConfigError('`placement="device"` keeps all data on one device; leave `sharding` out')
    if on_device and faults is not None:
        raise ConfigError('`placement="device"` reads all data at once, so it goes with `on_error="raise"`')


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


def _check_spec(reader: Reader) -> None:
    for name in ("index", "valid"):
        if name in reader.spec:
            raise ConfigError(
                f"the samples have a field {name!r}, which is the loader's own name (for the record numbers, and for "
                f"which rows are records); rename it, e.g. with `map`"
            )
    if len(reader) > LARGEST_INT32:
        raise ConfigError(
            f"the dataset has {len(reader)} records; a loader numbers them in int32, so {LARGEST_INT32} at most"
        )


def _prefetch_count(prefetch: int | str, spec: Spec, batch_size: int) -> int:
    if is_auto(prefetch):
        return max(2, min(8, _READ_AHEAD_BYTES // max(batch_size * sample_bytes(spec), 1)))
    return check_count("prefetch", prefetch, 1)


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
