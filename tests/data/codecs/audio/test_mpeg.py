import io

import pytest
import soundfile

from artifex.data.codecs.audio.content import InMemory
from artifex.data.codecs.audio.mpeg import after_id3, check_mpeg, first_frame, run_up
from audio_files import encoded, noise, sound, without_info


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_frames_are_followed_to_the_end(rate, channels):
    seconds = 1.3
    content = InMemory(without_info(encoded(noise(rate, seconds, channels), rate, "3.mp3")))
    assert first_frame(content, 0) == 0
    samples = check_mpeg(content, 0)
    assert samples is not None
    # Whole frames, with an encoder's delay before and after.
    assert 0 <= samples - round(rate * seconds) < 3 * 1152
    assert samples % (1152 if rate >= 32000 else 576) == 0


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("level", [0.0, 0.5, 0.9])
def test_bit_rates(mode, level):
    file = io.BytesIO()
    soundfile.write(file, sound(44100, 2, 2), 44100, format="MP3", bitrate_mode=mode, compression_level=level)
    content = InMemory(without_info(file.getvalue()))
    samples = check_mpeg(content, 0)
    assert samples is not None and 0 <= samples - 88200 < 3 * 1152


def test_a_header_that_tells_spares_the_counting():
    content = InMemory(encoded(sound(44100, 1), 44100, "3.mp3"))
    assert check_mpeg(content, 0) is None


def test_tags_are_passed_over():
    tag = b"ID3\x03\0\0\0\0\x01\x05" + bytes(133)
    assert after_id3(InMemory(tag + b"rest")) == 143
    assert after_id3(InMemory(tag + tag)) == 286
    assert after_id3(InMemory(b"ID3")) == 0
    footer = b"ID3\x04\0\x10\0\0\0\x05" + bytes(15)
    assert after_id3(InMemory(footer + b"rest")) == 25


def test_no_frames_are_found_where_there_are_none():
    for data in (b"", b"\xff", b"\xff" * 5000, b"text " * 5000, bytes(5000), b"\xff\xfb\x90\x00" * 2000):
        assert first_frame(InMemory(data), 0) is None


@pytest.mark.parametrize(
    ("header", "frames", "samples"),
    [
        # 48 kHz, stereo: 511 bytes of 96 - 4 - 32; with a checksum, of 58; mono, of 75.
        ("fffba400", 9 + 4, 1152),
        ("fffaa400", 9 + 4, 1152),
        ("fffba4c0", 7 + 4, 1152),
        # 24 kHz: 255 bytes of 24 - 4 - 17, or of 24 - 4 - 9.
        ("fff3a400", 85 + 4, 576),
        ("fff3a4c0", 24 + 4, 576),
        # 8 kHz (MPEG 2.5), mono: of 72 - 4 - 9.
        ("ffe3a8c0", 5 + 4, 576),
    ],
)
def test_the_run_up_is_the_longest_way_that_data_may_lie_back(header, frames, samples):
    assert run_up(InMemory(bytes.fromhex(header)), 0) == frames * samples
