"""What every dataset of this package keeps to, and whoever else's wants to."""

import pickle
from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.samples import reader_of
from artifex.generative_models.modalities.base import BaseDataset

# A sample's strings have a name of their own.
_BATCH_NAMES = {"path": "paths", "text": "texts", "speaker": "speakers"}


class DatasetContract:
    """Inherit it in a test, and say how to build the dataset: `dataset(seed, split)`, of 5 records or more."""

    @abstractmethod
    def dataset(self, seed: int = 0, split: str = "train") -> Any:
        """The dataset, made with `rngs=nnx.Rngs(seed)`."""

    has_random_content = False
    """Whether another seed and another split mean other samples, as for synthetic data."""

    def test_is_a_dataset(self) -> None:
        dataset = self.dataset()
        assert isinstance(dataset, BaseDataset)
        assert len(dataset) >= 5
        assert dataset.split == "train"

    def test_iterating_gives_all_samples_in_order(self) -> None:
        dataset = self.dataset()
        samples = list(dataset)
        assert [int(sample["index"]) for sample in samples] == list(range(len(dataset)))
        for place in (0, len(dataset) - 1):
            assert_same_fields(samples[place], dataset[place])

    def test_indexing(self) -> None:
        dataset = self.dataset()
        assert_same_fields(dataset[-1], dataset[len(dataset) - 1])
        for index in (len(dataset), -len(dataset) - 1):
            with pytest.raises(IndexError):
                dataset[index]
        part = dataset[1:4]
        assert len(part) == 3
        assert_same_fields(part[0] | {"index": 1}, dataset[1])

    def test_a_batch_is_its_samples(self) -> None:
        dataset = self.dataset()
        batch = dataset.take([3, 0])
        for row, index in enumerate((3, 0)):
            sample = dataset[index]
            assert batch.keys() == {_BATCH_NAMES.get(name, name) for name in sample}
            for name, value in sample.items():
                assert_close(batch[_BATCH_NAMES.get(name, name)][row], value)

    def test_numbers_are_jax_arrays_and_strings_are_lists(self) -> None:
        batch = self.dataset().get_batch(3)
        for value in batch.values():
            assert isinstance(value, jax.Array) or all(isinstance(item, str) for item in value)
            assert len(value) == 3
        assert batch["index"].dtype == jnp.int32

    def test_get_batch_walks_through_all_records(self) -> None:
        dataset = self.dataset()
        count = len(dataset)
        seen = [int(i) for _ in range(2 * count) for i in dataset.get_batch(1)["index"]]
        assert sorted(seen[:count]) == sorted(seen[count:]) == list(range(count))
        straight = [int(i) for _ in range(2) for i in self.dataset(split="val").get_batch(count)["index"]]
        assert straight == [*range(count), *range(count)]

    def test_the_same_seed_gives_the_same_data(self) -> None:
        one, two = (self.dataset(3).take(range(4)) for _ in range(2))
        assert_same_fields(one, two)

    def test_another_seed_or_split_gives_other_data(self) -> None:
        if not self.has_random_content:
            return
        kinds = [self.dataset(0), self.dataset(1), self.dataset(0, "val"), self.dataset(0, "test")]
        contents = {_content(dataset.take(range(4))) for dataset in kinds}
        assert len(contents) == 4

    def test_a_field_has_one_shape_and_dtype(self) -> None:
        dataset = self.dataset()
        for batch in (dataset.get_batch(2), dataset.get_batch(5)):
            for name, field in dataset.spec.items():
                if not field.is_text:
                    assert (batch[name].shape[1:], batch[name].dtype) == (field.shape, field.dtype), name

    def test_a_loader_gives_every_record_once(self) -> None:
        dataset = self.dataset(split="val")
        batches = list(create_data_loader(dataset, 2, seed=1))
        seen = [int(i) for batch in batches for i in batch["index"]]
        assert sorted(seen) == list(range(len(dataset)))
        for name, value in dataset.take(seen[:2]).items():
            assert_close(batches[0][name], value)

    def test_its_reader_can_be_sent_to_another_process(self) -> None:
        reader = reader_of(self.dataset())
        copy = pickle.loads(pickle.dumps(reader))
        assert copy.fingerprint() == reader.fingerprint()

    def test_an_unknown_split_is_told(self) -> None:
        with pytest.raises(ValueError, match="train"):
            self.dataset(split="training")


def assert_same_fields(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Raises unless both have the same fields with the same values, to 1e-6 for floats."""
    assert one.keys() == two.keys()
    for name in one:
        assert_close(one[name], two[name])


def assert_close(one: Any, two: Any) -> None:
    """Raises unless two fields are equal; floats made in batches of different shape may differ by 1e-6."""
    if isinstance(one, (str, list)):
        assert one == two
    else:
        np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=0, atol=1e-6)


def _content(batch: dict[str, Any]) -> bytes:
    return b"".join(
        np.asarray(v).tobytes() for k, v in batch.items() if k != "index" and not isinstance(v, list)
    )
