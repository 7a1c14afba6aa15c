"""Files that are cut short, lie, or are none."""

import os
import stat
import struct
from contextlib import suppress

import numpy as np
import pytest

from artifex.data.codecs.audio import AudioCodec, AudioLimits, read_audio_info
from artifex.data.codecs.audio.sound import open_sound
from artifex.data.errors import ConfigTypeError, DecodeError, ReadError
from audio_files import (
    encoded,
    noise,
    sound,
    with_data_length,
    with_rate,
    with_total,
    without_info,
    write,
)

RATE = 44100
KINDS = ["16.wav", "24.wav", "float.wav", "16.aiff", "16.flac", "vorbis.ogg", "3.mp3"]


def start_of(value, **settings):
    """The first quarter of a second: damage at the end is found without reading there."""
    codec = AudioCodec(RATE, 11025, crop="start", **settings)
    out = np.zeros(codec.length, np.float32)
    codec.decode_clip(value, out)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_short_is_found_wherever_it_is_cut(kind):
    value = encoded(sound(RATE, 1, 2), RATE, kind)
    start_of(value)
    cuts = [1, 2, 3, 7, 100, 1000, len(value) // 3, len(value) // 2, len(value) - 50, len(value) - 1]
    for missing in cuts:
        with pytest.raises(DecodeError):
            start_of(value[:-missing])


def test_opus_that_is_cut_short():
    value = encoded(sound(48000, 1, 2), 48000, "opus.opus")
    for missing in (1, 100, len(value) // 2):
        with pytest.raises(DecodeError, match="its last page is not the end of its stream"):
            start_of(value[:-missing])


@pytest.mark.parametrize("kind", ["vorbis.ogg", "opus.opus"])
def test_two_ogg_files_in_a_row(kind):
    first, second = (encoded(sound(48000, seconds), 48000, kind) for seconds in (1, 0.3))
    # libsndfile draws the number of a stream; here they are surely two.
    assert first[14:18] != second[14:18]
    with pytest.raises(DecodeError, match="there is more than one stream in it"):
        start_of(first + second)


def test_the_message_tells_how_much_is_missing():
    value = encoded(sound(RATE, 1), RATE)
    with pytest.raises(
        DecodeError, match="tells of 88200 bytes of sound, and 88000 are there: it was cut short"
    ):
        start_of(value[:-200])


def test_the_last_frame_of_a_flac_file_is_held_against_its_checksum():
    value = bytearray(encoded(noise(RATE, 1), RATE, "16.flac"))
    value[-300] ^= 1
    with pytest.raises(DecodeError, match="damaged between frames 44099 and 44100"):
        start_of(bytes(value))


def test_damage_within_a_flac_file_is_found_where_it_is_read():
    value = bytearray(encoded(noise(RATE, 1), RATE, "16.flac"))
    middle = len(value) // 2
    value[middle : middle + 200] = bytes(200)
    start_of(bytes(value))
    codec = AudioCodec(RATE, RATE)
    with pytest.raises(DecodeError, match="damaged between frames 0 and 44100|sound ends after"):
        codec.decode_clip(bytes(value), np.zeros(RATE, np.float32))


# -- headers that lie


@pytest.mark.parametrize("total", [1, 4096, 44099, 44101, 10**6, 2**36 - 1])
def test_a_flac_header_that_tells_of_another_length(total):
    value = encoded(sound(RATE, 1), RATE, "16.flac")
    start_of(with_total(value, 44100))
    with pytest.raises(DecodeError, match=f"header tells of {total} frames of sound, and they do not end"):
        start_of(with_total(value, total))


def test_a_flac_header_without_a_length():
    with pytest.raises(DecodeError, match="does not tell how long it is"):
        start_of(with_total(encoded(sound(RATE, 1), RATE, "16.flac"), 0))


@pytest.mark.parametrize("length", [2, 1000, 88192])
def test_a_wav_header_that_tells_of_less(length):
    value = encoded(sound(RATE, 1), RATE)
    with pytest.raises(
        DecodeError, match=f"tells of {length} bytes of sound, and {88200 - length} bytes follow that"
    ):
        start_of(with_data_length(value[:44] + b"\xff\x7f" * 44100, length))


@pytest.mark.parametrize("length", [88202, 2**31, 2**32 - 2])
def test_a_wav_header_that_tells_of_more(length):
    with pytest.raises(DecodeError, match=f"tells of {length} bytes of sound, and 88200 are there"):
        start_of(with_data_length(encoded(sound(RATE, 1), RATE), length))


def test_a_wav_header_that_was_written_into_a_pipe_means_up_to_the_end():
    value = encoded(sound(RATE, 1), RATE)
    np.testing.assert_array_equal(start_of(with_data_length(value, 2**32 - 1)), start_of(value))


def test_an_aiff_header_that_tells_of_more_or_less_frames():
    value = encoded(sound(RATE, 1), RATE, "16.aiff")
    at = value.index(b"COMM") + 10
    for frames in (100, 44099, 44101, 2**31):
        lie = value[:at] + struct.pack(">I", frames) + value[at + 4 :]
        with pytest.raises(DecodeError, match=f"tells of {2 * frames} bytes of sound, and it has 88200"):
            start_of(lie)


def test_an_mp3_header_that_tells_of_more_bytes():
    value = encoded(sound(RATE, 1), RATE, "3.mp3")
    at = value.index(b"Info") if b"Info" in value else value.index(b"Xing")
    lie = value[: at + 12] + struct.pack(">I", len(value) + 1) + value[at + 16 :]
    with pytest.raises(
        DecodeError, match=f"tells of {len(value) + 1} bytes of sound, and {len(value)} are there"
    ):
        start_of(lie)


def test_an_mp3_file_without_a_header_is_read_if_the_decoder_gets_its_length_right():
    # Noise is of a constant bit rate, which is what the decoder takes it for; a tone after silence is not.
    varying = np.concatenate([np.zeros((44100, 1), np.float32), noise(RATE, 1)])
    value = without_info(encoded(varying, RATE, "3.mp3"))
    with pytest.raises(DecodeError, match="its frames hold .* samples, and the decoder takes them for"):
        start_of(value)
    with pytest.raises(DecodeError, match="its last frame is not whole"):
        start_of(value[:-5])


# -- what is passed over


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"LIST\x04\0\0\0abcd", bytes(100), b"\n"])
@pytest.mark.parametrize("kind", ["16.wav", "16.flac", "16.aiff", "3.mp3", "vorbis.ogg"])
def test_tags_chunks_and_padding_may_follow(kind, tag):
    value = encoded(sound(RATE, 1), RATE, kind)
    np.testing.assert_array_equal(start_of(value + tag), start_of(value))


