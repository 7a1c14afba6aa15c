import json
from functools import partial

import jax
import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, StateError
from small_loaders import Items, bits, noise, seen


def test_positional_as_documented():
    assert seen(create_data_loader(Items(), 4, False, True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert seen(create_data_loader(Items(), 4, shuffle=False))[-1] == [8, 9]
    assert len(create_data_loader(Items(), 4)) == 3 and len(create_data_loader(Items(), 4, True, True)) == 2


def test_workers_and_prefetch_are_no_part_of_the_plan():
    state = create_data_loader(Items(), 4).state()
    create_data_loader(Items(), 4, num_workers=3, prefetch=7).restore(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform": noise}, r"`source.prepared.steps` was \[\] and is \['noise'\]"),
        ({"transform": partial(noise, scale=2.0)}, r"is \['noise\(scale=2.0\)'\]"),
        ({"dtype": "bfloat16"}, "`source.prepared.dtype` was 'float32' and is 'bfloat16'"),
    ],
)
def test_what_the_device_does_is_part_of_the_plan(change, message):
    state = create_data_loader(Items(), 4).state()
    with pytest.raises(StateError, match=message):
        create_data_loader(Items(), 4, **change).restore(state)


def test_numbers_of_numpy_are_numbers():
    loader = create_data_loader(
        Items(),
        np.int64(4),
        seed=np.int64(3),
        prefetch=np.int32(2),
        repeat=np.int8(1),
        stats_every=np.float32(1.0),
    )
    json.dumps(loader.state())
    assert bits([loader.batch(np.int64(1))]) == bits([create_data_loader(Items(), 4, seed=3).batch(1)])


@pytest.mark.parametrize("name", ["index", "valid"])
def test_the_loader_s_own_names_are_refused(name):
    with pytest.raises(
        ConfigError, match=f"the samples have a field '{name}', which is the loader's own name"
    ):
        create_data_loader({name: np.arange(4)}, 2)


def test_several_transforms_in_order():
    steps = [lambda key, s: {**s, "x": s["x"] + 1}, lambda key, s: {**s, "x": s["x"] * 2}]
    batch = create_data_loader(Items(), 2, False, transform=steps).batch(0)
    assert batch["x"][:, 0].tolist() == [2, 4]


def test_the_spec_before_anything_is_read():
    spec = create_data_loader(Items(), 4, transform=noise, dtype="bfloat16").spec
    assert {name: str(field) for name, field in spec.items()} == {
        "x": "bfloat16[3]",
        "index": "int32[]",
        "noise": "bfloat16[]",
        "name": "object[]",
    }


def test_on_the_device_that_is_named():
    device = jax.devices()[1]
    batch = next(iter(create_data_loader(Items(), 4, device=device)))
    assert batch["x"].devices() == {device} and batch["x"].committed


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ConfigError, "`batch_size` must be from 1"),
        ({"batch_size": 11, "drop_last": True}, ConfigError, "pass `drop_last=False`"),
        ({"training": 0}, ConfigTypeError, "`training` must be True or False"),
        ({"device": "cpu"}, ConfigTypeError, "`device` must be a jax.Device"),
        ({"dtype": object()}, ConfigError, "`dtype` must be one of float32"),
        ({"shuffle": "yes"}, ConfigTypeError, "`shuffle` must be True or False"),
        ({"seed": -1}, ConfigError, "`seed` must be from 0"),
        ({"num_workers": -1}, ConfigError, "`num_workers` must be from 0"),
        ({"prefetch": 0}, ConfigError, "`prefetch` must be from 1"),
        ({"dtype": "int32"}, ConfigError, "`dtype` must be one of float32"),
        ({"dtype": "complex"}, ConfigError, "`dtype` must be one of float32"),
        ({"transform": 3}, ConfigTypeError, "a transform must be a function"),
        ({"num_workers": np.arange(3)}, ConfigTypeError, "`num_workers` must be an integer"),
        ({"prefetch": np.arange(3)}, ConfigTypeError, "`prefetch` must be an integer"),
        ({"timeout": 10**400}, ConfigError, "`timeout` must be above 0, got 1000"),
        ({"stats_every": float("inf")}, ConfigError, "`stats_every` must be above 0, got inf"),
    ],
)
def test_bad_arguments_are_told(arguments, error, message):
    with pytest.raises(error, match=message):
        create_data_loader(Items(), **{"batch_size": 4} | arguments)


def test_names_of_fields_are_strings():
    with pytest.raises(ConfigTypeError, match="strings, got the name 3"):
        create_data_loader({3: np.arange(4)}, 2)


@pytest.mark.parametrize(("name", "least"), [("num_workers", 0), ("prefetch", 1)])
def test_a_count_that_is_a_word_is_told_the_one_word_there_is(name, least):
    with pytest.raises(
        ConfigTypeError, match=f"`{name}` must be an integer from {least} to 1024, or 'auto', got 'all'"
    ):
        create_data_loader(Items(), 4, **{name: "all"})
