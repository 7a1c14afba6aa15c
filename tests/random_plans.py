"""Plans at random, and what a number of hosts makes of one: for the tests of streams. No JAX."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from artifex.data.loader import HostBatches
from artifex.data.plan import Balanced, Bucketed, Drawn, Kept, LastBatch, Listed, Mixed, Plan, Repeated


def seed_of(rng):
    return int(rng.integers(2**64, dtype=np.uint64))


def arrangement(rng, num_records, depth=2):
    """Any arrangement of records 0 to num_records - 1, nested up to `depth` times."""
    kinds = ["listed", "drawn", "balanced"] + (["kept", "repeated", "mixed"] if depth else [])
    kind = str(rng.choice(kinds))
    if kind == "kept":
        mask = rng.random(num_records) < rng.uniform(0.1, 1)
        mask[rng.integers(num_records)] = True
        numbers = np.flatnonzero(mask)
        return Kept(numbers, arrangement(rng, len(numbers), depth - 1))
    if kind == "repeated":
        return Repeated(arrangement(rng, num_records, depth - 1), int(rng.integers(1, 4)))
    if kind == "mixed" and num_records > 3:
        edges = [0, *sorted(rng.choice(np.arange(1, num_records), 2, replace=False).tolist()), num_records]
        parts = tuple(arrangement(rng, stop - start, depth - 1) for start, stop in pairwise(edges))
        weights = tuple(rng.integers(1, 9, 3).tolist())
        return Mixed(parts, weights, tuple(edges[:-1]), int(rng.integers(1, 2 * num_records)))
    if kind == "drawn":
        weights = rng.random(num_records) * (rng.random(num_records) < 0.8) + 1e-3
        return Drawn.of(weights, num_records, places=int(rng.integers(1, 2 * num_records)), seed=seed_of(rng))
    if kind == "balanced":
        labels = rng.integers(0, rng.integers(1, 6), num_records)
        shuffle = bool(rng.random() < 0.7)
        return Balanced.of(labels, num_records, numbers=None, shuffle=shuffle, seed=seed_of(rng))
    return Listed(num_records, bool(rng.random() < 0.7), seed_of(rng))


def plan(seed, num_records, batch_sizes):
    """The plan of this number over `num_records` records, with one of the batch sizes."""
    rng = np.random.default_rng(seed)
    made, batch_size = arrangement(rng, num_records), int(rng.choice(batch_sizes))
    parts = (made,)
    if rng.random() < 0.25:
        # What is in a part is any arrangement: records in several would be odd, and as deterministic.
        parts = tuple(arrangement(rng, num_records) for _ in range(rng.integers(1, 4)))
        made = Bucketed(parts, bool(rng.random() < 0.7), seed_of(rng))
    can_drop = any(part.size >= batch_size for part in parts)
    rules = [rule for rule in LastBatch if can_drop or rule is not LastBatch.DROP]
    rule = rules[rng.integers(len(rules))]
    return Plan(made, batch_size, rule, seed_of(rng))


def can_be_split(plan):
    """Whether all its batches have one size, which several hosts ask for."""
    return plan.is_even


def local_rows(batch_size, hosts, rng=None):
    """Which rows of a batch each host reads, None for all: two spans each, in order or, with `rng`, anywhere."""
    if hosts == 1:
        return [None]
    spans = np.arange(batch_size).reshape(2 * hosts, -1)
    order = np.arange(2 * hosts) if rng is None else rng.permutation(2 * hosts)
    return [np.concatenate(spans[np.sort(order[2 * host : 2 * host + 2])]) for host in range(hosts)]


@dataclass(frozen=True)
class Host:
    """One of several processes: the rows of each batch that it reads."""

    rows: np.ndarray | None = None

    def batches(self, reader, plan, first, stop, **settings):
        """What it reads of the steps from `first` to `stop`, counted over all epochs."""
        whole = (plan.rows(step) for step in range(first, stop))
        mine = whole if self.rows is None else (rows.part(self.rows) for rows in whole)
        return HostBatches(reader, mine, plan.batch_size, seed=plan.seed, **settings)


def global_batches(reader, plan, hosts, first, stop, **settings):
    """The batches of all hosts put together, as dicts of arrays."""
    streams = [host.batches(reader, plan, first, stop, **settings) for host in hosts]
    back = slice(None) if len(hosts) == 1 else np.argsort(np.concatenate([host.rows for host in hosts]))
    for batches in zip(*streams, strict=True):
        parts = [_columns(batch) for batch in batches]
        yield {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def _columns(batch):
    rows = batch.rows
    valid = np.arange(len(rows.numbers)) < rows.num_valid
    texts = {name: np.array(values, object) for name, values in batch.texts.items()}
    return {"record": rows.numbers, "turn": rows.turns, "valid": valid, **batch.arrays, **texts}


def stream_hash(batches):
    """A digest of all bytes, and of where each batch and field begins."""
    state = hashlib.sha256()
    for batch in batches:
        for name in sorted(batch):
            array = batch[name]
            data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
            state.update(f"{name} {array.dtype}{array.shape} {len(data)} ".encode())
            state.update(data)
    return state.hexdigest()
