"""Readers whose records are read by other processes, which may die."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import cast

import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketReader
from artifex.data.clock import current_clock
from artifex.data.errors import ConfigError, StalledError, WorkerDiedError
from artifex.data.fingerprint import Fingerprint, stamp_of
from artifex.data.processes.child import Answer, Request, main
from artifex.data.processes.shared import SharedRows, rows_that_fit
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, unchanged
from artifex.data.types import Arrays, Indices, Spec
from artifex.data.workers import is_wanted

# What one process is given at a time takes no more than this.
_SHARED_BYTES = 2**25
_MOST_ROWS = 256

# A record that has been the end of so many processes is a bad one.
_MOST_DEATHS = 3

# How long `close` waits for processes before it kills them, in seconds: what they read is read again if it is needed.
_PATIENCE = 0.2

# Starts that may fail one after another: a process that ends by itself will do so again; signals come from outside.
_MOST_FAILURES, _MOST_KILLS = 3, 20

# How long a process may take to begin, in seconds, where records may take less.
_START_PATIENCE = 30.0

# How often one looks after a process that has a time limit, in seconds.
_LOOK = 0.2

# Libraries with threads of their own, beside as many processes as there are cores, would only wait for each other.
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "RAYON_NUM_THREADS",
    ),
    "1",
)
# Should a module of the user's import JAX: the accelerator belongs to the program.
_CHILD_VARIABLES = {**_ONE_THREAD, "JAX_PLATFORMS": "cpu", "TOKENIZERS_PARALLELISM": "false"}
_starting = threading.Lock()


_GUARD = (
    'a script that uses `worker="process"` needs `if __name__ == "__main__":` around what it does, for the processes '
    "import it"
)


class ProcessPool:
    """`count` processes that read another reader's records, bit by bit; they start when they are needed.

    A process that dies is started again, and what it was at is read again; a record at which three have died is a
    `WorkerDiedError`.

    Args:
        reader: picklable.
        count: processes, 1 or more.
        timeout: seconds that one record may take; None for any time.

    Raises:
        ConfigError: the reader cannot be pickled.
    """

    def __init__(self, reader: Reader, count: int, *, timeout: float | None = None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise ConfigError(f"{_GUARD}: here it is imported by such a process, and would start others")
        self._of = reader
        self._parts = parts = reader.readers if isinstance(reader, BucketReader) else (reader,)
        pickled, specs, starts = _pickled(parts), [part.spec for part in parts], _Starts()
        self._num_rows = [min(_MOST_ROWS, rows_that_fit(spec, _SHARED_BYTES)) for spec in specs]
        self._children = [_Child(pickled, specs, self._num_rows, timeout, starts) for _ in range(count)]
        self._idle: SimpleQueue[_Child] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._deaths: Counter[int] = Counter()
        self._stop = weakref.finalize(self, _close_all, self._children)

    def reader(self) -> Reader:
        """The same records, read by the processes: for as many threads as there are of these, each waits for one."""
        parts = [_ProcessReader(part, self, bucket) for bucket, part in enumerate(self._parts)]
        of = self._of
        return BucketReader(parts, of.of, mixed=of.mixed) if isinstance(of, BucketReader) else parts[0]

    def read_into(
        self, bucket: int, indices: Indices, out: Arrays, random: RecordRandom | None = None
    ) -> None:
        """Records of one bucket, of 0 if there are none, as `Reader.read_into`."""
        child, at_once = self._idle.get(), self._num_rows[bucket]
        try:
            for start in range(0, len(indices), at_once):
                part = slice(start, start + at_once)
                own = None if random is None else random.rows(part.start, part.stop)
                rows = {name: array[part] for name, array in out.items()}
                self._read(child, Request(bucket, indices[part], own), rows)
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """Ends the processes. They start again if they are needed again."""
        _close_all(self._children)

    def _read(self, child: "_Child", request: Request, out: Arrays) -> None:
        for number in request.numbers:
            if self._deaths[int(number)] >= _MOST_DEATHS:
                raise _died(int(number))
        while True:
            try:
                child.read(request, out)
            except _EndedError:
                if not is_wanted():
                    raise
            except _DiedError as error:
                record = int(request.numbers[error.row])
                self._deaths[record] += 1
                if self._deaths[record] >= _MOST_DEATHS:
                    raise _died(record) from None
            else:
                for number in request.numbers if self._deaths else ():
                    self._deaths.pop(int(number), None)  # it was read: the deaths had other reasons
                return


class _ProcessReader:
    """A reader, or one of a bucket, whose records are read by a pool."""

    in_memory = False

    def __init__(self, reader: Reader, pool: ProcessPool, bucket: int) -> None:
        self._reader, self._pool, self._bucket = reader, pool, bucket
        self.spec: Spec = reader.spec

    @property
    def is_random(self) -> bool:
        return self._reader.is_random

    def __len__(self) -> int:
        return len(self._reader)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        self._pool.read_into(self._bucket, indices, out, random)

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self._reader, indices)

    def fingerprint(self) -> Fingerprint:
        return self._reader.fingerprint()

    def stamp(self) -> str:
        return stamp_of(self._reader)


class _DiedError(Exception):
    """A process died while it read a row."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


