"""One stream per plan, whatever reads it: any number of threads, any number of hosts, stopped wherever."""

import numpy as np
import pytest

from artifex.data.reader import ArrayReader
from artifex.data.samples import ItemReader, MappedReader
from random_plans import Host, can_be_split, global_batches, local_rows, plan, stream_hash

BATCH_SIZES = (12, 24)  # divisible by two parts for each of 1, 2 and 3 hosts
WORKERS = (0, 1, 2, 4)
HOSTS = (1, 2, 3)


def made(number, num_records):
    """Two readers of the same kind of records: by threads with random numbers, and from memory."""
    rng = np.random.default_rng(number)
    x, label = rng.random((num_records, 3)).astype(np.float32), np.arange(num_records, dtype=np.int32)
    items = [{"x": x[i], "name": f"größe-{i}"} for i in range(num_records)]
    mapped = MappedReader(ItemReader(items), augmented, random=True, version=None)
    return mapped, ArrayReader({"x": x, "label": label})


def augmented(sample, rng=None):
    return {**sample, "noise": np.float32(0 if rng is None else rng.random())}


def hashes(number):
    """The hashes of two epochs of a random plan, over all numbers of workers and hosts; and how many ways."""
    num_records = 10 + number % 31
    made_plan = plan(number, num_records, BATCH_SIZES)
    stop = 2 * made_plan.num_steps
    counts = HOSTS if can_be_split(made_plan) else (1,)
    ways = [(hosts, workers) for hosts in counts for workers in WORKERS]
    found = [set(), set()]
    for reader, kind in zip(made(number, num_records), found, strict=True):
        for hosts, workers in ways:
            # The devices of a host may lie anywhere in the mesh.
            order = np.random.default_rng(workers) if workers % 2 else None
            rows = local_rows(made_plan.batch_size, hosts, order)
            settings = {"num_workers": workers, "prefetch": 1 + workers}
            kind.add(
                stream_hash(global_batches(reader, made_plan, [Host(r) for r in rows], 0, stop, **settings))
            )
    return found, len(ways)


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(25, 200, 25))]
)
def test_one_hash_per_plan_for_all_numbers_of_workers_and_hosts(first):
    seen, ways = set(), 0
    for number in range(first, first + 25):
        (by_threads, in_memory), count = hashes(number)
        assert len(by_threads) == len(in_memory) == 1, f"plan {number}"
        seen |= by_threads | in_memory
        ways += count
    assert len(seen) == 50, "and another one for another plan"
    assert ways > 200
