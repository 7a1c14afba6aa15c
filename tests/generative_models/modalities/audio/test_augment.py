import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import adjust, augment, filters
from artifex.generative_models.modalities.audio.noise import add_noise

RATE = 8000
SIZE = 600
FRAMES = {"n_fft": 128, "hop_length": 32}
NOISES = jnp.asarray(np.random.default_rng(1).standard_normal((3, 250)), jnp.float32)
RESPONSES = jnp.asarray(np.random.default_rng(2).standard_normal((4, 40)), jnp.float32)
ALL = {
    "random_gain": {},
    "random_polarity": {},
    "random_time_shift": {},
    "random_clipping": {"lower": 0.05, "upper": 0.3},
    "random_noise": {"exponent": 1.0},
    "random_background": {"noises": NOISES},
    "random_time_stretch": FRAMES,
    "random_pitch_shift": FRAMES,
    "random_speed": {},
    "random_low_pass": {"sample_rate": RATE},
    "random_high_pass": {"sample_rate": RATE},
    "random_band_pass": {"sample_rate": RATE},
    "random_reverb": {"sample_rate": RATE, "upper": 0.3},
    "random_room": {"responses": RESPONSES},
}
KEYS = jax.random.split(jax.random.key(7), 8)
# What runs once need not be fast: it is compiled in half of the time.
QUICKLY = {"compiler_options": {"xla_backend_optimization_level": 0}}
MANY = jax.random.split(jax.random.key(8), 2000)


def step(name):
    return partial(getattr(augment, name), **ALL[name])


def every(key, waveform):
    """The results of all functions, compiled as one."""
    return {name: step(name)(key, waveform) for name in ALL}


def voice():
    """A sum of tones that 16-bit floats hold exactly."""
    n = np.arange(SIZE)
    x = 0.3 * np.sin(n / 4) + 0.2 * np.sin(n / 1.3 + 1) + 0.1 * np.sin(n / 17)
    return jnp.asarray(x, jnp.bfloat16).astype(jnp.float32)


@cache
def computed():
    """What they make of the voice, of silence and of a constant, with eight keys, and the gradient of its power."""

    def power(waveform, key):
        results = every(key, waveform)
        return sum((y**2).sum() for y in results.values()), results

    inputs = jnp.stack([voice(), jnp.zeros(SIZE), jnp.full(SIZE, 0.25)])
    graded = jax.value_and_grad(power, has_aux=True)
    (_, made), gradient = jax.jit(jax.vmap(jax.vmap(graded, (None, 0)), (0, None)), **QUICKLY)(inputs, KEYS)
    return {name: np.asarray(x) for name, x in made.items()}, np.asarray(gradient)


def batches():
    return computed()[0]


def many(function, waveform):
    return np.asarray(jax.jit(jax.vmap(function, (0, None)), **QUICKLY)(MANY, waveform))


def uniform(values, low, high):
    assert values.min() >= low - 1e-4 and values.max() <= high + 1e-4
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


# -- all of them


def test_all_are_tested():
    functions = {n for n, f in vars(augment).items() if inspect.isfunction(f) and n.startswith("random_")}
    assert set(ALL) == functions


