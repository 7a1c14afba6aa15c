from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal, stats

from artifex.generative_models.modalities.audio import synthesis
from artifex.generative_models.modalities.audio.synthesis import AudioType, synthesize

RATE, SIZE = 16000, 8000
KEYS = jax.random.split(jax.random.key(0), 100)
# What runs once need not be fast: it is compiled in half of the time.
QUICKLY = {"compiler_options": {"xla_backend_optimization_level": 0}}


@pytest.fixture(scope="module")
def clips():
    """A hundred of each type: compiled as one."""
    kinds = list(AudioType)
    every = jax.vmap(lambda key: [getattr(synthesis, k.value)(key, SIZE, RATE) for k in kinds])
    return {kind: np.asarray(x) for kind, x in zip(kinds, jax.jit(every, **QUICKLY)(KEYS), strict=True)}


def uniform(values, low, high):
    values = np.asarray(values)
    assert values.min() >= low and values.max() <= high
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def peak(x):
    """The frequency in Hz where the spectrum is largest, by a parabola through its logarithm."""
    level = np.log(np.abs(np.fft.rfft(x * np.hanning(len(x)))) + 1e-9)
    k = int(level.argmax())
    a, b, c = level[k - 1 : k + 2]
    return (k + (a - c) / (2 * (a - 2 * b + c))) * RATE / len(x)


@pytest.mark.parametrize("kind", AudioType)
def test_range_and_variety(clips, kind):
    x = clips[kind]
    assert x.dtype == np.float32 and x.shape == (100, SIZE)
    assert np.abs(x).max() <= 1
    if kind is not AudioType.SILENCE:
        assert len(np.unique(x, axis=0)) == 100
        assert (np.abs(x).max(axis=1) > 0.2).all()


def fitted(x, rate):
    """The tone that fits best: frequency in Hz, amplitude, phase, and the largest difference from it."""
    n, half = np.arange(len(x)), len(x) // 2
    window = np.hanning(half)
    f = peak(x) * rate / RATE
    for _ in range(3):  # refined by how far the phase turns from the first half to the second
        z = x * np.exp(-2j * np.pi * f * n / rate)
        turn = np.angle((z[half : 2 * half] * window).sum() / (z[:half] * window).sum())
        f += turn / (2 * np.pi) * rate / half
    basis = np.stack([np.cos(2 * np.pi * f * n / rate), np.sin(2 * np.pi * f * n / rate)], axis=1)
    (b, a), *_ = np.linalg.lstsq(basis, x, rcond=None)
    return f, np.hypot(a, b), np.arctan2(b, a), np.abs(basis @ [b, a] - x).max()


def test_sines_are_pure_and_of_uniform_pitch_phase_and_level(clips):
    fits = [fitted(x, RATE) for x in clips[AudioType.SINE].astype(np.float64)]
    pitches, levels, phases, errors = np.transpose(fits)
    assert errors.max() < 2e-4
    assert uniform(pitches, 199.99, 800.01)
    assert uniform(phases, -np.pi, np.pi)
    assert uniform(levels, 0.4999, 1.0001)


def test_a_tone_stays_clean_in_a_long_clip():
    """30 s at 44.1 kHz: one tone to 2e-4; a phase counted in float32 is off by ten times as much."""
    make = jax.jit(lambda key: synthesis.sine(key, 30 * 44100, 44100, frequency=(700.0, 700.0)))
    frequency, _, _, error = fitted(np.asarray(make(KEYS[0]), np.float64), 44100)
    assert frequency == pytest.approx(700, abs=1e-3)
    assert error < 2e-4


