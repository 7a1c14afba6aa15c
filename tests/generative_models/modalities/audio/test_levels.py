from functools import cache

import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from scipy import signal

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio import levels
from audio_signals import far, sound


@cache
def bands(exponent: int) -> np.ndarray:
    """Mel bands of a clip, (40, 63), float32."""
    return librosa.feature.melspectrogram(
        y=sound(16000, 16000), sr=16000, n_fft=1024, hop_length=256, n_mels=40, power=exponent
    )


@pytest.mark.parametrize("top_db", [80.0, 30.0, None])
@pytest.mark.parametrize("reference", [1.0, 20.0])
def test_decibels_are_librosas(reference, top_db):
    """Within 1e-6 of the largest."""
    power = levels.power_to_db(jnp.asarray(bands(2)), reference=reference, top_db=top_db)
    assert far(power, librosa.power_to_db(bands(2), ref=reference, top_db=top_db)) < 1e-6
    amplitude = levels.amplitude_to_db(jnp.asarray(bands(1)), reference=reference, top_db=top_db)
    assert far(amplitude, librosa.amplitude_to_db(bands(1), ref=reference, top_db=top_db)) < 1e-6


def test_decibels_by_hand():
    assert levels.power_to_db(jnp.array([1.0, 100.0, 1e-9]), top_db=60.0).tolist() == pytest.approx(
        [0, 20, -40]
    )
    assert levels.amplitude_to_db(jnp.array([1.0, 10.0, 0.0])).tolist() == pytest.approx([0, 20, -60])
    loudest = jnp.array([1.0, 100.0])
    assert levels.power_to_db(loudest, reference=jnp.max(loudest)).tolist() == pytest.approx([-20, 0])


def test_decibels_come_back():
    power, amplitude = jnp.asarray(bands(2)) + 1e-6, jnp.asarray(bands(1)) + 1e-3
    db = levels.power_to_db(power, reference=3.0, top_db=None)
    np.testing.assert_allclose(levels.db_to_power(db, reference=3.0), power, rtol=1e-5)
    db = levels.amplitude_to_db(amplitude, reference=3.0, top_db=None)
    np.testing.assert_allclose(levels.db_to_amplitude(db, reference=3.0), amplitude, rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"gain": 0.5, "bias": 10.0, "time_constant": 0.06}, {"exponent": 0.25, "floor": 1e-3}]
)
def test_pcen_is_librosas(settings):
    """Within 1e-5 of the largest."""
    names = {"exponent": "power", "floor": "eps"}
    scaled = bands(1) * np.float32(2**31)
    theirs = librosa.pcen(
        scaled, sr=16000, hop_length=256, **{names.get(name, name): value for name, value in settings.items()}
    )
    ours = levels.pcen(jnp.asarray(scaled), sample_rate=16000, hop_length=256, initial=1.0, **settings)
    assert far(ours, theirs) < 1e-5


def test_pcen_begins_with_the_first_frame():
    """Of the smoothing alone (an exponent and a gain of 1, no bias to speak of), against SciPy's filter."""
    s = bands(1).astype(np.float64)
    frames = 0.4 * 16000 / 256
    b = (np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    smooth, _ = signal.lfilter([b], [1, b - 1], s, axis=-1, zi=(1 - b) * s[:, :1])
    ours = levels.pcen(jnp.asarray(bands(1)), sample_rate=16000, gain=1.0, bias=1.0, exponent=1.0)
    assert far(ours, s / (smooth + 1e-6)) < 1e-5


def test_bad_levels_are_told():
    s = jnp.ones((2, 3))
    with pytest.raises(ConfigError, match="`floor` must be greater than 0, got 0"):
        levels.power_to_db(s, floor=0)
    with pytest.raises(ConfigError, match="`top_db` must be at least 0, got -1"):
        levels.amplitude_to_db(s, top_db=-1)
    with pytest.raises(ConfigError, match="`gain` must be at least 0 and at most 1, got 2"):
        levels.pcen(s, sample_rate=16000, gain=2)
    with pytest.raises(ConfigError, match="`bias` must be greater than 0, got 0"):
        levels.pcen(s, sample_rate=16000, bias=0)
