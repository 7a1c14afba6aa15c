"""Contenders and a case for the tests: one that works, and the ways to fail."""

import os
import subprocess
import sys
import time

import numpy as np
from benchmarks.registry import Case, Contender


def good(work):
    while True:
        time.sleep(0.001)
        yield work


def with_a_worker(work):
    """Has started a process that would outlive it."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (work / "worker").write_text(str(worker.pid))
    yield from good(work)


def dies_at_first(work):
    print("the last words", file=sys.stderr, flush=True)
    os._exit(3)
    yield


def dies_later(work):
    for _ in range(6):
        yield work
    os._exit(4)


def raises(work):
    raise ValueError("no such data")
    yield


def hangs(work):
    next(with_a_worker(work))
    time.sleep(60)
    yield


def counts(work):
    yield from good({"images": work})


def miscounts(work):
    yield from good({"images": work + 1})


def compare(work, first):
    if not np.array_equal(first, work):
        raise ValueError(f"{first.tolist()} is not {work.tolist()}")


def cases():
    names = ("good", "with_a_worker", "dies_at_first", "dies_later", "raises", "hangs")
    contenders = tuple(Contender(n, "peer", f"fake_contenders:{n}", setting=n) for n in names)
    return [
        Case(
            name="fake",
            group="fakes",
            title="A fake",
            item="thing",
            items_per_batch=10,
            make=lambda home: home,
            contenders=contenders,
            warm_batches=2,
            least_batches=2,
        ),
        Case(
            name="compared",
            group="fakes",
            title="A fake whose batches are looked at",
            item="thing",
            items_per_batch=3,
            make=lambda home: np.arange(3),
            contenders=tuple(Contender(n, "peer", f"fake_contenders:{n}") for n in ("counts", "miscounts")),
            compare=compare,
            warm_batches=2,
            least_batches=2,
        ),
    ]
