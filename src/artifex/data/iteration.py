"""A loader that runs: epochs of batches, where it stands, and what its time goes into."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_integer
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.faults import BadRecord, Faults, Tally
from artifex.data.feed import Batch, HostFeed, ScanStep, TableFeed
from artifex.data.meter import Meter
from artifex.data.plan import Plan, Rows
from artifex.data.preemption import StopOnSignal
from artifex.data.processes import ProcessPool
from artifex.data.state import Position, make_state, read_state
from artifex.data.stats import LoaderStats
from artifex.data.types import Spec

# Record numbers are computed for several steps at a time: the fixed cost of NumPy's calls is spread.
_RECORDS_AT_ONCE = 8192

HostArrays: TypeAlias = dict[str, npt.NDArray[Any] | list[str]]
"""Field name -> array (b, ...), or a list of b strings."""


class DataLoader:
    """Batches on the device, epoch by epoch; every one a pure function of (plan, step).

    Each `iter(loader)` is the next epoch, in an order of its own where `shuffle` is on. A batch is a dict:
    `jax.Array`s of shape (b, ...) by field name, `index` (b,) int32 with the record numbers, and lists of
    strings. The last batch of an epoch is shorter where the records do not divide, unless `drop_last`.
    Several iterators may run side by side; each is for one thread.

    `create_data_loader` makes one of a dataset.

    Args:
        plan: which records come in which batch.
        feed: makes the batches for rows of the plan.
        new_meter: makes what measures one iteration.
        faults: what knows the bad records, where they are left out.
        processes: those that read, if any do.
        is_whole: whether all of a batch is on this process.

    Attributes:
        plan: which records come in which batch.
    """

    def __init__(
        self,
        plan: Plan,
        feed: HostFeed | TableFeed,
        *,
        new_meter: Callable[[], Meter] = Meter,
        faults: Faults | None = None,
        processes: ProcessPool | None = None,
        is_whole: bool = True,
    ) -> None:
        if not isinstance(plan, Plan):
            raise ConfigTypeError(
                f"`DataLoader` is made of a plan, got {type(plan).__name__}: make one of a dataset by "
                f"`create_data_loader(dataset, batch_size, ...)`"
            )
        self.plan = plan
        self._feed, self._faults, self._processes, self._is_whole = feed, faults, processes, is_whole
        self._new_meter, self._meter = new_meter, new_meter()
        self._position = self._starts_at = Position(0, 0)
        self._stop: StopOnSignal | None = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.plan.num_steps

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.plan.arrangement.size} records, batch_size={self.plan.batch_size}, "
            f"{len(self)} batches an epoch, num_workers={self._feed.num_workers}, prefetch={self._feed.prefetch})"
        )

    @property
    def bad_records(self) -> tuple[BadRecord, ...]:
        """The records that were left out so far, in this process, each once; see `on_error`."""
        return () if self._faults is None else self._faults.records

    @property
    def spec(self) -> Spec:
        """Shape and dtype of each field of one sample, as it comes in a batch; of the largest, with buckets."""
        return self._feed.spec

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
        if not self._is_whole:
            raise ConfigError(
                "`as_numpy_iterator` needs whole batches, and those of this loader lie on several processes: leave "
                "`sharding` out, or take `array.addressable_shards`"
            )
        return _as_numpy(iter(self))

    def batch(self, step: int) -> Batch:
        """The batch of a step counted over all epochs (epoch * len(loader) + i), by itself.

        It is the one that iterating gives at that step, bit by bit. The iteration is not touched.
        """
        step = check_integer("step", step, 0, self.plan.last_step)
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
            ConfigTypeError: `step_fn` is no function, or does not return a pair.
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
        at = self._starts_at
        result = self._feed.scan(step_fn, carry, self.plan.block(at.epoch, at.step, len(self)))
        # Not before: a `step_fn` that cannot be compiled has used up no epoch.
        self._position = self._starts_at = Position(at.epoch + 1, 0)
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

        They start again when they are needed, also by an iterator that is still open, which reads ahead: close that
        first. Threads end with the iteration that they read for.
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


def _as_numpy(batches: Iterator[Batch]) -> Iterator[HostArrays]:
    # Without a name for the batch, as in `_epoch`; a copy, for a view would keep it in use.
    while (arrays := _host_arrays(next(batches, None))) is not None:
        yield arrays


def _host_arrays(batch: Batch | None) -> HostArrays | None:
    if batch is None:
        return None
    return {name: value if isinstance(value, list) else np.array(value) for name, value in batch.items()}
