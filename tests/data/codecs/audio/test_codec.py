import io
import json
import pickle
import sys
import threading

import numpy as np
import pytest
import soundfile
import soxr

from artifex.data.codecs.audio import AudioCodec, AudioLimits, Clip
from artifex.data.codecs.audio.crop import num_samples
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    MissingPackageError,
    ReadError,
    ShapeError,
    UnknownNameError,
)
from artifex.testing import CodecContract
from audio_files import FORMATS, encoded, noise, sound, write

RATE = 16000


def decode(codec, value, rng=None):
    """(the slot, how many samples of it are the clip's)."""
    out = np.full(codec.length, np.nan, np.float32)
    count = codec.decode_clip(value, out, rng=rng)
    return out, count


def whole(samples, rate, to, quality="HQ"):
    """The oracle: all of it mixed and resampled."""
    mono = samples.astype(np.float64).mean(1).astype(np.float32)
    return mono if rate == to else soxr.resample(mono, rate, to, quality=quality)


class OfFormat(CodecContract):
    """A format's file decodes to what libsndfile reads of all of it."""

    kind = ""
    tolerance = 3e-6

    def codec(self):
        return AudioCodec(RATE, 9000, crop="start")

    def good(self):
        rate = 48000 if self.kind == "opus.opus" else 44100
        value = encoded(sound(rate, 0.5, 2), rate, self.kind)
        samples, _ = soundfile.read(io.BytesIO(value), dtype="float32", always_2d=True)
        expected = np.zeros(9000, np.float32)
        got = whole(samples, rate, RATE)
        expected[: len(got)] = got
        return value, expected


class TestWav(OfFormat):
    kind = "16.wav"


class TestFloatWav(OfFormat):
    kind = "float.wav"


class TestFlac(OfFormat):
    kind = "16.flac"


class TestFlac24(OfFormat):
    kind = "24.flac"


class TestAiff(OfFormat):
    kind = "16.aiff"


class TestVorbis(OfFormat):
    kind = "vorbis.ogg"


class TestOpus(OfFormat):
    kind = "opus.opus"


class TestMp3(OfFormat):
    kind = "3.mp3"


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_sound_that_was_written(kind):
    rate = 48000
    samples = sound(rate, 0.4, 2)
    out, count = decode(AudioCodec(rate, 19200, crop="start"), encoded(samples, rate, kind))
    assert count == 19200
    # An encoder of blocks may get the last one wrong, which is none of the decoder's doing.
    end = -960 if FORMATS[kind][1] in ("VORBIS", "OPUS", "MPEG_LAYER_III") else None
    np.testing.assert_allclose(out[:end], samples.mean(1)[:end], atol=FORMATS[kind][2] + 1e-7)


@pytest.mark.parametrize(
    ("form", "subtype", "endian"),
    [
        ("WAVEX", "PCM_16", "FILE"),
        ("RF64", "PCM_16", "FILE"),
        ("WAV", "PCM_16", "BIG"),
        ("WAV", "ULAW", "FILE"),
        ("WAV", "ALAW", "FILE"),
        ("WAV", "IMA_ADPCM", "FILE"),
        ("WAV", "MS_ADPCM", "FILE"),
        ("WAV", "GSM610", "FILE"),
        ("AIFF", "PCM_16", "LITTLE"),
        ("AIFF", "ULAW", "FILE"),
        ("AIFF", "FLOAT", "FILE"),
        ("AIFF", "PCM_S8", "FILE"),
        ("FLAC", "PCM_S8", "FILE"),
    ],
)
def test_rarer_kinds_of_the_same_formats(form, subtype, endian):
    file = io.BytesIO()
    soundfile.write(file, sound(8000, 0.5), 8000, format=form, subtype=subtype, endian=endian)
    expected, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
    out, count = decode(AudioCodec(8000, 3000, crop="start"), file.getvalue())
    assert count == 3000
    np.testing.assert_allclose(out, expected[:3000], atol=1e-7)
    out, _ = decode(AudioCodec(8000, 2000), Clip(file.getvalue(), start=1003))
    np.testing.assert_allclose(out, expected[1003:3003], atol=1e-7)
    with pytest.raises(DecodeError):
        decode(AudioCodec(8000, 3000, crop="start"), file.getvalue()[:-20])


