from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import features
from artifex.generative_models.modalities.audio.stft import magnitude_spectrogram
from audio_signals import far, sound

# (rate, samples, n_fft, hop)
CASES = [(16000, 16000, 1024, 256), (44100, 12345, 2048, 512), (8000, 8001, 256, 100)]


@pytest.fixture(scope="module", params=CASES, ids=str)
def both(request):
    """Ours, made in one call, and librosa's."""
    rate, n, n_fft, hop = request.param
    clip = sound(rate, n)
    bins = np.abs(librosa.stft(clip, n_fft=n_fft, hop_length=hop))

    @jax.jit
    def ours(magnitudes, waveform):
        cut = {"frame_length": n_fft, "hop_length": hop}
        return {
            "centroid": features.spectral_centroid(magnitudes, sample_rate=rate),
            "bandwidth": features.spectral_bandwidth(magnitudes, sample_rate=rate),
            "bandwidth of order 3": features.spectral_bandwidth(magnitudes, sample_rate=rate, order=3),
            "rolloff": features.spectral_rolloff(magnitudes, sample_rate=rate),
            "rolloff of 1 %": features.spectral_rolloff(magnitudes, sample_rate=rate, share=0.01),
            "flatness": features.spectral_flatness(magnitudes),
            "rms": features.rms(waveform, **cut),
            "rms within": features.rms(waveform, center=False, **cut),
            "zero crossings": features.zero_crossing_rate(waveform, **cut),
            "zero crossings within": features.zero_crossing_rate(waveform, center=False, **cut),
        }

    module, known = librosa.feature, {"S": bins, "sr": rate}
    cut = {"frame_length": n_fft, "hop_length": hop}
    theirs = {
        "centroid": module.spectral_centroid(**known),
        "bandwidth": module.spectral_bandwidth(**known),
        "bandwidth of order 3": module.spectral_bandwidth(**known, p=3),
        "rolloff": module.spectral_rolloff(**known),
        "rolloff of 1 %": module.spectral_rolloff(**known, roll_percent=0.01),
        "flatness": module.spectral_flatness(S=bins),
        "rms": module.rms(y=clip, **cut),
        "rms within": module.rms(y=clip, center=False, **cut),
        "zero crossings": module.zero_crossing_rate(clip, **cut),
        "zero crossings within": module.zero_crossing_rate(clip, center=False, **cut),
    }
    return ours(bins, clip), theirs


@pytest.mark.parametrize(
    "name",
    [
        "centroid",
        "bandwidth",
        "bandwidth of order 3",
        "flatness",
        "rms",
        "rms within",
        "zero crossings",
        "zero crossings within",
    ],
)
def test_features_are_librosas(both, name):
    """Within 1e-5 of the largest."""
    ours, theirs = both
    assert far(ours[name][None], theirs[name]) < 1e-5


@pytest.mark.parametrize("name", ["rolloff", "rolloff of 1 %"])
def test_rolloff_is_librosas(both, name):
    """In all frames but those, under 2 %, where the sum meets the limit within its rounding."""
    ours, theirs = both
    assert (np.abs(ours[name] - theirs[name][0]) > 1e-4 * theirs[name].max()).mean() < 0.02


def test_features_by_hand():
    bins = jnp.array([[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]])  # 0, 1000 and 2000 Hz; the second frame is silent
    assert features.spectral_centroid(bins, sample_rate=4000).tolist() == [1000, 0]
    expected = [np.sqrt(0.5) * 1000, 0]
    assert features.spectral_bandwidth(bins, sample_rate=4000).tolist() == pytest.approx(expected)
    assert features.spectral_rolloff(bins, sample_rate=4000, share=0.75).tolist() == [1000, 0]
    assert features.spectral_rolloff(bins, sample_rate=4000, share=0.76).tolist() == [2000, 0]
    assert features.spectral_flatness(bins).tolist() == pytest.approx([4 ** (1 / 3) / 2, 1], rel=1e-5)
    square = jnp.array([0.5, -0.5, 0.0, 0.5, -0.5, -0.5, -1e-12, -0.5])
    cut = {"frame_length": 8, "hop_length": 8, "center": False}
    assert features.zero_crossing_rate(square, **cut).tolist() == [5 / 8]
    assert features.rms(square, **cut).tolist() == pytest.approx([0.5 * np.sqrt(6 / 8)])


def test_a_tone_has_its_frequency_for_a_centroid():
    clip = jnp.asarray(np.sin(2 * np.pi * 1000 * np.arange(4096) / 16000), jnp.float32)
    bins = jax.jit(partial(magnitude_spectrogram, center=False))(clip)
    assert features.spectral_centroid(bins, sample_rate=16000)[0] == pytest.approx(1000, abs=5)
    assert features.spectral_flatness(bins)[0] < 1e-3


@pytest.mark.parametrize("measure", [features.spectral_centroid, features.spectral_bandwidth])
def test_gradients_of_faint_spectra_are_finite_and_those_of_loud_ones_over_the_scale(measure):
    def summed(bins):
        return jnp.sum(measure(bins, sample_rate=4000))

    gradient = jax.jit(jax.value_and_grad(summed))
    # Two frames: some of all bins, and one bin alone, whose bandwidth is 0.
    shape = np.stack([np.random.default_rng(0).uniform(0.1, 1, 33), np.eye(33)[20]], axis=1)
    value, loud = gradient(jnp.asarray(shape, jnp.float32))
    for scale in (1e-6, 1e-18, 1e-20, 1e-22, 1e-30):
        found, faint = gradient(jnp.asarray(scale * shape, jnp.float32))
        assert found == pytest.approx(float(value), rel=1e-5)
        scaled = np.asarray(faint, np.float64) * scale
        np.testing.assert_allclose(scaled, loud, rtol=1e-4, atol=1e-5 * np.abs(loud).max())
    for scale in (1e-36, 1e-39, 0):
        assert np.isfinite(gradient(jnp.asarray(scale * shape, jnp.float32))[1]).all()


def test_bad_settings_are_told():
    bins = jnp.ones((3, 2))
    with pytest.raises(ConfigError, match="`order` must be at least 1, got 0.5"):
        features.spectral_bandwidth(bins, sample_rate=4000, order=0.5)
    with pytest.raises(ConfigError, match="`share` must be at least 0 and at most 1, got 85"):
        features.spectral_rolloff(bins, sample_rate=4000, share=85)
    with pytest.raises(ConfigError, match="`sample_rate` must be greater than 0, got 0"):
        features.spectral_centroid(bins, sample_rate=0)
    with pytest.raises(ShapeError, match="`waveform` has 7 samples, which is less than one frame of 1024"):
        features.rms(jnp.zeros(7), center=False)
