import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from artifex.data import create_data_loader
from artifex.data.codecs.image import ImageCodec, RandomResizedCrop
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, ShapeError
from artifex.generative_models.modalities import ImageModalityConfig, split_dataset
from artifex.generative_models.modalities.image.buckets import aspect_ratio_buckets, nearest_buckets
from artifex.generative_models.modalities.image.datasets import ImageFolderDataset
from codecs_pictures import decoded, photo

CONFIG = ImageModalityConfig(height=32)
BUCKETS = aspect_ratio_buckets(32, step=8)
SIZES = [(50, 50), (80, 40), (40, 80), (81, 40), (64, 60), (90, 60), (60, 90), (33, 70)]  # width, height


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for number, (width, height) in enumerate(SIZES):
        Image.fromarray(photo(height, width, number)).save(
            root / f"{number}.{'png' if number % 2 else 'jpg'}"
        )
    return root


def dataset(folder, config=CONFIG, buckets=BUCKETS, **options):
    return ImageFolderDataset(folder, config=config, buckets=buckets, rngs=nnx.Rngs(0), **options)


# -- the shapes


def test_the_shapes_of_stable_diffusion_xl():
    # Podell et al. (2023), appendix I, as far as width / height lies between 1/2 and 2 and pixels suffice.
    published = [
        (704, 1408), (768, 1344), (832, 1216), (896, 1152), (960, 1088), (1024, 1024),
        (1088, 960), (1152, 896), (1216, 832), (1344, 768), (1408, 704),
    ]  # fmt: skip
    assert sorted(aspect_ratio_buckets(1024)) == published


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"height": 100, "step": 100}, [(100, 100)]),
        ({"height": 32, "step": 16}, [(32, 32)]),
        ({"height": 32, "step": 8}, [(40, 24), (32, 32), (24, 40)]),
        ({"height": 16, "width": 64, "step": 16, "max_ratio": 4}, [(64, 16), (32, 32), (16, 64)]),
        ({"height": 16, "width": 64, "step": 16, "max_ratio": 1}, [(32, 32)]),
    ],
)
def test_shapes_by_hand(arguments, expected):
    assert list(aspect_ratio_buckets(**arguments)) == expected


@pytest.mark.parametrize("height", [64, 100, 256, 300, 768])
@pytest.mark.parametrize("step", [8, 32, 64])
@pytest.mark.parametrize("max_ratio", [1.0, 1.5, 2, 4])
def test_shapes_keep_their_bounds(height, step, max_ratio):
    shapes = aspect_ratio_buckets(height, step=step, max_ratio=max_ratio)
    assert shapes == tuple(sorted({(h, w) for h, w in shapes}, key=lambda s: s[1] / s[0]))
    for h, w in shapes:
        assert h % step == w % step == 0 and h * w <= height**2 and max(h, w) <= max_ratio * min(h, w)
        assert (w, h) in shapes and h * w > height**2 * 0.4
    assert any(h == w for h, w in shapes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 0}, "`height` must be from 1"),
        ({"height": 63}, "no shape with sides divisible by `step` 64 has 63 x 63 pixels or fewer"),
        ({"height": 64, "width": -1}, "`width` must be from 1"),
        ({"height": 64, "step": 0}, "`step` must be from 1"),
        ({"height": 64, "max_ratio": 0.5}, "`max_ratio` must be a number of 1 or more, got 0.5"),
        ({"height": 64, "max_ratio": float("nan")}, "`max_ratio`"),
    ],
)
def test_shapes_that_there_are_not(arguments, message):
    with pytest.raises(ConfigError, match=message):
        aspect_ratio_buckets(**arguments)


def test_the_nearest_shape_by_hand():
    buckets = [(64, 128), (64, 64), (128, 128), (128, 64)]  # height, width
    sizes = [
        (200, 100),
        (20, 100),
        (60, 60),
        (500, 500),
        (90, 91),
        (91, 90),
        (141, 100),
        (142, 100),
        (1, 10_000),
    ]
    got = nearest_buckets(np.array(sizes), buckets)
    # 1.41 and 1.42 lie on either side of the square root of 2.
    assert got.tolist() == [0, 3, 1, 2, 1, 1, 2, 0, 3] and got.dtype == np.int32


# -- the dataset


def test_each_image_is_in_the_shape_most_like_it(folder):
    images = dataset(folder)
    assert images.buckets == BUCKETS == ((40, 24), (32, 32), (24, 40))
    assert images.bucket_of.tolist() == [1, 2, 0, 2, 1, 2, 0, 0]
    for number, bucket in enumerate(images.bucket_of):
        sample = images[number]
        codec = ImageCodec(*BUCKETS[bucket])
        (file,) = folder.glob(f"{number}.*")
        expected = decoded(codec, file.read_bytes()) / np.float32(255)
        np.testing.assert_allclose(sample["images"], expected, atol=1e-6)
    assert [s["images"].shape for s in images] == [(*BUCKETS[b], 3) for b in images.bucket_of]
    assert dataset(folder, buckets=None).buckets == ((32, 32),)


