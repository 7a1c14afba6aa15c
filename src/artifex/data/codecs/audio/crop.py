"""Which samples of a clip come into its slot, and what fills up a slot that is longer.

Two clocks: *frames* are those of a file, at its own rate, *samples* those of a slot, at the codec's. Sample k lies
at frame k * down / up, where up / down is the ratio of the rates in lowest terms: each up-th sample lies on a frame.
"""

from enum import StrEnum
from math import gcd
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class AudioCrop(StrEnum):
    """Which part of a clip that is longer than the slot is taken."""

    RANDOM = "random"
    """Any part, all equally likely, drawn by the record while training; the centre otherwise."""
    CENTER = "center"
    START = "start"


class AudioPad(StrEnum):
    """What follows a clip that is shorter than the slot."""

    ZEROS = "zeros"
    REPEAT = "repeat"
    """The clip again and again."""
    REFLECT = "reflect"
    """The clip backwards and forwards, its first and last sample not repeated."""


class Part(NamedTuple):
    """Frames that are read, and the samples therein that are asked for.

    Attributes:
        start: number of the first frame; resampled, it is a sample.
        stop: number of the frame after the last one.
        skip: samples of what is resampled that come before the ones that are asked for.
    """

    start: int
    stop: int
    skip: int


def num_samples(frames: int, rate: int, sample_rate: int) -> int:
    """How many samples so many frames are, half ones rounded up: as libsoxr makes them."""
    return (2 * frames * sample_rate + rate) // (2 * rate)


def part_of(start: int, count: int, frames: int, rate: int, sample_rate: int, margin: int) -> Part:
    """The frames that samples `start` to `start + count` follow from.

    `margin` frames are read on both sides, where there are so many: what a filter looks at.
    """
    if rate == sample_rate:
        return Part(start, start + count, 0)
    common = gcd(rate, sample_rate)
    up, down = sample_rate // common, rate // common
    # The first frame is one that lies on a sample, so that resampled from there all others lie where they did.
    periods = max(0, start * down // up - margin) // down
    stop = min(frames, -(-(start + count) * down // up) + margin)
    return Part(periods * down, stop, start - periods * up)


def place(length: int, room: int, crop: AudioCrop, rng: np.random.Generator | None) -> int:
    """Where the crop of a clip of `length` samples begins, for a slot of `room`."""
    spare = length - room
    if spare <= 0 or crop is AudioCrop.START:
        return 0
    if crop is AudioCrop.RANDOM and rng is not None:
        return int(rng.integers(spare + 1))
    return spare // 2


def fill_up(out: npt.NDArray[np.float32], count: int, pad: AudioPad) -> None:
    """Fills a slot from sample `count` on, after the ones that are there."""
    room = len(out)
    if count >= room:
        return
    if pad is AudioPad.ZEROS:
        out[count:] = 0
    elif pad is AudioPad.REPEAT:
        out[count:] = out[np.arange(count, room) % count]
    else:
        period = max(1, 2 * (count - 1))
        places = np.arange(count, room) % period
        out[count:] = out[np.minimum(places, period - places)] if count > 1 else out[0]


def without_silence(samples: npt.NDArray[np.float32], trim_db: float) -> npt.NDArray[np.float32]:
    """The samples from the first to the last one that are within `trim_db` decibels of the loudest one.

    A clip of zeros stays as it is.
    """
    level = np.abs(samples)
    peak = level.max()
    if peak == 0:
        return samples
    loud = np.flatnonzero(level >= peak * np.float32(10 ** (-trim_db / 20)))
    return samples[loud[0] : loud[-1] + 1]
