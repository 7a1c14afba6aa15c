"""What plans and states cost does not grow with the data: memory, bytes of a state, and work for any place."""

import json
import tracemalloc

import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.fingerprint import of_arrays
from artifex.data.plan import Drawn, Kept, LastBatch, Listed, Mixed, Plan, Repeated, arrangement
from artifex.data.types import ArraySpec
from artifex.generative_models.modalities import MixedDataset

BILLION = 10**9
HUGE = [
    Listed(BILLION, True, 3),
    Listed(BILLION, False),
    Repeated(Listed(BILLION // 2, True, 3), 2),
    Mixed((Listed(BILLION, True, 1), Listed(7, True, 2)), (3, 2), (0, BILLION), BILLION),
]


class Huge:
    """As many records as a loader takes, which are nowhere."""

    spec = {"x": ArraySpec((2,), np.dtype(np.int32))}
    in_memory = True
    is_random = False

    def __len__(self):
        return 2**31 - 1

    def reader(self):
        return self

    def fingerprint(self):
        return {"kind": "huge"}

    def read_into(self, indices, out, random=None):
        out["x"][...] = indices[:, None]


def peak_of(function):
    """The most bytes that were allocated at a time, by Python and by NumPy."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("arranged", HUGE, ids=lambda a: type(a).__name__)
def test_a_plan_over_a_billion_records_takes_no_memory_to_speak_of(arranged):
    def at_any_step():
        plan = Plan(arranged, 256, LastBatch.PAD)
        for step in (0, plan.num_steps // 2, plan.num_steps - 1, 1000 * plan.num_steps):
            assert len(plan.rows(step).numbers) == 256
        assert len(plan.hash) == 16 and plan.difference(plan) == []

    at_any_step()  # what is cached by modules
    assert peak_of(at_any_step) < 200_000  # a list of a bit for each record would be 600 times that


def test_a_loader_over_as_many_records_as_it_takes():
    def at_any_step():
        loader = create_data_loader(Huge(), 64, seed=1)
        for step in (0, len(loader) // 2, len(loader) - 1):
            loader.restore(loader.state() | {"step": step})
            batch = next(iter(loader))
            assert np.array_equal(batch["x"][:, 0], batch["index"])

    at_any_step()
    assert peak_of(at_any_step) < 2_000_000


@pytest.mark.parametrize("kind", ["list", "filter", "repeat", "mixture", "drawn"])
def test_the_work_of_restoring_does_not_depend_on_the_place(kind, monkeypatch):
    size = 1_000_000
    counted, permute, mix_words = [], arrangement.permute, arrangement.mix_words
    for name, function in (("permute", permute), ("mix_words", mix_words)):

        def spy(places, *rest, function=function):
            counted.append(len(places))
            return function(places, *rest)

        monkeypatch.setattr(arrangement, name, spy)
    settings = {
        "filter": {"keep": np.arange(size) % 2 == 0},
        "repeat": {"repeat": 3},
        "drawn": {"sample_weights": np.ones(size)},
    }.get(kind, {})
    data = {"x": np.zeros(size, np.uint8)}
    loader = create_data_loader(
        MixedDataset([data, data], [2, 1]) if kind == "mixture" else data, 100, seed=1, **settings
    )
    loader.batch(0)
    work = {}
    for percent in (0, 1, 50, 98):  # at the very end of an epoch there is less to read ahead
        counted.clear()
        loader.restore(loader.state() | {"epoch": 2, "step": len(loader) * percent // 100})
        batches = iter(loader)
        next(batches)
        batches.close()
        work[percent] = sum(counted)
    assert max(work.values()) == min(work.values()) and 100 <= work[0] <= 10_000, work


def nasty(kind):
    """A dataset and settings whose state might grow."""
    size = 500_000 if kind == "filter" else 50
    data = {"x": np.zeros(size, np.uint8)}
    if kind == "filter":
        return data, {"keep": np.random.default_rng(0).random(size) < 0.5}
    if kind == "weights":
        return data, {"sample_weights": np.random.default_rng(0).random(size)}
    if kind == "mixture":
        return MixedDataset([data] * 100, np.random.default_rng(0).uniform(1, 9, 100)), {}
    if kind == "mixture of mixtures":
        return MixedDataset([MixedDataset([data] * 30)] * 30), {}
    if kind == "many fields":
        return {f"{i}-{'名' * 200}": np.zeros(size, np.uint8) for i in range(50)}, {}
    if kind == "long names":
        return [{"path/" * 500 + "größe-猫.jpg": 1, "name": "\udce4" * 2000}] * size, {}
    if kind == "transforms":

        def step(key, sample):
            return sample

        step.description = "schön " * 500
        return data, {"transform": [step] * 100}
    assert kind == "repeat"
    return data, {"repeat": 40_000_000, "seed": 2**64 - 1}


@pytest.mark.parametrize(
    "kind",
    [
        "filter",
        "weights",
        "repeat",
        "mixture",
        "mixture of mixtures",
        "many fields",
        "long names",
        "transforms",
    ],
)
def test_a_state_is_under_four_kilobytes(kind):
    dataset, settings = nasty(kind)
    loader = create_data_loader(dataset, 8, **settings)
    loader.restore(loader.state() | {"epoch": 2**32 - 1, "step": len(loader) - 1})
    state = json.dumps(loader.state())
    assert len(state) < 4096
    create_data_loader(dataset, 8, **settings).restore(json.loads(state))
    with pytest.raises(ValueError, match="another plan"):
        create_data_loader(dataset, 9, **settings).restore(json.loads(state))


def test_a_short_description_still_tells_plans_apart():
    source = Plan.of(of_arrays({"é" * 3000: np.zeros(4)}), Listed(4), 2, LastBatch.SHORT, 0)
    other = Plan.of(of_arrays({"è" * 3000: np.zeros(4)}), Listed(4), 2, LastBatch.SHORT, 0)
    assert source.difference(other) != [] and len(json.dumps(source.describe())) < 4096
    kinds = [Kept.of(np.arange(9) != i, 9, shuffle=True, seed=0) for i in range(2)]
    kinds += [Drawn.of(np.arange(9) != i, 9, places=9, seed=0) for i in range(2)]
    mixed = [Mixed((kind,) * 60, tuple(range(1, 61)), tuple(range(0, 540, 9)), 540) for kind in kinds]
    states = {json.dumps(Plan(made, 3).describe()) for made in mixed}
    assert len(states) == 4 and max(map(len, states)) < 4096
