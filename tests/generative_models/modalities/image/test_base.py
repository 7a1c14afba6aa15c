import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

from artifex.data.errors import ConfigError, ConfigTypeError, KeyRequiredError, RangeError, ShapeError
from artifex.generative_models.modalities import (
    BaseModalityImplementation,
    ImageModality,
    ImageModalityConfig,
    Modality,
)
from artifex.generative_models.modalities.base import check_key

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (3, 20, 30, 3), np.uint8)


def modality(seed=0, augment=None, **fields):
    config = ImageModalityConfig(**{"height": 16, "width": 24} | fields)
    return ImageModality(config=config, rngs=nnx.Rngs(seed), augment=augment)


def test_what_it_is():
    image = modality()
    assert isinstance(image, Modality) and isinstance(image, BaseModalityImplementation)
    assert image.name == "image" and image.image_shape == image.output_shape == (16, 24, 3)
    assert ImageModality(rngs=nnx.Rngs(0)).image_shape == (64, 64, 3)


@pytest.mark.parametrize(("normalize", "low", "high"), [(True, 0, 1), (False, -1, 1)])
def test_integers_are_scaled_and_resized(normalize, low, high):
    ready = np.asarray(modality(normalize=normalize).process(PHOTOS))
    assert ready.shape == (3, 16, 24, 3) and ready.dtype == np.float32
    oracle = np.asarray(Image.fromarray(PHOTOS[0]).resize((24, 16), Image.Resampling.BILINEAR))
    expected = low + (high - low) * (oracle / 255)
    np.testing.assert_allclose(ready[0], expected, atol=(high - low) * 1.01 / 255)  # Pillow rounds


def test_without_a_change_of_size_it_is_exact():
    exact = modality(height=20, width=30)
    np.testing.assert_allclose(exact.process(PHOTOS), PHOTOS / 255, atol=1e-7)
    wide = PHOTOS.astype(np.uint16) * 257
    np.testing.assert_allclose(exact.process(wide), PHOTOS / 255, atol=1e-7)


@pytest.mark.parametrize("value_range", ["unit", "symmetric", "raw"])
def test_processing_twice_is_processing_once(value_range):
    image = modality(value_range=value_range, resize_method="lanczos")
    once = image.process(PHOTOS)
    low, high = image.config.limits
    assert float(once.min()) >= low and float(once.max()) <= high, "Lanczos overshoots; the result does not"
    np.testing.assert_array_equal(image.process(once), once)


def test_one_image_keeps_its_rank_and_is_that_of_a_batch_of_one():
    image = modality()
    single = image.process(PHOTOS[0])
    assert single.shape == (16, 24, 3)
    np.testing.assert_array_equal(image.process(PHOTOS[:1])[0], single)


