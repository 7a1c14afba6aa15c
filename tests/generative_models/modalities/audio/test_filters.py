import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.filters import band_pass, high_pass, low_pass

RATE = 16000
X = jnp.asarray(np.random.default_rng(0).standard_normal(3000), jnp.float32)

low = jax.jit(low_pass, static_argnames=("sample_rate", "cutoff", "order"))
high = jax.jit(high_pass, static_argnames=("sample_rate", "cutoff", "order"))
band = jax.jit(band_pass, static_argnames=("sample_rate", "low", "high", "order"))
STATIC = {low_pass: low, high_pass: high, band_pass: band}

CASES = [
    (low_pass, {"cutoff": 20.0, "order": 4}, "low"),
    (low_pass, {"cutoff": 1000.0, "order": 8}, "low"),
    (low_pass, {"cutoff": 7990.0, "order": 3}, "low"),
    (high_pass, {"cutoff": 20.0, "order": 8}, "high"),
    (high_pass, {"cutoff": 300.0, "order": 1}, "high"),
    (band_pass, {"low": 300.0, "high": 3400.0, "order": 2}, "bandpass"),
    (band_pass, {"low": 440.0, "high": 480.0, "order": 3}, "bandpass"),
]
IDS = [f"{f.__name__}-{s}" for f, s, _ in CASES]


def scipys(settings, kind):
    edges = settings["cutoff"] if "cutoff" in settings else [settings["low"], settings["high"]]
    return signal.butter(settings["order"], edges, kind, fs=RATE, output="sos")


@pytest.mark.parametrize(("function", "settings", "kind"), CASES, ids=IDS)
def test_as_scipy_filters(function, settings, kind):
    """White noise, in float64 there: to 2e-5 of the peak, for numbers and for traced cutoffs."""
    expected = signal.sosfilt(scipys(settings, kind), np.asarray(X, np.float64))
    tolerance = 2e-5 * np.abs(expected).max()
    np.testing.assert_allclose(
        STATIC[function](X, sample_rate=RATE, **settings), expected, rtol=0, atol=tolerance
    )
    traced = {k: jnp.float32(v) for k, v in settings.items() if k != "order"}
    compiled = jax.jit(function, static_argnames=("sample_rate", "order"))
    result = compiled(X, sample_rate=RATE, order=settings["order"], **traced)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("function", "settings", "kind"), [CASES[1], CASES[4], CASES[5]])
def test_the_response_is_the_designs(function, settings, kind):
    """Of an impulse, over all frequencies and in phase too, to 1e-4."""
    impulse = jnp.zeros(4096).at[0].set(1)
    response = np.fft.rfft(np.asarray(STATIC[function](impulse, sample_rate=RATE, **settings), np.float64))
    _, expected = signal.sosfreqz(scipys(settings, kind), 2 * np.pi * np.arange(2049) / 4096)
    np.testing.assert_allclose(response, expected, rtol=0, atol=1e-4)


def test_the_cutoff_has_3_db_and_the_mean_goes():
    t = np.arange(RATE) / RATE
    tone = jnp.asarray(np.sin(2 * np.pi * 500 * t), jnp.float32)
    for function in (low_pass, high_pass):
        level = (
            np.asarray(STATIC[function](tone, sample_rate=RATE, cutoff=500.0))[RATE // 2 :].std() / tone.std()
        )
        assert 20 * np.log10(level) == pytest.approx(-3.01, abs=0.02)
    constant = np.asarray(high(jnp.ones(RATE), sample_rate=RATE, cutoff=100.0))
    assert np.abs(constant[RATE // 2 :]).max() < 1e-6
    assert float(low(jnp.ones(RATE), sample_rate=RATE, cutoff=100.0)[-1]) == pytest.approx(1, abs=1e-5)


def test_short_and_silent_waveforms():
    for function, settings, kind in CASES[:1] + CASES[5:6]:
        expected = signal.sosfilt(scipys(settings, kind), np.asarray(X[:7], np.float64))
        np.testing.assert_allclose(STATIC[function](X[:7], sample_rate=RATE, **settings), expected, atol=1e-5)
        assert not np.asarray(STATIC[function](jnp.zeros(7), sample_rate=RATE, **settings)).any()


def test_vmapped_over_cutoffs_and_differentiable():
    cutoffs = jnp.array([100.0, 1000.0, 4000.0])
    filtered = jax.jit(jax.vmap(lambda c: low_pass(X, sample_rate=RATE, cutoff=c)))(cutoffs)
    powers = (np.asarray(filtered) ** 2).mean(axis=1)
    assert powers.tolist() == sorted(powers)
    # The gradient of a linear filter is the filter backwards in time.
    weights = np.random.default_rng(1).standard_normal(len(X))
    gradient = jax.grad(
        lambda x: (low(x, sample_rate=RATE, cutoff=1000.0) * jnp.asarray(weights, jnp.float32)).sum()
    )(X)
    expected = signal.sosfilt(scipys({"cutoff": 1000.0, "order": 4}, "low"), weights[::-1])[::-1]
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`cutoff` must be below half"):
        low_pass(X, sample_rate=RATE, cutoff=8000.0)
    with pytest.raises(ConfigError, match="`low` 500.0 Hz must be below `high` 400.0 Hz"):
        band_pass(X, sample_rate=RATE, low=500.0, high=400.0)
    with pytest.raises(ConfigError, match="`order` must be from 1 to 8, got 9"):
        high_pass(X, sample_rate=RATE, cutoff=10.0, order=9)