def test_chirps_are_linear_in_frequency(clips):
    """The instantaneous frequency, from the phase of the analytic signal, is a straight line, to 2 Hz."""
    starts, ends = [], []
    inner = slice(SIZE // 10, -SIZE // 10)
    place = (np.arange(SIZE - 1) + 0.5) / SIZE
    for x in clips[AudioType.CHIRP]:
        phase = np.unwrap(np.angle(signal.hilbert(x)))
        slope, start = np.polyfit(place[inner], np.diff(phase)[inner] * RATE / (2 * np.pi), 1)
        # As smooth as the line: the phase is a parabola.
        parabola = np.polyfit(place[inner], phase[:-1][inner], 2)
        assert np.abs(np.polyval(parabola, place[inner]) - phase[:-1][inner]).max() < 0.05
        starts.append(start)
        ends.append(start + slope)
    assert uniform(starts, 198, 802) and uniform(ends, 198, 802)
    assert abs(np.corrcoef(starts, ends)[0, 1]) < 0.3


def test_noise_is_white(clips):
    """The mean spectrum is flat to 1 dB, and single samples are uniform."""
    x = clips[AudioType.NOISE]
    levels = np.abs(x).max(axis=1)
    assert uniform(levels, 0.499, 1)
    _, power = signal.welch(x / levels[:, None], RATE, nperseg=64)
    assert np.ptp(10 * np.log10(power.mean(axis=0)[1:-1])) < 1
    assert uniform((x / levels[:, None])[:, 7], -1, 1)


def test_harmonics_are_multiples_of_a_pitch(clips):
    """Nothing but the first eight multiples of the fundamental, each weaker than 1 / k by half at most."""
    for x in clips[AudioType.HARMONIC][:20].astype(np.float64):
        spectrum = np.abs(np.fft.rfft(x * np.blackman(SIZE))) / (0.42 * SIZE / 2)
        f = min(
            np.arange(200, 801, 0.25),
            key=lambda f: -sum(spectrum[round(f * k * SIZE / RATE)] for k in range(1, 9)),
        )
        near = np.zeros(len(spectrum), bool)
        sizes = []
        for k in range(1, 9):
            centre = round(f * k * SIZE / RATE)
            near[centre - 6 : centre + 7] = True
            sizes.append(spectrum[centre - 6 : centre + 7].max())
        assert spectrum[~near].max() < 0.02 * max(sizes)
        weights = np.array(sizes) * np.arange(1, 9)
        assert weights.max() / weights.min() < 2 * 1.35  # a peak between two bins looks lower by up to 1.1 dB


def test_overtones_stop_at_half_the_rate():
    """At 2 kHz, 300 Hz have two overtones, 600 and 900 Hz; the spectrum shows three lines."""
    x = jax.jit(lambda key: synthesis.harmonic(key, 2000, 2000, frequency=(300.0, 300.0)))(KEYS[0])
    power = np.abs(np.fft.rfft(np.asarray(x, np.float64))) ** 2
    assert set(np.argsort(power)[-3:]) == {300, 600, 900}
    assert power[[300, 600, 900]].sum() > 0.9999 * power.sum()


def test_impulses_are_evenly_spaced(clips):
    beats = []
    for x in clips[AudioType.IMPULSES]:
        places = np.flatnonzero(x)
        assert len(np.unique(x[places])) == 1
        gaps = np.diff(places)
        if len(gaps):
            assert np.ptp(gaps) <= 1
            beats.append(RATE / gaps.mean())
        assert len(places) <= 11
    assert min(beats) > 1.99 and max(beats) < 20.1 and np.std(beats) > 3


def test_silence(clips):
    assert not clips[AudioType.SILENCE].any()


def test_one_function_for_all(clips):
    """Each type by its number; what a key gives does not depend on the other keys."""
    kinds = (AudioType.CHIRP, AudioType.SINE)
    one = partial(synthesize, num_samples=SIZE, sample_rate=RATE, kinds=kinds)
    make = jax.jit(jax.vmap(one), **QUICKLY)
    result = np.asarray(make(KEYS[:5], jnp.arange(5, dtype=jnp.int32) % 2))
    for i in range(5):
        np.testing.assert_allclose(result[i], clips[kinds[i % 2]][i], atol=1e-6)
    np.testing.assert_array_equal(make(KEYS[4::-1], jnp.arange(5, dtype=jnp.int32)[::-1] % 2), result[::-1])