def test_records_of_two_shapes_are_no_batch(folder):
    images = dataset(folder)
    assert images.take([1, 3, 5])["images"].shape == (3, 24, 40, 3)
    with pytest.raises(ShapeError, match="records 0 and 1 come in different shapes"):
        images.take([0, 1])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_s_batches_and_its_cache(folder, num_workers, tmp_path):
    plain = create_data_loader(dataset(folder), 2, seed=3, num_workers=num_workers)
    kept = create_data_loader(
        dataset(folder), 2, seed=3, num_workers=num_workers, cache="disk", cache_dir=tmp_path
    )
    for _ in range(2):
        seen = []
        for one, other in zip(plain, kept, strict=True):
            bucket = dataset(folder).bucket_of[np.asarray(one["index"])]
            assert len(set(bucket)) == 1 and one["images"].shape[1:3] == BUCKETS[bucket[0]]
            np.testing.assert_array_equal(one["images"], other["images"])
            seen += one["index"].tolist()
        assert sorted(seen) == list(range(8))


def test_augmentation_and_crops_in_every_shape(folder):
    config = ImageModalityConfig(height=32, augmentation=True)
    images = dataset(folder, config, crop=RandomResizedCrop())
    readers = images.reader().readers
    ratios = [r.codecs["images"][1].crop.ratio for r in readers]
    np.testing.assert_allclose(ratios, [(0.75 * w / h, 4 / 3 * w / h) for h, w in BUCKETS])
    one, other = (list(create_data_loader(images, 2, seed=5)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a["images"], b["images"])
    assert {b["images"].shape[1:3] for b in one} == set(BUCKETS)
    assert all(float(b["images"].min()) >= 0 and float(b["images"].max()) <= 1 for b in one)


def test_parts_keep_the_shapes(folder):
    parts = split_dataset(dataset(folder), {"train": 0.5, "val": 0.5}, seed=1)
    shapes = [s["images"].shape for part in parts.values() for s in part]
    assert sorted(shapes) == sorted((*BUCKETS[b], 3) for b in dataset(folder).bucket_of)
    loader = create_data_loader(parts["train"], 2)
    assert sum(len(b["paths"]) for b in loader) == 4


def test_over_a_mesh(folder):
    mesh = jax.make_mesh((2,), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    loader = create_data_loader(dataset(folder), 2, last="pad", sharding=sharding, seed=1)
    alone = create_data_loader(dataset(folder), 2, last="pad", seed=1)
    for one, other in zip(loader, alone, strict=True):
        assert one["images"].sharding.is_equivalent_to(sharding, 4)
        np.testing.assert_allclose(one["images"], other["images"], atol=1e-6)


def test_a_broken_file_is_told_when_it_is_read(folder, tmp_path):
    (tmp_path / "a.jpg").write_bytes((folder / "2.jpg").read_bytes())
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.jpg").write_bytes(b"")
    images = dataset(tmp_path)
    assert images.bucket_of.tolist() == [0, 1, 1], "that of the config's shape"
    with pytest.raises(DecodeError, match=r"b\.jpg"):
        list(create_data_loader(images, 1, shuffle=False))


def test_another_table_is_another_plan(folder):
    loader = create_data_loader(dataset(folder), 2)
    other = create_data_loader(dataset(folder, buckets=[(32, 32), (24, 40)]), 2)
    assert loader.plan.hash != other.plan.hash
    assert loader.plan.hash == create_data_loader(dataset(folder), 2).plan.hash


@pytest.mark.parametrize(
    ("buckets", "error", "message"),
    [
        ([], ConfigError, "one or more different shapes"),
        ([(32, 32), (32, 32)], ConfigError, "one or more different shapes"),
        ([(32, 0)], ConfigError, "`buckets` must be from 1"),
        ([(32, 32.5)], ConfigTypeError, "`buckets` must be an integer"),
        (256, ConfigTypeError, r"list of \(height, width\), e.g. aspect_ratio_buckets\(256\), got 256"),
        ([32, 64], ConfigTypeError, r"list of \(height, width\)"),
    ],
)
def test_buckets_that_are_none(folder, buckets, error, message):
    with pytest.raises(error, match=message):
        dataset(folder, buckets=buckets)


def test_map_says_what_it_cannot(folder):
    with pytest.raises(ConfigError, match="`map` takes records of one shape, and these come in 3 buckets"):
        dataset(folder).map(lambda sample: sample)
