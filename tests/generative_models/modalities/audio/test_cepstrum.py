import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.cepstrum import delta, mfcc
from audio_signals import far, sound


@pytest.fixture(scope="module")
def db() -> np.ndarray:
    bands = librosa.feature.melspectrogram(
        y=sound(22050, 11111), sr=22050, n_fft=1024, hop_length=256, n_mels=40
    )
    return librosa.power_to_db(bands)


@pytest.mark.parametrize(("n_mfcc", "lifter"), [(20, 0), (13, 22), (40, 1), (1, 0)])
def test_mfcc_is_librosas(db, n_mfcc, lifter):
    """Within 1e-6 of the largest."""
    assert (
        far(
            mfcc(jnp.asarray(db), n_mfcc=n_mfcc, lifter=lifter),
            librosa.feature.mfcc(S=db, n_mfcc=n_mfcc, lifter=lifter),
        )
        < 1e-6
    )


@pytest.mark.parametrize(("width", "order"), [(9, 1), (3, 1), (9, 2), (43, 3)])
def test_delta_is_librosas(db, width, order):
    """Within 1e-5 of the largest."""
    assert db.shape[1] == 44
    assert (
        far(
            delta(jnp.asarray(db), width=width, order=order),
            librosa.feature.delta(db, width=width, order=order),
        )
        < 1e-5
    )


def test_the_slope_of_a_line_is_its_slope():
    np.testing.assert_allclose(delta(2.5 * jnp.arange(12.0)[None] + 7), np.full((1, 12), 2.5), rtol=1e-5)
    np.testing.assert_allclose(
        delta(jnp.square(jnp.arange(12.0))[None], order=2), np.full((1, 12), 2), rtol=1e-4
    )


def test_bad_settings_are_told(db):
    x = jnp.asarray(db)
    with pytest.raises(ConfigError, match="`n_mfcc` 41 must not be more than the 40 mel bands"):
        mfcc(x, n_mfcc=41)
    with pytest.raises(ConfigError, match="`lifter` must be from 0"):
        mfcc(x, lifter=-1)
    with pytest.raises(ConfigError, match="`width` must be odd and more than `order` 1, got 4"):
        delta(x, width=4)
    with pytest.raises(ConfigError, match="`width` must be odd and more than `order` 3, got 3"):
        delta(x, width=3, order=3)
    with pytest.raises(ShapeError, match="`features` has 44 frames, fewer than `width` 45"):
        delta(x, width=45)
