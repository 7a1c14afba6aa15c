"""Sounds for tests: tones with overtones and vibrato, bursts of noise and a sweep at once; and cuts into frames."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from scipy import signal


@cache
def sound(sample_rate: int, n: int, seed: int = 0) -> np.ndarray:
    """A clip, float32, within +-1."""
    t = np.arange(n) / sample_rate
    voice = 2 * np.pi * np.cumsum(220 * (1 + 0.02 * np.sin(2 * np.pi * 5 * t))) / sample_rate
    audible = [k for k in range(1, 16) if 220 * k * 1.03 < sample_rate / 2]
    clip = 0.2 * sum(np.sin(k * voice) / k for k in audible)
    clip += 0.1 * np.random.default_rng(seed).standard_normal(n) * (t % 0.3 < 0.05)
    clip += 0.1 * signal.chirp(t, 100, t[-1], 0.4 * sample_rate)
    return clip.astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A clip and a way to cut it."""

    sample_rate: int
    n: int
    settings: dict[str, Any] = field(hash=False)

    @property
    def clip(self) -> np.ndarray:
        return sound(self.sample_rate, self.n)

    @property
    def name(self) -> str:
        return f"{self.sample_rate}-{self.n}-{'-'.join(str(v) for v in self.settings.values())}"


CASES = [
    Case(16000, 16000, {"n_fft": 1024, "hop_length": 256}),
    Case(22050, 11111, {"n_fft": 2048, "hop_length": 512, "window": "hamming"}),
    Case(8000, 8001, {"n_fft": 256, "hop_length": 100, "win_length": 200, "pad_mode": "constant"}),
    Case(44100, 20001, {"n_fft": 1024, "hop_length": 441, "win_length": 1000, "center": False}),
    Case(16000, 4001, {"n_fft": 512, "hop_length": 7, "window": "blackman", "pad_mode": "edge"}),
]


def for_librosa(case: Case) -> dict[str, Any]:
    """The settings of a case as librosa wants them."""
    return {"pad_mode": "reflect", **case.settings}


def far(ours: Any, theirs: Any) -> float:
    """The largest difference, relative to the largest value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"{ours.shape} is not {theirs.shape}"
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
