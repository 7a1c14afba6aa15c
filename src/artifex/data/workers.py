"""Worker threads that never keep a program from ending.

A pool of the standard library joins its threads when the interpreter exits, so one read that hangs
would hang the program. These are daemons: they end when the pool is closed, or with the program.
"""

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from queue import Empty, SimpleQueue
from typing import TypeAlias

from artifex.data.checks import check_count, is_auto

Task: TypeAlias = Callable[[], None]

# How long `close` waits for tasks that are under way. Decoding one record takes milliseconds.
_PATIENCE = 0.5

_MOST_WORKERS = 16


class Workers:
    """`count` threads that take tasks in the order in which they were submitted.

    A task must not raise: it carries its errors home itself.
    """

    def __init__(self, count: int, *, name: str = "artifex-worker") -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._closed = threading.Event()
        # The threads know the queue, not this object: it can be dropped while they wait.
        self._threads = [
            threading.Thread(target=_work, args=(self._tasks, self._closed), name=f"{name}-{i}", daemon=True)
            for i in range(count)
        ]
        self._stop = weakref.finalize(self, _stop, self._tasks, self._threads, self._closed)
        _end_with_the_program()
        for thread in self._threads:
            thread.start()
        _running.add(self)

    def __len__(self) -> int:
        return len(self._threads)

    def submit(self, task: Task) -> None:
        self._tasks.put(task)

    def close(self) -> None:
        """Drops what has not begun, and waits a moment for what has.

        So does a pool that nobody refers to any more, and every pool when the program ends: a thread that is
        at work in a library while the interpreter is taken down may crash it.
        """
        self._stop()


@cache  # once, and late: what was imported before, JAX above all, is taken down after the threads have ended
def _end_with_the_program() -> None:
    atexit.register(_stop_all)


def _stop_all() -> None:
    for workers in list(_running):
        workers.close()


_running: "weakref.WeakSet[Workers]" = weakref.WeakSet()


def worker_count(num_workers: int | str | None, in_memory: bool) -> int:
    """How many threads read, given what the user said and whether reading is a mere gather."""
    if num_workers is None or is_auto(num_workers):
        return 0 if in_memory else min(_MOST_WORKERS, _cores())
    return check_count("num_workers", num_workers, 0)


def _cores() -> int:
    """Cores that this process may use, which in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_wanted() -> bool:
    """False in a thread whose pool was closed: what it does is of no use to anybody any more."""
    return _here.closed is None or not _here.closed.is_set()


class _Here(threading.local):
    """Each thread finds its own."""

    closed: threading.Event | None = None


_here = _Here()


def _stop(
    tasks: "SimpleQueue[Task | None]", threads: list[threading.Thread], closed: threading.Event
) -> None:
    closed.set()
    while True:
        try:
            tasks.get_nowait()
        except Empty:
            break
    for _ in threads:
        tasks.put(None)
    deadline = time.monotonic() + _PATIENCE
    for thread in threads:
        # The garbage collector may run this in one of the threads themselves, and an interrupt may come before all
        # of them were started.
        if thread.ident and thread is not threading.current_thread() and not sys.is_finalizing():
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(tasks: "SimpleQueue[Task | None]", closed: threading.Event) -> None:
    _here.closed = closed
    while (task := tasks.get()) is not None:
        task()
        del task  # it holds a batch's buffers, which are free only when nobody refers to them
