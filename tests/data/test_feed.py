"""What a loader does on devices: tables, compiled epochs, and the end of an epoch."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import batch_level, create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, TransformError
from small_loaders import bits, noise

DATA = {"x": np.arange(40, dtype=np.float32).reshape(20, 2), "y": np.arange(20)}


# Any: that of one device.
SHARDING = jax.sharding.NamedSharding(jax.make_mesh((1,), ("data",)), jax.sharding.PartitionSpec("data"))


@pytest.mark.parametrize("last", ["short", "drop", "pad", "wrap"])
@pytest.mark.parametrize("where", [{}, {"placement": "device"}])
def test_the_end_of_an_epoch(last, where):
    batches = list(create_data_loader(DATA, 6, False, last=last, **where))
    index = [b["index"].tolist() for b in batches]
    assert index[:3] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17]]
    assert index[3:] == {"short": [[18, 19]], "drop": [], "pad": [[18, 19, 18, 18, 18, 18]]}.get(
        last, [[18, 19, 0, 1, 2, 3]]
    )
    assert all(b["y"].tolist() == i for b, i in zip(batches, index, strict=True))
    if last == "pad":
        assert [b["valid"].tolist() for b in batches] == [[True] * 6] * 3 + [[True, True] + [False] * 4]
    else:
        assert "valid" not in batches[0]


def test_a_short_last_batch_compiles_nothing_and_is_what_it_would_be():
    traces = []

    def traced(key, sample):
        traces.append(1)
        return noise(key, sample)

    loader = create_data_loader(DATA, 6, transform=traced)
    whole = list(loader)
    assert len(traces) == 1 and whole[-1]["x"].shape == (2, 2)
    assert len([*loader, *loader]) == 8 and loader.batch(7)["x"].shape == (2, 2)
    assert len(traces) == 1, "nor do other epochs"
    alone = create_data_loader(DATA, 6, transform=traced).batch(3)
    np.testing.assert_allclose(alone["noise"], whole[-1]["noise"], atol=1e-6)


def test_what_mixes_samples_never_sees_rows_that_are_none():
    @batch_level
    def mean(keys, batch):
        return {**batch, "mean": jnp.full(len(keys), batch["x"].mean())}

    last = list(create_data_loader(DATA, 6, False, transform=mean))[-1]
    np.testing.assert_allclose(last["mean"], [DATA["x"][18:].mean()] * 2)


def test_a_table_on_the_device_gives_the_same_bits():
    arguments = {"batch_size": 6, "seed": 2, "transform": noise}
    one, two = (
        create_data_loader(DATA, **arguments),
        create_data_loader(DATA, **arguments, placement="device"),
    )
    assert [bits(one), bits(one)] == [bits(two), bits(two)]
    assert bits([two.batch(5)]) == bits([one.batch(5)])
    next(iter(one))
    two.restore(one.state())
    assert len(bits(two)) == 3


def test_an_epoch_in_one_compiled_loop():
    traces = []

    def step(total, batch):
        traces.append(1)
        return total + batch["x"].sum(), batch["index"]

    loader = create_data_loader(DATA, 5, seed=3, placement="device")
    same = create_data_loader(DATA, 5, seed=3)
    for epoch in range(3):
        total, index = loader.scan(step, jnp.zeros(()))
        assert np.asarray(index).tolist() == [b["index"].tolist() for b in same]
        np.testing.assert_allclose(total, DATA["x"].sum())
        assert (loader.state()["epoch"], loader.state()["step"]) == (epoch + 1, 0)
    assert len(traces) == 1, "compiled once for all epochs"
    same.batch(0)
    loader.restore(loader.state() | {"epoch": 0, "step": 2})
    assert loader.scan(step, jnp.zeros(()))[1].shape == (2, 5)


def test_what_a_compiled_loop_asks_for():
    def step(carry, batch):
        return carry, None

    with pytest.raises(ConfigError, match='make the loader with `placement="device"`'):
        create_data_loader(DATA, 5).scan(step, 0)
    with pytest.raises(ConfigError, match="`scan` needs batches of one size"):
        create_data_loader(DATA, 6, placement="device").scan(step, 0)
    loader = create_data_loader(DATA, 6, last="pad", placement="device")
    loader.scan(step, 0)
    for wrong in (None, {}):
        with pytest.raises(ConfigTypeError, match=r"`step_fn` must be a function of \(carry, batch\), got"):
            loader.scan(wrong, 0)
    with pytest.raises(ConfigTypeError, match=r"`step_fn` must return \(carry, output\), .* got int"):
        loader.scan(lambda carry, batch: 0, 0)


def test_a_compiled_loop_of_what_has_no_hash():
    @dataclass(frozen=True)
    class Sum:
        of: list[str]

        def __call__(self, carry, batch):
            return carry + sum(batch[name].sum() for name in self.of), None

    total, _ = create_data_loader(DATA, 5, placement="device").scan(Sum(["x"]), 0.0)
    np.testing.assert_allclose(total, DATA["x"].sum(), rtol=1e-6)


def test_a_compiled_loop_that_fails_uses_up_no_epoch():
    def broken(carry, batch):
        raise RuntimeError("not yet right")

    loader, same = (create_data_loader(DATA, 5, seed=3, placement="device") for _ in range(2))
    before = loader.state()
    with pytest.raises(RuntimeError, match="not yet right"):
        loader.scan(broken, 0)
    assert loader.state() == before
    _, index = loader.scan(lambda carry, batch: (carry, batch["index"]), 0)
    assert np.asarray(index).tolist() == [batch["index"].tolist() for batch in same]


def test_a_count_of_numpy_is_a_number():
    one, other = (create_data_loader(DATA, 5, repeat=times) for times in (np.int64(2), 2))
    assert one.plan == other.plan and one.state() == other.state()


def test_what_a_table_asks_for():
    with pytest.raises(ConfigError, match="the data have strings: name"):
        create_data_loader({**DATA, "name": np.array(["a"] * 20)}, 5, placement="device")
    with pytest.raises(ConfigError, match="is for data in memory"):
        create_data_loader([{"x": 1}] * 20, 5, placement="device")
    with pytest.raises(ConfigError, match="leave `sharding` out"):
        create_data_loader(DATA, 5, placement="device", sharding=SHARDING)
    with pytest.raises(ValueError, match="unknown `placement` 'gpu'"):
        create_data_loader(DATA, 5, placement="gpu")


def test_filters_weights_and_repeats():
    keep = np.arange(20) % 2 == 0
    seen = [
        int(i) for b in create_data_loader(DATA, 4, keep=keep, repeat=2, transform=noise) for i in b["index"]
    ]
    assert sorted(seen) == sorted(2 * list(range(0, 20, 2)))
    draws = [
        int(i) for b in create_data_loader(DATA, 4, sample_weights=keep.astype(float)) for i in b["index"]
    ]
    assert len(draws) == 20 and set(draws) <= set(range(0, 20, 2))
    labels = np.arange(20) // 16  # 16 of one class, 4 of the other
    even = [np.asarray(b["index"]) for b in create_data_loader(DATA, 4, balance=labels)]
    assert [labels[index].sum() for index in even] == [2] * 5
    repeated = create_data_loader({"x": np.zeros(3)}, 3, repeat=2, transform=noise)
    drawn = [x for b in repeated for x in b["noise"].tolist()]
    assert len(set(drawn)) == 6, "each time a record comes it has other random numbers"


@pytest.mark.parametrize("prefetch", ["auto", 3])
@pytest.mark.parametrize("num_workers", ["auto", 0])
def test_automatic_settings(prefetch, num_workers):
    loader = create_data_loader(DATA, 4, prefetch=prefetch, num_workers=num_workers)
    assert len(list(loader)) == 5


class Model:
    def __init__(self):
        self.traces = 0

    def step(self, carry, batch):
        self.traces += 1
        return carry + batch["x"].sum(), None

    def evaluate(self, carry, batch):
        self.traces += 1
        return carry, batch["x"].max()


def test_scan_compiles_a_method_once_and_remembers_several():
    model, loader = Model(), create_data_loader(DATA, 5, placement="device")
    for _ in range(3):
        loader.scan(model.step, 0.0)
        loader.scan(model.evaluate, 0.0)
    assert model.traces == 2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"last": "pad"},
        {"last": "wrap"},
        {"drop_last": True},
        {"on_error": "skip", "quarantine": None},
        {"on_error": "skip", "quarantine": None, "last": "pad"},
        {"on_error": "skip", "quarantine": None, "bad_rows": "compact"},
        {"device": jax.devices()[1]},
        {"batch_size": 32},
        {"mixes": True, "drop_last": True},
    ],
    ids=str,
)
def test_what_is_compiled_while_the_first_batch_is_read_is_what_the_batches_need(settings):
    traced = []

    def step(key, sample):
        traced.append(sample)
        return {**sample, "x": sample["x"] + 1}

    data = [{"x": np.full(2, i, np.float32), "y": i, "name": str(i)} for i in range(20)]
    settings = {"batch_size": 8, **settings}
    transform = batch_level(step) if settings.pop("mixes", False) else step
    loader = create_data_loader(data, **settings, num_workers=2, transform=transform)
    assert loader.spec
    traced.clear()
    assert len(list(loader)) == len(loader)
    assert len(traced) == 1


def test_a_step_that_cannot_be_compiled_is_told_at_the_first_batch():
    data = [{"x": np.full(2, i, np.float32)} for i in range(20)]
    loader = create_data_loader(data, 8, num_workers=2, transform=lambda key, sample: sample["y"])
    with pytest.raises(TransformError, match="KeyError: 'y'"):
        next(iter(loader))
