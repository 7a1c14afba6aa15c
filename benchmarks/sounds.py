"""What becomes of one sound file: a random second of it, mono, at 16 kHz, and the log-mel spectrogram of that.

Bands are spaced by the HTK formula and have a peak of 1; a window is a periodic Hann of 1,024 samples around every
256th, reflected at the ends; the power is floored at 1e-5 before the natural logarithm. 63 frames of 80 bands.
"""

import threading
from functools import cache

import numpy as np

RATE, SAMPLES = 16_000, 16_000
WINDOW, HOP, BANDS = 1024, 256, 80
FRAMES = SAMPLES // HOP + 1
FLOOR = 1e-5

# 160 samples at 16 kHz last as long as 441 at 44.1 kHz: what begins at a multiple lies on both grids.
_PERIOD = (160, 441)
# Samples of the file on both sides of the part, for the filter.
_MARGIN = 1024

_local = threading.local()


def _rng() -> np.random.Generator:
    """One per thread: to make a generator for each record costs 13 us."""
    if not hasattr(_local, "rng"):
        _local.rng = np.random.default_rng()
    return _local.rng


def whole(path: str) -> np.ndarray:
    """All of a file, as one writes it first: float32 (n,)."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def part_of_whole(path: str) -> np.ndarray:
    """A random part, cut out after all was decoded and resampled: float32 (16000,)."""
    samples = whole(path)
    start = _rng().integers(0, len(samples) - SAMPLES + 1)
    return samples[start : start + SAMPLES]


def part(path: str, out: np.ndarray, start: int | None = None) -> None:
    """A random part, or the one that begins at `start`: no more than that is read and resampled, into `out`."""
    import soundfile
    import soxr

    short, long = _PERIOD
    with soundfile.SoundFile(path) as file:
        if start is None:
            start = int(_rng().integers(0, file.frames * short // long - SAMPLES + 1))
        first = max(0, start * long // short - _MARGIN) // long * long
        file.seek(first)
        count = (start + SAMPLES) * long // short + _MARGIN - first
        both = file.read(count, dtype="int16", always_2d=True)
    # To add two columns costs a tenth of the mean along an axis of two.
    mono = (both[:, 0].astype(np.float32) + both[:, 1]) * np.float32(0.5 / 32768)
    begin = start - first * short // long
    samples = soxr.resample(mono, RATE * long // short, RATE)[begin : begin + SAMPLES]
    out[: len(samples)], out[len(samples) :] = samples, 0


def part_alone(path: str) -> np.ndarray:
    """`part` for the pipelines of others: float32 (16000,)."""
    out = np.empty(SAMPLES, np.float32)
    part(path, out)
    return out


@cache
def bands() -> np.ndarray:
    """The triangles of the bands, float32 (513, 80)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


@cache
def window() -> np.ndarray:
    """float32 (1024,)."""
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Of samples (..., n): float32 (..., n // 256 + 1, 80)."""
    sides = [(0, 0)] * (samples.ndim - 1) + [(WINDOW // 2, WINDOW // 2)]
    around = np.pad(samples, sides, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(around, WINDOW, axis=-1)[..., ::HOP, :]
    spectrum = np.fft.rfft((frames * window()).astype(np.float32))
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return np.log(np.maximum(power @ bands(), FLOOR))
