import math

import numpy as np
import pytest

from artifex.data.codecs.crop import Fit, RandomResizedCrop, place, stored_box, turned, upright
from artifex.data.errors import ConfigError, ConfigTypeError


def draws(crop, size, n=2000):
    rng = np.random.Generator(np.random.Philox(key=3))
    return np.array([crop.draw(size, rng) for _ in range(n)])


def test_boxes_lie_inside_and_have_pixels():
    for size in ((500, 400), (3, 2), (1, 1), (1, 5000), (5000, 1)):
        left, top, right, bottom = draws(RandomResizedCrop(), size, 300).T
        assert (left >= 0).all()
        assert (top >= 0).all()
        assert (left < right).all()
        assert (top < bottom).all()
        assert (right <= size[0]).all()
        assert (bottom <= size[1]).all()


def test_area_and_aspect_follow_their_laws():
    """Small crops always fit, so that nothing is drawn again: uniform area, log-uniform ratio."""
    size = (4000, 4000)
    left, top, right, bottom = draws(RandomResizedCrop((0.05, 0.25)), size).T
    area = (right - left) * (bottom - top) / (size[0] * size[1])
    ratio = np.log((right - left) / (bottom - top))
    for values, low, high in ((area, 0.05, 0.25), (ratio, math.log(3 / 4), math.log(4 / 3))):
        uniform = np.sort((values - low) / (high - low))
        # Kolmogorov-Smirnov at 2,000 draws: 0.0437 is passed by chance once in a thousand.
        assert np.abs(uniform - (np.arange(2000) + 0.5) / 2000).max() < 0.0437


def test_places_are_uniform():
    left, top, right, bottom = draws(RandomResizedCrop((0.05, 0.25)), (4000, 4000)).T
    for start, length in ((left, right - left), (top, bottom - top)):
        uniform = np.sort(start / (4000 - length))
        assert np.abs(uniform - (np.arange(2000) + 0.5) / 2000).max() < 0.0437


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((1000, 10), (494, 0, 507, 10)),  # 10 * 4 / 3 = 13 wide
        ((10, 1000), (0, 493, 10, 506)),  # 10 / (3 / 4) = 13 high
    ],
)
def test_what_never_fits_is_the_largest_in_the_middle(size, box):
    crop = RandomResizedCrop((1.0, 1.0))
    got = crop.draw(size, np.random.default_rng(0))
    assert (got[2] - got[0], got[3] - got[1]) == (box[2] - box[0], box[3] - box[1])
    assert abs(got[0] - box[0]) <= 1
    assert abs(got[1] - box[1]) <= 1


def test_the_whole_picture_is_a_crop():
    assert RandomResizedCrop((1.0, 1.0), (1.0, 1.0)).draw((7, 7), np.random.default_rng(0)) == (0, 0, 7, 7)


def test_a_draw_is_a_function_of_its_generator():
    crop = RandomResizedCrop()
    one, two = (np.random.Generator(np.random.Philox(key=9)) for _ in range(2))
    assert [crop.draw((90, 70), one) for _ in range(20)] == [crop.draw((90, 70), two) for _ in range(20)]


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": (0.0, 1.0)},
        {"scale": (0.5, 0.4)},
        {"scale": (0.5, 1.1)},
        {"ratio": (-1.0, 1.0)},
        {"ratio": (2.0, 1.0)},
        {"ratio": (1.0, math.inf)},
        {"scale": (math.nan, 1.0)},
    ],
)
def test_settings_that_are_wrong(settings):
    with pytest.raises(ConfigError, match=r"must be \(low, high\) with 0 < low <= high"):
        RandomResizedCrop(**settings)


@pytest.mark.parametrize(
    ("flip", "kind", "message"),
    [
        (-0.1, ConfigError, "`flip` must be from 0 to 1, got -0.1"),
        (math.nan, ConfigError, "`flip` must be from 0 to 1, got nan"),
        (True, ConfigTypeError, "`flip` must be a number from 0 to 1, got True"),
    ],
)
def test_flips_that_are_wrong(flip, kind, message):
    with pytest.raises(kind, match=message):
        RandomResizedCrop(flip=flip)


@pytest.mark.parametrize("flip", [0.0, 0.25, 1])
def test_a_flip_comes_as_often_as_said(flip):
    crop, rng = RandomResizedCrop(flip=flip), np.random.default_rng(0)
    share = np.mean([crop.draw_flip(rng) for _ in range(2000)])
    assert abs(share - flip) <= 5 * math.sqrt(flip * (1 - flip) / 2000)


def test_windows_by_hand():
    assert place((400, 200), (100, 100), Fit.COVER).box == (100, 0, 300, 200)
    assert place((200, 400), (100, 50), Fit.COVER).box == (0, 150, 200, 250)
    contained = place((400, 200), (100, 100), Fit.CONTAIN)
    assert (contained.box, contained.size, contained.offset) == ((0, 0, 400, 200), (100, 50), (0, 25))
    assert place((5000, 1), (64, 64), Fit.CONTAIN).size == (64, 1)
    stretched = place((7, 5), (3, 9), Fit.STRETCH)
    assert (stretched.box, stretched.size, stretched.offset) == ((0, 0, 7, 5), (3, 9), (0, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_the_same_part_stored_and_upright(orientation):
    stored = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7, 1)
    seen = upright(stored, orientation)
    assert seen.shape[1::-1] == turned((7, 5), orientation)
    left, top, right, bottom = (int(x) for x in stored_box((1, 0, 4, 3), (7, 5), orientation))
    np.testing.assert_array_equal(upright(stored[top:bottom, left:right], orientation), seen[0:3, 1:4])