RATES = [8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("to", [8000, 16000, 44100])
def test_a_crop_is_what_the_whole_clip_has_there(rate, to, tmp_path):
    samples = noise(rate, 1.0, 1, seed=rate)
    path = str(write(tmp_path / "a.wav", samples, rate, "float.wav"))
    expected = np.clip(whole(samples, rate, to), -1, 1)
    codec = AudioCodec(to, to // 5)
    for start in (0, 1, 17, to // 3, to // 2 + 7, len(expected) - codec.length, len(expected) - 100):
        out, count = decode(codec, Clip(path, start=start))
        assert count == min(codec.length, len(expected) - start)
        np.testing.assert_allclose(out[:count], expected[start : start + count], atol=3e-6, rtol=0)


@pytest.mark.parametrize("quality", ["LQ", "MQ", "VHQ"])
@pytest.mark.parametrize(("rate", "to"), [(44100, RATE), (8000, 44100), (44056, 48000)])
def test_a_crop_agrees_at_every_quality(quality, rate, to, tmp_path):
    samples = noise(rate, 1.0)
    path = str(write(tmp_path / "a.wav", samples, rate, "float.wav"))
    expected = np.clip(whole(samples, rate, to, quality), -1, 1)
    for start in (6001, to - 4000):
        out, _ = decode(AudioCodec(to, 4000, quality=quality), Clip(path, start=start))
        np.testing.assert_allclose(out, expected[start : start + 4000], atol=5e-6, rtol=0)


def test_the_agreement_above_needs_the_margin_and_the_period(monkeypatch, tmp_path):
    samples = noise(44100, 1.0)
    path = str(write(tmp_path / "a.wav", samples, 44100, "float.wav"))
    expected = whole(samples, 44100, RATE)
    monkeypatch.setattr("artifex.data.codecs.audio.codec._MARGIN", 10)
    out, _ = decode(AudioCodec(RATE, 4000), Clip(path, start=6001))
    assert np.abs(out - expected[6001:10001]).max() > 1e-3


@pytest.mark.parametrize("kind", ["16.wav", "16.flac", "vorbis.ogg", "3.mp3"])
def test_a_crop_of_each_format_is_what_the_whole_file_has_there(kind, tmp_path):
    path = write(tmp_path / f"a.{kind}", sound(44100, 2, 2), 44100, kind)
    samples, _ = soundfile.read(path, dtype="float32")
    expected = whole(samples, 44100, RATE)
    for start in (0, 5000, 20001):
        out, count = decode(AudioCodec(RATE, 8000), Clip(str(path), start=start))
        assert count == 8000
        np.testing.assert_allclose(out, expected[start : start + 8000], atol=3e-6, rtol=0)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        ("vorbis.ogg", 8000),
        ("vorbis.ogg", 44100),
        ("3.mp3", 16000),
        ("3.mp3", 44100),
        ("16.flac", 44100),
        ("opus.opus", 16000),
        ("opus.opus", 48000),
    ],
)
def test_a_crop_is_right_wherever_it_begins(rate, channels, kind, tmp_path):
    # libvorbisfile alone is wrong in the last page of the longer ones of such files.
    path = write(tmp_path / f"a.{kind}", noise(rate, 5.01, channels), rate, kind)
    samples = np.clip(soundfile.read(path, dtype="float32", always_2d=True)[0], -1, 1)[:, 0]
    codec = AudioCodec(rate, 1000, channel=0)
    end = len(samples)
    places = [*np.linspace(0, end - 1, 25).astype(int), *range(end - 12000, end, 997), 1, end - 2]
    for start in places:
        out, count = decode(codec, Clip(str(path), start=int(start)))
        np.testing.assert_allclose(out[:count], samples[start : start + 1000], atol=1e-6, err_msg=str(start))


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (24000, 2), (32000, 2)])
@pytest.mark.parametrize("level", [0.9, 0.999])
def test_a_crop_of_an_mp3_file_of_a_low_bit_rate_is_what_the_whole_file_has_there(
    rate, channels, level, tmp_path
):
    # Frames of such files keep their data in frames before.
    path = tmp_path / "a.mp3"
    samples = noise(rate, 4.0, channels) * 0.3
    soundfile.write(path, samples, rate, compression_level=level, bitrate_mode="CONSTANT")
    expected = np.clip(soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0], -1, 1)
    codec = AudioCodec(rate, 600, channel=0)
    for start in range(1, len(expected) - 600, 7001):
        out, _ = decode(codec, Clip(str(path), start=start))
        np.testing.assert_allclose(out, expected[start : start + 600], atol=1e-6, rtol=0, err_msg=str(start))