@pytest.mark.parametrize("junk", [b"\x01\x02" * 4, b"some text " * 50, b"\xff" * 2000, bytes(4097)])
@pytest.mark.parametrize("kind", KINDS)
def test_junk_after_a_sound_is_refused_in_files_of_chunks_alone(kind, junk):
    value = encoded(sound(RATE, 1), RATE, kind)
    np.testing.assert_array_equal(start_of(value + junk[:7]), start_of(value))
    if kind.endswith(("wav", "aiff")):
        with pytest.raises(DecodeError, match=f"{len(junk)} bytes follow that are no chunk"):
            start_of(value + junk)
    else:
        np.testing.assert_array_equal(start_of(value + junk), start_of(value))


ID3 = b"ID3\x04\0\0" + bytes([0, 0, 7, 0x76]) + bytes(7 * 128 + 0x76)


@pytest.mark.parametrize(
    "junk", [ID3, ID3 + ID3, b"junk" * 500, bytes(3000), ID3 + b"\xff\xfb junk" * 9, b"\xff" * 99]
)
def test_junk_before_the_first_frame_of_an_mp3_file(junk, tmp_path):
    value = encoded(sound(RATE, 1), RATE, "3.mp3")
    expected = start_of(value)
    np.testing.assert_array_equal(start_of(junk + value), expected)
    path = tmp_path / "a.mp3"
    path.write_bytes(junk + value)
    np.testing.assert_array_equal(start_of(str(path)), expected)


def test_a_tag_before_a_flac_file():
    value = encoded(sound(RATE, 1), RATE, "16.flac")
    np.testing.assert_array_equal(start_of(ID3 + value), start_of(value))


def test_a_wav_file_whose_chunk_of_odd_length_is_not_padded():
    value = encoded(sound(RATE, 1), RATE, "u8.wav")[:-100]
    value = with_data_length(value, len(value) - 44 - 1)[:-1]
    assert (len(value) - 44) % 2 == 1
    start_of(value)
    start_of(value + b"LIST\x04\0\0\0abcd")
    start_of(value + b"\0LIST\x04\0\0\0abcd")


# -- empty, absurd, none at all


@pytest.mark.parametrize("kind", ["16.wav", "16.aiff"])
def test_zero_frames(kind):
    with pytest.raises(DecodeError, match="0 frames"):
        start_of(encoded(np.zeros((0, 1), np.float32), RATE, kind))


def test_zero_hertz():
    with pytest.raises(DecodeError, match="sample rate is 0 Hz"):
        start_of(with_rate(encoded(sound(RATE, 1), RATE), 0))
    value = encoded(sound(RATE, 1), RATE, "16.flac")
    with pytest.raises(DecodeError, match="sample rate is 0 Hz"):
        start_of(value[:18] + (int.from_bytes(value[18:26]) & (1 << 44) - 1).to_bytes(8) + value[26:])
    value = encoded(sound(RATE, 1), RATE, "16.aiff")
    at = value.index(b"COMM") + 16
    with pytest.raises(DecodeError, match="sample rate is 0 Hz"):
        start_of(value[:at] + bytes(10) + value[at + 10 :])


@pytest.mark.parametrize("kind", ["16.wav", "16.flac", "24.wav"])
def test_192_khz_and_8_channels(kind):
    samples = sound(192000, 0.3, 8)
    out = np.zeros(4800, np.float32)
    assert AudioCodec(16000, 4800).decode_clip(encoded(samples, 192000, kind), out) == 4800
    # Tones below 3 kHz are the same at 16 kHz.
    np.testing.assert_allclose(out[100:-100], samples.mean(1)[::12][100:-100], atol=1e-3)


