from functools import cache, partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import stft
from audio_signals import CASES, Case, far, for_librosa, sound

INVERSE = ("hop_length", "win_length", "window", "center")


@cache
def theirs(case: Case) -> np.ndarray:
    return librosa.stft(case.clip, **for_librosa(case))


def inverse(case: Case) -> dict:
    return {name: value for name, value in case.settings.items() if name in INVERSE}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_spectra_and_their_inverse_are_librosas(case):
    """Within 1e-6 of the largest bin or sample."""

    @jax.jit
    def there_and_back(clip):
        spectrum = stft.stft(clip, **case.settings)
        back = stft.istft(
            spectrum, length=case.n if case.settings.get("center", True) else None, **inverse(case)
        )
        return spectrum, stft.power(spectrum), stft.magnitude(spectrum), back

    spectrum, powers, magnitudes, back = there_and_back(case.clip)
    expected = theirs(case)
    assert far(spectrum, expected) < 1e-6
    assert far(powers, np.abs(expected) ** 2) < 1e-6
    assert far(magnitudes, np.abs(expected)) < 1e-6
    if case.settings.get("center", True):
        assert far(back, case.clip) < 1e-6
    else:  # the windows fade at both ends, where what they take away cannot all be had again
        clip = librosa.istft(expected, n_fft=case.settings["n_fft"], **inverse(case))
        middle = slice(100, len(back) - 100)
        assert back.shape == clip.shape
        assert far(back[middle], clip[middle]) < 2e-6
        assert far(back[middle], case.clip[middle]) < 2e-6


def test_spectrograms_are_those_of_the_spectrum():
    case = CASES[2]
    spectrum = theirs(case)
    assert (
        far(jax.jit(partial(stft.magnitude_spectrogram, **case.settings))(case.clip), np.abs(spectrum)) < 1e-6
    )
    assert (
        far(jax.jit(partial(stft.power_spectrogram, **case.settings))(case.clip), np.abs(spectrum) ** 2)
        < 1e-6
    )


def test_a_cosine_lies_in_its_bin():
    """Under a window of weight 1, a cosine of whole periods has n / 2 in its bin and nothing in the others."""
    clip = jnp.cos(2 * jnp.pi * 3 * jnp.arange(32.0) / 32)
    spectrum = stft.stft(clip, n_fft=32, hop_length=32, window="rectangular", center=False)
    expected = np.zeros((17, 1))
    expected[3] = 16
    np.testing.assert_allclose(spectrum, expected, atol=1e-5)


def test_without_a_length_the_last_samples_may_be_missing():
    case = CASES[0]

    @jax.jit
    def there_and_back(clip):
        spectrum = stft.stft(clip, **case.settings)
        return stft.istft(spectrum, hop_length=256), stft.istft(spectrum, hop_length=256, length=17000)

    back, longer = there_and_back(case.clip[:-100])
    assert back.shape == (256 * (15900 // 256),)
    assert far(back, case.clip[: len(back)]) < 1e-6
    assert longer.shape == (17000,) and not longer[16600:].any()


class DrawnByJax(np.random.RandomState):
    """librosa's source of phases, with ours in it."""

    def random(self, size):
        return np.asarray(jax.random.uniform(jax.random.key(3), size))


def test_griffin_lim_is_librosas_from_the_same_phases():
    """Within 1e-4 after 8 iterations, which multiply rounding errors."""
    case = CASES[2]
    sizes, settings = np.abs(theirs(case)), {"pad_mode": "constant", **inverse(case)}
    ours = jax.jit(partial(stft.griffin_lim, n_iter=8, length=case.n, **settings))
    drawn = {"random_state" if librosa.__version__ < "1" else "rng": DrawnByJax()}
    for momentum in (0.0, 0.99):
        found = ours(jax.random.key(3), sizes, momentum=jnp.float32(momentum))
        expected = librosa.griffinlim(sizes, n_iter=8, momentum=momentum, length=case.n, **drawn, **settings)
        assert far(found, expected) < 1e-4


def test_griffin_lim_finds_a_clip_with_those_magnitudes():
    """The error of the magnitudes is below 0.15 of them, from whatever phases."""
    sizes = stft.magnitude_spectrogram(jnp.asarray(sound(8000, 4000)), n_fft=512, hop_length=128)

    @jax.jit
    def error(key):
        clip = stft.griffin_lim(key, sizes, n_iter=64, hop_length=128)
        found = stft.magnitude_spectrogram(clip, n_fft=512, hop_length=128)
        return jnp.linalg.norm(found - sizes) / jnp.linalg.norm(sizes)

    first, second = (float(error(jax.random.key(seed))) for seed in (0, 1))
    assert first < 0.15 and second < 0.15 and first != second


def test_griffin_lim_of_silence_is_silence_whatever_the_length():
    silence = jax.jit(partial(stft.griffin_lim, n_iter=2, hop_length=64, length=500))
    clip = silence(jax.random.key(0), np.zeros((129, 5), np.float32))
    assert clip.shape == (500,) and not clip.any()


def test_vmapped_is_one_per_clip():
    clips = np.stack([sound(8000, 2000, seed) for seed in (0, 1)])
    one = partial(stft.magnitude_spectrogram, n_fft=256, hop_length=96)
    together = jax.jit(jax.vmap(one))(clips)
    assert far(together, [jax.jit(one)(clip) for clip in clips]) < 1e-6


def test_bad_settings_are_told():
    clip = jnp.zeros(64)
    with pytest.raises(ConfigError, match="`n_fft` must be even, got 31"):
        stft.stft(clip, n_fft=31, hop_length=8)
    with pytest.raises(ConfigError, match="`hop_length` 256 must not be more than `n_fft` 32"):
        stft.stft(clip, n_fft=32)
    with pytest.raises(ShapeError, match="`waveform` has 64 samples, which is less than one frame of 128"):
        stft.stft(clip, n_fft=128, hop_length=8, center=False)
    with pytest.raises(ConfigError, match="`hop_length` 32 leaves gaps between windows of 32"):
        stft.istft(jnp.zeros((17, 3), jnp.complex64), hop_length=32)
    with pytest.raises(ConfigError, match="`momentum` must be at least 0 and at most 1, got 2"):
        stft.griffin_lim(jax.random.key(0), jnp.zeros((17, 3)), momentum=2, hop_length=8)