def test_only_the_frames_of_the_crop_are_read(monkeypatch, tmp_path):
    path = str(write(tmp_path / "a.wav", sound(44100, 20, 1), 44100))
    spans = []
    original = soundfile.SoundFile.buffer_read_into

    def read(self, buffer, dtype):
        spans.append(len(buffer))
        return original(self, buffer, dtype)

    monkeypatch.setattr(soundfile.SoundFile, "buffer_read_into", read)
    decode(AudioCodec(RATE, RATE), path)
    assert spans and sum(spans) < 44100 + 2 * 3 * 128 + 441 + 1


# -- channels


@pytest.mark.parametrize("kind", ["16.wav", "float.wav"])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_channels_are_mixed_by_their_mean(kind, channels):
    samples = sound(RATE, 0.1, channels)
    value = encoded(samples, RATE, kind)
    stored, _ = soundfile.read(io.BytesIO(value), dtype="float64", always_2d=True)
    out, _ = decode(AudioCodec(RATE, 1600), value)
    np.testing.assert_allclose(out, stored.mean(1), atol=1e-7, rtol=0)


def test_one_channel_can_be_chosen():
    samples = sound(RATE, 0.1, 3)
    value = encoded(samples, RATE, "float.wav")
    out, _ = decode(AudioCodec(RATE, 1600, channel=2), value)
    np.testing.assert_array_equal(out, samples[:, 2])
    with pytest.raises(DecodeError, match="`channel` 3 of a file of 3 channels"):
        decode(AudioCodec(RATE, 1600, channel=3), value)


def test_opposite_channels_of_full_scale_cancel():
    # In 16 bits their sum would overflow, were it not made of floats.
    loud = np.full((100, 2), 32767, np.int16)
    file = io.BytesIO()
    soundfile.write(file, loud, RATE, format="WAV")
    assert decode(AudioCodec(RATE, 100), file.getvalue())[0][50] == np.float32(32767 / 32768)
    file = io.BytesIO()
    soundfile.write(file, loud * np.array([1, -1], np.int16), RATE, format="WAV")
    assert not decode(AudioCodec(RATE, 100), file.getvalue())[0].any()


# -- crops


def test_where_crops_begin():
    value = encoded(np.arange(10, dtype=np.float32)[:, None] / 16, RATE, "float.wav")

    def begin(crop, rng=None):
        return decode(AudioCodec(RATE, 4, crop=crop), value, rng)[0][0] * 16

    assert begin("start") == 0
    assert begin("center") == 3
    assert begin("random") == 3, "without a generator it is the centre"
    drawn = [begin("random", np.random.default_rng(seed)) for seed in range(300)]
    assert set(drawn) == {0, 1, 2, 3, 4, 5, 6}
    counts = np.bincount(np.array(drawn, int))
    assert counts.min() > 20, counts  # 43 each, and 4 standard deviations less are 19


@pytest.mark.parametrize(
    ("pad", "expected"),
    [
        ("zeros", [1, 2, 3, 0, 0, 0, 0, 0, 0, 0]),
        ("repeat", [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]),
        ("reflect", [1, 2, 3, 2, 1, 2, 3, 2, 1, 2]),
    ],
)
def test_a_clip_shorter_than_its_slot_is_padded(pad, expected):
    value = encoded(np.array([[1], [2], [3]], np.float32) / 16, RATE, "float.wav")
    out, count = decode(AudioCodec(RATE, 10, pad=pad), value, np.random.default_rng(0))
    assert count == 3
    assert (out * 16).tolist() == expected
    assert (
        expected == np.pad([1, 2, 3], (0, 7), {"zeros": "constant", "repeat": "wrap"}.get(pad, pad)).tolist()
    )


@pytest.mark.parametrize("pad", ["zeros", "repeat", "reflect"])
def test_a_clip_of_one_sample(pad):
    out, count = decode(
        AudioCodec(RATE, 3, pad=pad), encoded(np.full((1, 1), 0.5, np.float32), RATE, "float.wav")
    )
    assert count == 1
    assert out.tolist() == ([0.5, 0, 0] if pad == "zeros" else [0.5] * 3)