class _EndedError(Exception):
    """A process was ended on purpose."""


class _Starts:
    """Starts of processes that failed, one after another, over all children."""

    def __init__(self) -> None:
        self.failures = self.kills = 0

    def went_well(self) -> None:
        self.failures = self.kills = 0

    def failed(self, code: int | None) -> None:
        """Takes note of an exit code.

        Raises:
            ConfigError: it is of no use to go on.
        """
        if code is not None and code < 0:
            self.kills += 1
        else:
            self.failures += 1
        if self.failures >= _MOST_FAILURES or self.kills >= _MOST_KILLS:
            raise ConfigError(
                f'processes for `worker="process"` end before they can begin (exit code {code}; what they said '
                f"stands above): {_GUARD}; and classes and functions of the dataset must stand in a file that can be "
                f"imported, not in a prompt. Or use threads"
            )


class _Child:
    """One process, and the memory that is shared with it; for one thread at a time."""

    def __init__(
        self,
        pickled: bytes,
        specs: Sequence[Spec],
        num_rows: Sequence[int],
        timeout: float | None,
        starts: _Starts,
    ) -> None:
        self._starts = starts
        self._pickled, self._specs, self._num_rows, self._timeout = pickled, specs, num_rows, timeout
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._rows: SharedRows | None = None
        self._lock = threading.Lock()
        self._endings = 0  # on purpose

    def read(self, request: Request, out: Arrays) -> None:
        while True:
            connection, process, rows, endings = self._running()
            rows.progress[:] = 0
            try:
                connection.send(request)
                answer = self._wait(connection, process, rows, request)
                break
            except StalledError:  # which is an OSError too
                raise
            except (EOFError, OSError, TypeError):  # the pipe broke, or was closed: the process is gone
                if self._endings != endings or not is_wanted():
                    raise _EndedError from None
                row, has_begun = int(rows.progress[0]), bool(rows.progress[1])
                wait([process.sentinel], _PATIENCE)
                code = process.exitcode
                self._clear()
                if has_begun:
                    raise _DiedError(row) from None
                self._starts.failed(code)  # no record's fault
        self._starts.went_well()
        clock = current_clock()
        for stage, time_there in enumerate(answer.times):
            clock.credit(stage, time_there)
        if answer.error is not None:
            raise answer.error
        made = rows.arrays[request.bucket]
        for name, array in out.items():
            array[...] = answer.texts[name] if name in answer.texts else made[name][: len(array)]

    def tell(self) -> "Callable[[float], None]":
        """Tells the process to end, on purpose; returns what waits for that, until a time of `time.monotonic`."""
        with self._lock:
            self._endings += 1
            parts = self._taken()
        return partial(_finish, *parts)

    def _clear(self) -> None:
        """Gets rid of a process that is gone."""
        with self._lock:
            parts = self._taken()
        _finish(*parts, time.monotonic() + _PATIENCE)

    def _taken(self) -> tuple[SpawnProcess | None, SharedRows | None]:
        process, connection, rows = self._process, self._connection, self._rows
        self._process = self._connection = self._rows = None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.send(None)
            connection.close()
        return process, rows

    def _running(self) -> tuple[Connection, SpawnProcess, SharedRows, int]:
        """The process, which can begin, and how often one was ended on purpose before.

        Raises:
            ConfigError: it cannot be started.
        """
        while True:
            with self._lock:
                if not is_wanted():
                    raise _EndedError
                endings = self._endings
                if self._process is not None and self._connection is not None and self._rows is not None:
                    return self._connection, self._process, self._rows, endings
                connection, process, _ = self._begin()
            try:
                error = _ready(connection, process, self._timeout)
            except StalledError:  # which is an OSError too
                self._clear()
                raise
            except (EOFError, OSError, TypeError):
                if self._endings != endings:
                    continue
                wait([process.sentinel], _PATIENCE)
                code = process.exitcode
                self._clear()
                self._starts.failed(code)
                continue
            if error is not None:
                self._clear()
                raise ConfigError(
                    f'`worker="process"` sends the dataset to other processes, and there it cannot be unpickled: '
                    f"{type(error).__name__}: {error}"
                ) from error

    def _begin(self) -> tuple[Connection, SpawnProcess, SharedRows]:
        self._rows = rows = SharedRows(self._specs, self._num_rows)
        context = multiprocessing.get_context("spawn")
        self._connection, other = cast("tuple[Connection, Connection]", context.Pipe())
        arguments = (other, self._pickled, rows.name, self._num_rows)
        self._process = context.Process(target=main, args=arguments, name="artifex-reader", daemon=True)
        _start(self._process, needs_main=b"__main__" in self._pickled)
        other.close()
        return self._connection, self._process, rows

    def _wait(
        self, connection: Connection, process: SpawnProcess, rows: SharedRows, request: Request
    ) -> Answer:
        begun, since = 0, time.monotonic()
        while not wait([connection, process.sentinel], _LOOK if self._timeout is not None else None):
            if rows.progress[1] != begun or begun == 0:
                begun, since = int(rows.progress[1]), time.monotonic()
            elif self._timeout is not None and time.monotonic() - since > self._timeout:
                message = (
                    f"record {request.numbers[rows.progress[0]]} has been read for more than `timeout` "
                    f"{self._timeout:g} s by process {process.pid}, which is ended; what it was at stands above. "
                    f"Allow more time, or leave the record out with `keep`"
                )
                self._tell_where(process)
                raise StalledError(message)
        if connection.poll():
            return cast("Answer", connection.recv())
        raise EOFError

    def _tell_where(self, process: SpawnProcess) -> None:
        """Has the process write its stack to the standard error, and ends it."""
        if hasattr(signal, "SIGUSR1") and process.pid is not None:
            os.kill(process.pid, signal.SIGUSR1)
            time.sleep(_LOOK)
        process.kill()
        self._clear()


