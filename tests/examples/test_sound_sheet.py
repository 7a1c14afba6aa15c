import numpy as np
import pytest

from artifex.examples.sound_sheet import Sounds, band_of, sound_sheet
from artifex.generative_models.modalities import AudioModalityConfig
from artifex.generative_models.modalities.audio.mel import mel_filter_bank

CONFIG = AudioModalityConfig(sample_rate=16000, duration=0.5, normalize=False)
FRAMES = CONFIG.n_time_frames
# Across: 56 of labels, three pixels a frame, 8 of gap. Down: 30 of caption, 72 of waveform, two a band, 22 and 8.
ACROSS, DOWN = 56 + 3 * FRAMES + 8, 30 + 72 + 160 + 22 + 8


def sheet(rows):
    return np.asarray(sound_sheet(rows, CONFIG)).astype(int)


def row(clips, spectrograms):
    return Sounds(np.asarray(clips, np.float32), np.asarray(spectrograms, np.float32))


@pytest.fixture(scope="module")
def sounds():
    quiet = np.full((80, FRAMES), np.log(CONFIG.log_floor))
    loud = quiet.copy()
    loud[10:12, 5] = 3.0
    loud[40, 20] = -4.0
    beat = np.zeros(CONFIG.n_time_steps)
    beat[4000] = 0.5
    return {"one": row([beat, beat / 2], [loud, quiet]), "two": row([-beat, 0 * beat], [quiet, loud])}


def test_bands_are_those_of_the_filters():
    bank = mel_filter_bank(sample_rate=16000, n_fft=2**14, n_mels=80)
    middles = bank.argmax(axis=1) * 16000 / 2**14
    for band in (0, 10, 40, 79):
        assert band_of(float(middles[band]), CONFIG) == pytest.approx(band, abs=0.05)


def test_each_band_and_frame_is_a_patch_low_ones_below(sounds):
    pixels = sheet(sounds)
    assert pixels.shape == (2 * DOWN, 2 * ACROSS, 3)
    for left, top in ((56, 102), (ACROSS + 56, DOWN + 102)):
        panel = pixels[top : top + 160, left : left + 3 * FRAMES].sum(axis=-1)
        patches = panel.reshape(80, 2, FRAMES, 3)
        assert (patches == patches[:, :1, :, :1]).all()
        levels = patches[::-1, 0, :, 0]  # by band, from the lowest
        assert set(zip(*np.nonzero(levels > 4), strict=True)) == {(10, 5), (11, 5), (40, 20)}
        assert levels[10, 5] == levels[11, 5] == 252 + 255 + 200  # the loudest of all
        assert 4 < levels[40, 20] < levels[10, 5]


def test_waveforms_have_one_scale(sounds):
    pixels = sheet(sounds)

    def reach(row, column):
        """How far above and below the middle there is ink, in pixels."""
        top, left = row * DOWN + 30, column * ACROSS + 56
        inked = np.flatnonzero(
            (pixels[top : top + 72, left : left + 3 * FRAMES] < 200).all(axis=-1).any(axis=1)
        )
        return 36 - inked.min(), inked.max() - 36

    assert reach(0, 0) == (34, 0)
    assert reach(0, 1) == (17, 0)
    assert reach(1, 0) == (0, 34)
    assert reach(1, 1) == (0, 0)
    column = np.flatnonzero((pixels[32:60, 56 : 56 + 3 * FRAMES] < 200).all(axis=-1).any(axis=0))
    assert column.tolist() == [4000 * 3 * FRAMES // CONFIG.n_time_steps]


def test_captions_and_axes_are_written(sounds):
    pixels = sheet(sounds)
    assert pixels[:30].min() < 60  # the caption
    # half a second is 31.25 frames
    x, bottom = 56 + round(31.25 * 3), 102 + 160
    ticks = np.flatnonzero((pixels[bottom + 2, 56:ACROSS] == 0).all(axis=-1)) + 56
    assert ticks.tolist() == [56, x]
    marks = np.flatnonzero((pixels[102:bottom, 53] == 0).all(axis=-1)) + 102
    expected = [round(bottom - (band_of(pitch, CONFIG) + 0.5) * 2) for pitch in (4000, 2000, 1000, 500, 250)]
    assert marks.tolist() == expected


def test_silence_has_a_picture():
    nothing = row([np.zeros(CONFIG.n_time_steps)], [np.full((80, FRAMES), np.log(CONFIG.log_floor))])
    assert sheet({"silence": nothing})[102 : 102 + 160, 56 : 56 + 3 * FRAMES].max() == 4
