from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.device import describe_step, is_own
from artifex.data.errors import ConfigTypeError
from artifex.generative_models.modalities.audio.augment import random_gain, random_polarity
from artifex.generative_models.modalities.audio.compose import (
    compose,
    default_augmentation,
    with_probability,
)

KEYS = jax.random.split(jax.random.key(0), 64)
X = jnp.asarray(0.5 * np.sin(np.arange(400) / 5), jnp.float32)


def test_steps_run_in_order_and_nothing_is_clipped():
    doubled = compose([lambda _, x: x + 1.0, lambda _, x: x * 2.0])
    np.testing.assert_allclose(doubled(KEYS[0], jnp.array([0.5, -4.0])), [3.0, -6.0])


def test_a_step_has_the_key_of_its_place():
    both = compose([random_polarity, partial(random_gain, lower=-20.0)])
    alone = random_gain(jax.random.fold_in(KEYS[0], 1), X, lower=-20.0)
    np.testing.assert_allclose(jnp.abs(both(KEYS[0], X)), jnp.abs(alone), rtol=1e-6)


def test_a_step_must_be_a_function():
    with pytest.raises(
        ConfigTypeError, match=r"`steps\[0\]` must be a function of .key, waveform., got 'gain'"
    ):
        compose(["gain"])


def test_what_a_state_says_of_it():
    step = compose([random_polarity, partial(random_gain, upper=3.0)])
    assert describe_step(step) == "compose(random_polarity, random_gain(upper=3.0))"
    assert is_own(compose([with_probability(random_gain, 0.5)])) and is_own(default_augmentation())


def test_the_default_sounds_the_same():
    """Another place, sign and level, and noise at least 20 dB below: a shifted clip explains 98 % of the power."""
    assert default_augmentation() is default_augmentation()
    batch = np.asarray(jax.jit(jax.vmap(default_augmentation(), (0, None)))(KEYS, X))
    assert batch.shape == (64, 400) and batch.dtype == np.float32
    assert np.abs(batch).max() <= 0.5 + 5 * 0.1 * 0.5
    x = np.asarray(X)
    # The clip moved by up to 5 %, zeros behind it: what is left of the best fit is the noise.
    moved = [np.concatenate([np.zeros(s), x])[:400] for s in range(21)]
    moved += [np.concatenate([x, np.zeros(s)])[s:] for s in range(1, 21)]
    moved = np.stack(moved)
    fits = batch @ moved.T / (moved**2).sum(axis=1)
    left = ((batch[:, None] - fits[:, :, None] * moved) ** 2).sum(axis=2)
    best = left.argmin(axis=1)
    assert (left.min(axis=1) < 0.02 * (batch**2).sum(axis=1)).all()
    gains = fits[np.arange(64), best]
    assert np.abs(gains).min() > 0.48 and np.abs(gains).max() < 1.02
    assert 10 < (gains > 0).sum() < 54 and len(set(best)) > 10
