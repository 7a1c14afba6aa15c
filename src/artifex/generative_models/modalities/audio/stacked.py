"""Clips in memory as the arrays of a dataset."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.codecs.audio import Waveform
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.config import AudioModalityConfig
from artifex.generative_models.modalities.audio.prepare import checked_clips, clips_and_rate


def stacked(
    audio: Any, sample_rate: int | None, config: AudioModalityConfig
) -> tuple[Mapping[str, npt.NDArray[Any]], int]:
    """The fields `audio` (n, t) and, of clips of several lengths, `length` (n,); and the rate of the clips, Hz.

    Args:
        audio: (n, t), or n clips (t,), or n `Waveform`s.
        sample_rate: of the clips; None: that which all `Waveform`s carry, else the config's.
        config: what clips are brought to, which `length` counts in.

    Raises:
        ShapeError: they are of another rank or dtype, or one is empty.
        ConfigError: there are none, or they are of several rates.
    """
    if not isinstance(audio, Waveform) and (isinstance(audio, np.ndarray) or hasattr(audio, "__array__")):
        array = np.asarray(audio)
        if array.ndim != 2:
            raise ShapeError(f"`audio` must have shape (n, t), or be a list of clips (t,), got {array.shape}")
        checked_clips(array[:1])
        return {"audio": array}, clips_and_rate(array, sample_rate, config.sample_rate)[1]
    if isinstance(audio, Waveform) or not hasattr(audio, "__iter__"):
        what = f"one sound, {list(audio.shape)}" if isinstance(audio, Waveform) else type(audio).__name__
        raise ShapeError(f"`audio` must have shape (n, t), or be a list of clips (t,), got {what}")
    pairs = [clips_and_rate(clip, sample_rate, config.sample_rate) for clip in audio]
    clips = [np.asarray(clip) for clip, _ in pairs]
    _check(clips)
    rates = sorted({rate for _, rate in pairs})
    if len(rates) > 1:
        raise ConfigError(
            f"`audio` must be clips of one rate, got {', '.join(map(str, rates))} Hz; bring them to one, e.g. by the "
            f"`sample_rate` of `load_audio_file`"
        )
    silence = 128 if clips[0].dtype == np.uint8 else 0
    rows = np.full((len(clips), max(map(len, clips))), silence, clips[0].dtype)
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
    made = [min(-(-len(clip) * config.sample_rate // rates[0]), config.n_time_steps) for clip in clips]
    return {"audio": rows, "length": np.array(made, np.int32)}, rates[0]


def _check(clips: list[npt.NDArray[Any]]) -> None:
    if not clips:
        raise ConfigError("`audio` is empty: a dataset needs at least one clip")
    for number, clip in enumerate(clips):
        if clip.ndim != 1 or clip.dtype != clips[0].dtype or not clip.size:
            raise ShapeError(
                f"`audio` must be clips (t,) of one dtype, with a sample at least, got "
                f"{clip.dtype}{list(clip.shape)} at {number}"
            )
    checked_clips(clips[0])
