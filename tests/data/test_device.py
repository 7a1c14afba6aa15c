import gc
import weakref
from functools import partial, wraps

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import reuse
from artifex.data.device import Crossing, batch_level, is_own
from artifex.data.errors import ConfigTypeError, ShapeError, TransformError
from artifex.data.randomness import record_words
from artifex.data.types import TEXT, ArraySpec

INDEX = np.array([4, 0, 7], np.int32)
ARRAYS = {"x": np.array([[1, 2], [3, 4], [5, 6]], np.uint8), "y": np.array([0.5, 1.5, 2.5], np.float32)}


def turns(turn, index):
    return np.full(len(index), turn)


def noise(key, sample):
    return {**sample, "noise": jax.random.uniform(key)}


def test_arrays_cross_as_they_are_with_their_index():
    batch = Crossing([], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)
    assert {name: str(a.dtype) for name, a in batch.items()} == {
        "x": "uint8",
        "y": "float32",
        "index": "int32",
    }
    np.testing.assert_array_equal(batch["x"], ARRAYS["x"])
    np.testing.assert_array_equal(batch["index"], INDEX)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_floats_leave_as_asked(dtype):
    batch = Crossing([], dtype, 0)(turns(0, INDEX), INDEX, ARRAYS)
    assert batch["y"].dtype == jnp.dtype(dtype) and batch["x"].dtype == jnp.uint8


def test_steps_see_one_sample_and_keys_of_their_own():
    seen = []

    def step(key, sample):
        seen.append({name: a.shape for name, a in sample.items()})
        return {**sample, "a": jax.random.uniform(key)}

    batch = Crossing([step, noise], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)
    assert seen == [{"x": (2,), "y": (), "index": ()}], "compiled once, on one sample"
    assert len(set(batch["a"].tolist()) | set(batch["noise"].tolist())) == 6


def test_the_key_is_the_record_s():
    run = Crossing([noise], "float32", 3)
    whole = run(turns(1, INDEX), INDEX, ARRAYS)["noise"]
    alone = run(turns(1, INDEX[1:2]), INDEX[1:2], {n: a[1:2] for n, a in ARRAYS.items()})["noise"]
    assert whole[1] == alone[0], "whatever batch it comes in"
    words = record_words(3, np.array([1]), INDEX[1:2])[0]
    assert whole[1] == jax.random.uniform(jax.random.wrap_key_data(jnp.asarray(words), impl="threefry2x32"))
    assert run(turns(2, INDEX), INDEX, ARRAYS)["noise"][1] != whole[1]
    assert Crossing([noise], "float32", 4)(turns(1, INDEX), INDEX, ARRAYS)["noise"][1] != whole[1]


def test_own_steps_draw_the_numbers_of_others():
    def own(key, sample):
        assert "artifex" in str(jax.random.key_impl(key))
        return noise(key, sample)

    own.is_own = True
    for first, second in ((own, own), (noise, own), (own, noise)):
        batch = Crossing([first, second], "float32", 3)(turns(1, INDEX), INDEX, ARRAYS)
        others = Crossing([noise, noise], "float32", 3)(turns(1, INDEX), INDEX, ARRAYS)
        np.testing.assert_array_equal(batch["noise"], others["noise"], strict=True)


def test_steps_that_draw_nothing_get_no_keys():
    def plain(key, sample):
        return {**sample, "key": jax.random.key_data(key)}

    run = Crossing([plain], "float32", 0)
    assert run.words(turns(0, INDEX), INDEX).shape == (3, 2), "of a function that nothing is known of"
    plain.is_random = False
    run = Crossing([plain], "float32", 0)
    assert run.words(turns(0, INDEX), INDEX) is None
    assert not np.any(run(turns(0, INDEX), INDEX, ARRAYS)["key"])


def test_a_batch_level_step_sees_the_batch():
    @batch_level
    def mean(keys, batch):
        assert keys.shape == (3,)
        return {**batch, "y": jnp.full(3, batch["y"].mean())}

    np.testing.assert_allclose(Crossing([mean], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)["y"], [1.5] * 3)


def test_it_compiles_once_per_shape_not_per_epoch():
    traces = []

    def step(key, sample):
        traces.append(1)
        return sample

    run = Crossing([step], "float32", 0)
    for epoch in range(5):
        run(turns(epoch, INDEX), INDEX, ARRAYS)
    assert len(traces) == 1


def test_committed_where_a_device_is_named():
    device = jax.devices()[1]
    batch = Crossing([noise], "float32", 0, device)(turns(0, INDEX), INDEX, ARRAYS)
    assert all(array.committed and array.devices() == {device} for array in batch.values())
    assert not Crossing([], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)["x"].committed


