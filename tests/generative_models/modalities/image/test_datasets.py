import json
import os
import pickle
import warnings
from copy import deepcopy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from artifex.data import create_data_loader
from artifex.data.codecs.image import RandomResizedCrop
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    ShapeError,
    TransformError,
    UnknownNameError,
)
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image import augment
from artifex.generative_models.modalities.image.datasets import (
    ArrayImageDataset,
    ImageFolderDataset,
    MNISTLikeDataset,
    SyntheticImageDataset,
    UnusualConfigWarning,
)
from artifex.testing.datasets import DatasetContract

SMALL = ImageModalityConfig(height=8, width=12)
GREY = ImageModalityConfig(representation="grayscale", height=28, width=28)
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 8, 12, 3), np.uint8)
LABELS = np.arange(7) % 3


def synthetic(kind="circles", *, config=SMALL, size=6, split="train", seed=0, **settings):
    return SyntheticImageDataset(config, size, kind, split, rngs=nnx.Rngs(seed), **settings)


def arrays(images=PIXELS, labels=LABELS, *, config=SMALL, split="train", **settings):
    return ArrayImageDataset(images, labels, config=config, split=split, rngs=nnx.Rngs(0), **settings)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number, kind in enumerate(["cat", "dog", "cat", "owl", "dog"]):
        (root / kind).mkdir(exist_ok=True)
        Image.fromarray(PIXELS[number]).save(root / kind / f"{number}.png")
    return root


class TestSynthetic(DatasetContract):
    has_random_content = True

    def dataset(self, seed=0, split="train"):
        return synthetic(split=split, seed=seed)


class TestMNISTLike(DatasetContract):
    has_random_content = True

    def dataset(self, seed=0, split="train"):
        return MNISTLikeDataset(GREY, 5, split=split, rngs=nnx.Rngs(seed))


