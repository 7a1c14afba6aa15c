from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError, UnknownNameError
from artifex.generative_models.modalities.image import transforms

HALVES = [jnp.float16, jnp.bfloat16]
PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# New (height, width) of 61 x 47: down, up, down and up, one pixel, by a whole factor.
SIZES = [(30, 23), (31, 17), (97, 80), (20, 90), (1, 1), (122, 94)]


def levels(image: jax.Array) -> np.ndarray:
    return np.asarray(transforms.to_uint8(image)).astype(int)


# -- ranges


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_go_to_unit_by_their_dtype(dtype):
    top = np.iinfo(dtype).max
    result = transforms.to_unit(jnp.array([[[0], [51], [top]]], dtype))
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result.ravel(), [0, 51 / top, 1], rtol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.float32, *HALVES])
def test_floats_are_in_unit_already(dtype):
    image = jnp.full((1, 1, 1), 0.3, dtype)
    result = transforms.to_unit(image)
    assert result.dtype == dtype
    assert bool((result == image).all())


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.int8, jnp.bool_])
def test_other_dtypes_say_nothing_about_the_range(dtype):
    with pytest.raises(ShapeError, match=r"`image` must be uint8, uint16 or float, got (int|bool)"):
        transforms.to_unit(jnp.zeros((1, 1, 1), dtype))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16])
def test_all_256_levels_come_back(dtype):
    grey = jnp.arange(256, dtype=jnp.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(transforms.to_uint8(transforms.to_unit(grey).astype(dtype)), grey)


def test_to_uint8_rounds_and_clips():
    image = jnp.array([-0.2, 0.0019, 0.0021, 0.5, 1.0, 1.7]).reshape(1, 6, 1)
    assert transforms.to_uint8(image).ravel().tolist() == [0, 0, 1, 128, 255, 255]


def test_symmetric_range_by_hand_and_back():
    unit = jnp.array([0.0, 0.25, 1.0]).reshape(1, 3, 1)
    symmetric = transforms.unit_to_symmetric(unit)
    assert symmetric.ravel().tolist() == [-1.0, -0.5, 1.0]
    assert transforms.symmetric_to_unit(symmetric).ravel().tolist() == [0.0, 0.25, 1.0]


def test_standardize_by_hand_and_back(image):
    pixel = jnp.array([[[0.5, 0.2, 1.0]]])
    result = transforms.standardize(pixel, mean=(0.5, 0.1, 0.4), std=(0.1, 0.2, 0.3))
    np.testing.assert_allclose(result.ravel(), [0, 0.5, 2], atol=1e-6)
    one = {"mean": 0.4, "std": 0.2}
    there = transforms.standardize(image, **one)
    np.testing.assert_allclose(there, (np.asarray(image) - 0.4) / 0.2, atol=1e-6)
    np.testing.assert_allclose(transforms.unstandardize(there, **one), image, atol=1e-6)


def test_standardize_checks_its_numbers(image):
    with pytest.raises(ShapeError, match=r"`mean` must be one number or 3, one a channel, got shape \(2,\)"):
        transforms.standardize(image, mean=(0.5, 0.5), std=1.0)
    with pytest.raises(ConfigError, match="`std` must be greater than 0"):
        transforms.standardize(image, mean=0.5, std=(0.1, 0.0, 0.1))


# -- sizes


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("method", "far"), [("bilinear", 0), ("bicubic", 0.007), ("lanczos", 0.012)])
def test_resize_is_pillow_within_its_rounding(image, photo, method, far, size):
    """Pillow rounds to whole grey levels between its passes: 0.35 levels on average, at most 1.

    It clips there, too, so that where bicubic and Lanczos overshoot, a share `far` of values differs by more.
    """
    expected = np.asarray(Image.fromarray(photo).resize(size[::-1], PILLOW[method])).astype(int)
    difference = np.abs(levels(transforms.resize(image, *size, method=method)) - expected)
    assert difference.mean() <= 0.35
    assert (difference > 1).mean() <= far
    assert difference.max() <= 20


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_resize_is_pillow_on_floats(image, method, size):
    """Where Pillow does not round, within 5e-6."""
    channel = Image.fromarray(np.asarray(image[..., 1]))
    expected = np.asarray(channel.resize(size[::-1], PILLOW[method]))
    np.testing.assert_allclose(
        transforms.resize(image, *size, method=method)[..., 1], expected, rtol=0, atol=5e-6
    )


