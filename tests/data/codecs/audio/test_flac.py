import io

import numpy as np
import pytest
import soundfile

from artifex.data.codecs.audio.content import InMemory
from artifex.data.codecs.audio.flac import _crc8, _crc16, check_flac
from audio_files import encoded, noise, sound


def crc_by_hand(data, polynomial, bits):
    """Long division, a bit at a time, as the definition has it."""
    top, crc = 1 << (bits - 1), 0
    for byte in data:
        crc ^= byte << (bits - 8)
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & top else 0)) & ((1 << bits) - 1)
    return crc


@pytest.mark.parametrize("length", [1, 2, 17, 5000, 9000])
def test_checksums(length):
    data = np.random.default_rng(length).bytes(length)
    assert _crc16(data) == crc_by_hand(data, 0x8005, 16)
    assert _crc8(data) == crc_by_hand(data, 0x07, 8)


def test_a_known_checksum():
    # The value of this CRC (poly 0x8005, init 0, not reflected) for "123456789" in the catalogue of CRCs: UMTS.
    assert _crc16(b"123456789") == 0xFEE8
    assert _crc8(b"123456789") == 0xF4


@pytest.mark.parametrize("rate", [8000, 44100, 96000, 12345])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("frames", [1, 15, 16, 4096, 4097, 70000])
def test_the_last_frame_is_found(rate, channels, frames):
    value = encoded(noise(frames, 1, channels), rate, "16.flac")
    assert check_flac(InMemory(value), 0)
    assert not check_flac(InMemory(value + b"TAG" + bytes(125)), 0), "only decoding tells"


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_encoders_of_any_level(level):
    file = io.BytesIO()
    soundfile.write(file, sound(44100, 2, 2), 44100, format="FLAC", subtype="PCM_24", compression_level=level)
    assert check_flac(InMemory(file.getvalue()), 0)


def test_silence_of_many_blocks():
    # Its frames are of a few bytes each: the number of the last one is written in several.
    assert check_flac(InMemory(encoded(np.zeros((4096 * 3000, 1), np.float32), 8000, "16.flac")), 0)
