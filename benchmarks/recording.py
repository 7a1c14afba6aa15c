"""The sound files of the cases with audio, and what their spectrograms must look like."""

from pathlib import Path

import numpy as np

RATE = 44_100


def write(paths: tuple[str, ...]) -> None:
    """Those that are missing."""
    import soundfile

    for number, name in enumerate(paths):
        path = Path(name)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.parent.parent / f"unfinished{path.suffix}"
        soundfile.write(unfinished, _sound(number), RATE, subtype="PCM_16")
        unfinished.replace(path)


def _sound(number: int) -> np.ndarray:
    """Eight harmonics with vibrato and a swelling loudness, in noise: float32 (n, 2)."""
    rng = np.random.default_rng(number)
    count = int(RATE * rng.uniform(1, 4))
    time = np.arange(count) / RATE
    pitch = rng.uniform(80, 400) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(2, 7) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(rng.uniform(0.2, 1) / k * np.sin(k * phase) for k in range(1, 9))
    loudness = np.abs(np.sin(2 * np.pi * rng.uniform(0.5, 3) * time + rng.uniform(0, 6)))
    noise = 0.01 * rng.standard_normal((count, 2))
    both = (0.15 * tone * loudness)[:, None] * np.array([1, 0.8]) + noise
    return both.astype(np.float32).clip(-1, 1)


def features(paths: tuple[str, ...]) -> np.ndarray:
    """The spectrograms of whole files, float16 (n, 251, 80); -100 behind their ends."""
    from benchmarks.sounds import BANDS, HOP, SAMPLES, log_mel, whole

    out = np.full((len(paths), 4 * SAMPLES // HOP + 1, BANDS), -100, np.float16)
    for path, slot in zip(paths, out, strict=True):
        frames = log_mel(whole(path))
        slot[: len(frames)] = frames
    return out
