"""Rows of sounds on one sheet: waveforms above mel spectrograms, with seconds and Hz."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from artifex.generative_models.modalities import AudioModalityConfig
from artifex.generative_models.modalities.audio.mel import hz_to_mel

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_FRAME, _BAND = 3, 2  # pixels across and down
_WAVE, _CAPTION, _AXIS, _LEFT, _GAP = 72, 30, 22, 56, 8
_PAPER, _INK, _WAVE_INK, _SMALL, _LARGE = "white", "black", "#31446b", 12, 16
_PITCHES, _SECONDS = (250, 500, 1000, 2000, 4000), 0.5
# From black over violet and orange to white, evenly brighter.
_COLOURS = np.array(
    [[0, 0, 4], [64, 15, 106], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 200]], np.float64
)


@dataclass(frozen=True)
class Sounds:
    """Sounds of one length, and their log-mel spectrograms.

    Attributes:
        clips: (b, t), from -1 to 1.
        spectrograms: (b, m, n), ln of powers.
    """

    clips: npt.NDArray[np.float32]
    spectrograms: npt.NDArray[np.float32]


def sound_sheet(rows: Mapping[str, Sounds], config: AudioModalityConfig) -> "Image":
    """A picture of all rows, one below the other: waveforms and spectrograms on the same scales throughout.

    Args:
        rows: caption -> sounds, which stand side by side; all rows have as many, of the same length.
        config: what the spectrograms are; its frames are the pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    count, bands, frames = next(iter(rows.values())).spectrograms.shape
    across, down = _LEFT + frames * _FRAME + _GAP, _CAPTION + _WAVE + bands * _BAND + _AXIS + _GAP
    sheet = Image.new("RGB", (count * across, len(rows) * down), _PAPER)
    draw = ImageDraw.Draw(sheet)
    peak = max(float(np.abs(sounds.clips).max()) for sounds in rows.values())
    loudest = max(float(sounds.spectrograms.max()) for sounds in rows.values())
    for row, (caption, sounds) in enumerate(rows.items()):
        top = row * down
        draw.text((_GAP, top + _CAPTION // 2), caption, _INK, ImageFont.load_default(_LARGE), anchor="lm")
        for column, (clip, levels) in enumerate(zip(sounds.clips, sounds.spectrograms, strict=True)):
            left, middle = column * across + _LEFT, top + _CAPTION + _WAVE
            _draw_waveform(draw, clip / (peak or 1), left, top + _CAPTION, frames * _FRAME)
            sheet.paste(Image.fromarray(_pixels(levels, config, loudest)), (left, middle))
            _draw_axes(draw, config, (left, middle), (frames, bands), ImageFont.load_default(_SMALL))
    return sheet


def _draw_waveform(draw: "ImageDraw", clip: npt.NDArray[np.float32], left: int, top: int, width: int) -> None:
    """A line in each column of pixels, from the lowest to the highest sample there."""
    edges = np.linspace(0, len(clip), width, endpoint=False).astype(np.int64)
    lowest, highest = np.minimum.reduceat(clip, edges), np.maximum.reduceat(clip, edges)
    middle, height = top + _WAVE / 2, _WAVE / 2 - 2
    for x, (low, high) in enumerate(zip(lowest.tolist(), highest.tolist(), strict=True)):
        ends = [(left + x, round(middle - level * height)) for level in (high, low)]
        draw.line(ends, _WAVE_INK)


def _pixels(
    levels: npt.NDArray[np.float32], config: AudioModalityConfig, loudest: float
) -> npt.NDArray[np.uint8]:
    lowest = float(np.log(config.log_floor))
    place = np.clip((levels[::-1] - lowest) / (loudest - lowest or 1), 0, 1) * (len(_COLOURS) - 1)
    channels = [np.interp(place, np.arange(len(_COLOURS)), channel) for channel in _COLOURS.T]
    pixels = np.stack(channels, axis=-1).round().astype(np.uint8)
    return pixels.repeat(_BAND, axis=0).repeat(_FRAME, axis=1)


def _draw_axes(
    draw: "ImageDraw",
    config: AudioModalityConfig,
    corner: tuple[int, int],
    size: tuple[int, int],
    font: Any,
) -> None:
    """Seconds below the spectrogram whose upper left corner that is, and Hz beside it."""
    (left, top), (frames, bands) = corner, size
    bottom, seconds = top + bands * _BAND, frames * config.hop_length / config.sample_rate
    for number in range(int(seconds / _SECONDS) + 1):
        x = left + round(number * _SECONDS / seconds * frames * _FRAME)
        draw.line([(x, bottom), (x, bottom + 3)], _INK)
        unit = " s" if number == 0 else ""
        draw.text((x, bottom + 5), f"{number * _SECONDS:g}{unit}", _INK, font, anchor="mt")
    for pitch in _PITCHES:
        y = round(bottom - (band_of(pitch, config) + 0.5) * _BAND)
        if top <= y < bottom:
            draw.line([(left - 4, y), (left - 1, y)], _INK)
            unit = " Hz" if pitch == _PITCHES[-1] else ""
            draw.text((left - 6, y), f"{pitch}{unit}", _INK, font, anchor="rm")


def band_of(pitch: float, config: AudioModalityConfig) -> float:
    """The number of the mel band whose middle is at that many Hz, with fractions between them."""
    low, high, place = hz_to_mel([config.f_min, config.f_max or 0, pitch], mel_scale=config.mel_scale)
    return float((place - low) / (high - low) * (config.n_mels + 1) - 1)
