"""The audio modality: librosa and hand-worked cases say what comes out."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
from flax import nnx

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError, UnknownNameError
from artifex.generative_models.modalities import AudioModality, AudioModalityConfig, Modality, get_modality
from artifex.generative_models.modalities.audio import Waveform
from artifex.generative_models.modalities.base import BaseModalityImplementation, BaseProcessor

RATE = 8000
CONFIG = AudioModalityConfig(sample_rate=RATE, duration=0.5, n_mels=32, n_fft=256, hop_length=64)


def modality(**changes):
    return AudioModality(CONFIG.replace(**changes), rngs=nnx.Rngs(0))


def tone(seconds, rate=RATE, frequency=440.0, level=0.5):
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def test_it_is_a_modality():
    one = modality()
    assert isinstance(one, Modality) and isinstance(one, BaseModalityImplementation)
    assert isinstance(one, BaseProcessor) and get_modality("audio") is AudioModality
    assert (one.sample_rate, one.duration, one.n_time_steps, one.n_time_frames) == (RATE, 0.5, 4000, 63)
    assert (one.output_shape, one.spectrogram_shape) == ((4000,), (32, 63))
    with pytest.raises(ConfigTypeError, match="`config` must be an AudioModalityConfig, got str"):
        AudioModality("audio", rngs=nnx.Rngs(0))


@pytest.mark.parametrize("seconds", [0.25, 0.5, 0.7])
def test_a_clip_gets_its_length_and_level(seconds):
    clip = tone(seconds)
    done = np.asarray(modality().process(clip))
    assert done.shape == (4000,) and done.dtype == np.float32
    n = min(4000, len(clip))
    np.testing.assert_allclose(done[:n], clip[:n] / np.abs(clip[:n]).max(), atol=1e-6)
    assert not done[n:].any()
    np.testing.assert_array_equal(modality(normalize=False).process(clip)[:n], clip[:n])


def test_a_batch_is_its_clips_and_jit_traces():
    one = modality()
    batch = np.stack([tone(0.4), tone(0.4, frequency=1000, level=0.1)])
    done = one.process(jnp.asarray(batch))
    for row, clip in zip(done, batch, strict=True):
        np.testing.assert_allclose(row, one.process(clip), atol=1e-6)
    np.testing.assert_allclose(jax.jit(one.process)(jnp.asarray(batch)), done, atol=1e-6)
    np.testing.assert_array_equal(one.preprocess(batch), done)
    np.testing.assert_array_equal(one.process_audio(batch), done)


def test_silence_stays_silence():
    assert not np.asarray(modality().process(np.zeros(100, np.float32))).any()


@pytest.mark.parametrize(
    ("dtype", "low", "high", "expected"),
    [
        ("int16", -(2**15), 2**14, (-1, 0.5)),
        ("int32", -(2**31), 2**30, (-1, 0.5)),
        ("uint8", 0, 192, (-1, 0.5)),
    ],
)
def test_integers_as_in_wav_files(dtype, low, high, expected):
    done = np.asarray(modality(normalize=False).process(np.array([low, high], dtype)))
    np.testing.assert_allclose(done[:2], expected, atol=1e-6)


@pytest.mark.parametrize("rate", [16000, 44100, 4000])
def test_another_rate_is_resampled(rate):
    """A tone keeps its pitch: to 1e-3 it is the tone at the new rate, but for the ends."""
    clip = tone(0.5, rate)
    for done in (
        modality(normalize=False).process(clip, sample_rate=rate),
        modality(normalize=False).process(Waveform(clip, rate)),
    ):
        np.testing.assert_allclose(done[200:-200], tone(0.5)[200:-200], atol=1e-3)


def test_channels_of_a_waveform_are_mixed():
    stereo = Waveform(np.stack([tone(0.5), np.zeros(4000, np.float32)]), RATE)
    np.testing.assert_allclose(modality(normalize=False).process(stereo), tone(0.5) / 2, atol=1e-7)


def test_rates_that_contradict_each_other():
    with pytest.raises(ConfigError, match="`sample_rate` 4000 is not the 8000 Hz that the waveform carries"):
        modality().process(Waveform(tone(0.1), RATE), sample_rate=4000)


@pytest.mark.parametrize(
    "method", ["compute_spectrogram", "compute_mel_spectrogram", "compute_stft", "compute_mfcc"]
)
def test_spectrograms_are_made_of_sound_at_the_configs_rate(method):
    compute = getattr(modality(), method)
    with pytest.raises(ConfigError, match="carries 4000 Hz, and `sample_rate` of the config is 8000"):
        compute(Waveform(tone(0.1), 4000))
    mixed = compute(Waveform(np.stack([tone(0.1), 0 * tone(0.1)]), RATE))
    np.testing.assert_allclose(mixed, compute(tone(0.1) / 2), atol=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([0.0, 1.0], "must be an array, got list"),
        (np.zeros(4, np.int64), "must be of floats .* got int64"),
        (np.zeros((2, 2, 2), np.float32), r"must have shape \(t,\), or \(b, t\)"),
        (np.zeros(0, np.float32), "with a sample at least"),
        (np.zeros(4, np.complex64), "must be of floats"),
    ],
)
def test_what_is_no_waveform_is_told(data, message):
    with pytest.raises(ShapeError, match=message):
        modality().process(data)
    with pytest.raises(ShapeError, match=message):
        modality().validate_data_shape(data)


def test_mel_spectrograms_are_librosas():
    clip = tone(0.5) + 0.1 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    made = np.asarray(modality().compute_mel_spectrogram(clip))
    expected = librosa.feature.melspectrogram(
        y=clip, sr=RATE, n_fft=256, hop_length=64, n_mels=32, pad_mode="reflect"
    )
    assert made.shape == (32, 63)
    np.testing.assert_allclose(np.exp(made), np.maximum(expected, 1e-5), rtol=1e-4)
    np.testing.assert_array_equal(modality().compute_spectrogram(clip), made)
    assert modality().compute_mel_spectrogram(np.stack([clip, clip])).shape == (2, 32, 63)


def test_stfts_are_librosas_and_go_back():
    clip = tone(0.5)
    one = modality(spectrogram_type="stft")
    made = np.asarray(one.compute_stft(clip))
    expected = librosa.stft(clip, n_fft=256, hop_length=64, pad_mode="reflect")
    np.testing.assert_allclose(made, expected, atol=1e-3)
    np.testing.assert_allclose(one.compute_spectrogram(clip), np.abs(expected), atol=1e-3)
    np.testing.assert_allclose(one.inverse_stft(made), clip, atol=1e-5)
    assert one.inverse_stft(np.stack([made, made]), length=100).shape == (2, 100)
    with pytest.raises(ShapeError, match="`spectrum` must be complex"):
        one.inverse_stft(np.abs(made))


@pytest.mark.parametrize("shape", [(20, 5), (513, 5), (129, 0), (0, 129, 5)])
def test_spectra_that_are_not_the_configs_are_told(shape):
    with pytest.raises(ShapeError, match=r"`spectrum` must be complex \(129, n\)"):
        modality().inverse_stft(np.zeros(shape, np.complex64))


def test_mfcc_are_librosas():
    clip = tone(0.5) + 0.1 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    expected = librosa.feature.mfcc(
        y=clip, sr=RATE, n_fft=256, hop_length=64, n_mels=32, n_mfcc=13, pad_mode="reflect"
    )
    made = np.asarray(modality().compute_mfcc(clip, 13))
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(ConfigError, match="`n_mfcc` must be from 1 to 32, got 33"):
        modality().compute_mfcc(clip, 33)


@pytest.mark.parametrize("kind", ["mel", "stft"])
def test_features_become_sound_again(kind):
    """The sound of a spectrogram has nearly that spectrogram: within 20 % in the Frobenius norm of magnitudes."""
    one = modality(spectrogram_type=kind)
    clip = one.process(tone(0.5) + tone(0.5, frequency=1100, level=0.3))
    features = one.compute_spectrogram(clip)
    heard = one.postprocess(features)
    assert heard.shape == (4000,) and float(jnp.abs(heard).max()) <= 1
    again = np.asarray(one.compute_spectrogram(heard))
    pair = [np.exp(x / 2) if kind == "mel" else x for x in (again, np.asarray(features))]
    assert np.linalg.norm(pair[0] - pair[1]) < 0.2 * np.linalg.norm(pair[1])
    batch = one.postprocess(jnp.stack([features, features]), key=jax.random.key(1))
    assert batch.shape == (2, 4000) and not np.array_equal(batch[0], batch[1])
    # As long as the frames of a part of it reach.
    assert one.postprocess(features[:, :11]).shape == (640,)


def test_gradients_go_back_through_sound_of_spectrograms():
    """Bins that no mel band sees have magnitude 0, of which the root must have a gradient."""
    one = modality(duration=0.03, n_mels=8, n_fft=64, hop_length=16)
    mel = one.compute_spectrogram(one.process(tone(0.03)))
    gradient = jax.jit(jax.grad(lambda x: jnp.square(one.postprocess(x, n_iter=1)).sum()))(mel)
    assert bool(jnp.isfinite(gradient).all()) and float(jnp.abs(gradient).max()) > 0


def test_clips_of_a_model_are_cut_to_full_scale():
    one = modality()
    np.testing.assert_array_equal(one.postprocess(np.float32([-2, 0.5, 3])), [-1, 0.5, 1])
    assert one.postprocess(jnp.zeros((32, 4000))).shape == (
        32,
        4000,
    )  # clips, though there are as many as bands
    with pytest.raises(ShapeError, match=r"or spectrograms \(b, 32, n\), got \(2, 31, 63\)"):
        one.postprocess(jnp.zeros((2, 31, 63)))
    with pytest.raises(ShapeError, match="must be an array of floats, got int32"):
        one.postprocess(jnp.zeros(4, jnp.int32))


def test_generate_takes_what_a_sampler_draws():
    one, asked = modality(), []

    def sampler(key, shape):
        asked.append(shape)
        return 2 * jax.random.normal(key, shape)

    made = one.generate(3, sampler=sampler, key=jax.random.key(0))
    assert made.shape == (3, 4000) and float(jnp.abs(made).max()) <= 1
    np.testing.assert_array_equal(made, one.generate(3, sampler=sampler, key=jax.random.key(0)))
    assert not np.array_equal(one.generate(sampler=sampler), one.generate(sampler=sampler))
    assert one.generate(2, sampler=lambda key, shape: jnp.zeros(shape), domain="spectrogram").shape == (
        2,
        4000,
    )
    assert asked == [(3, 4000), (3, 4000), (1, 4000), (1, 4000)]
    with pytest.raises(ShapeError, match=r"`sampler` must return shape \(1, 4000\), got \(4000,\)"):
        one.generate(sampler=lambda key, shape: jnp.zeros(4000))
    with pytest.raises(UnknownNameError, match="domain"):
        one.generate(sampler=sampler, domain="image")


def test_losses_by_hand():
    one = modality()
    target, prediction = jnp.zeros((2, 2000)), jnp.full((2, 2000), 0.5)
    assert float(one.loss_fn({"audio": target}, prediction)["loss"]) == 0.5
    assert float(one.loss_fn(target, {"audio": prediction}, kind="l2")["loss"]) == 0.25
    clips = jnp.asarray(np.stack([tone(0.25), tone(0.25, frequency=900)]))
    assert float(one.loss_fn(clips, clips, kind="multi_resolution_stft")["loss"]) == 0
    assert float(one.loss_fn(clips, clips[::-1], kind="multi_resolution_stft")["loss"]) > 1
    with pytest.raises(ShapeError, match="the same shape"):
        one.loss_fn(clips, clips[:1])
    with pytest.raises(ShapeError, match="the key 'audio'"):
        one.loss_fn({"sound": clips}, clips)
