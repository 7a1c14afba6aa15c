import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageOps
from scipy import ndimage
from skimage import color, exposure

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.image import adjust
from artifex.generative_models.modalities.image.transforms import to_uint8


def levels(image) -> np.ndarray:
    return np.asarray(to_uint8(image)).astype(int)


def assert_levels(image, expected, most: int) -> None:
    """Not more than so many grey levels apart, and half a level on average."""
    difference = np.abs(levels(image) - np.asarray(expected).astype(int))
    assert difference.max() <= most
    assert difference.mean() <= 0.5


# -- against Pillow, which rounds to grey levels, and clips


@pytest.mark.parametrize("delta", [-40, 0, 25])
def test_brightness_adds_as_pillow_does(image, photo, delta):
    shift = ImageChops.add(Image.fromarray(photo), Image.new("RGB", (47, 61)), scale=1, offset=delta)
    assert_levels(adjust.adjust_brightness(image, delta / 255), shift, 0)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_contrast_is_that_of_pillow(image, photo, factor):
    """Within 2 levels: Pillow rounds the mean grey to a whole level, of levels that are rounded down."""
    expected = ImageEnhance.Contrast(Image.fromarray(photo)).enhance(factor)
    difference = levels(adjust.adjust_contrast(image, factor)) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_saturation_is_that_of_pillow(image, photo, factor):
    expected = ImageEnhance.Color(Image.fromarray(photo)).enhance(factor)
    difference = levels(adjust.adjust_saturation(image, factor)) - np.asarray(expected).astype(int)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("threshold", [0, 100, 128, 255])
def test_solarize_is_that_of_pillow(image, photo, threshold):
    expected = ImageOps.solarize(Image.fromarray(photo), threshold)
    # Half a level lower, so that rounding has no say in which side of the threshold a level is on.
    assert_levels(adjust.solarize(image, (threshold - 0.5) / 255), expected, 0)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_that_of_pillow(image, photo, bits):
    assert_levels(adjust.posterize(image, bits), ImageOps.posterize(Image.fromarray(photo), bits), 0)


# -- against others


@pytest.mark.parametrize("gamma", [0.4, 1.0, 2.2])
def test_gamma_is_that_of_scikit_image(image, gamma):
    expected = exposure.adjust_gamma(np.asarray(image, np.float64), gamma)
    np.testing.assert_allclose(adjust.adjust_gamma(image, gamma), expected, atol=1e-6)


def test_gamma_of_a_negative_value_is_0_and_no_nan():
    assert adjust.adjust_gamma(jnp.full((1, 1, 1), -0.1), 0.5).item() == 0.0


def test_hsv_is_that_of_scikit_image_and_comes_back(image):
    hsv = jax.jit(adjust.rgb_to_hsv)(image)
    np.testing.assert_allclose(hsv, color.rgb2hsv(np.asarray(image, np.float64)), atol=1e-5)
    np.testing.assert_allclose(adjust.hsv_to_rgb(hsv), image, atol=1e-5)


CORNERS = [(r, g, b) for r in (0.0, 0.5, 1.0) for g in (0.0, 0.5, 1.0) for b in (0.0, 0.5, 1.0)]


@pytest.mark.parametrize("delta", [-0.7, -1 / 3, 0.0, 0.1, 0.5, 1.0])
def test_hue_is_turned_as_colorsys_does(delta):
    """On 27 colours with black, white, grey, the primaries and every tie between two channels."""

    def turned(rgb):
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        return colorsys.hsv_to_rgb((h + delta) % 1, s, v)

    result = adjust.adjust_hue(jnp.array(CORNERS)[None], delta)[0]
    np.testing.assert_allclose(result, [turned(c) for c in CORNERS], atol=2e-6)


def test_hue_of_unclipped_colours_keeps_their_extremes():
    """Brightness may leave [0, 1] before: red (1.2, -0.2, -0.2) becomes green."""
    result = adjust.adjust_hue(jnp.array([[[1.2, -0.2, -0.2]]]), 1 / 3)
    np.testing.assert_allclose(result[0, 0], [-0.2, 1.2, -0.2], atol=1e-6)


def test_hue_in_range_just_below_red():
    hue = adjust.rgb_to_hsv(jnp.array([[[1.0, 0.0, 1e-9]]]))[0, 0, 0]
    assert 0 <= float(hue) < 1


def test_grayscale_keeps_the_channels(image):
    grey = adjust.grayscale(image)
    expected = np.asarray(image) @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey, np.repeat(expected[..., None], 3, axis=-1), atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5, 20.0])