@pytest.mark.parametrize("size", [*SIZES, (7, 5), (60, 46), (62, 48), (200, 300)])
def test_nearest_takes_the_pixel_that_pillow_takes(photo, image, size):
    expected = np.asarray(Image.fromarray(photo).resize(size[::-1], PILLOW["nearest"]))
    np.testing.assert_array_equal(levels(transforms.resize(image, *size, method="nearest")), expected)


def test_nearest_at_a_tie_takes_the_later_pixel():
    """Old centres 0.5, 1.5; the middle one of 3 new pixels lies at 1.0, between them."""
    row = jnp.array([[[0.0], [1.0]]])
    assert transforms.resize(row, 1, 3, method="nearest").ravel().tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("method", list(PILLOW))
def test_resize_to_the_same_size_changes_nothing(image, method):
    assert transforms.resize(image, 61, 47, method=method) is image


@pytest.mark.parametrize("method", list(PILLOW))
@pytest.mark.parametrize("dtype", HALVES)
def test_resize_of_16_bit_floats_is_worked_in_float32(image, method, dtype):
    half = image.astype(dtype)
    result = transforms.resize(half, 20, 20, method=method)
    assert result.dtype == dtype
    exact = transforms.resize(half.astype(jnp.float32), 20, 20, method=method).astype(dtype)
    assert bool((result == exact).all())


def test_resize_checks_its_arguments(image):
    with pytest.raises(UnknownNameError, match=r"'bilinaer'; did you mean 'bilinear'"):
        transforms.resize(image, 8, 8, method="bilinaer")
    with pytest.raises(ConfigError, match="`height` must be from 1"):
        transforms.resize(image, 0, 8)
    assert transforms.resize(image, 8, 8, method="BILINEAR").shape == (8, 8, 3)


def test_center_crop_by_hand():
    rows = jnp.arange(5.0)[:, None, None] * 10 + jnp.arange(4.0)[None, :, None]
    assert transforms.center_crop(rows, 2, 2)[..., 0].tolist() == [[11, 12], [21, 22]]
    assert transforms.center_crop(rows, 5, 4).tolist() == rows.tolist()
    with pytest.raises(ShapeError, match="`width` 5 is more than the image's 4 pixels; `pad`"):
        transforms.center_crop(rows, 5, 5)


@pytest.mark.parametrize(
    ("mode", "settings"), [("constant", {"constant_values": 0.5}), ("edge", {}), ("reflect", {})]
)
def test_pad_is_that_of_numpy(image, mode, settings):
    result = transforms.pad(image, top=1, bottom=2, left=50, right=0, fill_mode=mode, fill=0.5)
    expected = np.pad(image, ((1, 2), (50, 0), (0, 0)), mode=mode, **settings)
    np.testing.assert_array_equal(result, expected)


def test_pad_checks_its_arguments(image):
    with pytest.raises(ConfigError, match="`top` must be at least 0"):
        transforms.pad(image, top=-1)
    with pytest.raises(UnknownNameError, match="unknown `fill_mode` 'wrap'"):
        transforms.pad(image, top=1, fill_mode="wrap")


# -- channels


