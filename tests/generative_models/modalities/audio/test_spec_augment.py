from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.spec_augment import (
    mask_frequencies,
    mask_times,
    spec_augment,
    warp_at,
    warp_time,
)

F, T = 12, 40
KEYS = jax.random.split(jax.random.key(0), 3000)
ONES = jnp.ones((F, T))
# What runs once need not be fast: it is compiled in half of the time.
QUICKLY = {"compiler_options": {"xla_backend_optimization_level": 0}}


POLICIES = {
    "frequencies": (mask_frequencies, {"max_width": 5, "num_masks": 1}),
    "times": (mask_times, {"max_width": 5, "num_masks": 1}),
    "two": (mask_times, {"max_width": 5, "num_masks": 2}),
    "share": (mask_times, {"max_width": 5, "num_masks": 2, "max_share": 0.1}),
    "no share": (mask_times, {"max_width": 5, "max_share": 0.0}),
    "none": (mask_frequencies, {"max_width": 5, "num_masks": 0}),
    "wide": (mask_frequencies, {"max_width": 99, "num_masks": 1}),
}
RAMP = jnp.broadcast_to(jnp.arange(float(T)), (1, T))


@pytest.fixture(scope="module")
def made():
    """What each policy hides, and where the frames of a warp come from, for each key: compiled as one."""

    def every(key):
        masks = {
            name: function(key, ONES, **settings) == 0 for name, (function, settings) in POLICIES.items()
        }
        return masks | {"warp": warp_time(key, RAMP, max_shift=6)[0]}

    return {name: np.asarray(x) for name, x in jax.jit(jax.vmap(every), **QUICKLY)(KEYS).items()}


def assert_equally_likely(values, low, high):
    counts = np.bincount(values, minlength=high + 1)
    assert counts[:low].sum() == 0 and len(counts) == high + 1
    assert stats.chisquare(counts[low:]).pvalue > 1e-3


@pytest.mark.parametrize(("name", "axis"), [("frequencies", 0), ("times", 1)])
def test_one_mask(made, name, axis):
    """A whole band, 0 to 5 wide, each width equally likely, and of each width each place."""
    lines = made[name].any(axis=2 - axis)
    whole = np.broadcast_to(np.expand_dims(lines, 2 - axis), made[name].shape)
    np.testing.assert_array_equal(made[name], whole)
    widths = lines.sum(axis=1)
    assert_equally_likely(widths, 0, 5)
    edges = np.diff(lines.astype(int), axis=1, prepend=0) == 1
    assert edges.sum(axis=1).max() == 1
    assert_equally_likely(edges.argmax(axis=1)[widths == 3], 0, (F, T)[axis] - 3)


def test_several_masks_and_the_share(made):
    """Two masks of at most 5 of 40 frames; a share of 0.1 makes them 4 at most."""
    widths = made["two"][:, 0].sum(axis=1)
    # Each width has a mean of 2.5; few frames are hit twice.
    assert widths.max() == 10 and 4.6 < widths.mean() < 5
    assert made["share"][:, 0].sum(axis=1).max() == 8
    assert not made["no share"].any() and not made["none"].any()
    assert made["wide"][:, :, 0].all(axis=1).any()


def test_fills():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((F, T)), jnp.float32)

    def both(x):
        return [mask_times(KEYS[1], x, max_width=20, fill=fill) for fill in (-4.0, "mean")]

    masked, mean = (np.asarray(y) for y in jax.jit(both)(x))
    places = masked == -4.0
    assert places.any() and not places.all()
    np.testing.assert_array_equal(masked[~places], np.asarray(x)[~places])
    np.testing.assert_allclose(mean[places], float(x.mean()), rtol=1e-5)
    np.testing.assert_array_equal(mean[~places], masked[~places])


