"""What a loader does on a mesh of devices of one process; of several, see `test_processes.py`."""

import jax
import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from small_loaders import bits, noise

DATA = {"x": np.arange(40, dtype=np.float32).reshape(20, 2), "y": np.arange(20)}


def mesh(*shape):
    names = ("data", "model")[: len(shape)]
    return jax.sharding.Mesh(np.array(jax.devices()[: int(np.prod(shape))]).reshape(shape), names)


def split(mesh, *axes):
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


SHARDINGS = [
    split(mesh(2), "data"),
    split(mesh(1, 2), "data"),
    split(mesh(2, 1), ("data", "model")),
    split(mesh(2)),
]


@pytest.mark.parametrize("sharding", SHARDINGS, ids=str)
def test_global_arrays_are_those_of_one_device(sharding):
    loader = create_data_loader(DATA, 4, seed=1, transform=noise, sharding=sharding)
    batch = loader.batch(0)
    assert all(array.committed and len(array.sharding.device_set) == 2 for array in batch.values())
    assert batch["x"].sharding.is_equivalent_to(sharding, batch["x"].ndim)
    assert bits(loader) == bits(create_data_loader(DATA, 4, seed=1, transform=noise))


def test_a_mesh_and_a_spec_are_a_sharding():
    both = (mesh(2), jax.sharding.PartitionSpec("data"))
    batch = create_data_loader(DATA, 4, sharding=both).batch(0)
    assert batch["x"].sharding.is_equivalent_to(split(mesh(2), "data"), batch["x"].ndim)
    with pytest.raises(ConfigTypeError, match=r"or \(mesh, PartitionSpec\), got tuple"):
        create_data_loader(DATA, 4, sharding=(mesh(2), "data"))


def test_what_a_sharding_asks_for():
    two = split(mesh(2), "data")
    with pytest.raises(
        ConfigError, match="20 records in batches of 6 leave a shorter one: pass `drop_last=True`"
    ):
        create_data_loader(DATA, 6, sharding=two)
    with pytest.raises(ShapeError, match="`batch_size` 5 must be divisible by the 2 parts"):
        create_data_loader(DATA, 5, sharding=two)
    with pytest.raises(ConfigTypeError, match="`sharding` must be a jax.sharding.NamedSharding"):
        create_data_loader(DATA, 4, sharding=jax.devices()[0])
    with pytest.raises(ShapeError, match="may split the rows of a batch alone"):
        create_data_loader(DATA, 4, sharding=split(mesh(2), None, "data"))
    with pytest.raises(ConfigError, match="exclude each other"):
        create_data_loader(DATA, 4, sharding=two, device=jax.devices()[0])
    spec = jax.sharding.PartitionSpec
    with pytest.raises(ConfigError, match=r"`sharding` P.*\('rows'.* does not go with its mesh: .*rows"):
        create_data_loader(DATA, 4, sharding=(mesh(2), spec("rows")))
    with pytest.raises(ShapeError, match="must say over which axes rows are split, got"):
        create_data_loader(DATA, 4, sharding=(mesh(2), spec(spec.UNCONSTRAINED)))
    abstract = jax.sharding.NamedSharding(mesh(2).abstract_mesh, spec("data"))
    with pytest.raises(ConfigTypeError, match="needs a mesh of devices, got AbstractMesh"):
        create_data_loader(DATA, 4, sharding=abstract)
    manual = jax.sharding.Mesh(jax.devices()[:2], ("data",), axis_types=(jax.sharding.AxisType.Manual,))
    with pytest.raises(ConfigError, match="a mesh with manual axes, which are for `shard_map`"):
        create_data_loader(DATA, 4, sharding=(manual, spec("data")))
    assert len(bits(create_data_loader(DATA, 6, sharding=two, last="wrap"))) == 4


@pytest.mark.parametrize("kind", ["device", "pinned_host"])
def test_batches_come_in_the_memory_that_the_sharding_says(kind):
    sharding = split(mesh(2), "data").with_memory_kind(kind)
    for batch in create_data_loader(DATA, 4, drop_last=True, sharding=sharding):
        assert {array.sharding.memory_kind for array in batch.values()} == {kind}