def test_the_spec_is_known_before_anything_is_read():
    host = {"x": ArraySpec((2,), np.dtype(np.uint8)), "name": TEXT}
    spec = Crossing([noise], "bfloat16", 0).spec(host)
    assert {name: str(field) for name, field in spec.items()} == {
        "x": "uint8[2]",
        "index": "int32[]",
        "noise": "bfloat16[]",
        "name": "object[]",
    }


def test_steps_that_are_none():
    with pytest.raises(ConfigTypeError, match=r"a function of \(key, sample\), got 3"):
        Crossing([3], "float32", 0)
    with pytest.raises(ShapeError, match="must return a dict of arrays"):
        Crossing([lambda key, sample: sample["x"]], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)


def test_a_step_that_changes_the_number_of_rows_is_told():
    half = batch_level(lambda keys, batch: {**batch, "x": batch["x"][:2]})
    with pytest.raises(ShapeError, match=r"made `x` \(2, 2\) of a batch of 3"):
        Crossing([half], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)


def test_a_method_can_be_at_batch_level():
    class Mixer:
        def mix(self, keys, batch):
            return {**batch, "n": jnp.full(len(keys), len(keys))}

    mixed = Crossing([batch_level(Mixer().mix)], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)
    assert mixed["n"].tolist() == [3, 3, 3]


def test_a_transform_does_not_outlive_its_loader():
    class Big:
        def __call__(self, key, sample):
            return sample

    step = Big()
    gone = weakref.ref(step)
    crossing = Crossing([step], "float32", 0)
    crossing(turns(0, INDEX), INDEX, ARRAYS)
    del crossing, step
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda sample: sample, "TypeError"),
        (lambda key, sample: sample["imges"], r"KeyError: 'imges'.*\['index', 'x', 'y'\]"),
        (lambda key, sample: {"x": np.asarray(sample["x"])}, "TracerArrayConversionError"),
    ],
)
def test_a_transform_that_fails_is_named(step, message):
    with pytest.raises(TransformError, match=rf"(?s)the transform .*<lambda> failed: .*{message}"):
        Crossing([step], "float32", 0)(turns(0, INDEX), INDEX, ARRAYS)


def own_step(key, sample):
    return {**sample, "x": 2 * sample["x"]}


own_step.__module__ = "artifex.made_up"


_compilations = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, duration, **_: _compilations.append(event) if "backend_compile" in event else None
)


@pytest.mark.parametrize("least_bytes", [1, 2**25])
@pytest.mark.parametrize("device", [None, 1])
def test_what_is_compiled_before_there_is_a_batch_is_what_is_called(monkeypatch, device, least_bytes):
    monkeypatch.setattr(reuse, "LEAST_BYTES", least_bytes)
    traced = []

    def double(key, sample):
        traced.append(key)
        return {**sample, "x": 2 * sample["x"]}

    place = device if device is None else jax.devices()[device]
    crossing = Crossing([double], "float32", seed=0, fill_to=4, device=place)
    spares = crossing.spares()
    spec = {"x": ArraySpec((2,), np.dtype(np.float32)), "name": TEXT}
    _compilations.clear()
    crossing.compile(spec, 4, {}, spares)
    assert len(_compilations) == 1
    for size in (4, 4, 3):
        if size == 3:
            assert len(_compilations) == 1
        arrays = {"x": np.ones((size, 2), np.float32)}
        batch = crossing(np.zeros(size, np.int64), np.zeros(size, np.int32), arrays, None, spares)
        np.testing.assert_array_equal(batch["x"], 2 * arrays["x"])
        del batch
    assert len(traced) == 1


def test_what_was_compiled_before_is_not_asked_for_again():
    crossing = Crossing([own_step], "float32", seed=0, fill_to=4)
    spec = {"x": ArraySpec((2,), np.dtype(np.float32))}
    crossing.compile(spec, 4, {}, None)
    del crossing._run._run  # what would be compiled
    crossing.compile(spec, 4, {}, None)
    with pytest.raises(AttributeError, match="_run"):
        crossing.compile(spec, 3, {}, None)


def test_steps_of_the_package_are_known():
    assert is_own(own_step) and is_own(partial(own_step, sample=1))
    assert not is_own(lambda key, sample: sample)
    assert not is_own(partial(own_step, sample=lambda: 1))
    assert not is_own(wraps(own_step)(lambda key, sample: sample))


def test_compiling_leaves_the_collector_of_garbage_as_it_was():
    crossing = Crossing([own_step], "float32", seed=0, fill_to=4)
    try:
        for was_on in (True, False):
            (gc.enable if was_on else gc.disable)()
            crossing.compile({"x": ArraySpec((2,), np.dtype(np.float32))}, 4, {}, None)
            assert gc.isenabled() is was_on
    finally:
        gc.enable()
