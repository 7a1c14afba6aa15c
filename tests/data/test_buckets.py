import pickle

import jax
import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.buckets import BucketReader, refuse_buckets, subset_reader
from artifex.data.errors import ConfigError, ReadError, ShapeError
from artifex.data.reader import Reader
from artifex.data.types import TEXT, ArraySpec

OF = np.array([0, 1, 1, 0, 2, 1, 0, 1, 2, 0, 0], np.int32)
SHAPES = ((2, 3), (4, 2), (5,))


MESH = jax.make_mesh((1,), ("data",))
SPLIT = jax.sharding.NamedSharding(MESH, jax.sharding.PartitionSpec("data"))


class Ramp:
    """Record i is full of the number i, in one shape."""

    in_memory = False
    is_random = False

    def __init__(self, shape, bad=()):
        self.shape, self.bad, self.reads = shape, bad, []
        self.spec = {"x": ArraySpec(shape, np.dtype(np.float32)), "name": TEXT}

    def __len__(self):
        return len(OF)

    def read_into(self, indices, out, random=None):
        self.reads += indices.tolist()
        for row, number in enumerate(indices):
            if number in self.bad:
                raise ReadError("gone", record=int(number))
            out["x"][row] = number
            out["name"][row] = f"record {number}"

    def fingerprint(self):
        return {"kind": "ramp", "shape": list(self.shape)}

    def stamp(self):
        return "1"


def ramps(**options):
    return BucketReader([Ramp(shape, **options) for shape in SHAPES], OF)


class Dataset:
    def __init__(self, reader):
        self._reader = reader

    def reader(self):
        return self._reader


def test_it_is_a_reader_with_several_shapes():
    reader = ramps()
    assert isinstance(reader, Reader) and len(reader) == 11 and not reader.in_memory and not reader.is_random
    assert reader.spec["x"].shape == (4, 2) and [s["x"].shape for s in reader.specs] == list(SHAPES)
    assert reader.bucket(np.array([1, 7, 2])) == 1
    assert pickle.loads(pickle.dumps(reader)).fingerprint() == reader.fingerprint()


def test_records_of_several_buckets_are_told():
    with pytest.raises(ShapeError, match=r"records 1 and 4 come in different shapes \(buckets 1 and 2\)"):
        ramps().bucket(np.array([1, 2, 4, 0]))


def test_what_tells_two_apart():
    other = BucketReader([Ramp(shape) for shape in SHAPES], np.roll(OF, 1))
    shapes = BucketReader([Ramp(shape) for shape in ((2, 3), (4, 2), (6,))], OF)
    assert len({str(r.fingerprint()) for r in (ramps(), other, shapes)}) == 3
    assert ramps().stamp() != other.stamp()


@pytest.mark.parametrize("of", [OF[1:], OF - 1, OF + 1, OF[:, None]])
def test_a_table_that_does_not_fit(of):
    with pytest.raises(ConfigError, match="bucket from 0 to 2 for each of the 11 records"):
        BucketReader([Ramp(shape) for shape in SHAPES], of)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("last", ["short", "pad", "wrap"])
def test_a_loader_gives_batches_of_one_shape(last, num_workers):
    loader = create_data_loader(Dataset(ramps()), 3, last=last, num_workers=num_workers, seed=1)
    for epoch in range(2):
        seen = []
        for batch in loader:
            index = np.asarray(batch["index"])
            shape = SHAPES[OF[index[0]]]
            assert batch["x"].shape == (len(index), *shape) and batch["name"] == [
                f"record {i}" for i in index
            ]
            np.testing.assert_array_equal(
                batch["x"], np.broadcast_to(index.reshape(-1, *[1] * len(shape)), batch["x"].shape)
            )
            seen += index[np.asarray(batch["valid"])].tolist() if last == "pad" else index.tolist()
        assert len(loader) == 2 + 2 + 1
        assert sorted(seen) == list(range(11)) if last != "wrap" else set(seen) == set(range(11)), epoch


def test_it_resumes_and_any_batch_can_be_asked_for():
    loader = create_data_loader(Dataset(ramps()), 3, seed=1, num_workers=2)
    everything = [np.asarray(b["index"]).tolist() for _ in range(2) for b in loader]
    for step in range(9):
        fresh = create_data_loader(Dataset(ramps()), 3, seed=1)
        assert np.asarray(fresh.batch(step)["index"]).tolist() == everything[step]
    running = create_data_loader(Dataset(ramps()), 3, seed=1)
    batches = iter(running)
    for _ in range(3):
        next(batches)
    fresh.restore(running.state())
    assert [np.asarray(b["index"]).tolist() for _ in range(2) for b in fresh] == everything[3:]


