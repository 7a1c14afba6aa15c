from functools import cache
from math import gcd

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import soxr
from scipy import signal

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import resample as module
from artifex.generative_models.modalities.audio.resample import resample, resampled_length
from audio_signals import far, sound

N = 3999
RATES = [
    (44100, 16000),
    (22050, 16000),
    (48000, 16000),
    (16000, 8000),
    (8000, 16000),
    (16000, 22050),
    (16000, 44100),
]


@cache
def converter(from_rate: int, to_rate: int):
    return jax.jit(lambda x: resample(x, from_rate=from_rate, to_rate=to_rate))


def tone(hz: float, rate: int, n: int) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(n) / rate + 0.3).astype(np.float32)


# The last two have so many phases that they are made group by group, and the very last not all of them.
@pytest.mark.parametrize(
    ("from_rate", "to_rate", "n"),
    [
        *((*rates, N) for rates in RATES),
        (44100, 16000, 50),
        (16000, 8000, 1),
        (8000, 16000, 1),
        (8000, 192000, 1),
        (12345, 16000, N),
        (8000, 8001, 900),
    ],
)
def test_it_is_scipys_with_the_same_filter(from_rate, to_rate, n):
    """`resample_poly`, which sums over the same taps one by one; within 1e-6 of the largest sample."""
    common = gcd(from_rate, to_rate)
    up, down = to_rate // common, from_rate // common
    half = module._HALF_WIDTH * max(1, down / up)
    taps = np.arange(-int(half * up), int(half * up) + 1) / up
    cutoff = min(1, up / down) * (1 + module._PASS) / 2
    window = np.i0(module._BETA * np.sqrt(1 - (taps / half) ** 2)) / np.i0(module._BETA)
    clip = sound(from_rate, N)[:n]
    # It multiplies by `up` by itself.
    expected = signal.resample_poly(
        clip.astype(np.float64), up, down, window=cutoff * np.sinc(cutoff * taps) * window / up
    )
    ours = converter(from_rate, to_rate)(clip)
    assert ours.shape == (resampled_length(n, from_rate=from_rate, to_rate=to_rate),)
    assert far(ours, expected) < 1e-6


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_what_lies_beyond_is_damped_by_90_db_and_what_lies_below_stays(from_rate, to_rate):
    """Tones above half the lower rate leave nothing (a clip's ends apart); those below 0.91 of it are whole."""
    lower, n = min(from_rate, to_rate) / 2, N
    run = converter(from_rate, to_rate)
    if to_rate < from_rate:
        for hz in np.linspace(lower, from_rate / 2, 7)[:-1]:
            leak = np.asarray(run(tone(hz, from_rate, n)))
            middle = slice(len(leak) // 5, -len(leak) // 5)
            assert 20 * np.log10(np.abs(leak[middle]).max()) < -90, hz
    for hz in (50, 0.3 * lower, 0.9 * lower):
        kept = np.asarray(run(tone(hz, from_rate, n)))
        middle = slice(len(kept) // 5, -len(kept) // 5)
        np.testing.assert_allclose(kept[middle], tone(hz, to_rate, len(kept))[middle], atol=1e-5)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES[4:6])
def test_no_image_is_left_above_what_there_was(from_rate, to_rate):
    clip = tone(0.4 * from_rate, from_rate, N)
    result = np.asarray(converter(from_rate, to_rate)(clip), np.float64)
    spectrum = np.abs(np.fft.rfft(result * signal.windows.blackmanharris(len(result))))
    hz = np.fft.rfftfreq(len(result), 1 / to_rate)
    assert 20 * np.log10(spectrum[hz > from_rate / 2].max() / spectrum.max()) < -90


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (16000, 8000), (16000, 22050)])
def test_it_agrees_with_soxr(from_rate, to_rate):
    """Below 0.9 of half the lower rate and away from the ends, within 3e-4 of the largest
    sample: soxr lets its passband fall by up to 0.01 dB.
    """
    clip = sound(from_rate, N)
    band = signal.firwin(801, 0.85 * min(from_rate, to_rate) / 2, fs=from_rate)
    clip = signal.fftconvolve(clip, band, mode="same").astype(np.float32)
    theirs = soxr.resample(clip, from_rate, to_rate, quality="HQ")
    ours = np.asarray(converter(from_rate, to_rate)(clip))
    n = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 1
    assert far(ours[300 : n - 300], theirs[300 : n - 300]) < 3e-4


@pytest.mark.parametrize("n", [1, 3999, 4000, 4001])
@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_the_length_is_librosas(from_rate, to_rate, n):
    theirs = librosa.resample(
        np.zeros(n, np.float32), orig_sr=from_rate, target_sr=to_rate, res_type="polyphase"
    )
    assert resampled_length(n, from_rate=from_rate, to_rate=to_rate) == len(theirs)


def test_equal_rates_change_nothing():
    clip = jnp.asarray(sound(8000, 100), jnp.bfloat16)
    result = resample(clip, from_rate=8000, to_rate=8000)
    assert result.dtype == jnp.bfloat16 and bool((result == clip).all())


def test_it_vmaps_and_its_gradient_is_its_transpose():
    """It is linear: <A x, y> = <x, A' y>, where A' is the gradient."""
    run = converter(16000, 8000)
    clips = np.stack([sound(16000, N, seed) for seed in (0, 1)])
    assert far(jax.vmap(run)(clips), [run(clip) for clip in clips]) < 1e-6
    there, back = jax.vjp(run, jnp.asarray(clips[0]))
    weights = jnp.asarray(clips[1][:2000])
    assert float(there @ weights) == pytest.approx(float(clips[0] @ back(weights)[0]), rel=1e-4)


def test_bad_rates_are_told():
    clip = jnp.zeros(10)
    with pytest.raises(ConfigError, match="`from_rate` must be from 1"):
        resample(clip, from_rate=0, to_rate=8000)
    with pytest.raises(ConfigError, match="is 160001 / 441000 in lowest terms.*larger common divisor"):
        resample(clip, from_rate=441000, to_rate=160001)
    with pytest.raises(ShapeError, match="`waveform` has no samples"):
        resample(clip[:0], from_rate=16000, to_rate=8000)
