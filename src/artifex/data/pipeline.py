"""The whole journey, put together: a dataset in, batches of device arrays out."""

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_integer
from artifex.data.device import Crossing, Step
from artifex.data.errors import ConfigError, ConfigTypeError, StateError
from artifex.data.loader import HostBatch, HostBatches, Rows
from artifex.data.plan import Order, Plan
from artifex.data.randomness import RecordRandom
from artifex.data.samples import reader_of
from artifex.data.types import Indices, Spec

Batch: TypeAlias = dict[str, Any]
"""Field name -> `jax.Array` (b, ...), or a list of b strings."""

STATE_VERSION = 1

_MAX_INDEX = 2**31 - 1

# Batches that are on the device, or on the way, before they are asked for.
_DEVICE_AHEAD = 2

# Record numbers are computed for several steps at a time: the fixed cost of NumPy's calls is spread.
_RECORDS_AT_ONCE = 8192

_FLOATS = ("float32", "bfloat16", "float16")


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


@dataclass
class _Position:
    """Where an iterator stands: the next batch that it will hand out."""

    epoch: int
    step: int


class DataLoader:
    """Batches on the device, epoch by epoch; every one a pure function of (plan, step).

    Each `iter(loader)` is the next epoch, in an order of its own where `shuffle` is on. A batch is a dict:
    `jax.Array`s of shape (b, ...) by field name, `index` (b,) int32 with the record numbers, and lists of
    strings. The last batch of an epoch is shorter where the records do not divide, unless `drop_last`.

    Use `create_data_loader`, which says what the arguments mean.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        shuffle: bool = True,
        drop_last: bool = False,
        *,
        seed: int = 0,
        num_workers: int | None = None,
        prefetch: int = 2,
        transform: Step | Sequence[Step] | None = None,
        training: bool | None = None,
        dtype: npt.DTypeLike = "float32",
        device: Any = None,
    ) -> None:
        self._reader = reader = reader_of(dataset)
        if len(reader) > _MAX_INDEX:
            raise ConfigError(
                f"the dataset has {len(reader)} records; a loader numbers them in int32, so {_MAX_INDEX} at most"
            )
        for name, value in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(value, bool):
                raise ConfigTypeError(f"`{name}` must be True or False, got {value!r}")
        order = Order(len(reader), batch_size, shuffle, drop_last, seed)
        self.plan = Plan.of(reader.fingerprint(), order)
        self._training = _training(dataset, training)
        own = dataset.device_steps(training=self._training) if isinstance(dataset, Prepares) else ()
        self._crossing = Crossing([*own, *_steps(transform)], _float_dtype(dtype), seed, device)
        self._num_workers = worker_count(num_workers, reader.in_memory)
        check_integer("prefetch", prefetch, 1, 1024)
        self._prefetch = prefetch
        self._position = _Position(0, 0)
        self._starts_at = self._position

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.plan.num_steps

    def __repr__(self) -> str:
        order = self.plan.order
        return (
            f"DataLoader({order.num_records} records, batch_size={order.batch_size}, "
            f"{len(self)} batches an epoch, num_workers={self._num_workers}, prefetch={self._prefetch})"
        )

    @property
    def spec(self) -> Spec:
        """Shape and dtype of each field of one sample, as it comes in a batch."""
        return self._crossing.spec(self._reader.spec)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch; after `restore`, of the rest of the restored one."""
        position = _Position(self._starts_at.epoch, self._starts_at.step)
        self._position, self._starts_at = position, _Position(position.epoch + 1, 0)
        return self._epoch(position)

    def batch(self, step: int) -> Batch:
        """The batch of a step counted over all epochs (epoch * len(loader) + i), by itself.

        It is the one that iterating gives at that step, bit by bit. The iteration is not touched.
        """
        check_integer("step", step, 0, 2**62)
        epoch, step = divmod(int(step), len(self))
        with_workers = self._num_workers if self.plan.order.batch_size > 1 else 0
        rows = self._rows(epoch, step, self.plan.order.rows(epoch, step))
        host = self._host_batches(iter([rows]), num_workers=with_workers)
        try:
            return self._cross(next(host))
        finally:
            host.close()

    def state(self) -> dict[str, Any]:
        """Where the newest iterator stands: a dict for JSON, under 4 kB, to be saved with the model.

        After k batches of an epoch were handed out it goes on with batch k, whatever was read ahead.
        """
        position = {"epoch": self._position.epoch, "step": self._position.step}
        return {"version": STATE_VERSION, "plan": self.plan.describe(), **position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Makes the next iterator go on where `state` was taken: the rest of the stream is the same.

        Raises:
            StateError: the state is of another version or plan; the message names what differs.
        """
        epoch, step = _read_state(state, self.plan)
        self._position = _Position(epoch, step)
        self._starts_at = self._position

    def _epoch(self, position: _Position) -> Iterator[Batch]:
        epoch = position.epoch
        host = self._host_batches(self._rows_from(epoch, position.step), num_workers=self._num_workers)
        ahead: deque[Batch] = deque()
        try:
            for _ in range(position.step, len(self)):
                if not ahead:
                    ahead.append(self._cross(next(host)))
                while len(ahead) < _DEVICE_AHEAD and host.is_ready():
                    ahead.append(self._cross(next(host)))
                self._advance(position)
                yield ahead.popleft()
        finally:
            host.close()

    def _advance(self, position: _Position) -> None:
        position.step += 1
        if position.step == len(self):
            position.epoch, position.step = position.epoch + 1, 0

    def _rows_from(self, epoch: int, first: int) -> Iterator[Rows]:
        order = self.plan.order
        at_once = max(1, _RECORDS_AT_ONCE // order.batch_size)
        end = min(order.num_records, order.num_steps * order.batch_size)
        for start in range(first, order.num_steps, at_once):
            stop = min(end, (start + at_once) * order.batch_size)
            numbers = order.slice(epoch, start * order.batch_size, stop)
            for i in range(-(-len(numbers) // order.batch_size)):
                yield self._rows(epoch, start + i, numbers[i * order.batch_size : (i + 1) * order.batch_size])

    def _rows(self, epoch: int, step: int, index: Indices) -> Rows:
        random = RecordRandom(self.plan.order.seed, epoch, index) if self._training else None
        return Rows(epoch, step, index, random)

    def _host_batches(self, rows: Iterator[Rows], *, num_workers: int) -> HostBatches:
        size = min(self.plan.order.batch_size, self.plan.order.num_records)
        return HostBatches(self._reader, rows, size, num_workers=num_workers, prefetch=self._prefetch)

    def _cross(self, host: HostBatch) -> Batch:
        arrays = self._crossing(host.rows.epoch, host.rows.index.astype(np.int32), host.arrays)
        return {**arrays, **host.texts}


def create_data_loader(
    dataset: Any,
    batch_size: int,
    shuffle: bool = True,
    drop_last: bool = False,
    *,
    seed: int = 0,
    num_workers: int | None = None,
    prefetch: int = 2,
    transform: Step | Sequence[Step] | None = None,
    training: bool | None = None,
    dtype: npt.DTypeLike = "float32",
    device: Any = None,
) -> DataLoader:
    """A loader over all records of a dataset, which can be iterated once per epoch.

    Args:
        dataset: a dataset of this package; or any object with `__len__` and `__getitem__` that gives dicts of
            arrays, numbers and strings, all of one shape; or one with `__iter__` alone, which is read into
            memory once; or a dict of arrays.
        batch_size: records in a batch, > 0.
        shuffle: a new order for every epoch, a function of (seed, epoch); False keeps the order of the data.
        drop_last: leaves out a last batch that is not full; otherwise it is shorter.
        seed: 0 to 2**64 - 1, for the order and for all that is random about a record.
        num_workers: threads that read and decode; 0 reads when a batch is asked for; None chooses: 0 for data
            in memory, else one for each core, 16 at most. The batches are the same for any number.
        prefetch: batches that are read ahead, 1 or more.
        transform: one function `(key, sample) -> sample` or a list of them, run on the device after what the
            dataset does itself; pure, jit-safe and on one sample, unless marked with `batch_level`.
        training: False leaves augmentation out. It takes place only where the dataset's split is "train" and
            its config says `augmentation=True`, whatever stands here.
        dtype: what floats come as: float32, bfloat16 or float16.
        device: a `jax.Device` or sharding of one that batches are committed to; None leaves it to JAX.

    Raises:
        ConfigError: an argument is out of range, or there are no records.
    """
    return DataLoader(
        dataset,
        batch_size,
        shuffle,
        drop_last,
        seed=seed,
        num_workers=num_workers,
        prefetch=prefetch,
        transform=transform,
        training=training,
        dtype=dtype,
        device=device,
    )


def _training(dataset: Any, training: bool | None) -> bool:
    augmented = isinstance(dataset, Prepares) and dataset.is_augmented
    return augmented and training is not False


def _steps(transform: Step | Sequence[Step] | None) -> Sequence[Step]:
    if transform is None:
        return ()
    return transform if isinstance(transform, Sequence) else (transform,)


def _float_dtype(dtype: npt.DTypeLike) -> npt.DTypeLike:
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in _FLOATS:
        raise ConfigError(f"`dtype` must be one of {', '.join(_FLOATS)}, got {name!r}")
    return name


def worker_count(num_workers: int | None, in_memory: bool) -> int:
    """How many threads read, given what the user said (None: choose) and whether reading is a mere gather."""
    if num_workers is None:
        return 0 if in_memory else min(16, _cores())
    check_integer("num_workers", num_workers, 0, 1024)
    return num_workers


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_state(state: Any, plan: Plan) -> tuple[int, int]:
    """The epoch and step of a state, after all that it says was checked."""
    if not isinstance(state, Mapping):
        raise StateError(f"this is no state of a loader: it is a {type(state).__name__}, not a dict")
    missing = [key for key in ("version", "plan", "epoch", "step") if key not in state]
    if missing:
        raise StateError(f"this is no state of a loader: it has no {', '.join(map(repr, missing))}")
    if state["version"] != STATE_VERSION:
        raise StateError(
            f"the state has version {state['version']!r}, and this release reads version {STATE_VERSION}; "
            f"restore it with the release that saved it"
        )
    differences = plan.difference(state["plan"])
    if differences:
        raise StateError(
            "the state belongs to another plan: " + "; ".join(differences) + ". Make the loader as it was, "
            "or start over without restoring"
        )
    try:
        check_integer("epoch", state["epoch"], 0, 2**32 - 1)
        check_integer("step", state["step"], 0, plan.num_steps - 1)
    except (ConfigError, ConfigTypeError) as error:
        raise StateError(f"the state is damaged: {error}") from None
    return int(state["epoch"]), int(state["step"])
