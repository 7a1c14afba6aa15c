"""Memory of batches that is used again: never while anybody can still see what was in it."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import create_data_loader, reuse
from artifex.data.reuse import SpareBatches, large_results

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="it is for the CPU back end alone")

DATA = {"x": np.arange(40 * 32, dtype=np.int32).reshape(40, 32), "y": np.arange(40, dtype=np.float32)}


def to_float(key, sample):
    return {**sample, "x": sample["x"].astype(jnp.float32) * np.float32(0.5)}


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    monkeypatch.setattr(reuse, "LEAST_BYTES", 512)


def loader(batch_size=8, **settings):
    # Large results are found when a program is compiled, so these have one of their own.
    def step(key, sample):
        return to_float(key, sample)

    return create_data_loader(DATA, batch_size, seed=1, transform=step, **settings)


def expected(batch):
    return DATA["x"][np.asarray(batch["index"])] * np.float32(0.5)


def address(array):
    return array.unsafe_buffer_pointer()


@pytest.mark.parametrize("placement", ["host", "device"])
def test_a_batch_that_is_let_go_is_written_over(placement):
    places = []
    for batch in loader(placement=placement, repeat=10):
        assert (batch["x"] == expected(batch)).all()  # a view by NumPy would stay with the array
        places.append(address(batch["x"]))
        del batch
    assert len(places) == 50 and len(set(places)) <= 4


@pytest.mark.parametrize("placement", ["host", "device"])
@pytest.mark.parametrize("last", ["short", "pad"])
def test_batches_that_are_kept_stay_as_they_were(placement, last):
    run = loader(7, placement=placement, last=last)
    kept = [batch for _ in range(3) for batch in run]
    assert len({address(batch["x"]) for batch in kept}) == len(kept) == 18
    for batch in kept:
        np.testing.assert_array_equal(batch["x"], expected(batch))


WAYS = {
    "put on the same device": lambda x: jax.device_put(x, jax.devices()[0]),
    "put on a mesh": lambda x: jax.device_put(
        x,
        jax.sharding.NamedSharding(
            jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",)), jax.sharding.PartitionSpec("data")
        ),
    ),
    "a part of a global array": lambda x: jax.make_array_from_single_device_arrays(
        (2 * x.shape[0], x.shape[1]),
        jax.sharding.NamedSharding(
            jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",)), jax.sharding.PartitionSpec("data")
        ),
        [x, jax.device_put(jnp.zeros_like(x), jax.devices()[1])],
    ),
    "its data": lambda x: x.addressable_data(0),
    "its shard": lambda x: x.addressable_shards[0].data,
    "a view by NumPy": np.asarray,
    "a view by DLPack": np.from_dlpack,
    "a JAX view by DLPack": jnp.from_dlpack,
    "a slice of a view": lambda x: np.asarray(x)[2:3],
    "a copy": copy.copy,
    "through jit": jax.jit(lambda x: x),
    "reshaped": lambda x: x.reshape(-1),
    "transposed": lambda x: x.T,
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_shares_its_memory_keeps_it(way):
    kept, wanted = [], []
    for batch in loader():
        kept.append(WAYS[way](batch["x"]))
        wanted.append(np.array(WAYS[way](batch["x"])))
        del batch
    for array, values in zip(kept, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(array), values)


def test_without_looking_for_them_they_would_be_lost(monkeypatch):
    monkeypatch.setattr(reuse, "_may_be_shared", lambda batch: False)
    kept = []
    for batch in loader():
        kept.append(WAYS["put on the same device"](batch["x"]))
        del batch
    assert any(array.is_deleted() for array in kept)


def test_what_still_computes_reads_what_was_there():
    @jax.jit
    def slow(x):
        return jax.lax.fori_loop(0, 2000, lambda i, total: total + jnp.cos(x).sum() * 0, x.sum())

    run = loader()
    sums, wanted = [], []
    for batch in run:
        sums.append(slow(batch["x"]))
        wanted.append(expected(batch).sum())
        del batch
    np.testing.assert_allclose(sums, wanted)


def test_a_batch_that_the_user_gave_away_is_passed_over():
    give = jax.jit(lambda x: x + 1, donate_argnums=0)
    for batch in loader():
        wanted = expected(batch)
        np.testing.assert_array_equal(give(batch["x"]), wanted + 1)


def test_nothing_is_held_when_an_epoch_is_over():
    before = set(reuse._held)
    for _ in loader():
        assert reuse._held - before
    assert reuse._held <= before


def test_no_more_than_four_are_held():
    spares, kept = SpareBatches(), []
    shapes = [jax.ShapeDtypeStruct((4, 4), jnp.float32)]
    for _ in range(6):
        kept.append(spares.take(shapes) or [jnp.zeros((4, 4), jnp.float32)])
        spares.keep(list(kept[-1]))
    assert len(spares) == 4


def test_large_results_are_those_that_are_made_and_large():
    @jax.jit
    def run(x, y):
        return {"passed": x, "made": x + 1, "small": y + 1}

    found = large_results(run, np.zeros((64, 64), np.float32), np.zeros(4, np.float32))
    assert {name: shape.shape for name, shape in found.items()} == {"made": (64, 64)}


def test_tables_of_other_fields_and_shapes_do_not_disturb_each_other():
    # Without a transform all loaders share one program.
    for table in (
        {"a": np.zeros((40, 32), np.float32)},
        {"a": np.zeros((40, 64), np.int32)},
        {"b": np.zeros((40, 32), np.float32)},
        {"a": np.zeros((40, 2), np.float32), "b": np.zeros((40, 32), np.float32)},
    ):
        for batch in create_data_loader(table, 8, placement="device"):
            assert {name: array.shape[1:] for name, array in batch.items() if name != "index"} == {
                name: array.shape[1:] for name, array in table.items()
            }


def test_arrays_on_the_cpu_are_looked_at_whatever_the_default_back_end(monkeypatch):
    real = jax.live_arrays
    monkeypatch.setattr(jax, "live_arrays", lambda platform=None: real(platform) if platform else [])
    kept = []
    for batch in loader(device=jax.devices("cpu")[0]):
        kept.append(jax.device_put(batch["x"], jax.devices("cpu")[0]))
        del batch
    assert not any(array.is_deleted() for array in kept)


def test_where_nothing_comes_back_nothing_is_made_or_held_any_more():
    spares, kept = SpareBatches(), []
    shapes = [jax.ShapeDtypeStruct((4, 4), jnp.float32)]
    made = []
    for _ in range(12):
        memory = spares.take(shapes)
        made.append(memory is not None)
        kept.append(memory or [jnp.zeros((4, 4), jnp.float32)])
        spares.keep(list(kept[-1]))
    assert made == [True] * 3 + [False] * 9
    assert len(spares) == 0