@pytest.mark.parametrize("there", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_are_converted(there, channels):
    data = RNG.integers(0, 256, (2, 4, 4, channels), np.uint8)
    ready = np.asarray(modality(representation=there, height=4, width=4).process(data)) * 255
    colour = data[0, ..., :3].astype(np.float64)
    if channels == 4:
        colour = colour * (data[0, ..., 3:] / 255)
    wanted = {"rgb": 3, "rgba": 4, "grayscale": 1}[there]
    if channels == wanted:
        expected = data[0].astype(np.float64)
    elif wanted == 1:
        expected = (colour @ [0.299, 0.587, 0.114])[..., None]
    else:
        expected = np.broadcast_to(colour, (4, 4, 3))
        if wanted == 4:
            expected = np.concatenate([expected, np.full((4, 4, 1), 255)], -1)
    np.testing.assert_allclose(ready[0], expected, atol=1e-3)


def test_other_numbers_need_their_range():
    data = PHOTOS.astype(np.int32) - 128
    with pytest.raises(ShapeError, match=r"got int32; for other integers say.*`input_range=\(low, high\)`"):
        modality().process(data)
    image = modality(height=20, width=30)
    np.testing.assert_allclose(image.process(data, input_range=(-128, 127)), PHOTOS / 255, atol=1e-6)
    floats = PHOTOS.astype(np.float32)
    np.testing.assert_allclose(image.process(floats, input_range=(0, 255)), PHOTOS / 255, atol=1e-6)
    for bad in ((1, 1), (3, 2), 5, (1, 2, 3), ("a", "b")):
        with pytest.raises(ConfigError, match="`input_range` must be"):
            image.process(floats, input_range=bad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_floats_keep_their_dtype(dtype):
    data = jnp.asarray(PHOTOS / 255, dtype)
    assert modality().process(data).dtype == jnp.dtype(dtype)
    assert modality(augmentation=True).process(data).dtype == jnp.dtype(dtype)


# -- augmentation


def test_the_config_decides_and_training_can_say_no():
    plain, image = modality(), modality(augmentation=True)
    ready = plain.process(PHOTOS)
    np.testing.assert_array_equal(image.process(PHOTOS, training=False), ready)
    np.testing.assert_array_equal(image.preprocess(PHOTOS), ready)
    np.testing.assert_array_equal(plain.process(PHOTOS, training=True), ready)
    first, second = image.process(PHOTOS), image.process(PHOTOS)
    assert np.abs(first - ready).max() > 0.05 and np.abs(first - second).max() > 0.05
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    again = modality(augmentation=True)
    np.testing.assert_array_equal(again.process(PHOTOS), first)
    np.testing.assert_array_equal(again.process(PHOTOS, training=True), second)
    assert np.abs(modality(1, augmentation=True).process(PHOTOS) - first).max() > 0.05


def test_a_key_of_one_s_own():
    image, key = modality(augmentation=True), jax.random.key(5)
    np.testing.assert_array_equal(image.process(PHOTOS, key=key), image.process(PHOTOS, key=key))


def test_a_list_of_one_s_own():
    twice = modality(
        height=20, width=30, augmentation=True, augment=[lambda key, x: x * 2, lambda key, x: x / 4]
    )
    np.testing.assert_allclose(twice.process(PHOTOS), PHOTOS / 510, atol=1e-6)
    with pytest.raises(ConfigTypeError, match=r"`augment` must be functions f\(key, image\)"):
        modality(augment="flip")


# -- jit


def test_it_can_be_compiled():
    np.testing.assert_allclose(
        jax.jit(modality().process)(jnp.asarray(PHOTOS)), modality().process(PHOTOS), atol=1e-6
    )


def test_augmentation_under_jit_asks_for_a_key():
    image = modality(augmentation=True)
    with pytest.raises(KeyRequiredError, match=r"`process\(images, key=key\)`"):
        jax.jit(image.process)(jnp.asarray(PHOTOS))
    key = jax.random.key(0)
    compiled = jax.jit(lambda x, key: image.process(x, key=key))(jnp.asarray(PHOTOS), key)
    np.testing.assert_allclose(compiled, image.process(PHOTOS, key=key), atol=1e-5)
    jax.jit(image.preprocess)(jnp.asarray(PHOTOS))


# -- what is no image


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"an image must have shape \(h, w, c\), a batch .*got uint8\[4, 4\]"),
        (np.zeros((1, 2, 4, 4, 3), np.uint8), r"an image must have shape \(h, w, c\)"),
        (np.zeros((4, 4, 2), np.uint8), r"1, 3 or 4 channels, in the last axis, got shape \(4, 4, 2\)"),
        (np.zeros((3, 32, 32), np.uint8), "this one seems to have them first"),
        (np.zeros((4, 4, 3), bool), "must be uint8, uint16 or float, got bool"),
        (np.zeros((4, 4, 3), np.complex64), "must be uint8, uint16 or float, got complex64"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.zeros(16000, np.float32), r"an image must have shape .*got float32\[16000\]"),
        ([[1, 2], [3, 4]], "images must be an array, got list"),
        ("photo.jpg", "images must be an array, got str"),
    ],
)
def test_what_is_no_image_is_told(data, message):
    with pytest.raises(ShapeError, match=message):
        modality().process(data)
    with pytest.raises(ShapeError):
        modality().validate_data_shape(data)


def test_values_are_looked_at_on_request():
    image = modality()
    inside = np.full((4, 4, 3), 0.5, np.float32)
    image.process(inside, validate=True)
    image.process(PHOTOS, validate=True)
    for bad in (inside + 1, inside - 1, np.full((4, 4, 3), np.nan, np.float32)):
        image.process(bad)
        with pytest.raises(RangeError, match=r"images must have values from 0.0 to 1.0, got .*`input_range="):
            image.process(bad, validate=True)
    with pytest.raises(RangeError, match="validate outside"):
        jax.jit(lambda x: image.process(x, validate=True))(jnp.asarray(inside))


def test_other_wrong_arguments():
    with pytest.raises(ConfigTypeError, match="`config` must be an ImageModalityConfig, got dict"):
        ImageModality({"height": 3}, rngs=nnx.Rngs(0))
    with pytest.raises(ConfigTypeError, match="`rngs` must be a flax.nnx.Rngs"):
        ImageModality(rngs=jax.random.key(0))
    with pytest.raises(ConfigTypeError, match="`training` must be True or False"):
        modality().process(PHOTOS, training="yes")


# -- the way back


@pytest.mark.parametrize("value_range", ["unit", "symmetric", "raw"])
def test_postprocess_is_the_way_back(value_range):
    image = modality(value_range=value_range, height=20, width=30)
    back = image.postprocess(image.process(PHOTOS))
    assert back.dtype == jnp.uint8
    np.testing.assert_array_equal(back, PHOTOS)
    np.testing.assert_array_equal(image.postprocess(image.process(PHOTOS[0])), PHOTOS[0])


