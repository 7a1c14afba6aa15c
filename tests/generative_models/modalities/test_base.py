import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.data import create_data_loader
from artifex.data.errors import ConfigTypeError, ShapeError, UnknownNameError
from artifex.data.samples import IteratedDatasetWarning
from artifex.generative_models.modalities import BaseDataset, BaseModalityConfig, BaseProcessor, collate


class Listed(BaseDataset):
    """The three methods that are asked for, and no more."""

    def __init__(self, config, split="train", *, rngs):
        super().__init__(config, split, rngs=rngs)
        assert self.config is config and self.rngs is rngs
        self.data = [{"x": jnp.full(3, i), "name": f"r{i}"} for i in range(6)]

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        return iter(self.data)

    def get_batch(self, batch_size):
        return collate(self.data[:batch_size])


def test_a_dataset_of_one_s_own_goes_through_the_loader():
    dataset = Listed(BaseModalityConfig(), rngs=nnx.Rngs(0))
    with pytest.warns(IteratedDatasetWarning, match="Listed has no `__getitem__`"):
        loader = create_data_loader(dataset, 4, seed=1)
    batches = list(loader)
    assert sorted(int(x) for b in batches for x in b["x"][:, 0]) == list(range(6))
    assert all(b["name"] == [f"r{int(i)}" for i in b["index"]] for b in batches)
    assert dataset.get_batch(2)["x"].shape == (2, 3)


@pytest.mark.parametrize("missing", ["__len__", "__iter__", "get_batch"])
def test_a_dataset_that_lacks_a_method_cannot_be_made(missing):
    methods = {name: lambda self, *a: 0 for name in ("__len__", "__iter__", "get_batch") if name != missing}
    with pytest.raises(TypeError, match=missing):
        type("Lacking", (BaseDataset,), methods)(BaseModalityConfig(), rngs=nnx.Rngs(0))


def test_the_split_is_one_of_three():
    assert Listed(BaseModalityConfig(), "val", rngs=nnx.Rngs(0)).split == "val"
    with pytest.raises(UnknownNameError, match="unknown `split` 'training'; did you mean 'train'"):
        Listed(BaseModalityConfig(), "training", rngs=nnx.Rngs(0))
    with pytest.raises(ConfigTypeError, match="`rngs` must be a flax.nnx.Rngs"):
        Listed(BaseModalityConfig(), rngs=None)


@pytest.mark.parametrize("rngs", [nnx.Rngs(0), nnx.Rngs(sample=3)])
def test_next_key_is_a_new_one_each_time(rngs):
    dataset = Listed(BaseModalityConfig(), rngs=rngs)
    keys = [jax.random.key_data(dataset.next_key()).tolist() for _ in range(3)]
    assert len({tuple(key) for key in keys}) == 3


def test_collate_stacks_numbers_and_lists_strings():
    batch = collate([{"a": np.ones(2), "n": 3, "s": "x"}, {"a": jnp.zeros(2), "n": 4, "s": "y"}])
    assert (
        batch["a"].tolist() == [[1, 1], [0, 0]] and batch["n"].tolist() == [3, 4] and batch["s"] == ["x", "y"]
    )
    assert all(isinstance(batch[name], jax.Array) for name in "an")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "`samples` is empty"),
        ([{"a": np.ones(2)}, {"a": np.ones(3)}], r"`a` has shape \(3,\) in sample 1, but \(2,\) in sample 0"),
        ([{"a": 1}, {"b": 1}], r"sample 1 has the keys \['b'\], but sample 0 has \['a'\]"),
        ([{"a": "x"}, {"a": 1}], "`a` is a string in sample 0, but not in all"),
    ],
)
def test_collate_refuses_what_does_not_stack(samples, message):
    with pytest.raises(ShapeError, match=message):
        collate(samples)


def test_a_processor_has_three_methods():
    with pytest.raises(TypeError, match="postprocess"):
        type("Half", (BaseProcessor,), {"process": id, "preprocess": id})()