def test_text_that_is_named_wav(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("This is no sound.\n" * 100)
    with pytest.raises(
        DecodeError, match="no WAV, FLAC, OGG, MP3 or AIFF: begins with b'This is no s'"
    ) as error:
        start_of(str(path))
    assert error.value.path == str(path)


def test_a_name_does_not_count(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(sound(RATE, 1), RATE, "16.flac"))
    assert read_audio_info(path).format == "flac"


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ReadError, match="No such file"):
        start_of(str(tmp_path / "none.wav"))
    with pytest.raises(ReadError, match="a folder"):
        start_of(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(ReadError, match="a named pipe"):
        start_of(str(tmp_path / "pipe.wav"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path):
    path = write(tmp_path / "a.wav", sound(RATE, 1), RATE)
    path.chmod(0)
    with pytest.raises(ReadError, match="Permission denied"):
        start_of(str(path))
    path.chmod(stat.S_IRWXU)


def test_a_refused_permission_is_a_read_error(monkeypatch, tmp_path):
    path = write(tmp_path / "a.wav", sound(RATE, 1), RATE)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("artifex.data.codecs.audio.content.os.open", refuse)
    with pytest.raises(ReadError, match="Permission denied") as error:
        start_of(str(path))
    assert error.value.path == str(path)


# -- limits


def ten_hours(path):
    """36,000 s of silence at 16 kHz that take no room on disk."""
    length = 2 * 16000 * 36000
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + length) + b"WAVEfmt \x10\0\0\0\x01\0\x01\0")
        file.write(struct.pack("<IIHH", 16000, 32000, 2, 16) + b"data" + struct.pack("<I", length))
        file.truncate(44 + length)
    return str(path)


def test_ten_hours_of_silence(tmp_path):
    path = ten_hours(tmp_path / "long.wav")
    assert read_audio_info(path).duration == 36000
    # A second of it is no matter; all of it is, and a limit is a limit.
    start_of(path)
    with pytest.raises(DecodeError, match="over `max_duration` 3600 s"):
        start_of(path, limits=AudioLimits(max_duration=3600))
    with pytest.raises(DecodeError, match=r"2304000000 bytes, over `max_decoded_bytes` 1073741824"):
        start_of(path, trim_db=40)


def test_no_memory_is_taken_for_what_is_refused(tmp_path, monkeypatch):
    path = ten_hours(tmp_path / "long.wav")
    monkeypatch.setattr("artifex.data.codecs.audio.sound.Memory.array", None)
    with open_sound(path, AudioLimits()) as opened, pytest.raises(DecodeError, match="max_decoded_bytes"):
        opened.read(0, opened.info.frames)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_channels": 2}, "3 channels are over `max_channels` 2"),
        ({"max_sample_rate": 44099}, "44100 Hz are over `max_sample_rate` 44099"),
        ({"max_duration": 0.9}, "1.0 s are over `max_duration` 0.9"),
        ({"max_decoded_bytes": 1000}, "over `max_decoded_bytes` 1000"),
    ],
)
def test_limits(limits, message):
    with pytest.raises(DecodeError, match=message):
        start_of(encoded(sound(RATE, 1, 3), RATE), limits=AudioLimits(**limits))


def test_what_resampling_makes_counts_for_the_limits(monkeypatch):
    value = encoded(np.zeros((1000, 1), np.float32), 1)  # 1 Hz
    limits = AudioLimits(max_decoded_bytes=2**20)
    monkeypatch.setattr("artifex.data.codecs.audio.sound.Memory.array", None)
    codec = AudioCodec(384_000, 20 * 384_000, crop="start", limits=limits)
    with pytest.raises(
        DecodeError, match="samples of 1 channels are [0-9]+ bytes, over `max_decoded_bytes` 1048576"
    ):
        codec.decode_clip(value, np.zeros(codec.length, np.float32))


# -- facts


@pytest.mark.parametrize("kind", [*KINDS, "u8.wav", "double.wav"])
def test_the_facts_of_a_file(kind, tmp_path):
    path = write(tmp_path / f"a.{kind}", sound(RATE, 1.5, 2), RATE, kind)
    info = read_audio_info(path)
    assert (info.frames, info.sample_rate, info.channels) == (66150, RATE, 2)
    assert info.duration == 1.5
    assert info.format == kind.split(".")[1]


def test_a_path_is_a_path():
    with pytest.raises(ConfigTypeError, match="`path` must be a path"):
        read_audio_info(7)


def test_random_changes_of_a_header_never_crash_nor_warn():
    rng = np.random.default_rng(0)
    for kind in ("16.wav", "16.flac", "16.aiff", "vorbis.ogg"):
        value = encoded(sound(8000, 0.2), 8000, kind)
        for _ in range(60):
            damaged = bytearray(value)
            for at in rng.integers(0, 120, 3):
                damaged[at] = rng.integers(256)
            codec = AudioCodec(8000, 1000)
            with suppress(DecodeError):
                codec.decode_clip(bytes(damaged), np.zeros(1000, np.float32))