class TestArrays(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return ArrayImageDataset(PIXELS, LABELS, config=SMALL, split=split, rngs=nnx.Rngs(seed))


class TestFolder(DatasetContract):
    @pytest.fixture(autouse=True)
    def _root(self, photos):
        self.root = photos

    def dataset(self, seed=0, split="train"):
        return ImageFolderDataset(self.root, config=SMALL, split=split, rngs=nnx.Rngs(seed))


def with_mean(sample):
    return {**sample, "mean": sample["images"].mean()}


class TestMapped(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return arrays(split=split).map(with_mean)


class TestSubset(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return arrays(split=split)[1:]


# -- synthetic


@pytest.mark.parametrize(
    ("kind", "representation", "value_range"),
    [
        ("random", "rgba", "unit"),
        ("gradient", "rgb", "symmetric"),
        ("checkerboard", "grayscale", "raw"),
        ("circles", "rgba", "symmetric"),
    ],
)
def test_patterns_fill_the_declared_range(kind, representation, value_range):
    low, high = {"unit": (0, 1), "symmetric": (-1, 1), "raw": (0, 255)}[value_range]
    config = ImageModalityConfig(representation=representation, height=16, value_range=value_range)
    images = np.asarray(synthetic(kind, config=config, size=32).take(range(16))["images"])
    assert images.shape == (16, *config.shape)
    assert images.dtype == np.float32
    assert low <= images.min() <= low + (high - low) * 0.35
    assert low + (high - low) * 0.65 <= images.max() <= high
    if representation == "rgba":
        assert (images[..., 3] == high).all()


def test_a_gradient_s_direction_varies():
    images = np.asarray(synthetic("gradient", config=GREY, size=64).take(range(64))["images"])[..., 0]
    dy, dx = np.gradient(images, axis=(1, 2))
    angle = np.arctan2(np.median(dy, (1, 2)), np.median(dx, (1, 2)))
    assert len(np.unique(np.round(angle, 2))) > 40
    assert np.abs(np.exp(1j * angle).mean()) < 0.4, "all directions come"


def test_a_checkerboard_s_tile_and_phase_vary():
    config = ImageModalityConfig(representation="grayscale", height=64)
    images = np.asarray(synthetic("checkerboard", config=config, size=64).take(range(64))["images"])[..., 0]
    assert set(np.unique(images)) == {0, 1}
    sides, phases = set(), set()
    for image in images:
        edges = np.flatnonzero(np.diff(image[0]))
        side = int(np.diff(edges).min()) if len(edges) > 1 else 0
        assert all(np.diff(edges) == side), "all tiles of a board are alike"
        sides.add(side)
        phases.add(int(edges[0]))
    assert min(sides) >= 4 and max(sides) <= 16 and len(sides) > 8 and len(phases) > 8
    tiny = synthetic("checkerboard", config=config, tiles=(2, 2))[0]["images"]
    assert (np.diff(np.flatnonzero(np.diff(np.asarray(tiny)[0, :, 0]))) == 2).all()


def test_a_circle_s_centre_and_radius_are_independent():
    config = ImageModalityConfig(representation="grayscale", height=64)
    images = np.asarray(synthetic("circles", config=config, size=256).take(range(256))["images"])[..., 0]
    found = []
    for image in images:
        middle = (image.min() + image.max()) / 2
        corners = np.median([image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]])
        inside = (image > middle) != (corners > middle)
        y, x = np.nonzero(inside)
        found.append((y.mean(), x.mean(), np.sqrt(inside.sum() / np.pi)))
    found = np.array(found)
    correlation = np.corrcoef(found.T)
    assert np.abs(correlation[0, 1]) < 0.2 and found.std(0).min() > 3, "y and x are draws of their own"
    assert found[:, 2].min() < 12 and found[:, 2].max() > 18, "radii from 6 to 26 pixels, cut at the border"


def test_ten_million_cost_nothing_until_asked_for():
    dataset = synthetic(size=10**7)
    assert len(dataset) == 10**7
    assert dataset[9_999_999]["images"].shape == (8, 12, 3)
    with pytest.raises(IndexError):
        dataset[10**7]


def test_a_sample_is_a_function_of_key_split_and_number_alone():
    one, two = synthetic(seed=4), synthetic(seed=4, size=50)
    one.get_batch(5)
    np.testing.assert_allclose(one[3]["images"], two.take([9, 3])["images"][1], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"kind": "plaid"}, UnknownNameError, "unknown `pattern_type` 'plaid'.*'checkerboard'"),
        ({"size": 0}, ConfigError, "`dataset_size` must be from 1"),
        ({"size": 2**31}, ConfigError, "`dataset_size` must be from 1"),
        ({"tiles": (0, 4)}, ConfigError, "`tiles` must be"),
        ({"radius": (0.5, 0.1)}, ConfigError, "`radius` must be"),
        ({"config": "64x64"}, ConfigTypeError, "`config` must be an ImageModalityConfig"),
    ],
)
def test_bad_settings_are_told(settings, error, message):
    with pytest.raises(error, match=message):
        synthetic(**settings)


def test_what_is_no_rngs_is_told():
    with pytest.raises(ConfigTypeError, match=r"`rngs` must be a flax.nnx.Rngs, e.g. nnx.Rngs\(0\), got int"):
        SyntheticImageDataset(SMALL, 5, rngs=3)


def test_numerals_can_be_told_apart():
    batch = MNISTLikeDataset(GREY, rngs=nnx.Rngs(1)).get_batch(1024)
    x, y = np.asarray(batch["images"]).reshape(1024, -1), np.asarray(batch["labels"])
    means = np.stack([x[:768][y[:768] == label].mean(0) for label in range(10)])
    guesses = ((x[768:, None] - means) ** 2).sum(-1).argmin(1)
    assert (guesses == y[768:]).mean() > 0.9
    assert np.bincount(y, minlength=10).min() > 60, "all classes are equally likely"


def test_numerals_of_another_size_come_with_a_warning():
    with pytest.warns(UnusualConfigWarning, match="28x28 grayscale.*32, 32, 3"):
        dataset = MNISTLikeDataset(ImageModalityConfig(height=32), 10, 3, rngs=nnx.Rngs(0))
    batch = dataset.take(range(10))
    assert batch["images"].shape == (10, 32, 32, 3) and set(batch["labels"].tolist()) <= {0, 1, 2}
    with pytest.raises(ConfigError, match="`num_classes` must be from 1 to 10"):
        MNISTLikeDataset(GREY, num_classes=11, rngs=nnx.Rngs(0))


