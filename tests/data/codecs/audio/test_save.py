import os

import numpy as np
import pytest
import soundfile

from artifex.data.codecs.audio import (
    ClippedWarning,
    Waveform,
    load_audio_file,
    read_audio_info,
    save_audio_file,
)
from artifex.data.errors import ConfigError, ConfigTypeError, RangeError, ShapeError, UnknownNameError
from audio_files import sound

BITS = {
    ("a.wav", "PCM_U8"): 8,
    ("a.wav", "PCM_16"): 16,
    ("a.wav", "PCM_24"): 24,
    ("a.wav", "PCM_32"): 32,
    ("a.flac", "PCM_16"): 16,
    ("a.flac", "PCM_24"): 24,
    ("a.flac", "PCM_S8"): 8,
    ("a.aiff", "PCM_16"): 16,
    ("a.aif", "PCM_24"): 24,
}


@pytest.mark.parametrize(("name", "subtype"), BITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_whole_numbers_are_rounded_to_the_nearest(name, subtype, channels, tmp_path):
    samples = sound(8000, 0.2, channels).T
    save_audio_file(tmp_path / name, samples, 8000, subtype=subtype)
    back = load_audio_file(tmp_path / name, mono=False)
    assert read_audio_info(tmp_path / name).subtype == subtype
    np.testing.assert_allclose(back, samples, rtol=0, atol=0.5 / 2 ** (BITS[name, subtype] - 1) + 1e-12)
    # What was read is written back bit by bit.
    save_audio_file(tmp_path / f"2{name}", back, 8000, subtype=subtype)
    assert (tmp_path / f"2{name}").read_bytes() == (tmp_path / name).read_bytes()


def test_of_32_bits_24_are_carried(tmp_path):
    numbers = np.array([2**30 + 1, -(2**30) - 128, 2**24 + 1, 2**23 + 1], np.int32)
    soundfile.write(tmp_path / "a.wav", numbers, 8000, subtype="PCM_32")
    save_audio_file(tmp_path / "b.wav", load_audio_file(tmp_path / "a.wav"), subtype="PCM_32")
    back, _ = soundfile.read(tmp_path / "b.wav", dtype="int32")
    assert back.tolist() == [2**30, -(2**30) - 128, 2**24, 2**23 + 1]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_are_stored_as_they_are(subtype, tmp_path):
    samples = sound(8000, 0.2)[:, 0]
    save_audio_file(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    np.testing.assert_array_equal(load_audio_file(tmp_path / "a.wav"), samples)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "a.mp3", "a.OGA"])
def test_lossy_formats(name, tmp_path):
    samples = sound(48000, 3)[:, 0]
    save_audio_file(tmp_path / name, Waveform(samples, 48000))
    back = load_audio_file(tmp_path / name)
    assert back.shape == samples.shape and back.sample_rate == 48000
    assert np.abs(back - samples)[:-960].max() < 0.06


def test_others_read_what_is_written(tmp_path):
    samples = np.array([0.0, 0.5, -1.0, 0.25], np.float32)
    save_audio_file(tmp_path / "a.wav", samples, 8000)
    stored, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 8000 and stored.tolist() == [0, 16384, -32768, 8192]


def test_the_rate_of_a_waveform_is_taken_and_another_one_counts(tmp_path):
    wave = Waveform(np.zeros(10), 8000)
    save_audio_file(tmp_path / "a.wav", wave)
    save_audio_file(tmp_path / "b.wav", wave, 16000)
    assert read_audio_info(tmp_path / "a.wav").sample_rate == 8000
    assert read_audio_info(tmp_path / "b.wav").sample_rate == 16000
    with pytest.raises(ConfigError, match="`sample_rate` is missing"):
        save_audio_file(tmp_path / "c.wav", np.zeros(10))


@pytest.mark.parametrize("name", ["a.wav", "a.ogg"])
def test_what_is_beyond_full_scale_is_cut_and_told(name, tmp_path):
    samples = np.array([0.5, 1.5, -2.0, 1.0] * 1000, np.float32)
    with pytest.warns(ClippedWarning, match="2000 of 4000 samples lay beyond full scale.*the largest was 2"):
        save_audio_file(tmp_path / name, samples, 8000)
    if name == "a.wav":
        assert load_audio_file(tmp_path / name)[:4].tolist() == [0.5, 32767 / 32768, -1.0, 32767 / 32768]
    save_audio_file(tmp_path / "float.wav", samples, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio_file(tmp_path / "float.wav"), samples)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    save_audio_file(path, np.zeros(10, np.float32), 8000)
    before = path.read_bytes()
    monkeypatch.setattr(soundfile.SoundFile, "write", _fail)
    with pytest.raises(OSError, match="disk full"):
        save_audio_file(path, np.ones(10, np.float32), 8000)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.wav"]


def _fail(*_):
    raise OSError("disk full")


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "other").write_text("")
    save_audio_file(tmp_path / "a.wav", np.zeros(10, np.float32), 8000)
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize(
    ("name", "samples", "settings", "error", "message"),
    [
        ("a.xyz", np.zeros(3), {}, UnknownNameError, "suffix of `path` '.xyz'"),
        ("a.wav", np.zeros(3), {"subtype": "PCM_61"}, UnknownNameError, "did you mean 'PCM_16'"),
        ("a.flac", np.zeros(3), {"subtype": "FLOAT"}, UnknownNameError, "`subtype` of FLAC files"),
        ("a.wav", np.zeros(3), {"subtype": 16}, ConfigTypeError, "`subtype`"),
        ("a.wav", np.zeros(0), {}, ShapeError, "not empty"),
        ("a.wav", np.zeros((1, 2, 3)), {}, ShapeError, r"\(1, 2, 3\)"),
        (
            "a.wav",
            np.zeros(3, np.int16),
            {},
            ConfigTypeError,
            "must be floats with full scale at 1, got int16",
        ),
        ("a.wav", np.array([0, np.nan, np.inf]), {}, RangeError, "2 samples that are not finite"),
        ("a.wav", np.zeros(3), {"sample_rate": 0}, ConfigError, "`sample_rate`"),
        (
            "a.opus",
            np.zeros(30),
            {"sample_rate": 44100},
            ConfigError,
            "`sample_rate` 44100 Hz cannot be written",
        ),
        ("a.mp3", np.zeros((9, 30)), {}, ConfigError, "9 channels"),
    ],
)
def test_what_cannot_be_written_leaves_nothing_behind(name, samples, settings, error, message, tmp_path):
    with pytest.raises(error, match=message):
        save_audio_file(tmp_path / name, samples, **{"sample_rate": 8000} | settings)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_audio_file(tmp_path / "no" / "a.wav", np.zeros(3), 8000)
