from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.device import is_own
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.generative_models.modalities.image.augment import (
    random_brightness,
    random_crop,
    random_flip_horizontal,
)
from artifex.generative_models.modalities.image.compose import (
    compose,
    default_augmentation,
    with_probability,
)

KEY = jax.random.key(0)
IMAGE = jax.random.uniform(jax.random.key(1), (16, 16, 3))


def add(amount):
    return lambda _key, image: image + amount


def test_steps_run_in_order_and_only_the_end_is_clipped():
    """0.5 + 1 - 0.9 is 0.6: clipped in between, it would be 0.1."""
    image = jnp.array([[[0.5], [0.0], [0.95]]])
    result = compose([add(1.0), add(-0.9)])(KEY, image)
    np.testing.assert_allclose(result.ravel(), [0.6, 0.1, 1.0], atol=1e-6)
    assert compose([add(-0.7)])(KEY, image).ravel().tolist() == [0.0, 0.0, 0.25]
    double_then_add = compose([lambda _, x: x * 2, add(-0.5)])(KEY, image)
    np.testing.assert_allclose(double_then_add.ravel(), [0.5, 0, 1.0], atol=1e-6)


def test_no_steps_clip():
    assert compose([])(KEY, jnp.array([[[2.0]]])).item() == 1.0


def test_each_step_has_a_key_of_its_own():
    seen = []

    def note(key, image):
        seen.append(jax.random.key_data(key).tolist())
        return image

    compose([note, note, note])(KEY, IMAGE)
    assert seen == [jax.random.key_data(jax.random.fold_in(KEY, i)).tolist() for i in range(3)]
    assert len({tuple(k) for k in seen}) == 3


def test_vmapped_is_one_by_one_and_shapes_may_change():
    augmentation = compose(
        [partial(random_crop, height=8, width=9), random_flip_horizontal, random_brightness]
    )
    keys = jax.random.split(KEY, 5)
    batch = jax.jit(jax.vmap(augmentation, in_axes=(0, None)))(keys, IMAGE)
    assert batch.shape == (5, 8, 9, 3)
    one = jax.jit(augmentation)
    np.testing.assert_allclose(batch, jnp.stack([one(k, IMAGE) for k in keys]), atol=1e-6)
    assert len(np.unique(np.asarray(batch).sum(axis=(1, 2, 3)))) == 5


def test_a_step_must_be_a_function():
    with pytest.raises(ConfigTypeError, match=r"`steps\[1\]` must be a function of .key, image., got 'flip'"):
        compose([random_flip_horizontal, "flip"])


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_with_probability(probability):
    sometimes = with_probability(add(0.5), probability)
    keys = jax.random.split(KEY, 4000)
    results = jax.jit(jax.vmap(sometimes, in_axes=(0, None)))(keys, jnp.zeros((1, 1, 1))).ravel()
    assert set(results.tolist()) <= {0.0, 0.5}
    assert float((results == 0.5).mean()) == pytest.approx(probability, abs=0.028)


def test_whether_and_how_are_independent():
    """Where the step is done, its own draw is as it is anywhere."""
    sometimes = with_probability(partial(random_brightness, max_delta=0.5), 0.5)
    keys = jax.random.split(KEY, 8000)
    deltas = jax.jit(jax.vmap(sometimes, in_axes=(0, None)))(keys, jnp.zeros((1, 1, 1))).ravel()
    done = deltas[deltas != 0]
    assert float(done.mean()) == pytest.approx(0, abs=4 * 0.29 / 4000**0.5)
    assert float(done.std()) == pytest.approx(1 / 12**0.5, rel=0.05)


def test_with_probability_checks():
    with pytest.raises(ConfigError, match="`probability` must be"):
        with_probability(add(0.5), 1.01)
    with pytest.raises(
        ShapeError, match=r"`step` must keep shape and dtype, but makes float32\[4, 4, 3\] of"
    ):
        with_probability(partial(random_crop, height=4, width=4), 0.5)(KEY, IMAGE)
    with pytest.raises(ShapeError, match="must keep shape and dtype, but makes float16"):
        with_probability(lambda _, x: x.astype(jnp.float16), 0.5)(KEY, IMAGE)


def test_the_default_is_one_function_that_is_compiled_once():
    assert default_augmentation() is default_augmentation()


@pytest.mark.parametrize("shape", [(16, 16, 3), (1, 1, 1), (7, 9, 4)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_the_default_keeps_shape_dtype_and_range(shape, dtype):
    image = jax.random.uniform(jax.random.key(1), shape).astype(dtype)
    keys = jax.random.split(KEY, 20)
    batch = jax.jit(jax.vmap(default_augmentation(), in_axes=(0, None)))(keys, image)
    assert batch.shape == (20, *shape)
    assert batch.dtype == dtype
    assert float(batch.min()) >= 0
    assert float(batch.max()) <= 1
    assert len(np.unique(np.asarray(batch.astype(jnp.float32)).sum(axis=(1, 2, 3)))) > 5


def test_the_default_shows_the_same_thing():
    """Some shift or flip of the image within the mild change of brightness and contrast; no border is black."""
    grey = jnp.full((16, 16, 3), 0.5)
    keys = jax.random.split(KEY, 200)
    batch = jax.jit(jax.vmap(default_augmentation(), in_axes=(0, None)))(keys, grey)
    assert float(jnp.abs(batch - 0.5).max()) <= 0.1 + 1e-6
    assert float(jnp.abs(batch - batch[:, :1, :1]).max()) < 1e-6


def test_what_holds_a_function_of_the_users_is_not_the_packages_own():
    mine = add(0.5)
    mine.__module__ = "mine"
    assert is_own(compose([random_flip_horizontal, with_probability(random_flip_horizontal, 0.5)]))
    assert not is_own(with_probability(mine, 0.5)) and not is_own(compose([mine]))