def test_vmapped_is_one_by_one():
    one = jax.jit(every, **QUICKLY)(KEYS[2], voice())
    for name, result in one.items():
        np.testing.assert_allclose(result, batches()[name][0, 2], rtol=0, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("name", ALL)
def test_the_key_decides_and_the_length_stays(name):
    batch = batches()[name][0]
    assert batch.shape == (8, SIZE) and batch.dtype == np.float32
    assert any((batch[0] != other).any() for other in batch[1:])


@pytest.mark.parametrize("name", ALL)
def test_silence_and_a_constant_give_no_nan(name):
    _, silence, constant = batches()[name]
    assert not silence.any()
    assert np.isfinite(constant).all()


@pytest.mark.parametrize("name", ALL)
def test_the_dtype_stays(name):
    for dtype in (jnp.float16, jnp.bfloat16):
        result = jax.eval_shape(step(name), KEYS[0], jax.ShapeDtypeStruct((SIZE,), dtype))
        assert result.dtype == dtype and result.shape == (SIZE,)


def test_gradients_are_finite():
    gradient = computed()[1]
    assert np.isfinite(gradient).all() and np.abs(gradient[0]).max() > 0


# -- what is drawn


def test_gains_are_uniform_in_decibels():
    gains = many(partial(augment.random_gain, lower=-12.0, upper=3.0), jnp.ones(1))[:, 0]
    assert uniform(20 * np.log10(gains), -12, 3)


def test_polarity_turns_with_its_probability():
    signs = many(partial(augment.random_polarity, probability=0.3), jnp.ones(1))[:, 0]
    assert set(signs) == {-1.0, 1.0}
    assert (signs < 0).mean() == pytest.approx(0.3, abs=4 * (0.21 / 2000) ** 0.5)


def test_shifts_are_within_the_share_and_equally_likely():
    ramp = jnp.arange(1.0, 101.0)
    shifted = many(partial(augment.random_time_shift, max_fraction=0.1), ramp)
    shifts = np.where(shifted[:, 0] == 0, (shifted == 0).sum(axis=1), 1 - shifted[:, 0]).astype(int)
    counts = np.bincount(shifts + 10, minlength=21)
    assert len(counts) == 21
    # From -10 to 10, rounded: the outermost are half as likely.
    expected = 2000 * np.array([0.5, *[1] * 19, 0.5]) / 20
    assert stats.chisquare(counts, expected).pvalue > 1e-3
    for row, shift in zip(shifted[:20], shifts[:20], strict=True):
        np.testing.assert_array_equal(row, adjust.shift_time(ramp, samples=int(shift)))


def test_clipped_shares_are_uniform():
    x = jnp.arange(1000.0) / 1000
    clipped = many(partial(augment.random_clipping, lower=0.1, upper=0.3), x)
    assert uniform(1 - clipped.max(axis=1), 0.1, 0.302)


def test_ratios_are_uniform_in_decibels_and_noise_is_new_each_time():
    x = voice()
    added = many(partial(augment.random_noise, lower=0.0, upper=20.0), x) - np.asarray(x)
    ratios = 10 * np.log10(float((x**2).mean()) / (added**2).mean(axis=1))
    assert uniform(ratios, 0, 20)
    assert abs(np.corrcoef(added[0], added[1])[0, 1]) < 0.2


@pytest.mark.parametrize("size", [600, 100])
def test_backgrounds_are_parts_of_the_noises(size):
    """The shape of what is added tells row and place: it is that of one part alone, a repeated one if need be."""
    quiet = jnp.full(size, 1e-3)
    added = many(partial(augment.random_background, noises=NOISES, lower=-60.0, upper=-60.0), quiet)[:400]
    places = (np.arange(250 if size > 250 else 251 - size)[:, None] + np.arange(size)) % 250
    parts = np.asarray(NOISES)[:, places].reshape(-1, size)
    likeness = (added / np.linalg.norm(added, axis=1)[:, None]) @ (
        parts / np.linalg.norm(parts, axis=1)[:, None]
    ).T
    np.testing.assert_allclose(likeness.max(axis=1), 1, atol=1e-4)
    rows, starts = np.divmod(likeness.argmax(axis=1), len(places))
    assert stats.chisquare(np.bincount(rows, minlength=3)).pvalue > 1e-3
    assert uniform(starts + 0.5, 0, len(places))


def test_speeds_have_uniform_logarithms():
    """The top, at the middle of the sound, comes at SIZE / 2 / factor."""
    smooth = jnp.asarray(np.sin(np.pi * np.arange(SIZE) / SIZE), jnp.float32)
    fast = many(partial(augment.random_speed, lower=0.5, upper=2.0), smooth)
    tops = fast.argmax(axis=1)
    assert uniform(np.log(SIZE / 2 / tops), np.log(0.5) - 0.01, np.log(2) + 0.01)


def test_cutoffs_have_uniform_logarithms():
    """The first sample of an impulse's response grows with the cutoff: where it lies among those of a table."""
    impulse = jnp.zeros(64).at[0].set(1)
    function = partial(augment.random_low_pass, sample_rate=RATE, lower=100.0, upper=3000.0, order=1)
    first = many(function, impulse)[:, 0]
    table = np.geomspace(100, 3000, 200)
    low = jax.vmap(lambda c: filters.low_pass(impulse, sample_rate=RATE, cutoff=c, order=1)[0])
    cutoffs = np.interp(first, np.asarray(jax.jit(low)(jnp.asarray(table, jnp.float32))), np.log(table))
    assert uniform(cutoffs, np.log(100), np.log(3000))


def test_rooms_are_the_given_ones():
    impulse = jnp.zeros(50).at[0].set(1)
    sounds = many(partial(augment.random_room, responses=RESPONSES, lower_wet=1.0, upper_wet=1.0), impulse)
    unit = np.asarray(RESPONSES) / np.linalg.norm(RESPONSES, axis=1, keepdims=True)
    distance = np.abs(sounds[:, None, :40] - unit).max(axis=2)
    assert distance.min(axis=1).max() < 1e-5
    assert stats.chisquare(np.bincount(distance.argmin(axis=1), minlength=4)).pvalue > 1e-3


def test_settings_are_checked():
    x, key = voice(), KEYS[0]
    with pytest.raises(ConfigError, match="`lower` 3.0 must not be more than `upper` 1.0"):
        augment.random_gain(key, x, lower=3.0, upper=1.0)
    with pytest.raises(ConfigError, match="`max_fraction`"):
        augment.random_time_shift(key, x, max_fraction=1.5)
    with pytest.raises(ConfigError, match="`upper` must be below half of `sample_rate`, 2000 Hz, got 3400"):
        augment.random_low_pass(key, x, sample_rate=4000)
    with pytest.raises(ConfigError, match="`upper_wet`"):
        augment.random_room(key, x, responses=RESPONSES, upper_wet=1.2)
    with pytest.raises(ShapeError, match=r"`noises` must be of shape \(k, n\)"):
        augment.random_background(key, x, noises=jnp.zeros((0, 5)))


def test_a_setting_may_be_traced():
    both = jax.jit(lambda limit: augment.random_noise(KEYS[0], voice(), lower=limit, upper=limit))
    noise = both(jnp.float32(0.0)) - voice()
    np.testing.assert_allclose(both(jnp.float32(20.0)), add_noise(voice(), noise, snr_db=20.0), atol=1e-5)
