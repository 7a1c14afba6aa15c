import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.image.mix import cutmix, mixup

N = 2000
KEYS = jax.random.split(jax.random.key(0), N)
# Image i is all i / N, and belongs to class i % 2: what is mixed can be told.
LEVELS = jnp.arange(N, dtype=jnp.float32) / N
IMAGES = jnp.broadcast_to(LEVELS[:, None, None, None], (N, 6, 8, 1))
LABELS = jax.nn.one_hot(jnp.arange(N) % 2, 2, dtype=jnp.float32)
OTHERS = jnp.roll(IMAGES, -1, axis=0)


def run(function, **settings):
    images, labels = jax.jit(lambda k, x, y: function(k, x, labels=y, **settings))(KEYS, IMAGES, LABELS)
    # The share of the image itself, which has class i % 2.
    return np.asarray(images), np.asarray(labels), np.asarray(labels)[np.arange(N), np.arange(N) % 2]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_shares_are_beta(alpha):
    images, labels, shares = run(mixup, alpha=alpha)
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    share = shares[:, None, None, None]
    np.testing.assert_allclose(images, share * IMAGES + (1 - share) * OTHERS, atol=1e-6)


def test_cutmix_pastes_one_box_and_labels_have_its_true_area():
    images, labels, shares = run(cutmix)
    pasted = images[..., 0] != np.asarray(IMAGES[..., 0])
    np.testing.assert_array_equal(images, np.where(pasted[..., None], OTHERS, IMAGES))
    rows, columns = pasted.any(axis=2), pasted.any(axis=1)
    np.testing.assert_array_equal(pasted, rows[:, :, None] & columns[:, None, :])
    starts = (np.diff(rows.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert starts.max() == 1
    np.testing.assert_allclose(shares, 1 - pasted.mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)


def test_cutmix_boxes_have_the_law_of_the_paper():
    """Sides floor(sqrt(1 - s) x side), any pixel as the centre, cut off at the border: the same in NumPy."""
    _, _, shares = run(cutmix, alpha=1.0)
    random = np.random.default_rng(0)
    sides = np.sqrt(1 - random.beta(1.0, 1.0, 20000))
    left = 1.0
    for size in (6, 8):
        side = np.floor(sides * size)
        start = random.integers(0, size, 20000) - side // 2
        left = left * (np.clip(start + side, 0, size) - np.clip(start, 0, size))
    assert shares.mean() == pytest.approx((1 - left / 48).mean(), abs=4 * shares.std() / np.sqrt(N))
    assert shares.std() == pytest.approx((1 - left / 48).std(), rel=0.1)


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_a_share_belongs_to_its_key(function):
    """Whatever else is in the batch: records 3 and 4 alone are mixed as in the whole batch."""
    whole, _ = jax.jit(function)(KEYS[:8], IMAGES[:8])
    part, _ = jax.jit(function)(KEYS[3:5], IMAGES[3:5])
    np.testing.assert_allclose(part[0], whole[3], atol=1e-6)


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_without_labels_there_are_none_and_one_image_is_left_alone(function):
    images, labels = jax.jit(function)(KEYS[:1], IMAGES[5:6])
    assert labels is None
    np.testing.assert_allclose(images, IMAGES[5:6], atol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("function", [mixup, cutmix])
def test_shapes_and_dtypes_stay(function, dtype):
    images, labels = jax.eval_shape(
        lambda k, x, y: function(k, x, labels=y), KEYS, IMAGES.astype(dtype), LABELS.astype(dtype)
    )
    assert (images.shape, images.dtype) == (IMAGES.shape, dtype)
    assert (labels.shape, labels.dtype) == (LABELS.shape, dtype)


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_settings_out_of_range(function):
    with pytest.raises(ConfigError, match="`alpha` must be greater than 0"):
        function(KEYS, IMAGES, alpha=0.0)


@pytest.mark.parametrize("function", [mixup, cutmix])
def test_class_numbers_are_no_weights(function):
    """Without the tests' type checker, which would be first."""
    unchecked = getattr(function, "__wrapped__", function)
    with pytest.raises(ShapeError, match=r"`labels` must be floats of shape \(2, n\).*one_hot"):
        jax.eval_shape(lambda k, x, y: unchecked(k, x, labels=y), KEYS[:2], IMAGES[:2], jnp.array([0, 1]))
