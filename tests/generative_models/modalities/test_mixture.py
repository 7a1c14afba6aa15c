from collections import Counter

import numpy as np
import pytest
from flax import nnx

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, ShapeError
from artifex.generative_models.modalities import ImageModalityConfig, MixedDataset
from artifex.generative_models.modalities.image.datasets import ArrayImageDataset

CONFIG = ImageModalityConfig(height=4, representation="grayscale", augmentation=True)


def part(size, label, **settings):
    pixels = np.full((size, 4, 4, 1), 10 * label, np.uint8)
    settings = {"config": CONFIG, "rngs": nnx.Rngs(0)} | settings
    return ArrayImageDataset(pixels, np.full(size, label), **settings)


def test_each_has_its_share_in_any_ten_batches():
    loader = create_data_loader(MixedDataset([part(30, 1), part(7, 2)], [0.7, 0.3]), 5, seed=3)
    labels = [label for _ in range(6) for batch in loader for label in batch["labels"].tolist()]
    for start in range(0, len(labels) - 50, 7):
        assert abs(Counter(labels[start : start + 50])[1] - 35) <= 1


def test_each_goes_through_epochs_of_its_own():
    loader = create_data_loader(MixedDataset([part(30, 1), part(7, 2)]), 4, seed=3)
    index = [i for _ in range(3) for batch in loader for i in batch["index"].tolist()]
    small = [i for i in index if i >= 30]
    for start in range(0, len(small) - 7, 7):
        assert sorted(small[start : start + 7]) == list(range(30, 37))


def labels_of(dataset, **settings):
    return Counter(int(x) for batch in create_data_loader(dataset, 10, **settings) for x in batch["label"])


def test_what_map_makes_of_a_mixture_is_a_mixture():
    mixed = MixedDataset([{"label": np.zeros(100)}, {"label": np.ones(100)}], [0.9, 0.1])
    once = mixed.map(lambda sample: sample | {"label": sample["label"] + 5})
    twice = once.map(lambda sample: sample | {"label": sample["label"] * 2})
    assert labels_of(mixed) == {0: 180, 1: 20}
    assert labels_of(once) == {5: 180, 6: 20} and labels_of(twice) == {10: 180, 12: 20}
    streams = [[b["index"].tolist() for b in create_data_loader(d, 10, seed=2)] for d in (mixed, once, twice)]
    assert streams[0] == streams[1] == streams[2]


def test_mixtures_of_mixtures():
    zeros, ones, twos = ({"label": np.full(100, i)} for i in range(3))
    inner = MixedDataset([zeros, ones], [0.9, 0.1])
    counts = labels_of(MixedDataset([inner, twos], [0.5, 0.5], epoch_size=400))
    assert counts == {0: 180, 1: 20, 2: 200}


def test_records_bring_what_belongs_to_them_and_resume():
    mixed = MixedDataset([part(9, 1), part(6, 2)], [1, 2], epoch_size=12)
    loader = create_data_loader(mixed, 5, seed=1)
    assert len(loader) == 3 and len(mixed) == 15
    batches = [*loader, *loader]
    for batch in batches:
        assert batch["labels"].tolist() == [1 if i < 9 else 2 for i in batch["index"].tolist()]
    again = create_data_loader(mixed, 5, seed=1)
    again.restore(loader.state() | {"epoch": 0, "step": 2})
    rest = [*again, *again]
    assert all(np.array_equal(a["images"], b["images"]) for a, b in zip(rest, batches[2:], strict=True))
    assert mixed[10]["labels"] == 2 and np.abs(batches[0]["images"] - mixed.take([0])["images"]).max() > 0


def test_another_weight_is_another_plan():
    one, two = (create_data_loader(MixedDataset([part(9, 1), part(6, 2)], w), 5) for w in ([1, 1], [1, 2]))
    with pytest.raises(ValueError, match="`arrangement.weights` was"):
        two.restore(one.state())


def test_errors_have_the_number_in_the_mixture():
    class Bad(list):
        def __getitem__(self, index):
            if index == 2:
                raise DecodeError("cut short")
            return super().__getitem__(index)

    good, bad = [{"x": 1.0}] * 4, Bad([{"x": 1.0}] * 4)
    with pytest.raises(DecodeError, match="record 6: cut short"):
        list(create_data_loader(MixedDataset([good, bad]), 8, False))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MixedDataset([part(3, 1)]), ConfigTypeError, "`datasets` must be two or more, got 1"),
        (
            lambda: MixedDataset([part(3, 1), part(3, 1)], 0.5),
            ConfigTypeError,
            "`weights` must be a list of numbers",
        ),
        (
            lambda: MixedDataset([part(3, 1)] * 2, [1, 2, 3]),
            ConfigError,
            "one number for each of the 2 datasets",
        ),
        (lambda: MixedDataset([part(3, 1)] * 2, [1, 0]), ConfigError, "`weights` must be numbers > 0"),
        (lambda: MixedDataset(3), ConfigTypeError, "`datasets` must be a list of datasets, got 3"),
        (
            lambda: MixedDataset(iter([part(3, 1)] * 2)),
            ConfigTypeError,
            "`datasets` must be a list of datasets",
        ),
        (lambda: MixedDataset([part(3, 1)] * 2, epoch_size=0), ConfigError, "`epoch_size` must be from 1"),
        (
            lambda: MixedDataset([part(3, 1), [{"x": 1}]]),
            ShapeError,
            "must have the same fields: dataset 1 has",
        ),
        (
            lambda: MixedDataset([part(3, 1), part(3, 1, config=CONFIG.replace(normalize=False))]),
            ConfigError,
            "prepared alike: dataset 1",
        ),
    ],
)
def test_what_cannot_be_mixed(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_part_that_is_random_is_random_in_whatever_place(order):
    plain, noisy = (part(8, 1).map(f, random=r) for f, r in ((steady, False), (drawn, True)))
    loader = create_data_loader(MixedDataset([(plain, noisy)[i] for i in order]), 4)
    values = [x for _ in range(2) for batch in loader for x in batch["x"].tolist()]
    assert values.count(-1) == 16 and len(set(values)) == 17
    config = ImageModalityConfig(height=4, representation="grayscale")
    parts = [part(8, 1, config=config, split=s).map(drawn, random=True) for s in ("train", "val")]
    values = [x for b in create_data_loader(MixedDataset(parts), 4) for x in b["x"].tolist()]
    assert values.count(-1) == 8, "what is not for training gets no random numbers"


def steady(sample):
    return {"x": np.float32(-1)}


def drawn(sample, rng):
    return {"x": np.float32(-1 if rng is None else rng.random())}
