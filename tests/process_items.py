"""Data sets for processes that read: importable, and without JAX."""

import os
import signal
import sys
import time
from multiprocessing import current_process
from pathlib import Path

import numpy as np

from artifex.data.buckets import BucketReader
from artifex.data.errors import ReadError
from artifex.data.types import TEXT, ArraySpec

# For a program of its own that imports this file.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
}


class Items:
    """`size` samples; what is said of a record happens in a process that reads, and only there.

    Args:
        size: how many.
        deadly: a record that kills its process each time.
        deadly_once: (a record, a file): the same, until the file is there.
        hangs: a record that takes for ever.
        bad: records that cannot be had.
    """

    def __init__(self, size, *, deadly=None, deadly_once=(None, ""), hangs=None, bad=()):
        self.size, self.deadly, self.deadly_once, self.hangs, self.bad = size, deadly, deadly_once, hangs, bad

    def __len__(self):
        return self.size

    def __getitem__(self, number):
        if number in self.bad:
            raise ValueError("broken")
        if current_process().name == "artifex-reader":
            self._happen(number)
        return {"x": np.arange(number, number + 3, dtype=np.float32), "name": f"no. {number}"}

    def _happen(self, number):
        once, file = self.deadly_once
        if number == self.deadly or (number == once and not Path(file).exists()):
            if file:
                Path(file).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self.hangs:
            time.sleep(1000)


class Where(Items):
    """Where each sample was made: which process, whether it has JAX, and how many threads its libraries may have."""

    def __getitem__(self, number):
        return {
            "pid": np.int32(os.getpid()),
            "has_jax": np.int32("jax" in sys.modules),
            "threads": np.int32(os.environ.get("OMP_NUM_THREADS", 0)),
        }


class Crashing(Items):
    """Record 5 is the end of whoever reads it, by a fault in memory, as long as a file is there."""

    def __init__(self, size, file):
        super().__init__(size)
        self.file = Path(file)

    def __getitem__(self, number):
        if number == 5 and self.file.exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().__getitem__(number)


class Exiting(Items):
    """Records that call `sys.exit`."""

    def __getitem__(self, number):
        if number in self.bad:
            sys.exit(0)
        return super().__getitem__(number)


class Stamped(Items):
    """May be kept on disk."""

    def stamp(self):
        return "1"


class Unloadable(Items):
    """Cannot be unpickled in another process, or takes for ever there."""

    def __init__(self, size, *, hangs=False):
        super().__init__(size)
        self.takes_for_ever = hangs

    def __setstate__(self, state):
        self.__dict__.update(state)
        if current_process().name != "MainProcess":
            if self.takes_for_ever:
                time.sleep(1000)
            raise ImportError("no such thing")


class NoSpec:
    """Readers that a process cannot ask for their fields."""

    in_memory = False
    is_random = False

    def __init__(self, size):
        self.size = size

    @property
    def spec(self):
        if current_process().name == "artifex-reader":
            raise RuntimeError("no fields here")
        return {"x": ArraySpec((2,), np.dtype(np.float32))}

    def __len__(self):
        return self.size

    def read_into(self, indices, out, random=None):
        out["x"][...] = 0

    def fingerprint(self):
        return {"kind": "no_spec"}


class OfLengths:
    """`size` records in three lengths: record i is full of the number i.

    Args:
        size: how many.
        mixed: whether a batch may have records of several lengths.
        deadly_once: (a record, a file): it kills a process that reads it, until the file is there.
        missing: (a record, a file): it cannot be had, until the file is there.
    """

    def __init__(self, size, *, mixed=False, deadly_once=(None, ""), missing=(None, "")):
        readers = [_OfLength(length, size, deadly_once, missing) for length in (2, 3, 300_000)]
        self._reader = BucketReader(readers, np.arange(size, dtype=np.int32) * 7 % 3, mixed=mixed)

    def reader(self):
        return self._reader


class _OfLength:
    in_memory = False
    is_random = False

    def __init__(self, length, size, deadly_once, missing):
        self.length, self.size, self.deadly_once, self.missing = length, size, deadly_once, missing
        self.spec = {"x": ArraySpec((length,), np.dtype(np.float32)), "name": TEXT}

    def __len__(self):
        return self.size

    def read_into(self, indices, out, random=None):
        for row, number in enumerate(indices.tolist()):
            deadly, file = self.deadly_once
            if number == deadly and current_process().name == "artifex-reader" and not Path(file).exists():
                Path(file).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            absent, file = self.missing
            if number == absent and not Path(file).exists():
                raise ReadError("gone", record=number)
            assert out["x"].shape[1:] == (self.length,)
            out["x"][row] = number
            out["name"][row] = f"no. {number}"

    def fingerprint(self):
        return {"kind": "of_length", "length": self.length}
