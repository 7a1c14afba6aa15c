import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import transform

from artifex.data.errors import ConfigError, UnknownNameError
from artifex.generative_models.modalities.image.warp import affine, crop_and_resize, warp

SCIPY = {"constant": "grid-constant", "edge": "nearest", "reflect": "mirror"}
MATRICES = [
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    [[1.0, 0.0, 2.25], [0.0, 1.0, -7.5]],
    [[0.8, 0.6, -20.3], [-0.6, 0.8, 31.7]],
    [[3.1, 0.4, -60.2], [0.2, -2.7, 90.1]],
    [[0.2, 0.0, 5.1], [0.0, 0.3, 200.0]],
]


def scipy_affine(image, matrix, mode, shape):
    matrix = np.asarray(matrix)
    channels = [
        ndimage.affine_transform(
            channel, matrix[:, :2], matrix[:, 2], output_shape=shape, order=1, mode=SCIPY[mode], cval=0.25
        )
        for channel in np.moveaxis(np.asarray(image, np.float64), -1, 0)
    ]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("mode", SCIPY)
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("shape", [(61, 47), (30, 70)])
def test_affine_is_that_of_scipy(image, matrix, mode, shape):
    """Within 1e-4: places are float32, so that up to 200 pixels away they are 1e-5 off."""
    result = affine(image, jnp.array(matrix), shape=shape, fill_mode=mode, fill=0.25)
    np.testing.assert_allclose(result, scipy_affine(image, matrix, mode, shape), rtol=0, atol=1e-4)


def test_the_identity_is_exact(image):
    np.testing.assert_array_equal(affine(image, jnp.eye(2, 3)), image)
    np.testing.assert_array_equal(warp(image), image)


@pytest.mark.parametrize("mode", SCIPY)
def test_one_pixel_is_everywhere_what_it_is(mode):
    one = jnp.full((1, 1, 3), 0.25)
    result = affine(
        one, jnp.array([[1.0, 0.3, -4.0], [0.0, 2.0, 1.5]]), shape=(4, 4), fill_mode=mode, fill=0.25
    )
    np.testing.assert_allclose(result, np.full((4, 4, 3), 0.25), atol=1e-7)


@pytest.mark.parametrize("mode", SCIPY)
def test_places_that_are_not_finite_read_nothing_else(image, mode):
    """A zoom of 0 cannot be seen under `jit`: whatever comes out, it is not read from beyond the image."""
    result = jax.jit(lambda z: warp(image, zoom=z, fill_mode=mode))(jnp.float32(0))
    assert result.shape == image.shape


@pytest.mark.parametrize("degrees", [17.0, -100.0])
def test_rotation_is_that_of_scikit_image(image, degrees):
    """Positive is counter-clockwise."""
    expected = transform.rotate(np.asarray(image, np.float64), degrees, order=1, mode="constant", cval=0.5)
    np.testing.assert_allclose(warp(image, degrees=degrees, fill=0.5), expected, rtol=0, atol=1e-4)


def test_a_quarter_turn(image):
    square = image[:40, :40]
    np.testing.assert_allclose(warp(square, degrees=90.0), jnp.rot90(square), atol=1e-4)


def test_zoom_by_hand():
    """The middle stays, and 2 shows everything twice as large."""
    row = jnp.arange(5.0)[None, :, None]
    assert warp(row, zoom=2.0).ravel().tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert warp(row, zoom=0.5, fill_mode="edge").ravel().tolist() == [0.0, 0.0, 2.0, 4.0, 4.0]


def test_shear_by_hand():
    """An upright line leans to the right: its top goes right."""
    line = jnp.zeros((3, 3, 1)).at[:, 1].set(1)
    expected = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(warp(line, shear_degrees=45.0)[..., 0], expected, atol=1e-6)


def test_shift_by_hand():
    dot = jnp.zeros((3, 4, 1)).at[0, 0].set(1)
    expected = [[0, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 0]]
    assert warp(dot, shift_y=1.0, shift_x=1.5)[..., 0].tolist() == expected


