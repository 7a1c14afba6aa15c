"""Both ways between grain and this package. grain is a package of the development environment."""

import pickle
import subprocess
import sys

import absl.flags
import grain
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from artifex.data import BadRecordWarning, as_grain_source, create_data_loader
from artifex.data.buckets import BucketReader
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    NoRecordError,
    ReadError,
    TransformError,
)
from artifex.data.reader import ArrayReader
from artifex.generative_models.modalities import ImageModalityConfig, Subset
from artifex.generative_models.modalities.image.datasets import ImageFolderDataset, SyntheticImageDataset

SIZE = 12
ARRAYS = {"x": np.arange(24, dtype=np.float32).reshape(12, 2), "name": [f"r{i}" for i in range(12)]}


class Source:
    """A random-access source as grain asks for: a length, items, a representation."""

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        return {"x": np.full(2, index, np.float32), "label": index % 3}

    def __repr__(self):
        return "Source()"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(6):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (10, 14, 3), np.uint8)).save(path)
    config = ImageModalityConfig(height=8, width=8, augmentation=True)
    return ImageFolderDataset(str(folder), config=config, split="train", rngs=nnx.Rngs(0))


class Pixels:
    """Another dataset's samples without what is done to them on the device."""

    def __init__(self, dataset):
        self._reader = dataset.reader()

    def reader(self):
        return self._reader


# -- ours in grain


def grain_batches(source, size=4):
    data = grain.MapDataset.source(source).batch(size)
    return [data[i] for i in range(len(data))]


def test_grain_has_the_records_that_a_loader_has(photos):
    ours = list(create_data_loader(Pixels(photos), 3, shuffle=False))
    theirs = grain_batches(as_grain_source(photos), 3)
    assert len(ours) == len(theirs) == 2 and theirs[0]["images"].dtype == np.uint8
    for our, their in zip(ours, theirs, strict=True):
        assert set(our) == {*their, "index"}
        for name in ("images", "labels"):
            np.testing.assert_array_equal(np.asarray(our[name]), their[name])
        assert our["paths"] == their["paths"].tolist()


def test_in_a_grain_data_loader_with_a_checkpoint():
    def loader():
        source = as_grain_source(ARRAYS)
        return grain.DataLoader(
            data_source=source,
            sampler=grain.samplers.IndexSampler(len(source), seed=1, shuffle=True, num_epochs=1),
            operations=[grain.transforms.Batch(4)],
        )

    whole = [batch["x"].tolist() for batch in loader()]
    assert sorted(row for batch in whole for row in batch) == ARRAYS["x"].tolist()
    first = iter(loader())
    next(first)
    second = iter(loader())  # of a source of its own: grain compares what the two are called
    second.set_state(first.get_state())
    assert [batch["x"].tolist() for batch in second] == whole[1:]


@pytest.mark.slow
def test_in_grain_s_processes(photos):
    absl.flags.FLAGS.mark_as_parsed()  # grain's processes ask for its flags
    data = grain.MapDataset.source(as_grain_source(photos)).to_iter_dataset().batch(3)
    read = list(data.mp_prefetch(grain.MultiprocessingOptions(num_workers=2)))
    rows = np.concatenate([batch["images"] for batch in read])
    alone = np.concatenate([batch["images"] for batch in grain_batches(as_grain_source(photos), 3)])
    assert sorted(map(bytes, rows)) == sorted(map(bytes, alone))


def test_a_sample_is_host_data_and_a_source_a_sequence():
    source = as_grain_source(ARRAYS)
    assert len(source) == SIZE
    sample = source[-1]
    assert sample["x"].tolist() == [22, 23] and type(sample["x"]) is np.ndarray and sample["name"] == "r11"
    assert source[np.int64(3)]["name"] == "r3"
    with pytest.raises(IndexError, match="`index` must be from -12 to 11, got 12"):
        source[12]
    assert len(list(source)) == SIZE, "a sequence ends by an IndexError"


def test_what_a_source_is_called_tells_its_data_and_nothing_else():
    assert repr(as_grain_source(ARRAYS)) == repr(as_grain_source(dict(ARRAYS)))
    assert repr(as_grain_source(ARRAYS)) != repr(as_grain_source({**ARRAYS, "x": ARRAYS["x"] + 1}))
    assert repr(as_grain_source(ARRAYS)).startswith("GrainSource(12 records, ")


