import numpy as np
import pytest
from flax import nnx

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.generative_models.modalities import ImageModalityConfig, Subset, split_dataset
from artifex.generative_models.modalities.image.datasets import ArrayImageDataset, SyntheticImageDataset

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), np.uint8)
CONFIG = ImageModalityConfig(representation="grayscale", height=4, augmentation=True)


@pytest.fixture
def dataset():
    return ArrayImageDataset(PIXELS, np.arange(20), config=CONFIG, rngs=nnx.Rngs(0))


def labels(dataset):
    return dataset.take(range(len(dataset)))["labels"].tolist()


def test_parts_are_disjoint_cover_all_and_know_their_split(dataset):
    parts = split_dataset(dataset, {"train": 0.7, "val": 0.2, "test": 0.1}, seed=3)
    assert {name: (len(part), part.split) for name, part in parts.items()} == {
        "train": (14, "train"),
        "val": (4, "val"),
        "test": (2, "test"),
    }
    everything = [label for part in parts.values() for label in labels(part)]
    assert sorted(everything) == list(range(20)) and everything != list(range(20))


def test_the_same_seed_gives_the_same_parts(dataset):
    def parts(seed):
        return labels(split_dataset(dataset, {"train": 0.5, "val": 0.5}, seed=seed)["val"])

    assert parts(0) == parts(0) != parts(1)


def test_only_the_train_part_is_augmented(dataset):
    parts = split_dataset(dataset, {"train": 0.5, "val": 0.5})
    for name, part in parts.items():
        batch = create_data_loader(part, 10, False).batch(0)
        plain = part.take(range(10))
        assert batch["labels"].tolist() == plain["labels"].tolist()
        assert np.array_equal(batch["images"], plain["images"]) == (name == "val")


@pytest.mark.parametrize(
    ("fractions", "error", "message"),
    [
        ({"train": 0.9, "val": 0.2}, ConfigError, "add up to 1"),
        ({"train": 0.5, "TRAIN": 0.5}, ConfigError, "names a split twice"),
        ({"train": float("nan"), "val": 0.5}, ConfigError, "each be > 0"),
        ([0.5, 0.5], ConfigTypeError, "`fractions` must be a mapping"),
        ({"train": 1.1, "val": -0.1}, ConfigError, "each be > 0"),
        ({}, ConfigError, "add up to 1"),
        ({"train": 0.99, "val": 0.01}, ConfigError, "leave no record of 20 for 'val'"),
        ({"train": 0.5, "holdout": 0.5}, UnknownNameError, "unknown `fractions` 'holdout'"),
    ],
)
def test_fractions_that_are_none(dataset, fractions, error, message):
    with pytest.raises(error, match=message):
        split_dataset(dataset, fractions)


def test_any_dataset_can_be_cut():
    parts = split_dataset([{"x": i} for i in range(10)], {"train": 0.8, "test": 0.2})
    seen = [int(x) for part in parts.values() for b in create_data_loader(part, 3) for x in b["x"]]
    assert sorted(seen) == list(range(10))


def test_subsets_of_subsets_and_slices(dataset):
    assert labels(dataset[5:15][::-3]) == [14, 11, 8, 5]
    assert labels(Subset(dataset[10:], [9, 0])) == [19, 10]
    assert dataset[5:15][2]["index"] == 2, "numbered anew"
    assert dataset[3:5].split == "train" and Subset(dataset, [1], "val").split == "val"


def test_a_slice_of_a_huge_dataset_costs_nothing():
    huge = SyntheticImageDataset(CONFIG, 2**31 - 1, "random", rngs=nnx.Rngs(0))
    part = huge[1_000_000_000:2_000_000_000]
    assert len(part) == 10**9
    np.testing.assert_allclose(part[7]["images"], huge[1_000_000_007]["images"], atol=1e-6)


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([], ConfigTypeError, "at least one integer"),
        ([1.5], ConfigTypeError, "at least one integer"),
        ([20], IndexError, "of a dataset of 20"),
        ([-1], IndexError, "of a dataset of 20"),
        (range(0), ConfigError, "at least one record"),
        (range(10, 30), IndexError, "sample 29 of a dataset of 20"),
    ],
)
def test_numbers_that_are_none(dataset, indices, error, message):
    with pytest.raises(error, match=message):
        Subset(dataset, indices)


def test_take_and_items_of_wrong_kinds(dataset):
    assert dataset.take([-1])["index"].tolist() == [19]
    for wrong in ([], [1.0], 3, [[1]], "1"):
        with pytest.raises(ConfigTypeError, match="`indices` must be a list of at least one integer"):
            dataset.take(wrong)
    for wrong in (1.0, "1", True, None):
        with pytest.raises(ConfigTypeError, match="a sample's number must be an integer"):
            dataset[wrong]
    with pytest.raises(ConfigError, match="`batch_size` must be from 1"):
        dataset.get_batch(0)


def test_a_subset_is_another_plan(dataset):
    states = [create_data_loader(part, 2).state()["plan"]["source"] for part in (dataset[:4], dataset[2:6])]
    assert states[0] != states[1] and states[0]["of"] == states[1]["of"]


def test_get_batch_walks_on_into_the_next_epoch_and_is_shuffled(dataset):
    seen = [i for _ in range(8) for i in dataset.get_batch(5)["index"].tolist()]
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20)) and seen[:20] != seen[20:]
    assert len(dataset.get_batch(50)["index"]) == 50, "more than there are goes around"


@pytest.mark.parametrize("seed", ["a", -1, 2**64])
def test_a_seed_that_is_none(dataset, seed):
    with pytest.raises((ConfigError, ConfigTypeError), match="`seed` must be"):
        split_dataset(dataset, {"train": 0.5, "val": 0.5}, seed=seed)
