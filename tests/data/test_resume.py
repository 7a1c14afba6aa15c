"""Saved by some number of hosts and resumed by another: the same stream, of real loaders, one for each host."""

import hashlib
import json

import jax
import numpy as np
import pytest

from artifex.data import create_data_loader, pipeline
from artifex.data.placement import Placement
from artifex.generative_models.modalities import MixedDataset
from random_plans import local_rows

BATCH_SIZE = 24  # divisible by two parts for each of 1, 2, 3 and 4 hosts
COUNTS = (1, 2, 3, 4)
CONFIGURATIONS = 8  # two of each kind


class OneOfSeveral(Placement):
    """Where the rows of one host of several lie, without the others: what it reads is all that there is here."""

    sharding = None
    is_whole = False

    def __init__(self, local_rows):
        self.local_rows = local_rows

    def to_global(self, local):
        return local


class Photos:
    """Reads through threads, at random while training."""

    def __init__(self, size, first=0):
        self.size, self.first = size, first

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return {"x": np.full(2, self.first + index, np.float32), "label": np.int32(index % 3)}


def noise(key, sample):
    return {**sample, "noise": jax.random.uniform(key)}


noise.is_shared = True  # compiled once for all loaders here


def arguments(number):
    """A dataset and settings of a loader at random: filter, weights, mixture, repeats, rule for the end."""
    rng = np.random.default_rng(number)
    size = int(rng.integers(50, 130))
    settings = {
        "seed": int(rng.integers(2**64, dtype=np.uint64)),
        "last": str(rng.choice(["drop", "pad", "wrap"])),
        "repeat": int(rng.choice([1, 1, 2])),
        "transform": noise,
    }
    if number % 4 == 0:
        parts = [Photos(size // 3), Photos(size - size // 3, 1000)]
        return MixedDataset(parts, [0.3, 0.7], epoch_size=int(rng.integers(30, 150))), settings
    if number % 4 == 1:
        settings["keep"] = np.arange(size) % 5 > rng.integers(3)
    if number % 4 == 2:
        settings["sample_weights"] = rng.random(size)
    if number == 7:
        settings["balance"] = rng.integers(0, 4, size)
    return Photos(size), settings | {"shuffle": number % 4 != 3 or bool(rng.random() < 0.5)}


class Hosts:
    """The loaders of some number of hosts, and their batches put together."""

    def __init__(self, count, number, monkeypatch):
        dataset, settings = arguments(number)
        self.rows = local_rows(BATCH_SIZE, count, np.random.default_rng(number))
        self.loaders = []
        for rows in self.rows:
            placement = None if rows is None else OneOfSeveral(rows)
            monkeypatch.setattr(pipeline, "_placement", lambda *_, over=placement: over)
            loader = create_data_loader(dataset, BATCH_SIZE, **settings, num_workers=count % 3)
            self.loaders.append(loader)

    def state(self):
        states = {json.dumps(loader.state()) for loader in self.loaders}
        assert len(states) == 1, "all hosts save the same"
        return states.pop()

    def restore(self, state):
        for loader in self.loaders:
            loader.restore(json.loads(state))

    def digests(self, epochs=1, limit=10**9):
        """One for each global batch of so many epochs, of the first of them."""
        back = slice(None) if len(self.rows) == 1 else np.argsort(np.concatenate(self.rows))
        streams = [_batches(loader, epochs) for loader in self.loaders]
        found = []
        for _, parts in zip(range(limit), zip(*streams, strict=True), strict=False):
            names = sorted(parts[0])
            whole = [np.concatenate([np.asarray(p[name]) for p in parts])[back].tobytes() for name in names]
            found.append(hashlib.sha256(b"".join(whole)).hexdigest())
        for stream in streams:
            stream.close()
        return found


def _batches(loader, epochs):
    for _ in range(epochs):
        yield from loader


@pytest.mark.parametrize("saved", COUNTS)
def test_any_number_of_hosts_resumes_what_any_number_saved(saved, monkeypatch):
    for number in range(CONFIGURATIONS):
        alone = Hosts(1, number, monkeypatch)
        whole, steps = alone.digests(2), len(alone.loaders[0])
        stop = int(np.random.default_rng(100 * number + saved).integers(2 * steps))
        before = Hosts(saved, number, monkeypatch)
        assert before.digests(2, stop) == whole[:stop]
        state = before.state()
        for resumed in COUNTS:
            after = Hosts(resumed, number, monkeypatch)
            after.restore(state)
            assert after.state() == state
            assert after.digests(2 - stop // steps) == whole[stop:], (number, saved, resumed, stop)