def test_warp_by_hand():
    """Frame 4 of 0..8 goes to 6: the six steps before it take 2/3 of a frame each, the two after it two."""
    scale = np.array([[1.0], [10.0]])
    x = jnp.asarray(np.arange(9) * scale, jnp.float32)
    warp = jax.jit(lambda shift: warp_at(x, place=4, shift=shift))
    expected = np.array([0, 2 / 3, 4 / 3, 2, 8 / 3, 10 / 3, 4, 6, 8])
    np.testing.assert_allclose(warp(jnp.float32(2)), scale * expected, rtol=1e-5)
    np.testing.assert_allclose(warp(jnp.float32(-2)), scale * (8 - expected[::-1]), rtol=1e-5)
    np.testing.assert_allclose(warp(jnp.float32(0)), x)


def test_random_warps_keep_order_and_ends(made):
    """Of a ramp the warped values say where the frames came from: at most W away, in order, without jumps."""
    sources = made["warp"]
    np.testing.assert_allclose(sources[:, 0], 0, atol=1e-4)
    np.testing.assert_allclose(sources[:, -1], T - 1, atol=1e-4)
    steps = np.diff(sources, axis=1)
    assert steps.min() >= -1e-4
    assert len(np.unique(sources[:, T // 2])) > 2900
    # The place that is moved lies where the pieces meet: 6 from both ends at least, and moved by 6 at most.
    bend = np.abs(np.diff(steps, axis=1)).argmax(axis=1) + 1
    moved = np.abs(np.arange(T) - sources).max(axis=1)
    assert bend.min() >= 0 and bend.max() < T
    slopes = steps[:, :1], steps[:, -1:]
    place = (slopes[0] * (T - 1) * (slopes[1] - 1) / (slopes[1] - slopes[0]))[:, 0]
    goal = place / slopes[0][:, 0]
    clear = np.abs(goal - place) > 0.5
    assert place[clear].min() > 6 - 0.05 and place[clear].max() < T - 7 + 0.05
    assert np.abs(goal - place).max() < 6 + 0.05 and np.abs(goal - place).max() > 5.5
    assert moved.max() < T / 2


def test_what_is_too_short_stays():
    for frames in (1, 2):
        x = jnp.ones((3, frames))
        np.testing.assert_array_equal(warp_time(KEYS[0], x, max_shift=80), x)


def test_spec_augment_is_the_three_in_order():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((F, T)), jnp.float32)
    settings = {"max_shift": 5, "max_bins": 4, "max_frames": 8, "num_masks": 1, "fill": "mean"}

    @partial(jax.jit, **QUICKLY)
    def both(key, x):
        a, b, c = jax.random.split(key, 3)
        warped = warp_time(a, x, max_shift=5)
        masked = mask_frequencies(b, warped, max_width=4, num_masks=1, fill="mean")
        by_hand = mask_times(c, masked, max_width=8, num_masks=1, fill="mean")
        gradient = jax.grad(lambda x: (spec_augment(key, x, **settings) ** 2).sum())(x)
        return spec_augment(key, x, **settings), by_hand, gradient

    whole, by_hand, gradient = both(KEYS[0], x)
    np.testing.assert_allclose(whole, by_hand, atol=1e-6)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    assert (np.asarray(whole) != np.asarray(both(KEYS[2], x)[0])).any()


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`max_width` must be at least 0"):
        mask_times(KEYS[0], ONES, max_width=-1)
    with pytest.raises(ConfigError, match="`max_share` must be at least 0 and at most 1"):
        mask_times(KEYS[0], ONES, max_share=1.5)
    with pytest.raises(ConfigError, match="`fill` must be finite, got inf"):
        mask_frequencies(KEYS[0], ONES, fill=float("inf"))
    with pytest.raises(ConfigError, match="`fill` must be a number or 'mean', got 'median'"):
        mask_frequencies(KEYS[0], ONES, fill="median")
    with pytest.raises(ConfigError, match="`place` must be at least 0 and at most 39"):
        warp_at(ONES, place=40, shift=0)