def test_postprocess_clips_and_rounds():
    values = jnp.array([-3.0, -1.0, 0.0, 0.999, 1.0, 7.0]).reshape(1, 2, 3)
    assert modality(normalize=False).postprocess(values).ravel().tolist() == [0, 0, 128, 255, 255, 255]


def test_generate_asks_the_sampler():
    image, key = modality(normalize=False), jax.random.key(3)
    pictures = image.generate(2, sampler=lambda key, shape: jax.random.uniform(key, shape) * 2 - 1, key=key)
    assert pictures.shape == (2, 16, 24, 3) and pictures.dtype == jnp.uint8 and 100 < pictures.mean() < 155
    first, second = (image.generate(sampler=lambda k, s: jax.random.uniform(k, s)) for _ in range(2))
    assert first.shape[0] == 1 and not np.array_equal(first, second)
    with pytest.raises(ShapeError, match=r"`sampler` must return shape \(2, 16, 24, 3\), got \(2, 3\)"):
        image.generate(2, sampler=lambda k, s: jnp.zeros((2, 3)))
    assert image.generate(np.int64(2), sampler=lambda k, s: jnp.zeros(s)).shape[0] == 2
    with pytest.raises(ShapeError, match=r"got \(2, 2\)"):
        image.generate(sampler=lambda k, s: [[1, 2], [3, 4]])
    with pytest.raises(ConfigError, match="`n_samples` must be from 1"):
        image.generate(0, sampler=lambda k, s: jnp.zeros(s))


def test_loss_fn():
    image = modality()
    batch = {"images": jnp.full((2, 16, 24, 3), 0.5)}
    outputs = batch["images"].at[1].add(0.2)
    assert float(image.loss_fn(batch, batch["images"])["loss"]) == 0
    np.testing.assert_allclose(image.loss_fn(batch, outputs)["loss"], 0.02, rtol=1e-5)  # (0 + 0.2^2) / 2
    np.testing.assert_allclose(image.loss_fn(batch, {"images": outputs}, kind="l1")["loss"], 0.1, rtol=1e-5)
    with pytest.raises(ValueError, match="unknown `kind` 'l3'.*'mse'"):
        image.loss_fn(batch, outputs, kind="l3")
    with pytest.raises(ShapeError, match="the same shape"):
        image.loss_fn(batch, outputs[:1])
    with pytest.raises(ShapeError, match="must have the key 'images', got .'x'."):
        image.loss_fn({"x": 1}, outputs)
    gradient = jax.grad(lambda x: image.loss_fn(batch, x)["loss"])(outputs)
    np.testing.assert_allclose(gradient[1], 2 * 0.2 / outputs.size, rtol=1e-4)


def test_a_batch_from_samples():
    samples = [{"images": PHOTOS[i] / 255, "name": str(i)} for i in range(3)]
    batch = modality().create_batch_from_samples(samples)
    assert batch["images"].shape == PHOTOS.shape and batch["name"] == ["0", "1", "2"]


def test_loss_fn_refuses_integers_and_scales_for_cross_entropy():
    image = modality(normalize=False)
    target, outputs = jnp.full((2, 16, 24, 3), 0.6), jnp.full((2, 16, 24, 3), 0.2)
    # 0.6 and 0.2 in [-1, 1] are 0.8 and 0.6 in [0, 1]: -0.8 ln 0.6 - 0.2 ln 0.4
    np.testing.assert_allclose(image.loss_fn(target, outputs, kind="bce")["loss"], 0.591918, rtol=1e-5)
    logits = jnp.full((2, 16, 24, 3), np.log(0.6 / 0.4), jnp.float32)
    np.testing.assert_allclose(
        image.loss_fn(target, logits, kind="bce_with_logits")["loss"], 0.591918, rtol=1e-5
    )
    with pytest.raises(ShapeError, match="images in `batch` must be float, in the config's range, got uint8"):
        image.loss_fn(PHOTOS, jnp.zeros(PHOTOS.shape))


def test_numbers_that_jax_would_cut_are_refused():
    with pytest.raises(RangeError, match="must have values that fit int32"):
        modality().process(np.full((4, 4, 3), 2**33, np.int64), input_range=(0, 2**34))
    big_endian = PHOTOS.astype(">u2") * np.array(257, ">u2")
    np.testing.assert_allclose(modality(height=20, width=30).process(big_endian), PHOTOS / 255, atol=1e-6)


@pytest.mark.parametrize("key", [0, "key", jax.random.split(jax.random.key(0), 3)])
def test_what_is_no_key(key):
    with pytest.raises(ConfigTypeError, match="`key` must be one key"):
        check_key(key)
