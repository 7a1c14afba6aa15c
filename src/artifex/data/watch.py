"""Watching over what may hang: a file on a dead network drive, a function that waits for itself."""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from artifex.data.errors import StalledError
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Records, one_by_one
from artifex.data.types import Arrays, Indices

_STATUS = 70  # an internal error, by the BSD convention


class Watch:
    """Which record each thread is reading, and since when.

    Args:
        timeout: seconds that a record may take, > 0.
        ends_program: whether the program is ended, by a thread that looks after the others, instead of an error in
            the thread that waits: where that one is what hangs.
    """

    def __init__(self, timeout: float, *, ends_program: bool) -> None:
        self.timeout, self.patience = timeout, min(timeout / 4, 0.5)
        self._begun: dict[int, tuple[int, float]] = {}
        self._closed = threading.Event()
        if ends_program:
            threading.Thread(target=self._look, name="artifex-watch", daemon=True).start()

    @contextmanager
    def over(self, record: int) -> Generator[None]:
        """For the time that this thread reads a record."""
        thread = threading.get_ident()
        self._begun[thread] = record, time.monotonic()
        try:
            yield
        finally:
            self._begun.pop(thread, None)

    def check(self) -> None:
        """Looks whether a record takes too long.

        Raises:
            StalledError: one does. What all threads are at is written to the standard error.
        """
        message = self._stalled()
        if message is not None:
            faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
            raise StalledError(message)

    def close(self) -> None:
        self._closed.set()

    def _stalled(self) -> str | None:
        now = time.monotonic()
        for record, since in list(self._begun.values()):
            if now - since > self.timeout:
                return (
                    f"record {record} has been read for more than `timeout` {self.timeout:g} s; what the threads are "
                    f"at stands above. Allow more time, or leave the record out with `keep`"
                )
        return None

    def _look(self) -> None:
        while not self._closed.wait(self.patience):
            try:
                self.check()
            except StalledError as error:
                (sys.__stderr__ or sys.stderr).write(f"artifex: {error}. The program is ended.\n")
                os._exit(_STATUS)


class WatchedReader:
    """Another reader's records, one by one, so that the one that hangs has a name."""

    def __init__(self, reader: Records, watch: Watch) -> None:
        self._reader, self._watch = reader, watch

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        for one in one_by_one(indices, out, random):
            with self._watch.over(int(one[0][0])):
                self._reader.read_into(*one)
