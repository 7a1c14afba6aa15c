"""What runs in a process that reads: it gets record numbers, and writes samples to shared memory."""

import faulthandler
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from artifex.data.clock import ASSEMBLE, Clock, use_clock
from artifex.data.errors import TransformError
from artifex.data.processes.shared import SharedRows
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, one_by_one
from artifex.data.types import Arrays, Indices

# How often a process looks whether the program that started it is still there, in seconds.
_LOOK = 1.0


class Request(NamedTuple):
    """Records of one bucket, to be read into the first rows of the shared memory."""

    bucket: int
    numbers: Indices
    random: RecordRandom | None


class Answer(NamedTuple):
    """How it went: the strings by field, or the error of the first bad record; and the nanoseconds of each stage."""

    texts: dict[str, list[str]]
    error: BaseException | None = None
    times: tuple[int, ...] = ()


def main(connection: Connection, pickled: bytes, name: str, num_rows: Sequence[int]) -> None:
    """Reads what is asked for, until there is nobody to ask."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this process
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        readers: Sequence[Reader] = pickle.loads(pickled)  # noqa: S301  (it comes from the program that started this process)
    except Exception as error:  # carried to the program
        connection.send(Answer({}, _sendable(error, None)))
        return
    connection.send(Answer({}))  # it can begin
    rows = SharedRows([reader.spec for reader in readers], num_rows, name)
    try:
        while (request := connection.recv()) is not None:
            use_clock(clock := Clock(ASSEMBLE))
            answer = _answer(readers[request.bucket], rows, request)
            clock.switch(ASSEMBLE)
            connection.send(answer._replace(times=tuple(clock.times())))
    except (EOFError, OSError):  # the program is gone
        pass
    finally:
        rows.close(remove=False)


def _answer(reader: Reader, rows: SharedRows, request: Request) -> Answer:
    texts = [field for field, one in reader.spec.items() if one.is_text]
    strings: dict[str, npt.NDArray[Any]] = {name: np.full(len(request.numbers), "", object) for name in texts}
    out: Arrays = {**rows.arrays[request.bucket], **strings}
    for row, one in enumerate(one_by_one(request.numbers, out, request.random)):
        rows.progress[0] = row
        rows.progress[1] += 1
        try:
            reader.read_into(*one)
        except BaseException as error:
            return Answer({}, _sendable(error, int(request.numbers[row])))
    return Answer({name: array.tolist() for name, array in strings.items()})


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, also in the middle of a record that takes for ever."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


def _sendable(error: BaseException, record: int | None) -> BaseException:
    """The error with the lines that it came from, or one that says the same, if it cannot cross."""
    lines = "".join(traceback.format_exception(error))
    if isinstance(error, (SystemExit, StopIteration)):  # it would end the program, or the epoch
        error = TransformError(f"what reads it has raised {error!r}", record=record)
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  (what was just made here)
    except Exception:
        return TransformError(f"{type(error).__name__}: {error} (in a process that reads)", record=record)
    error.add_note(f"in a process that reads:\n{lines}")
    return error