def test_a_part_of_a_file_is_a_clip_of_its_own(tmp_path):
    samples = noise(RATE, 1)
    path = str(write(tmp_path / "a.wav", samples, RATE, "float.wav"))
    out, count = decode(AudioCodec(RATE, RATE, crop="start"), Clip(path, offset=0.25, duration=0.5))
    assert count == 8000
    np.testing.assert_array_equal(out[:8000], samples[4000:12000, 0])
    assert not out[8000:].any()
    out, count = decode(AudioCodec(RATE, 100, crop="center"), Clip(path, 0.5))
    np.testing.assert_array_equal(out, samples[8000 + 3950 : 8000 + 4050, 0])
    # A list says 0.75 s where it is 0.75 and a rounding error; what is far off is another file.
    assert decode(AudioCodec(RATE, RATE), Clip(path, 0.5, 0.55))[1] == 8000
    for clip, message in [
        (Clip(path, 0.5, 0.75), "end after its 1.000 s"),
        (Clip(path, 1.0), "`offset` 1.0 s lies outside"),
        (Clip(path, -0.1), "`offset` -0.1 s lies outside"),
        (Clip(path, 0.0, 1e-9), "holds no frame"),
        (Clip(path, start=16000), "`start` 16000 lies outside of its 16000 samples"),
        (Clip(path, start=-1), "`start` -1 lies outside"),
    ]:
        with pytest.raises(DecodeError, match=message) as error:
            decode(AudioCodec(RATE, RATE), clip)
        assert error.value.path == path


# -- silence


def test_silence_is_trimmed_below_a_level():
    samples = np.array([0, 1, 9, 10, 40, 100, -20, -11, 9, 3, 0], np.float32)[:, None] / 128
    value = encoded(samples, RATE, "float.wav")

    def trimmed(db):
        out, count = decode(AudioCodec(RATE, 12, trim_db=db), value)
        return (out[:count] * 128).tolist()

    assert trimmed(20) == [10, 40, 100, -20, -11], "20 dB below 100 is 10"
    assert trimmed(19) == [40, 100, -20], "11.22"
    assert trimmed(100) == [1, 9, 10, 40, 100, -20, -11, 9, 3]
    zeros, count = decode(AudioCodec(RATE, 12, trim_db=20), encoded(np.zeros((5, 1), np.float32), RATE))
    assert count == 5 and not zeros.any(), "silence all over stays as it is"


def test_what_is_trimmed_is_resampled_as_a_clip_of_its_own():
    core = noise(44100, 0.5)
    core[[0, -1]] = 0.9
    value = encoded(np.pad(core, ((4000, 2345), (0, 0))), 44100, "float.wav")
    expected = np.clip(whole(core, 44100, RATE), -1, 1)
    out, count = decode(AudioCodec(RATE, RATE, trim_db=40, crop="start"), value)
    assert count == len(expected)
    np.testing.assert_allclose(out[:count], expected, atol=3e-6, rtol=0)
    out, _ = decode(AudioCodec(RATE, 1000, trim_db=40, crop="center"), value)
    np.testing.assert_allclose(out, expected[3500:4500], atol=3e-6, rtol=0)
    with pytest.raises(ConfigError, match="`trim_db`"):
        decode(AudioCodec(RATE, 1000, trim_db=40), Clip(value, start=0))


# -- range


def test_samples_beyond_full_scale_are_cut():
    samples = np.array([[-3.0], [-1.0], [0.5], [1.5]], np.float32)
    assert decode(AudioCodec(RATE, 4), encoded(samples, RATE, "float.wav"))[0].tolist() == [-1, -1, 0.5, 1]