def test_one_warp_is_all_of_them_one_after_another():
    """Shear, zoom, turn, shift: on a smooth image, away from the border, where interpolation is exact enough."""
    y, x = np.mgrid[0:41, 0:41] / 40
    smooth = jnp.asarray((np.sin(2 * y + x) / 4 + 0.5 + x * y / 4).astype(np.float32))[..., None]
    settings = {"shear_degrees": 8.0, "zoom": 1.2, "degrees": 20.0, "shift_y": 2.0, "shift_x": -3.0}
    steps = smooth
    for name in ("shear_degrees", "zoom", "degrees"):
        steps = warp(steps, **{name: settings[name]}, fill_mode="edge")
    steps = warp(steps, shift_y=2.0, shift_x=-3.0, fill_mode="edge")
    at_once = warp(smooth, **settings, fill_mode="edge")
    np.testing.assert_allclose(at_once[12:-12, 12:-12], steps[12:-12, 12:-12], atol=2e-3)


# -- a box, resized

BOXES = [(3, 5, 40, 30), (0, 0, 61, 47), (10.5, 2.25, 8.5, 44.0), (60, 46, 1, 1)]


@pytest.mark.parametrize(("method", "number"), [("bilinear", 2), ("bicubic", 3), ("lanczos", 1)])
@pytest.mark.parametrize("box", BOXES)
def test_a_box_is_resized_as_pillow_does(image, box, method, number):
    """Float images, which Pillow does not round: within 2e-5."""
    top, left, height, width = box
    channel = Image.fromarray(np.asarray(image[..., 0]))
    expected = channel.resize((32, 24), Image.Resampling(number), box=(left, top, left + width, top + height))
    result = crop_and_resize(
        image, top=top, left=left, crop_height=height, crop_width=width, height=24, width=32, method=method
    )
    np.testing.assert_allclose(result[..., 0], np.asarray(expected), rtol=0, atol=2e-5)


def test_without_antialiasing_two_pixels_are_read(image):
    """Of every 2, with the new centre half way between them; with it, of every 4."""
    box = {"top": 0, "left": 0, "crop_height": 60, "crop_width": 46, "height": 30, "width": 23}
    pairs = np.asarray(image[:60, :46]).reshape(30, 2, 23, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(crop_and_resize(image, **box, antialias=False), pairs, atol=1e-6)
    assert float(jnp.abs(crop_and_resize(image, **box) - pairs).max()) > 0.01


# -- all of them

ALL = {
    "warp": lambda x: warp(x, degrees=10.0, zoom=1.1, shift_x=0.5, fill_mode="reflect"),
    "affine": lambda x: affine(x, jnp.array([[1.0, 0.2, 0.3], [0.1, 0.9, 0.0]]), fill=0.5),
    "crop_and_resize": lambda x: crop_and_resize(
        x, top=1, left=0.5, crop_height=3, crop_width=4, height=6, width=5
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_vmapped_and_jitted_is_one_by_one(name):
    images = jax.random.uniform(jax.random.key(1), (3, 6, 5, 3))
    batch = jax.jit(jax.vmap(ALL[name]))(images)
    np.testing.assert_allclose(batch, jnp.stack([ALL[name](x) for x in images]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("channels", "dtype"), [(1, jnp.float16), (3, jnp.bfloat16), (4, jnp.float32)])
@pytest.mark.parametrize("name", ALL)
def test_shape_and_dtype_stay(name, channels, dtype):
    image = jax.ShapeDtypeStruct((6, 5, channels), dtype)
    result = jax.eval_shape(ALL[name], image)
    assert (result.shape, result.dtype) == (image.shape, dtype)


def test_settings_out_of_range(image):
    with pytest.raises(ConfigError, match="`zoom` must be greater than 0"):
        warp(image, zoom=0.0)
    with pytest.raises(ConfigError, match="`shear_degrees` must be at least"):
        warp(image, shear_degrees=90.0)
    with pytest.raises(UnknownNameError, match="unknown `fill_mode` 'mirror'"):
        warp(image, fill_mode="mirror")
    with pytest.raises(ConfigError, match="`method` 'nearest' cannot resize a box"):
        crop_and_resize(
            image, top=0, left=0, crop_height=1, crop_width=1, height=1, width=1, method="nearest"
        )
    with pytest.raises(ConfigError, match="`width` must be from 1"):
        affine(image, jnp.eye(2, 3), shape=(4, 0))