def test_blur_is_that_of_scipy(image, sigma):
    """20 pixels: the kernel is wider than the image, which is mirrored more than once."""
    expected = ndimage.gaussian_filter(np.asarray(image, np.float64), sigma, axes=(0, 1))
    blur = jax.jit(adjust.gaussian_blur, static_argnums=1)
    np.testing.assert_allclose(blur(image, sigma), expected, atol=2e-6)


def test_blur_with_a_traced_sigma_needs_a_radius(image):
    expected = ndimage.gaussian_filter(np.asarray(image, np.float64), 1.3, axes=(0, 1), radius=4)
    result = jax.jit(lambda x, s: adjust.gaussian_blur(x, s, radius=4))(image, 1.3)
    np.testing.assert_allclose(result, expected, atol=2e-6)
    with pytest.raises(ConfigError, match="`radius` is needed"):
        adjust.gaussian_blur(image, jnp.float32(1.3))


def test_blur_has_a_gradient(image):
    """The kernel sums to 1 and the border is mirrored, so each pixel's weights sum to 1."""
    gradient = jax.jit(jax.grad(lambda x: adjust.gaussian_blur(x, 1.0).sum()))(image)
    assert float(gradient.sum()) == pytest.approx(image.size, rel=1e-5)


# -- all of them

ALL = {
    "brightness": lambda x: adjust.adjust_brightness(x, 0.1),
    "contrast": lambda x: adjust.adjust_contrast(x, 1.3),
    "saturation": lambda x: adjust.adjust_saturation(x, 0.3),
    "hue": lambda x: adjust.adjust_hue(x, 0.2),
    "gamma": lambda x: adjust.adjust_gamma(x, 1.5),
    "grayscale": adjust.grayscale,
    "solarize": lambda x: adjust.solarize(x, 0.4),
    "posterize": lambda x: adjust.posterize(x, 3),
}
BLUR = {"blur": lambda x: adjust.gaussian_blur(x, 0.7)}


@pytest.mark.parametrize("name", ALL)
def test_alpha_stays(name):
    rgba = jax.random.uniform(jax.random.key(0), (6, 5, 4))
    result = jax.jit(ALL[name])(rgba)
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    np.testing.assert_allclose(result[..., :3], jax.jit(ALL[name])(rgba[..., :3]), atol=1e-6)


@pytest.mark.parametrize("name", ["saturation", "hue", "grayscale"])
def test_grey_images_have_no_colour_to_change(name):
    grey = jax.random.uniform(jax.random.key(0), (6, 5, 1))
    np.testing.assert_array_equal(ALL[name](grey), grey)


@pytest.mark.parametrize("name", ALL)
def test_vmapped_is_one_by_one(name):
    images = jax.random.uniform(jax.random.key(1), (3, 6, 5, 3))
    one = jax.jit(ALL[name])
    batch = jax.jit(jax.vmap(ALL[name]))(images)
    np.testing.assert_allclose(batch, jnp.stack([one(x) for x in images]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("channels", "dtype"), [(1, jnp.float16), (3, jnp.bfloat16), (4, jnp.float32)])
@pytest.mark.parametrize("name", ALL | BLUR)
def test_shape_and_dtype_stay(name, channels, dtype):
    image = jax.ShapeDtypeStruct((6, 5, channels), dtype)
    result = jax.eval_shape((ALL | BLUR)[name], image)
    assert (result.shape, result.dtype) == (image.shape, dtype)


@pytest.mark.parametrize("name", ALL)
def test_two_channels_are_refused(name):
    with pytest.raises(ShapeError, match="got 2"):
        ALL[name](jnp.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: adjust.adjust_contrast(x, -1.0), "`factor` must be at least 0"),
        (lambda x: adjust.adjust_gamma(x, 0.0), "`gamma` must be greater than 0"),
        (lambda x: adjust.adjust_hue(x, float("nan")), "`delta` must be finite"),
        (lambda x: adjust.posterize(x, 9), "`bits` must be from 1 to 8, got 9"),
        (lambda x: adjust.gaussian_blur(x, 0.0), "`sigma` must be greater than 0"),
        (lambda x: adjust.gaussian_blur(x, 1.0, radius=-1), "`radius` must be at least 0"),
    ],
)
def test_settings_out_of_range(image, call, message):
    with pytest.raises(ConfigError, match=message):
        call(image)
