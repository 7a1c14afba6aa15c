import gc
import time

import numpy as np
import pytest

from artifex.data.errors import DecodeError, TransformError
from artifex.data.loader import HostBatches
from artifex.data.plan import Rows
from artifex.data.types import TEXT, ArraySpec


class Slow:
    """Record i holds i. Some records take longer than others, some fail."""

    spec = {"n": ArraySpec((), np.dtype(np.int64)), "name": TEXT}
    in_memory = False
    is_random = False

    def __init__(self, *, bad=(), fails=DecodeError):
        self.bad, self.fails, self.read = set(bad), fails, []

    def __len__(self):
        return 1000

    def read_into(self, indices, out, random=None):
        for row, i in enumerate(indices):
            time.sleep(0.001 * (i % 3))
            if i in self.bad:
                raise self.fails(f"bad {i}")
            self.read.append(int(i))
            out["n"][row], out["name"][row] = i, f"r{i}"


def rows(*batches):
    return [
        Rows(0, step, np.array(batch), np.zeros(len(batch), np.int64), len(batch))
        for step, batch in enumerate(batches)
    ]


BATCHES = [[5, 2, 9, 1], [0, 8, 3, 4], [7, 6]]


@pytest.mark.parametrize("num_workers", [0, 1, 4])
@pytest.mark.parametrize("prefetch", [1, 3])
def test_batches_come_in_order_and_whole(num_workers, prefetch, worker_threads):
    batches = list(HostBatches(Slow(), rows(*BATCHES), 4, num_workers=num_workers, prefetch=prefetch))
    assert [b.arrays["n"].tolist() for b in batches] == BATCHES
    assert [b.texts["name"] for b in batches] == [[f"r{i}" for i in batch] for batch in BATCHES]
    assert [b.rows.step for b in batches] == [0, 1, 2] and worker_threads() == []


def test_it_reads_ahead_and_not_further():
    reader = Slow()
    batches = HostBatches(reader, rows(*[[3 * i] for i in range(50)]), 1, num_workers=2, prefetch=4)
    batches.read_ahead()
    next(batches)
    time.sleep(0.05)
    assert len(reader.read) == 1 and not batches.is_ready(), (
        "nothing, until it is told that the first is in use"
    )
    batches.read_ahead()
    deadline = time.monotonic() + 5
    while len(reader.read) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(reader.read) == 5 and batches.is_ready()
    batches.close()


def test_the_first_batch_is_read_before_any_other_is_begun():
    source = Slow()
    # Of the first batch one record is slow: three threads are free before it is whole.
    batches = HostBatches(source, rows([2, 0, 3, 6], [9, 12, 15, 18], [21]), 4, num_workers=4, prefetch=3)
    assert next(batches).arrays["n"].tolist() == [2, 0, 3, 6]
    assert set(source.read[:4]) == {2, 0, 3, 6}
    assert [b.arrays["n"].tolist() for b in batches] == [[9, 12, 15, 18], [21]]


@pytest.mark.parametrize("num_workers", [0, 1, 4])
def test_the_earliest_bad_row_is_told_and_the_good_batches_come_first(num_workers, worker_threads):
    batches = HostBatches(Slow(bad=[8, 4]), rows(*BATCHES), 4, num_workers=num_workers, prefetch=3)
    assert next(batches).arrays["n"].tolist() == BATCHES[0]
    with pytest.raises(DecodeError, match="bad 8") as caught:
        next(batches)
    assert "read_into" in {entry.name for entry in caught.traceback}, (
        "the reader's own frame is in the traceback"
    )
    assert worker_threads() == [] and list(batches) == []


@pytest.mark.parametrize("fails", [KeyboardInterrupt, MemoryError])
def test_whatever_is_raised_in_a_thread_comes_through(fails, worker_threads):
    with pytest.raises(fails):
        list(HostBatches(Slow(bad=[8], fails=fails), rows(*BATCHES), 4, num_workers=2, prefetch=2))
    assert worker_threads() == []


@pytest.mark.parametrize("fails", [SystemExit, StopIteration])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_would_end_the_program_or_the_epoch_is_an_error_of_its_record(num_workers, fails):
    reader = Slow(bad=[8], fails=fails)
    with pytest.raises(
        TransformError, match=rf"^record 8: what reads it has raised {fails.__name__}\('bad 8'\)"
    ):
        list(HostBatches(reader, rows([8]), 4, num_workers=num_workers, prefetch=2))
    with pytest.raises(TransformError, match=r"what reads it has raised"):
        list(HostBatches(reader, rows(*BATCHES), 4, num_workers=num_workers, prefetch=2))


def test_threads_end_when_it_is_closed_or_dropped(worker_threads):
    for end in ("close", "drop"):
        batches = HostBatches(Slow(), rows(*[[1, 2]] * 99), 2, num_workers=3, prefetch=8)
        next(batches)
        assert len(worker_threads()) == 3
        if end == "close":
            batches.close()
            assert list(batches) == []
        del batches
        gc.collect()
        deadline = time.monotonic() + 5
        while worker_threads() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert worker_threads() == [], end


@pytest.mark.parametrize("num_workers", [0, 3])
def test_a_kept_batch_does_not_change(num_workers):
    class Large(Slow):
        spec = {"n": ArraySpec((64, 64), np.dtype(np.float32)), "name": TEXT}

        def read_into(self, indices, out, random=None):
            out["n"][...] = indices[:, None, None]

    numbers = [[i, i] for i in range(40)]
    kept = [
        b.arrays["n"] for b in HostBatches(Large(), rows(*numbers), 2, num_workers=num_workers, prefetch=2)
    ]
    for i, array in enumerate(kept):
        assert (array == i).all()
