"""What holds for all of them: 16-bit clips, and gradients where there is no sound."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.modalities.audio import transforms as T
from audio_signals import sound

RATE = {"sample_rate": 8000}
CUT = {"n_fft": 256, "hop_length": 128}
FRAMES = {"frame_length": 256, "hop_length": 128}


def bins(clip):
    return T.magnitude_spectrogram(clip, **CUT)


def bands(clip, exponent=2):
    return T.mel_spectrogram(clip, n_mels=20, exponent=exponent, **RATE, **CUT)


OF_A_CLIP = {
    "peak_normalize": T.peak_normalize,
    "resample": partial(T.resample, from_rate=8000, to_rate=6000),
    "istft": lambda x: T.istft(T.stft(x, **CUT), hop_length=128),
    "griffin_lim": lambda x: T.griffin_lim(jax.random.key(0), bins(x), n_iter=2, hop_length=128),
    "power_spectrogram": partial(T.power_spectrogram, **CUT),
    "magnitude_spectrogram": bins,
    "log_mel_spectrogram": partial(T.log_mel_spectrogram, n_mels=20, **RATE, **CUT),
    "mel_of_magnitudes": partial(bands, exponent=1),
    "mel_to_spectrogram": lambda x: T.mel_to_spectrogram(bands(x), n_fft=256, n_iter=2, n_mels=20, **RATE),
    "mfcc": lambda x: T.mfcc(T.power_to_db(bands(x))),
    "delta": lambda x: T.delta(T.power_to_db(bands(x))),
    "amplitude_to_db": lambda x: T.amplitude_to_db(bins(x)),
    "pcen": lambda x: T.pcen(bands(x, 1), **RATE),
    "spectral_centroid": lambda x: T.spectral_centroid(bins(x), **RATE),
    "spectral_bandwidth": lambda x: T.spectral_bandwidth(bins(x), **RATE),
    "spectral_rolloff": lambda x: T.spectral_rolloff(bins(x), **RATE),
    "spectral_flatness": lambda x: T.spectral_flatness(bins(x)),
    "rms": partial(T.rms, **FRAMES),
    "zero_crossing_rate": partial(T.zero_crossing_rate, **FRAMES),
    "loudness": partial(T.loudness, **RATE),
}
HALF_SILENT = np.concatenate([np.zeros(2000, np.float32), sound(8000, 2000)])


def gradients(names):
    return jax.jit(jax.grad(lambda x: sum(OF_A_CLIP[name](x).sum() for name in names)))


def test_gradients_are_finite_in_silence_and_beside_it():
    """Of the sum of all, which is one program: it has a NaN or an infinity if one of them has."""
    run = gradients(OF_A_CLIP)
    for clip in (np.zeros(4000, np.float32), HALF_SILENT):
        if not bool(jnp.isfinite(run(clip)).all()):
            assert [n for n in OF_A_CLIP if not bool(jnp.isfinite(gradients([n])(clip)).all())] == []
            raise AssertionError("each is finite, but their sum is not")


def test_values_are_finite_in_silence():
    """But for loudness, of which silence has none."""
    finite = jax.jit(lambda x: {name: jnp.isfinite(f(x)).all() for name, f in OF_A_CLIP.items()})
    assert [
        name for name, is_finite in finite(np.zeros(4000, np.float32)).items() if not bool(is_finite)
    ] == ["loudness"]


@pytest.mark.parametrize("name", ["resample", "log_mel_spectrogram", "rms", "peak_normalize"])
def test_16_bit_clips_are_worked_on_in_float32(name):
    clip = jnp.asarray(sound(8000, 4000), jnp.bfloat16)
    result, wide = OF_A_CLIP[name](clip), OF_A_CLIP[name](clip.astype(jnp.float32))
    assert result.dtype == (jnp.bfloat16 if name in ("resample", "peak_normalize") else jnp.float32)
    np.testing.assert_array_equal(result, wide.astype(result.dtype))
