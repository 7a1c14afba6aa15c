import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal, stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.noise import add_noise, colored_noise

KEYS = jax.random.split(jax.random.key(0), 32)
RATE = 16000
X = jnp.asarray(np.random.default_rng(1).standard_normal(4096).astype(np.float32)) * 0.1


@pytest.fixture(scope="module")
def clips():
    """32 clips of each exponent."""
    make = jax.jit(jax.vmap(lambda key, e: colored_noise(key, num_samples=16384, exponent=e), (0, None)))
    return {e: np.asarray(make(KEYS, jnp.float32(e))) for e in (-1.0, 0.0, 1.0, 2.0)}


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.0])
def test_power_falls_as_the_exponent_says(clips, exponent):
    """The slope of the measured spectrum over seven octaves: -3.01 dB per octave and exponent, to 0.1 dB."""
    frequencies, power = signal.welch(clips[exponent], RATE, nperseg=4096)
    band = (frequencies > 50) & (frequencies < 6400)
    octaves, level = np.log2(frequencies[band]), 10 * np.log10(power.mean(axis=0)[band])
    # Each octave counts the same.
    slope = np.polyfit(octaves, level, 1, w=1 / np.sqrt(frequencies[band]))[0]
    assert slope == pytest.approx(-3.0103 * exponent, abs=0.1)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.0])
def test_the_power_is_one(clips, exponent):
    """Brown noise is mostly its lowest few bins, so that its power varies from clip to clip."""
    powers = (clips[exponent] ** 2).mean(axis=1)
    assert powers.mean() == pytest.approx(1, abs=0.02 if exponent < 1 else 4 * float(powers.std()) / 32**0.5)


def test_white_noise_is_normal(clips):
    assert stats.kstest(clips[0.0][:4].ravel(), stats.norm.cdf).pvalue > 1e-3


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_a_number_and_a_traced_exponent_agree(clips, exponent):
    """Of white noise but for its mean, which the number leaves in."""
    number = jax.jit(lambda key: colored_noise(key, num_samples=16384, exponent=exponent))(KEYS[0])
    assert (np.asarray(number) - clips[exponent][0]).std() < 1e-4


add = jax.jit(add_noise)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5, 60.0])
def test_the_ratio_is_the_one_that_was_asked_for(snr_db):
    noise = jnp.asarray(np.random.default_rng(2).standard_normal(len(X)), jnp.float32)
    added = np.asarray(add(X, noise, snr_db=jnp.float32(snr_db)), np.float64) - np.asarray(X, np.float64)
    measured = 10 * np.log10((np.asarray(X, np.float64) ** 2).mean() / (added**2).mean())
    assert measured == pytest.approx(snr_db, abs=0.01)
    correlation = np.corrcoef(added, np.asarray(noise))[0, 1]
    assert correlation == pytest.approx(1, abs=1e-3)


def test_silence_stays_silent_and_silent_noise_adds_nothing():
    zeros = jnp.zeros_like(X)
    np.testing.assert_array_equal(add(zeros, X, snr_db=jnp.float32(0)), zeros)
    np.testing.assert_array_equal(add(X, zeros, snr_db=jnp.float32(0)), X)
    graded = jax.jit(jax.grad(lambda x, n: (add_noise(x, n, snr_db=3.0) ** 2).sum(), (0, 1)))
    for x, noise in ((zeros, X), (X, zeros), (zeros, zeros)):
        gradients = graded(x, noise)
        assert all(np.isfinite(g).all() for g in gradients)


def test_a_constant_is_a_signal():
    added = np.asarray(add(jnp.full(4096, 0.5), X, snr_db=jnp.float32(20))) - 0.5
    assert np.sqrt((added**2).mean()) == pytest.approx(0.05, rel=1e-3)


def test_lengths_must_agree():
    with pytest.raises(ShapeError, match=r"`noise` must be as long as the waveform, 4096 samples"):
        add_noise(X, X[:5], snr_db=0.0)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`num_samples`"):
        colored_noise(KEYS[0], num_samples=0)
    with pytest.raises(ConfigError, match="`snr_db`"):
        add_noise(X, X, snr_db=float("inf"))