# -- arrays


def test_pixels_and_labels_come_as_they_are():
    batch = arrays().take([2, 5])
    np.testing.assert_allclose(batch["images"], PIXELS[[2, 5]] / 255, atol=1e-7)
    assert batch["labels"].tolist() == [2, 2] and batch["labels"].dtype == jnp.int32


def test_grey_images_need_no_channel_axis_and_other_sizes_are_resized():
    config = ImageModalityConfig(representation="grayscale", height=4, width=6, normalize=False)
    images = np.asarray(arrays(PIXELS[..., 0], None, config=config).take([0])["images"])
    assert images.shape == (1, 4, 6, 1) and images.min() >= -1 and images.max() <= 1
    oracle = np.asarray(Image.fromarray(PIXELS[0, ..., 0]).resize((6, 4), Image.Resampling.BILINEAR))
    np.testing.assert_allclose((images[0, ..., 0] + 1) * 127.5, oracle, atol=1.0)


def test_floats_are_in_the_config_s_range_already():
    floats = (PIXELS / 255).astype(np.float64)
    np.testing.assert_allclose(arrays(floats).take([1])["images"][0], floats[1], atol=1e-7)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (PIXELS[0, 0], None, r"`images` must have shape \(n, h, w, c\) or \(n, h, w\), got \(12, 3\)"),
        (PIXELS.transpose(0, 3, 1, 2), None, "in the last axis.*seems to have them first"),
        (PIXELS.astype(np.int64), None, "must be uint8, uint16 or float, got int64"),
        (PIXELS, LABELS[:3], "same length, got {'images': 7, 'labels': 3}"),
        (PIXELS[:0], None, "at least one"),
    ],
)
def test_bad_arrays_are_told(images, labels, message):
    with pytest.raises(ShapeError, match=message):
        arrays(images, labels)


# -- folders


def test_a_folder_s_files_with_labels_and_paths(photos):
    dataset = ImageFolderDataset(photos, config=SMALL, rngs=nnx.Rngs(0))
    assert (
        len(dataset) == 5 and list(dataset.classes) == ["cat", "dog", "owl"] and list(dataset.skipped) == []
    )
    assert dataset.class_to_idx == {"cat": 0, "dog": 1, "owl": 2}
    batch = dataset.take(range(5))
    assert batch["labels"].tolist() == dataset.labels.tolist() == [0, 0, 1, 1, 2]
    for row, path in enumerate(batch["paths"]):
        number = int(path.rsplit("/", 1)[1][0])
        np.testing.assert_allclose(batch["images"][row], PIXELS[number] / 255, atol=1e-7)
    assert dataset[0]["path"] == batch["paths"][0]


