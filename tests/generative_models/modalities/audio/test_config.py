from dataclasses import is_dataclass

import jax
import jax.numpy as jnp
import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.generative_models.modalities.audio.config import AudioModalityConfig, SpectrogramType
from artifex.generative_models.modalities.audio.mel import EmptyFilterWarning, MelNorm, MelScale
from artifex.generative_models.modalities.audio.transforms import (
    griffin_lim,
    log_mel_spectrogram,
    magnitude_spectrogram,
)
from artifex.generative_models.modalities.audio.windows import Window


def test_defaults():
    config = AudioModalityConfig()
    assert is_dataclass(config)
    assert (config.sample_rate, config.duration, config.n_mels, config.n_fft) == (16000, 2.0, 80, 1024)
    assert (config.hop_length, config.win_length, config.f_min, config.f_max) == (256, 1024, 0, 8000)
    assert (config.window, config.spectrogram_type) == (Window.HANN, SpectrogramType.MEL)
    assert (config.mel_scale, config.mel_norm, config.normalize) == (MelScale.SLANEY, MelNorm.SLANEY, True)
    assert (config.n_time_steps, config.n_time_frames, config.spectrogram_shape) == (32000, 126, (80, 126))


def test_the_fields_of_the_document():
    config = AudioModalityConfig(sample_rate=16000, duration=1.0, n_mels=80, hop_length=512, normalize=True)
    assert (config.n_time_steps, config.n_time_frames) == (16000, 32)
    config = AudioModalityConfig(n_fft=1024, hop_length=256, spectrogram_type="stft")
    assert config.spectrogram_type is SpectrogramType.STFT and config.spectrogram_type == "stft"
    assert config.spectrogram_shape == (513, 126)


@pytest.mark.parametrize("kind", ["mel", "STFT"])
def test_the_shape_is_that_of_the_spectrogram(kind):
    config = AudioModalityConfig(
        sample_rate=8000, duration=0.33, n_mels=20, n_fft=256, hop_length=90, win_length=200, window="hamming",
        spectrogram_type=kind, mel_scale="htk", mel_norm="none", f_min=50.0, f_max=3500.0,
    )  # fmt: skip

    def everything(clip):
        bins = magnitude_spectrogram(clip, **config.stft_settings)
        bands = log_mel_spectrogram(clip, sample_rate=8000, floor=config.log_floor, **config.mel_settings)
        back = griffin_lim(jax.random.key(0), bins, length=config.n_time_steps, **config.istft_settings)
        return {"stft": bins, "mel": bands, "back": back}

    clip = jnp.zeros(config.n_time_steps)
    made = jax.eval_shape(everything, clip)
    assert made[config.spectrogram_type].shape == config.spectrogram_shape
    assert made["back"].shape == clip.shape == (config.n_time_steps,)


def test_it_survives_json_and_derives_anew_what_was_not_given():
    config = AudioModalityConfig(sample_rate=22050, window="BLACKMAN", duration=1)
    assert AudioModalityConfig.from_json(config.to_json()) == config
    assert config.to_dict()["window"] == "blackman" and config.f_max == 11025
    assert config.replace(sample_rate=8000).f_max == 4000
    assert config.replace(n_fft=512).win_length == 512
    assert AudioModalityConfig(f_max=6000).replace(sample_rate=44100).f_max == 6000


def test_bands_without_a_bin_are_warned_of():
    with pytest.warns(EmptyFilterWarning, match="of `n_mels` 128 filters have no bin.*take fewer bands"):
        AudioModalityConfig(n_fft=256, n_mels=128)
    AudioModalityConfig(n_fft=256, n_mels=128, spectrogram_type="stft")  # has no bands


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"sample_rate": 0}, ConfigError, "`sample_rate` must be from 1"),
        ({"sample_rate": 16000.0}, ConfigTypeError, "`sample_rate` must be an integer"),
        ({"sample_rate": 2**21}, ConfigError, "`sample_rate` must be from 1 to 1048576"),
        ({"duration": 0.0}, ConfigError, "`duration` must be above 0"),
        ({"duration": "2"}, ConfigTypeError, "`duration` must be a number"),
        ({"duration": 1e-5}, ConfigError, "`duration` 1e-05 s at `sample_rate` 16000 Hz makes 0 samples"),
        ({"duration": 1e6}, ConfigError, "makes 16000000000 samples.*durations are in seconds"),
        ({"n_fft": 0}, ConfigError, "`n_fft` must be from 1"),
        ({"n_fft": 1023}, ConfigError, "`n_fft` must be even, got 1023"),
        ({"hop_length": 0}, ConfigError, "`hop_length` must be from 1"),
        ({"hop_length": 2048}, ConfigError, "`hop_length` 2048 must not be more than `n_fft` 1024"),
        ({"win_length": 1025}, ConfigError, "`win_length` 1025 must not be more than `n_fft` 1024"),
        ({"n_mels": 0}, ConfigError, "`n_mels` must be from 1"),
        ({"n_mels": True}, ConfigTypeError, "`n_mels` must be an integer"),
        ({"f_min": -1}, ConfigError, "`f_min` must be at least 0"),
        ({"f_max": 8001}, ConfigError, "`f_max` 8001 Hz is more than half the sample rate, 8000.0 Hz"),
        ({"f_max": 8001, "spectrogram_type": "stft"}, ConfigError, "`f_max` 8001 Hz is more than half"),
        ({"f_min": 8000}, ConfigError, "`f_min` 8000 Hz must be below `f_max`"),
        ({"log_floor": 0}, ConfigError, "`log_floor` must be greater than 0"),
        ({"window": "hanning"}, UnknownNameError, "unknown `window` 'hanning'.*did you mean 'hann'"),
        ({"spectrogram_type": "cqt"}, UnknownNameError, "unknown `spectrogram_type` 'cqt'.*'mel', 'stft'"),
        ({"mel_scale": "bark"}, UnknownNameError, "unknown `mel_scale` 'bark'"),
        ({"mel_norm": 2}, ConfigTypeError, "`mel_norm` must be one of 'slaney', 'none'"),
        ({"normalize": 1}, ConfigTypeError, "`normalize` must be True or False"),
    ],
)
def test_bad_fields_are_told(fields, error, message):
    with pytest.raises(error, match=message):
        AudioModalityConfig(**fields)