def test_no_more_than_one_compilation_for_each_shape():
    shapes = []

    def double(key, sample):
        shapes.append(sample["x"].shape)
        return sample | {"x": sample["x"] * 2}

    loader = create_data_loader(Dataset(ramps()), 2, transform=double, seed=3)
    for _ in range(3):
        list(loader)
    assert sorted(shapes) == sorted(SHAPES)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_cache_keeps_each_record_in_its_shape(cache, tmp_path):
    folder = {"cache_dir": tmp_path} if cache == "disk" else {}
    reader = ramps()
    plain = create_data_loader(Dataset(ramps()), 3, seed=1)
    cached = create_data_loader(Dataset(reader), 3, seed=1, cache=cache, **folder)
    for _ in range(3):
        for one, other in zip(plain, cached, strict=True):
            np.testing.assert_array_equal(one["x"], other["x"])
            assert one["name"] == other["name"]
    assert sorted(n for part in reader.readers for n in part.reads) == list(range(11)), "each read once"
    if cache == "disk":
        again = ramps()
        for one, other in zip(
            plain, create_data_loader(Dataset(again), 3, seed=1, cache=cache, **folder), strict=False
        ):
            assert one["x"].shape[1:] in SHAPES and other["x"].shape[1:] in SHAPES
        assert not any(part.reads for part in again.readers), "another process finds it"


def test_a_bucket_of_other_records_has_a_cache_of_its_own(tmp_path):
    for of in (OF, np.where(OF == 1, 0, np.where(OF == 0, 1, OF)), np.roll(OF, 1)):
        reader = BucketReader([Ramp(shape) for shape in SHAPES], of)
        for batch in create_data_loader(Dataset(reader), 2, cache="disk", cache_dir=tmp_path):
            assert batch["name"] == [f"record {i}" for i in batch["index"]]


def test_a_small_cache_in_memory_is_shared_by_the_buckets():
    reader = ramps()
    bound = 11 * (8 * 4 + 128) * 3 // 5  # three fifths of the records, were all in the largest shape
    loader = create_data_loader(Dataset(reader), 3, seed=1, cache="memory", cache_bytes=bound)
    for _ in range(2):
        list(loader)
    reads = sum(len(part.reads) for part in reader.readers)
    assert 11 < reads < 22
    with pytest.raises(ConfigError, match="less than one record"):
        create_data_loader(Dataset(reader), 3, cache="memory", cache_bytes=100)


def test_a_subset_keeps_the_buckets():
    numbers = np.array([4, 0, 2, 8])
    part = subset_reader(ramps(), 4, numbers.__getitem__, {"records": "test"})
    assert isinstance(part, BucketReader) and part.of.tolist() == [2, 0, 1, 2]
    out = {"x": np.zeros((2, 5), np.float32), "name": np.full(2, None, object)}
    part.read_into(np.array([3, 0]), out)
    assert out["x"][:, 0].tolist() == [8, 4] and out["name"].tolist() == ["record 8", "record 4"]


@pytest.mark.parametrize("cache", [None, "memory"])
def test_an_error_names_the_record(cache):
    loader = create_data_loader(Dataset(ramps(bad=(7,))), 3, shuffle=False, cache=cache)
    with pytest.raises(ReadError, match="record 7: gone"):
        list(loader)


def test_buckets_that_are_dropped_whole_are_told():
    with pytest.warns(UserWarning, match=r"leaves out 1 of 3 buckets in every epoch, with 2 of 11 records"):
        loader = create_data_loader(Dataset(ramps()), 3, drop_last=True)
    assert len(loader) == 2


def test_what_takes_one_shape_alone_says_so():
    with pytest.raises(
        ConfigError, match="a mixture takes records of one shape, and these come in 3 buckets"
    ):
        refuse_buckets(ramps(), "a mixture")
    with pytest.raises(ConfigError, match=r'`placement="device"` takes records of one shape'):
        create_data_loader(Dataset(ramps()), 3, placement="device")
    with pytest.raises(ConfigError, match="must have one size"):
        create_data_loader(Dataset(ramps()), 3, sharding=SPLIT)