def test_the_same_folder_elsewhere_is_the_same_data(photos, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.symlink_to(photos)
    one, two = (
        create_data_loader(ImageFolderDataset(root, config=SMALL, rngs=nnx.Rngs(0)), 2)
        for root in (photos, moved)
    )
    two.restore(one.state())
    assert str(photos) not in json.dumps(one.state())


def test_another_config_or_fit_is_another_plan(photos):
    def state(**settings):
        dataset = ImageFolderDataset(photos, **{"config": SMALL, "rngs": nnx.Rngs(0)} | settings)
        return create_data_loader(dataset, 2).state()["plan"]["source"]

    other = ImageModalityConfig(height=8, width=12, normalize=False)
    assert state() == state() != state(fit="stretch") != state(config=other)


@pytest.mark.parametrize("num_workers", [0, 3])
def test_a_broken_file_is_told_with_record_path_and_reason(photos, tmp_path, num_workers):
    for number in range(4):
        Image.fromarray(PIXELS[number]).save(tmp_path / f"{number}.png")
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[: len(whole) // 2])
    dataset = ImageFolderDataset(tmp_path, config=SMALL, rngs=nnx.Rngs(0))
    loader = iter(create_data_loader(dataset, 2, False, num_workers=num_workers))
    next(loader)
    with pytest.raises(DecodeError, match="record 2: .*2.png: "):
        next(loader)
    with pytest.raises(DecodeError, match="record 0: .*2.png: "):
        dataset[2:].take([0])


def test_the_crop_is_random_while_training_and_the_record_s_own(photos):
    config = ImageModalityConfig(height=6, width=6, augmentation=True)
    crop = RandomResizedCrop(scale=(0.1, 0.9))

    def images(split="train", **settings):
        dataset = ImageFolderDataset(
            photos, config=config, crop=crop, augment=[], split=split, rngs=nnx.Rngs(0)
        )
        loader = create_data_loader(dataset, **{"batch_size": 5, "shuffle": False, "seed": 1} | settings)
        return [np.concatenate([np.asarray(b["images"]) for b in epoch]) for epoch in (loader, loader)]

    first, second = images()
    assert np.abs(first - second).max() > 0.05, "each epoch draws again"
    np.testing.assert_array_equal(first, images(num_workers=3)[0])
    np.testing.assert_allclose(first, images(batch_size=2)[0], atol=1e-6)
    for plain in (images("val"), images(training=False)):
        np.testing.assert_array_equal(*plain)
    with pytest.raises(ConfigError, match="`crop` is random, so it needs a config with `augmentation=True`"):
        ImageFolderDataset(photos, config=SMALL, crop=crop, rngs=nnx.Rngs(0))


# -- augmentation


def test_only_a_loader_on_the_train_split_augments():
    config = ImageModalityConfig(height=8, width=12, augmentation=True)

    def first(dataset, **settings):
        return np.asarray(create_data_loader(dataset, 7, False, **settings).batch(0)["images"])

    train, val = arrays(config=config), arrays(config=config, split="val")
    plain = np.asarray(train.take(range(7))["images"])
    np.testing.assert_array_equal(plain, first(val))
    np.testing.assert_array_equal(plain, first(train, training=False))
    np.testing.assert_array_equal(plain, first(val, training=True))
    np.testing.assert_array_equal(plain, np.asarray(train.get_batch(7)["images"])[np.argsort(order(train))])
    augmented = first(train)
    assert np.abs(augmented - plain).max() > 0.1 and augmented.min() >= 0 and augmented.max() <= 1
    np.testing.assert_array_equal(augmented, first(train))
    assert np.abs(augmented - first(train, seed=1)).max() > 0.1


def order(dataset):
    return np.asarray(dataset.take(dataset._walk(0, 7))["index"])


def test_a_user_s_own_augmentation():
    config = ImageModalityConfig(height=8, width=12, augmentation=True, normalize=False)

    def flip(key, image):
        return augment.random_flip_horizontal(key, image, probability=1.0)

    batch = create_data_loader(arrays(config=config, augment=[flip]), 7, False).batch(0)
    np.testing.assert_allclose(batch["images"], PIXELS[:, :, ::-1] / 127.5 - 1, atol=1e-6)
    with pytest.raises(ConfigTypeError, match=r"`augment` must be functions f\(key, image\), got 3"):
        arrays(config=config, augment=[3])


def test_synthetic_images_are_augmented_too():
    config = ImageModalityConfig(height=8, width=12, augmentation=True)
    dataset = synthetic(config=config)
    batch = create_data_loader(dataset, 6, False).batch(0)
    assert np.abs(np.asarray(batch["images"] - dataset.take(range(6))["images"])).max() > 0.1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_on_request(dtype):
    batch = create_data_loader(arrays(), 7, False, dtype=dtype).batch(0)
    assert batch["images"].dtype == jnp.dtype(dtype)
    np.testing.assert_allclose(batch["images"].astype(jnp.float32), PIXELS / 255, atol=4e-3)


# -- map


def test_map_sees_what_the_file_holds(photos):
    seen = []

    def record(sample):
        seen.append((sample["images"].dtype, type(sample["path"])))
        return {**sample, "red": sample["images"][..., 0].astype(np.float32) / 255}

    mapped = ImageFolderDataset(photos, config=SMALL, rngs=nnx.Rngs(0)).map(record)
    sample = mapped[1]
    assert seen[0] == (np.uint8, str)
    np.testing.assert_allclose(sample["red"], sample["images"][..., 0], atol=1e-6)


def test_a_function_that_fails_names_the_file(photos):
    def fails(sample):
        return {"x": 1 / (len(sample["path"]) * 0 + sample["path"].count("owl") - 1)}

    with pytest.raises(TransformError, match=r"record 4: .*owl.3.png: .*ZeroDivisionError"):
        ImageFolderDataset(photos, config=SMALL, rngs=nnx.Rngs(0)).map(fails).take([4])


def test_datasets_can_be_copied():
    for dataset in (synthetic(), arrays(), arrays()[1:3], arrays().map(with_mean)):
        for copy in (deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):
            np.testing.assert_allclose(copy[1]["images"], dataset[1]["images"], atol=1e-6)


def test_wrong_types_of_settings(photos):
    with pytest.raises(ConfigTypeError, match="`limits` must be of type ImageLimits, got 5"):
        ImageFolderDataset(photos, config=SMALL, limits=5, rngs=nnx.Rngs(0))
    with pytest.raises(ConfigTypeError, match="`config` must be an ImageModalityConfig"):
        arrays(config=None)


def test_map_on_synthetic_data_sees_their_images():
    dataset = synthetic()
    mapped = dataset.map(lambda s: {**s, "double": s["images"] * 2})
    np.testing.assert_allclose(mapped[2]["double"], dataset[2]["images"] * 2, atol=1e-6)
    np.testing.assert_allclose(mapped[2]["images"], dataset[2]["images"], atol=1e-6)
    np.testing.assert_allclose(dataset[1:3].map(lambda s: s)[1]["images"], dataset[2]["images"], atol=1e-6)


def test_a_random_map_is_random_on_the_train_split_alone():
    def jitter(sample, rng):
        return {**sample, "shift": np.float32(rng.random() if rng else 0)}

    mapped = arrays().map(jitter, random=True, version="1")
    loader = create_data_loader(mapped, 7, False)
    first, second = (b["shift"].tolist() for b in [*loader, *loader])
    assert len({*first, *second}) == 14
    assert create_data_loader(mapped, 7, False).batch(0)["shift"].tolist() == first
    assert mapped.take(range(7))["shift"].tolist() == [0] * 7
    assert (
        create_data_loader(arrays(split="val").map(jitter, random=True), 7).batch(0)["shift"].tolist()
        == [0] * 7
    )


def test_nothing_warns_and_nothing_is_compiled_twice():
    compiled = []

    def step(key, sample):
        compiled.append(1)
        return sample

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = create_data_loader(arrays(), 7, transform=step)
        jax.block_until_ready([b["images"] for _ in range(3) for b in loader])
    assert len(compiled) == 1


def grey_file(path, grey, side=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(path)
    os.utime(path, (0, 0))


def first_grey(root, cache_dir, build=lambda dataset: dataset):
    dataset = build(ImageFolderDataset(root, config=SMALL, rngs=nnx.Rngs(0)))
    batch = create_data_loader(dataset, 1, cache="disk", cache_dir=cache_dir).batch(0)
    return round(float(batch["images"].mean()) * 255)


def test_a_cache_tells_folders_of_one_relative_name_apart(tmp_path, monkeypatch):
    for name, grey in (("a", 10), ("b", 200)):
        grey_file(tmp_path / name / "photos" / "x.bmp", grey)
        monkeypatch.chdir(tmp_path / name)
        assert first_grey("photos", tmp_path / "cache") == grey


@pytest.mark.parametrize("build", [lambda d: d, lambda d: d[:1], lambda d: d.map(lambda s: s, version="1")])
def test_a_file_that_changed_since_it_was_listed_is_not_kept(tmp_path, build):
    path = tmp_path / "photos" / "x.bmp"
    grey_file(path, 10)
    listed = build(ImageFolderDataset(tmp_path / "photos", config=SMALL, rngs=nnx.Rngs(0)))
    grey_file(path, 200, side=9)
    create_data_loader(listed, 1, cache="disk", cache_dir=tmp_path / "cache").batch(0)
    grey_file(path, 10)  # as it was, its time too
    assert first_grey(tmp_path / "photos", tmp_path / "cache", build) == 10
