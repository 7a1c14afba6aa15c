import copy
import pickle

import numpy as np
import pytest
import soundfile
import soxr

from artifex.data.codecs.audio import AudioLimits, Waveform, load_audio_file
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    ReadError,
    ShapeError,
    UnknownNameError,
)
from audio_files import encoded, noise, sound, write

# -- the array


def test_a_waveform_is_an_array_that_carries_its_rate():
    wave = Waveform([0.0, 0.5, -0.5, 1.0], 8000)
    assert isinstance(wave, np.ndarray) and wave.dtype == np.float32 and wave.shape == (4,)
    assert wave.sample_rate == 8000 and wave.duration == 4 / 8000
    for derived in (
        wave[1:],
        wave * 2,
        np.abs(wave),
        wave.copy(),
        wave.reshape(2, 2)[0],
        copy.deepcopy(wave),
    ):
        assert isinstance(derived, Waveform) and derived.sample_rate == 8000
    back = pickle.loads(pickle.dumps(wave))
    assert back.sample_rate == 8000
    np.testing.assert_array_equal(back, wave)


def test_what_is_computed_of_a_waveform_is_a_number():
    wave = Waveform([0.0, 0.5, 1.0], 8000)
    for number in (wave.mean(), wave.max(), wave[1], np.sum(wave)):
        assert type(number) is np.float32
    assert not isinstance(np.asarray(wave, np.float32).view(np.ndarray), Waveform)


def test_a_rate_is_needed():
    with pytest.raises(ConfigError, match="`sample_rate`"):
        Waveform([0.0], 0)
    with pytest.raises(ConfigTypeError, match="`sample_rate`"):
        Waveform([0.0], 44.1)
    with pytest.raises(ShapeError, match=r"\(1, 1, 1\)"):
        Waveform(np.zeros((1, 1, 1)), 8000)
    with pytest.raises(ConfigError, match="no `sample_rate`"):
        np.zeros(3, np.float32).view(Waveform).duration  # noqa: B018


# -- from a file


@pytest.mark.parametrize(
    "kind", ["16.wav", "24.wav", "float.wav", "16.flac", "16.aiff", "vorbis.ogg", "3.mp3"]
)
def test_all_of_a_file(kind, tmp_path):
    path = write(tmp_path / f"a.{kind}", sound(44100, 0.5, 2), 44100, kind)
    expected, _ = soundfile.read(path, dtype="float32")
    wave = load_audio_file(path)
    assert isinstance(wave, Waveform) and wave.sample_rate == 44100
    np.testing.assert_allclose(wave, expected.mean(1), atol=1e-7)
    channels = load_audio_file(str(path), mono=False)
    assert channels.shape == (2, 22050) and channels.flags.c_contiguous
    np.testing.assert_array_equal(channels, expected.T)


def test_what_was_loaded_stays_when_another_file_is_loaded(tmp_path):
    first = load_audio_file(write(tmp_path / "a.wav", sound(8000, 1, 1, 1), 8000))
    before = first.copy()
    load_audio_file(write(tmp_path / "b.wav", sound(8000, 1, 1, 2), 8000))
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("to", [8000, 16000, 48000])
def test_a_part_at_another_rate_is_what_the_whole_has_there(to, tmp_path):
    path = write(tmp_path / "a.wav", noise(44100, 1, 2), 44100, "float.wav")
    samples, _ = soundfile.read(path, dtype="float32")
    expected = soxr.resample(samples, 44100, to)
    np.testing.assert_allclose(load_audio_file(path, to, mono=False), expected.T, atol=1e-6)
    part = load_audio_file(path, to, offset=0.25, duration=0.5)
    start = round(0.25 * to)
    assert part.shape == (to // 2,) and part.sample_rate == to
    np.testing.assert_allclose(part, expected[start : start + to // 2].mean(1), atol=3e-6)


def test_offset_and_duration_at_the_files_own_rate(tmp_path):
    path = write(tmp_path / "a.wav", noise(8000, 1), 8000, "float.wav")
    all_of_it = load_audio_file(path)
    np.testing.assert_array_equal(load_audio_file(path, offset=0.5), all_of_it[4000:])
    np.testing.assert_array_equal(load_audio_file(path, duration=0.25), all_of_it[:2000])
    np.testing.assert_array_equal(load_audio_file(path, offset=0.9, duration=5), all_of_it[7200:])
    with pytest.raises(DecodeError, match=r"`offset` 1.0 s lies after its end at 1.000 s") as error:
        load_audio_file(path, offset=1.0)
    assert error.value.path == str(path)


def test_samples_of_floats_keep_what_is_beyond_full_scale(tmp_path):
    path = write(tmp_path / "a.wav", np.array([[1.5], [-2.0]], np.float32), 8000, "float.wav")
    assert load_audio_file(path).tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"sample_rate": 0}, ConfigError, "`sample_rate`"),
        ({"offset": -1}, ConfigError, "`offset`"),
        ({"duration": 0}, ConfigError, "`duration`"),
        ({"duration": "1"}, ConfigTypeError, "`duration`"),
        ({"mono": 1}, ConfigTypeError, "`mono`"),
        ({"quality": "best"}, UnknownNameError, "`quality`"),
    ],
)
def test_settings_are_checked(settings, error, message, tmp_path):
    path = write(tmp_path / "a.wav", sound(8000, 0.1), 8000)
    with pytest.raises(error, match=message):
        load_audio_file(path, **settings)


def test_bad_files_are_named(tmp_path):
    with pytest.raises(ReadError, match="none.wav: No such file"):
        load_audio_file(tmp_path / "none.wav")
    path = tmp_path / "cut.wav"
    path.write_bytes(encoded(sound(8000, 1), 8000)[:-100])
    with pytest.raises(DecodeError, match="cut.wav: its header tells of 16000 bytes"):
        load_audio_file(path)


def test_limits_count_for_the_part(tmp_path):
    path = write(tmp_path / "a.wav", sound(8000, 2), 8000)
    limits = AudioLimits(max_decoded_bytes=4 * 8000)
    with pytest.raises(DecodeError, match="over `max_decoded_bytes` 32000"):
        load_audio_file(path, limits=limits)
    assert load_audio_file(path, duration=1, limits=limits).shape == (8000,)


@pytest.mark.parametrize("mono", [True, False])
def test_limits_count_for_what_resampling_makes(mono, tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", np.zeros((1000, 2), np.float32), 1)
    limits = AudioLimits(max_decoded_bytes=2**20)
    assert load_audio_file(path, 100, duration=20, mono=mono, limits=limits).shape[-1] == 2000
    monkeypatch.setattr("artifex.data.codecs.audio.sound.Memory.array", None)
    with pytest.raises(DecodeError, match=r"a.wav: .* bytes, over `max_decoded_bytes` 1048576"):
        load_audio_file(path, 384_000, duration=20, mono=mono, limits=limits)


def test_less_than_one_sample_is_an_error(tmp_path):
    path = write(tmp_path / "a.wav", sound(44100, 1), 44100)
    one = write(tmp_path / "one.wav", sound(44100, 1)[:1], 44100)
    message = "its 1 frames at 44100 Hz are less than one sample at 16000 Hz"
    with pytest.raises(DecodeError, match=f"one.wav: too short: {message}"):
        load_audio_file(one, 16000)
    with pytest.raises(DecodeError, match=message):
        load_audio_file(path, 16000, duration=1e-5)
    assert load_audio_file(one).shape == (1,)
    assert load_audio_file(path, 16000, duration=1 / 16000).shape == (1,)