def test_grey_is_that_of_pillow(image, photo):
    """Pillow rounds to whole grey levels; so does the comparison."""
    expected = np.asarray(Image.fromarray(photo).convert("L")).astype(int)
    difference = np.abs(levels(transforms.convert_channels(image, 1))[..., 0] - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_flattening_is_that_of_pillow(photo):
    alpha = np.linspace(0, 255, 61 * 47).round().astype(np.uint8).reshape(61, 47, 1)
    rgba = np.concatenate([photo, alpha], axis=-1)
    below = Image.new("RGBA", (47, 61), (51, 51, 51, 255))
    expected = np.asarray(Image.alpha_composite(below, Image.fromarray(rgba)))[..., :3].astype(int)
    result = transforms.convert_channels(transforms.to_unit(jnp.asarray(rgba)), 3, background=0.2)
    assert np.abs(levels(result) - expected).max() <= 1


def test_all_nine_conversions_of_one_pixel():
    grey, rgb, rgba = (jnp.array([[p]]) for p in ([0.5], [1.0, 0.0, 0.5], [1.0, 0.0, 0.5, 0.5]))
    cases = [
        (grey, 1, [0.5]),
        (grey, 3, [0.5, 0.5, 0.5]),
        (grey, 4, [0.5, 0.5, 0.5, 1.0]),
        (rgb, 1, [0.299 + 0.057]),
        (rgb, 3, [1.0, 0.0, 0.5]),
        (rgb, 4, [1.0, 0.0, 0.5, 1.0]),
        (rgba, 1, [(0.299 + 0.057) / 2]),
        (rgba, 3, [0.5, 0.0, 0.25]),
        (rgba, 4, [1.0, 0.0, 0.5, 0.5]),
    ]
    for pixel, channels, expected in cases:
        np.testing.assert_allclose(transforms.convert_channels(pixel, channels)[0, 0], expected, atol=1e-7)


def test_a_background_shows_through():
    clear = jnp.array([[[1.0, 0.0, 0.5, 0.25]]])
    result = transforms.convert_channels(clear, 3, background=1.0)
    np.testing.assert_allclose(result[0, 0], [1.0, 0.75, 0.875], atol=1e-7)


def test_convert_channels_checks_its_arguments(image):
    with pytest.raises(ConfigError, match=r"`channels` must be 1 .grey., 3 .RGB. or 4 .RGBA., got 2"):
        transforms.convert_channels(image, 2)
    with pytest.raises(ShapeError, match="got 2"):
        transforms.convert_channels(image[..., :2], 3)
    with pytest.raises(ConfigError, match="`background` must be at least 0 and at most 1"):
        transforms.convert_channels(image, 3, background=255)


# -- all of them

ALL = {
    "unit_to_symmetric": transforms.unit_to_symmetric,
    "symmetric_to_unit": transforms.symmetric_to_unit,
    "standardize": partial(transforms.standardize, mean=0.5, std=(0.25,)),
    "unstandardize": partial(transforms.unstandardize, mean=0.5, std=0.25),
    "resize": lambda x: transforms.resize(x, 7, 9),
    "nearest": lambda x: transforms.resize(x, 7, 9, method="nearest"),
    "to_grey": lambda x: transforms.convert_channels(x, 1),
    "to_rgb": lambda x: transforms.convert_channels(x, 3),
    "to_rgba": lambda x: transforms.convert_channels(x, 4),
    "center_crop": lambda x: transforms.center_crop(x, 3, 4),
    "pad": lambda x: transforms.pad(x, top=2, fill=0.3),
    "pad_reflect": lambda x: transforms.pad(x, left=2, fill_mode="reflect"),
}


@pytest.mark.parametrize("name", ALL)
def test_vmapped_and_jitted_is_one_by_one(name):
    images = jax.random.uniform(jax.random.key(1), (3, 6, 5, 4))
    batch = jax.jit(jax.vmap(ALL[name]))(images)
    one = jax.jit(ALL[name])
    np.testing.assert_allclose(batch, jnp.stack([one(x) for x in images]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "dtype"), [(1, jnp.float16), (3, jnp.bfloat16), (4, jnp.float32)])
@pytest.mark.parametrize("name", ALL)
def test_the_dtype_stays(name, channels, dtype):
    result = jax.eval_shape(ALL[name], jax.ShapeDtypeStruct((6, 5, channels), dtype))
    assert result.dtype == dtype


def test_sizes_must_be_integers(image):
    with pytest.raises(ConfigTypeError, match="`height` must be an integer"):
        jax.jit(lambda x: transforms.center_crop(x, True, 3))(image)
