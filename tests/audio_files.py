"""Sound files for tests: sounds made by formula, written through libsndfile, and damaged."""

import io
import struct

import numpy as np
import soundfile

# Suffix -> format and subtype in the words of libsndfile, and how far a sample may come out from what it was.
FORMATS = {
    "u8.wav": ("WAV", "PCM_U8", 1.01 / 128),
    "16.wav": ("WAV", "PCM_16", 1.01 / 2**15),
    "24.wav": ("WAV", "PCM_24", 1.01 / 2**23),
    "32.wav": ("WAV", "PCM_32", 1e-7),
    "float.wav": ("WAV", "FLOAT", 0),
    "double.wav": ("WAV", "DOUBLE", 0),
    "16.flac": ("FLAC", "PCM_16", 1.01 / 2**15),
    "24.flac": ("FLAC", "PCM_24", 1.01 / 2**23),
    "16.aiff": ("AIFF", "PCM_16", 1.01 / 2**15),
    "24.aiff": ("AIFF", "PCM_24", 1.01 / 2**23),
    "vorbis.ogg": ("OGG", "VORBIS", 0.06),
    "opus.opus": ("OGG", "OPUS", 0.06),
    "3.mp3": ("MP3", "MPEG_LAYER_III", 0.06),
}


def sound(rate, seconds, channels=1, seed=0):
    """A few tones below 3 kHz and a fade at both ends, float32 (frames, channels), up to 0.6."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds)) / rate
    columns = [
        sum(
            0.15 * np.sin(2 * np.pi * f * t + p)
            for f, p in zip(rng.uniform(100, 3000, 4), rng.uniform(0, 6, 4), strict=True)
        )
        for _ in range(channels)
    ]
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
    return (np.stack(columns, 1) * fade[:, None]).astype(np.float32)


def noise(rate, seconds, channels=1, seed=0):
    """White noise, float32 (frames, channels): it has all frequencies that a filter may get wrong."""
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal((round(rate * seconds), channels))).clip(-1, 1).astype(np.float32)


def encoded(samples, rate, kind="16.wav"):
    """The bytes of a file with these samples (frames, channels)."""
    form, subtype, _ = FORMATS[kind]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def write(path, samples, rate, kind=None):
    """Writes a file, and the folders above it; its kind follows from its suffix unless it is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    default = {".flac": "16.flac", ".ogg": "vorbis.ogg", ".mp3": "3.mp3", ".opus": "opus.opus"}
    path.write_bytes(encoded(samples, rate, kind or default.get(path.suffix, "16.wav")))
    return path


def with_total(flac, total):
    """A FLAC file whose header tells of another number of frames."""
    bits = int.from_bytes(flac[18:26])
    return flac[:18] + (bits >> 36 << 36 | total).to_bytes(8) + flac[26:]


def with_data_length(wav, length):
    """A WAV file of 44 bytes of header that tells of another number of bytes of sound."""
    assert wav[36:40] == b"data"
    return wav[:40] + struct.pack("<I", length) + wav[44:]


def with_rate(wav, rate):
    """A WAV file that tells of another sample rate."""
    return wav[:24] + struct.pack("<I", rate) + wav[28:]


def without_info(mp3):
    """An MP3 file without its first frame, if that holds no sound but the facts of the stream."""
    at = mp3.find(mp3[:2], 4)
    return mp3[at:] if b"Info" in mp3[:at] or b"Xing" in mp3[:at] else mp3