def test_a_source_crosses_to_a_process_without_jax_and_without_grain(photos, tmp_path):
    (tmp_path / "source").write_bytes(pickle.dumps(as_grain_source(photos)))
    code = (
        f"import pickle, sys; source = pickle.load(open({str(tmp_path / 'source')!r}, 'rb'));"
        "print(source[0]['images'].sum(), source, *({'jax', 'grain'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    source = as_grain_source(photos)
    assert done.stdout == f"{source[0]['images'].sum()} {source}\n"


def test_records_in_buckets_have_each_its_shape():
    wide, high = ({"x": np.arange(4 * n).reshape(4, n)} for n in (2, 3))
    reader = BucketReader([ArrayReader(wide), ArrayReader(high)], np.array([0, 1, 1, 0], np.int32))
    source = as_grain_source(type("Dataset", (), {"reader": lambda self: reader})())
    assert [source[i]["x"].tolist() for i in range(4)] == [[0, 1], [3, 4, 5], [6, 7, 8], [6, 7]]


def test_a_record_that_cannot_be_read_and_what_is_no_dataset():
    class Broken(Source):
        def __getitem__(self, index):
            if index == 2:
                raise ReadError("gone")
            return super().__getitem__(index)

    with pytest.raises(ReadError, match="record 2: gone"):
        as_grain_source(Broken())[2]
    with pytest.raises(ConfigTypeError, match="a dataset needs"):
        as_grain_source(3)


def test_samples_that_the_device_makes_are_none_for_the_host():
    config = ImageModalityConfig(height=8, width=8)
    made = SyntheticImageDataset(config, dataset_size=4, rngs=nnx.Rngs(0))
    for dataset in (made, Subset(made, range(2))):
        with pytest.raises(ConfigError, match="made on the device.*`as_numpy_iterator`"):
            as_grain_source(dataset)


# -- grain's in ours


def records(dataset, **settings):
    """x of each record, by its number."""
    loader = create_data_loader(dataset, 5, **settings)
    pairs = [(batch["index"].tolist(), np.asarray(batch["x"]).tolist()) for batch in loader]
    return {i: x for numbers, values in pairs for i, x in zip(numbers, values, strict=True)}


def test_a_source_of_grain_is_a_dataset():
    assert records(Source()) == {i: [i, i] for i in range(SIZE)}


def test_a_source_of_numbers_is_one_too():
    assert records(grain.sources.RangeDataSource(0, 8, 1)) == {i: i for i in range(8)}


def test_a_map_dataset_gives_its_first_epoch_s_items_by_number():
    data = (
        grain.MapDataset.source(Source())
        .shuffle(seed=3)
        .random_map(lambda sample, rng: {"x": sample["x"] + np.float32(rng.random())}, seed=4)
    )
    first = {i: data[i]["x"].tolist() for i in range(SIZE)}
    assert records(data) == first != {i: [i, i] for i in range(SIZE)}
    assert records(data, num_workers=0, seed=9) == first, "whatever the order, and who reads"


def test_a_filtered_map_dataset_is_masked_or_filtered():
    data = grain.MapDataset.source(Source()).filter(lambda sample: sample["label"] != 0)
    keep = [data[i] is not None for i in range(len(data))]
    assert sorted(records(data, keep=keep)) == [i for i in range(SIZE) if i % 3]
    with pytest.raises(NoRecordError, match="record 0: the dataset gives None"):
        records(data, shuffle=False)
    loader = create_data_loader(data, 4, shuffle=False, on_error="skip", max_errors=SIZE)
    with pytest.warns(BadRecordWarning, match="record 0: NoRecordError"):
        valid = [batch["valid"].tolist() for batch in loader]
    assert [v for batch in valid for v in batch] == keep
    assert {bad.record for bad in loader.bad_records} == {0, 3, 6, 9}


def test_a_repeated_map_dataset_is_told_or_counted():
    data = grain.MapDataset.source(Source())
    with pytest.raises(ConfigError, match="MapDataset\\) has no end; leave grain's `repeat"):
        create_data_loader(data.repeat(), 4)
    assert create_data_loader(data.repeat(2), 4).plan.arrangement.size == 2 * SIZE


def test_an_error_within_grain_names_the_record():
    data = grain.MapDataset.source(Source()).map(lambda sample: {"x": 1 / (sample["label"] - 2)})
    with pytest.raises(TransformError, match="record 2: .*ZeroDivisionError"):
        records(data, shuffle=False)