def test_a_square_wave_stays_within_full_scale_after_resampling():
    square = np.where(np.arange(44100) // 50 % 2, 1, -1).astype(np.float32)[:, None]
    assert np.abs(whole(square, 44100, RATE)).max() > 1.05, "filters overshoot"
    out, _ = decode(AudioCodec(RATE, RATE), encoded(square, 44100, "float.wav"))
    assert np.abs(out).max() == 1


def test_whole_numbers_stored_as_floats_are_an_error():
    with pytest.raises(DecodeError, match=r"as far from 0 as 12000, and full scale is 1"):
        decode(AudioCodec(RATE, 4), encoded(np.full((8, 1), -12000.0, np.float32), RATE, "float.wav"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_an_error(bad):
    samples = sound(RATE, 0.1)
    samples[700] = bad
    value = encoded(samples, RATE, "float.wav")
    with pytest.raises(DecodeError, match="no finite numbers"):
        decode(AudioCodec(RATE, 1600), value)
    # Only what is read is looked at.
    np.testing.assert_array_equal(decode(AudioCodec(RATE, 600, crop="start"), value)[0], samples[:600, 0])


def test_a_constant_and_silence_are_sounds_like_any_other():
    out, _ = decode(
        AudioCodec(RATE, RATE, crop="center"), encoded(np.full((88200, 2), 0.25, np.float32), 44100)
    )
    np.testing.assert_allclose(out, 0.25, atol=1e-5)
    out, _ = decode(AudioCodec(RATE, RATE), encoded(np.zeros((88200, 2), np.float32), 44100, "16.flac"))
    assert not out.any()


# -- rules


def test_threads_and_generators_do_not_change_what_comes_out(tmp_path):
    paths = [str(write(tmp_path / f"{n}.flac", sound(44100, 1 + n / 8, 2, n), 44100)) for n in range(4)]
    codec = AudioCodec(RATE, 4000)

    def run(number):
        return decode(codec, paths[number % 4], np.random.Generator(np.random.Philox(key=number)))[0]

    expected = [run(n) for n in range(16)]
    results = [None] * 16

    def work(first):
        for n in range(first, 16, 4):
            results[n] = run(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.array(results), np.array(expected))


def test_a_slot_of_another_shape_is_refused():
    codec = AudioCodec(RATE, 100)
    for out in (np.zeros(99, np.float32), np.zeros(100), np.zeros((1, 100), np.float32)):
        with pytest.raises(ShapeError, match="`out` must be float32"):
            codec.decode(encoded(sound(RATE, 0.1), RATE), out)


@pytest.mark.parametrize("value", [None, 7, ["a.wav"], np.zeros(4)])
def test_other_values_are_decode_errors(value):
    with pytest.raises(DecodeError, match="a sound file is a path or bytes"):
        decode(AudioCodec(RATE, 100), value)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"sample_rate": 0}, ConfigError, "`sample_rate` must be from 1"),
        ({"sample_rate": 1.5}, ConfigTypeError, "`sample_rate`"),
        ({"length": 0}, ConfigError, "`length`"),
        ({"crop": "middle"}, UnknownNameError, "`crop`"),
        ({"pad": "edge"}, UnknownNameError, "`pad`"),
        ({"quality": "best"}, UnknownNameError, "`quality`"),
        ({"channel": -1}, ConfigError, "`channel`"),
        ({"channel": True}, ConfigTypeError, "`channel`"),
        ({"trim_db": 0}, ConfigError, "`trim_db`"),
        ({"limits": 3}, ConfigTypeError, "`limits` must be AudioLimits, got 3"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        AudioCodec(**{"sample_rate": RATE, "length": 100} | settings)


@pytest.mark.parametrize("settings", [{"max_duration": 0}, {"max_channels": 0}, {"max_decoded_bytes": 0}])
def test_limits_are_checked(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        AudioLimits(**settings)


def test_settings_show_in_the_stamp_and_what_samples_depend_on_in_the_description():
    codecs = [
        AudioCodec(RATE, 100),
        AudioCodec(RATE, 101),
        AudioCodec(8000, 100),
        AudioCodec(RATE, 100, crop="start"),
        AudioCodec(RATE, 100, pad="repeat"),
        AudioCodec(RATE, 100, channel=0),
        AudioCodec(RATE, 100, trim_db=30),
        AudioCodec(RATE, 100, quality="vhq"),
    ]
    assert len({codec.stamp() for codec in codecs}) == len(codecs)
    assert len({str(codec.describe()) for codec in codecs}) == len(codecs)
    assert "libsndfile" in codecs[0].stamp() and "libsoxr" in codecs[0].stamp()
    assert pickle.loads(pickle.dumps(codecs[6])) == codecs[6]


def test_numbers_of_numpy_are_plain_ones_in_states():
    settings = {"sample_rate": np.int64(RATE), "length": np.int32(100), "channel": np.int64(0), "trim_db": 30}
    codec = AudioCodec(**settings)
    assert (
        json.loads(json.dumps(codec.describe())) == AudioCodec(RATE, 100, channel=0, trim_db=30.0).describe()
    )
    assert codec.stamp() == AudioCodec(RATE, 100, channel=0, trim_db=np.float32(30)).stamp()


def test_the_number_of_samples_is_that_of_libsoxr():
    rates = [8000, 11025, 16000, 22050, 32000, 44100, 48000]
    for frames in (1, 2, 3, 7, 100, 101, 1000, 4411):
        for rate in rates:
            for to in rates:
                if rate != to:
                    expected = len(soxr.resample(np.ones(frames, np.float32), rate, to))
                    assert num_samples(frames, rate, to) == expected, (frames, rate, to)


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_a_missing_package_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf'{package}; pip install "artifex-data\[audio\]"'):
        AudioCodec(RATE, 100)


def test_errors_of_files_name_them(tmp_path):
    with pytest.raises(ReadError, match="No such file") as error:
        decode(AudioCodec(RATE, 100), str(tmp_path / "nowhere.wav"))
    assert error.value.path == str(tmp_path / "nowhere.wav")