def _ready(connection: Connection, process: SpawnProcess, timeout: float | None) -> BaseException | None:
    """Waits until a process can begin, and returns what it says is wrong.

    Raises:
        EOFError: it is gone.
        StalledError: it takes too long.
    """
    patience = None if timeout is None else max(timeout, _START_PATIENCE)
    if not wait([connection, process.sentinel], patience):
        process.kill()
        raise StalledError(
            f"a process that reads has not begun after {patience:g} s: what the dataset does when it is unpickled, "
            f"or its module when it is imported, takes that long; allow more by `timeout`"
        )
    if connection.poll():
        return cast("Answer", connection.recv()).error
    raise EOFError


def _finish(process: SpawnProcess | None, rows: SharedRows | None, deadline: float) -> None:
    if process is not None:
        end(process, deadline)
    if rows is not None:
        rows.close(remove=True)


def end(process: SpawnProcess, deadline: float) -> None:
    """Waits for a process, which has been told to end, and kills it if it takes too long.

    What counts is that its end of the pipe is gone, not its exit code: a thread beside this one that asks
    `multiprocessing` for its children may just have taken the code from the system, and not yet have noted it.
    """
    if not wait([process.sentinel], max(0.0, deadline - time.monotonic())):
        process.kill()
        wait([process.sentinel])
    deadline = time.monotonic() + _PATIENCE
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.001)
    with contextlib.suppress(ValueError):  # the code went to a handler of the program's own: it stays unknown
        process.close()


def _start(process: SpawnProcess, *, needs_main: bool) -> None:
    """Starts a process with variables of its own; the program's script is imported there only if it is needed.

    A script that trains imports JAX, which costs each process a second and 100 MB.
    """
    with _starting, _variables(_CHILD_VARIABLES), nullcontext() if needs_main else _no_script():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the program
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _variables(values: dict[str, str]) -> Generator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_script() -> Generator[None]:
    """Hides where the program's script lies: `multiprocessing` imports it in every process that it spawns."""
    script = sys.modules["__main__"]
    hidden = {name: script.__dict__.pop(name) for name in ("__file__", "__spec__") if name in script.__dict__}
    script.__spec__ = None
    try:
        yield
    finally:
        script.__dict__.update(hidden)


def _pickled(readers: Sequence[Reader]) -> bytes:
    try:
        return pickle.dumps(readers)
    except Exception as error:
        raise ConfigError(
            f'`worker="process"` sends the dataset to other processes, and it cannot be pickled: {error}; functions '
            f"must stand at the top of a module (no lambdas), or use threads"
        ) from error


def _close_all(children: list[_Child]) -> None:
    finishing = [child.tell() for child in children]
    deadline = time.monotonic() + _PATIENCE
    for finish in finishing:
        finish(deadline)


def _died(record: int) -> WorkerDiedError:
    return WorkerDiedError(
        f"{_MOST_DEATHS} processes died while they read it (of a crash in a library, or for want of memory)",
        record=record,
    )
