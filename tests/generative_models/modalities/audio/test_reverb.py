import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.reverb import convolve, reverberate, room_response

RATE = 16000
RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.standard_normal(2000), jnp.float32)


@pytest.mark.parametrize("size", [1, 700, 5000])
def test_as_scipy_convolves(size):
    response = jnp.asarray(RANDOM.standard_normal(size), jnp.float32)
    expected = signal.fftconvolve(np.asarray(X, np.float64), np.asarray(response, np.float64))[: len(X)]
    tolerance = 2e-6 * np.abs(expected).max()
    np.testing.assert_allclose(convolve(X, response), expected, rtol=0, atol=tolerance)


def test_dry_and_wet_by_hand():
    """The response of energy 25 becomes 0.6, 0.8: half of it beside half of the sound."""
    x, response = jnp.array([1.0, 0.0, 0.0, 2.0]), jnp.array([3.0, 4.0])
    np.testing.assert_allclose(reverberate(x, response, wet=1.0), [0.6, 0.8, 0, 1.2], atol=1e-6)
    np.testing.assert_allclose(reverberate(x, response, wet=0.5), [0.8, 0.4, 0, 1.6], atol=1e-6)
    np.testing.assert_allclose(reverberate(x, response, wet=0.0), x, atol=1e-6)
    plain = reverberate(x, response, wet=1.0, normalize=False)
    np.testing.assert_allclose(plain, [3.0, 4.0, 0.0, 6.0], atol=1e-5)


@pytest.fixture(scope="module")
def rooms():
    """64 responses for each RT60, 1 s long."""
    make = jax.jit(
        jax.vmap(
            lambda key, rt60: room_response(
                key, num_samples=RATE, sample_rate=RATE, rt60=rt60, predelay=0.01, direct_db=3.0
            ),
            (0, None),
        )
    )
    keys = jax.random.split(jax.random.key(0), 64)
    return {rt60: np.asarray(make(keys, jnp.float32(rt60)), np.float64) for rt60 in (0.2, 0.5, 0.9)}


def reverberation_time(response, start) -> float:
    """Schroeder's (1965): a line through the energy that is still to come, from -5 to -25 dB, goes on to -60."""
    energy = np.cumsum(response[start:][::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-30)
    part = (level < -5) & (level > -25)
    return -60 / np.polyfit(np.flatnonzero(part) / RATE, level[part], 1)[0]


@pytest.mark.parametrize("rt60", [0.2, 0.5, 0.9])
def test_the_reverberation_time_is_the_one_asked_for(rooms, rt60):
    """To 10 % each, and to 2 % on average."""
    measured = [reverberation_time(room, 161) for room in rooms[rt60]]
    assert measured == pytest.approx([rt60] * 64, rel=0.1)
    assert np.mean(measured) == pytest.approx(rt60, rel=0.02)


def test_direct_sound_predelay_and_their_ratio(rooms):
    for room in rooms[0.5]:
        assert room[0] == 1
        assert not room[1:160].any() and room[160:170].all()
        assert -10 * np.log10((room[1:] ** 2).sum()) == pytest.approx(3.0, abs=1e-3)
    assert len({room[200] for room in rooms[0.5]}) == 64


def test_silence_and_no_response_give_no_nan():
    loss = jax.jit(jax.value_and_grad(lambda x, h: (reverberate(x, h, wet=0.7) ** 2).sum(), (0, 1)))
    for x, h in ((jnp.zeros(50), jnp.ones(9)), (jnp.ones(50), jnp.zeros(9))):
        value, gradients = loss(x, h)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)
    alone = room_response(jax.random.key(0), num_samples=3, sample_rate=RATE, rt60=0.3)
    assert alone.tolist() == [1, 0, 0]  # the noise would begin behind the end


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`wet` must be at least 0 and at most 1"):
        reverberate(X, X, wet=1.1)
    for name, value in (("rt60", 0.0), ("predelay", -1.0), ("direct_db", float("nan"))):
        with pytest.raises(ConfigError, match=f"`{name}` must be"):
            room_response(
                jax.random.key(0), num_samples=5, sample_rate=RATE, **({"rt60": 0.1} | {name: value})
            )
