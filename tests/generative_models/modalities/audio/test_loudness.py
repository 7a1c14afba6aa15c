from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.loudness import k_weighting, k_weighting_filters, loudness
from audio_signals import far, sound

# ITU-R BS.1770-5, annex 1, tables 1 and 2, for 48 kHz.
NUMERATORS = [[1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -2, 1]]
DENOMINATORS = [[1, -1.69065929318241, 0.73248077421585], [1, -1.99004745483398, 0.99007225036621]]


def tone(hz: float, rate: int, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def reference(clip: np.ndarray, rate: int) -> float:
    """The standard, sample by sample and block by block, in float64."""
    y = clip.astype(np.float64)
    for b, a in zip(*k_weighting_filters(rate), strict=True):
        y = signal.lfilter(b, a, y)
    step = round(rate / 10)
    blocks = [np.mean(y[i : i + 4 * step] ** 2) for i in range(0, len(y) - 4 * step + 1, step)]
    levels = [-0.691 + 10 * np.log10(z) if z else -np.inf for z in blocks]
    loud = [z for z, level in zip(blocks, levels, strict=True) if level > -70]
    if not loud:
        return -np.inf
    gate = -0.691 + 10 * np.log10(np.mean(loud)) - 10
    counted = [z for z, level in zip(blocks, levels, strict=True) if level > -70 and level > gate]
    return -0.691 + 10 * np.log10(np.mean(counted))


def test_the_filters_at_48_khz_are_the_standards():
    numerators, denominators = k_weighting_filters(48000)
    np.testing.assert_allclose(numerators, NUMERATORS, atol=1e-12)
    np.testing.assert_allclose(denominators, DENOMINATORS, atol=1e-12)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_full_scale_sine_of_997_hz_measures_minus_3_01(rate):
    """In one channel, as the standard says; at 16 kHz the shelf is bent by 0.04 dB."""
    value = float(jax.jit(partial(loudness, sample_rate=rate))(tone(997, rate, 1)))
    assert value == pytest.approx(-3.01, abs=0.005 if rate == 48000 else 0.05)


@pytest.mark.parametrize(("rate", "n"), [(48000, 48000), (22050, 30001), (8000, 16000), (11025, 11025)])
def test_the_weighting_is_the_recursive_filters(rate, n):
    """Within 1e-5 of the largest sample, though the clip has an offset that the high-pass must take away."""
    clip = sound(rate, n) + np.float32(0.3)
    expected = clip.astype(np.float64)
    for b, a in zip(*k_weighting_filters(rate), strict=True):
        expected = signal.lfilter(b, a, expected)
    assert far(jax.jit(partial(k_weighting, sample_rate=rate))(clip), expected) < 1e-5


def gated(rate: int) -> np.ndarray:
    """Loud, then 15 dB less, then nothing: the quiet part passes the absolute gate, but not the relative one."""
    loud = sound(rate, rate)
    return np.concatenate([loud, loud * np.float32(10 ** (-15 / 20)), np.zeros(rate, np.float32)])


@pytest.mark.parametrize("rate", [16000, 22050, 11025])
def test_loudness_is_that_of_the_blocks_that_count(rate):
    """Within 1e-3 LU of the standard worked in float64."""
    clip = gated(rate)
    value = float(jax.jit(partial(loudness, sample_rate=rate))(clip))
    assert value == pytest.approx(reference(clip, rate), abs=1e-3)
    everything = reference(clip[:rate], rate)
    assert value == pytest.approx(everything, abs=1.0), "the quiet and the silent part do not drag it down"


def test_ten_decibels_are_ten_units():
    clip = jnp.asarray(gated(16000))
    run = jax.jit(partial(loudness, sample_rate=16000))
    louder, quieter = (float(run(clip * gain)) for gain in (1.0, 10**-0.5))
    assert louder - quieter == pytest.approx(10, abs=1e-3)


def test_silence_has_none():
    run = jax.jit(jax.value_and_grad(lambda x: loudness(x, sample_rate=8000)))
    value, gradient = run(np.zeros(4000, np.float32))
    assert float(value) == -np.inf
    assert not gradient.any()


def test_too_little_is_told():
    with pytest.raises(ShapeError, match=r"`waveform` has 3199 samples.*400 ms \(3200\)"):
        loudness(jnp.zeros(3199), sample_rate=8000)
    with pytest.raises(ConfigError, match="`sample_rate` must be from 4000"):
        loudness(jnp.zeros(3200), sample_rate=48)
