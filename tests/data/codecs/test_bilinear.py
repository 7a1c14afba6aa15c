import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artifex.data.codecs.bilinear import can_scale, scaled
from codecs_pictures import difference, photo

PHOTO = photo(300, 360)


def whole(pixels):
    return (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))


def pillow(pixels, box, size):
    """The exact triangle."""
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=box))


@pytest.mark.parametrize("size", [(360, 300), (361, 300), (400, 700), (1000, 310)])
@pytest.mark.parametrize("box", [whole(PHOTO), (20.25, 0.0, 359.5, 212.75), (10.0, 20.0, 350.0, 290.0)])
def test_scaling_up_is_pillows(box, size):
    """Within one grey level by whole pixels, and three where a box ends between pixels."""
    got = difference(scaled(PHOTO, box, size), pillow(PHOTO, box, size))
    assert got.max() <= (1 if box == whole(PHOTO) else 3) and got.mean() <= 0.3


@pytest.mark.parametrize("factor", [2, 3])
def test_scaling_down_by_whole_numbers_is_pillows(factor):
    """Within one grey level, but for the border: Pillow cuts the triangle there, here the edge is repeated."""
    size = (360 // factor, 300 // factor)
    got = difference(scaled(PHOTO, whole(PHOTO), size), pillow(PHOTO, whole(PHOTO), size))
    assert got[2:-2, 2:-2].max() <= 1 and got.max() <= 25


@pytest.mark.parametrize("shrink", [1.01, 1.1, 1.25, 1.4, 1.6, 1.75, 1.9, 2.1, 2.3, 2.5, 2.7, 2.9])
@pytest.mark.parametrize("box", [whole(PHOTO), (20.25, 3.0, 349.5, 289.75)])
def test_scaling_down_is_nearly_pillows(box, shrink):
    """By 0.8 grey levels in the mean, and by 40 anywhere; plain interpolation is farther off from 1.1 on."""
    size = round((box[2] - box[0]) / shrink), round((box[3] - box[1]) / shrink)
    expected = pillow(PHOTO, box, size)
    got = difference(scaled(PHOTO, box, size), expected)
    assert got.mean() <= 0.8 and got.max() <= 40
    plain = difference(cv2.resize(PHOTO, size), pillow(PHOTO, whole(PHOTO), size))
    assert shrink < 1.2 or got.mean() < plain.mean()


@pytest.mark.parametrize("shrink", [2, 3])
def test_what_is_too_fine_to_show_is_grey(shrink):
    stripes = np.zeros((120, 120, 3), np.uint8)
    stripes[:, ::shrink] = 240
    got = scaled(stripes, whole(stripes), (120 // shrink, 120 // shrink))
    assert difference(got[3:-3, 3:-3], 240 / shrink).max() <= 1
    plain = cv2.resize(stripes, (120 // shrink, 120 // shrink), interpolation=cv2.INTER_LINEAR)
    assert shrink == 2 or difference(plain, 240 / shrink).max() > 50, "what the blur is for"


@settings(deadline=None, max_examples=80)
@given(st.data(), st.integers(0, 255), st.sampled_from([1, 3]))
def test_one_colour_stays_that_colour(data, grey, channels):
    width, height = (data.draw(st.integers(1, 40), name) for name in ("width", "height"))
    left, top = data.draw(st.floats(0, width - 0.5)), data.draw(st.floats(0, height - 0.5))
    box = (left, top, data.draw(st.floats(left + 0.25, width)), data.draw(st.floats(top + 0.25, height)))
    size = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    pixels = np.full((height, width, channels), grey, np.uint8)
    if can_scale((width, height), box, size):
        got = scaled(pixels, box, size)
        assert got.shape == (size[1], size[0], channels) and (got == grey).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("box", [whole(PHOTO), (20.25, 0.0, 359.5, 212.75), (10.0, 20.0, 170.0, 120.0)])
def test_it_is_written_where_it_belongs(box, channels):
    pixels = np.ascontiguousarray(PHOTO[..., :channels])
    batch = np.full((3, 100, 160, channels), 77, np.uint8)
    got = scaled(pixels, box, (160, 100), batch[1])
    assert np.shares_memory(got, batch[1]) and (batch[[0, 2]] == 77).all()
    np.testing.assert_array_equal(batch[1], scaled(pixels, box, (160, 100)))
    np.testing.assert_array_equal(batch[1], scaled(PHOTO, box, (160, 100))[..., :channels])


@pytest.mark.parametrize(("before", "after"), [("", "1"), ("cv2.setNumThreads(7); ", "7")])
def test_opencv_s_threads_are_switched_off_unless_the_user_has_set_them(before, after):
    program = (
        f"import cv2; cv2.getNumberOfCPUs() > 1 or sys.exit(print({after})); {before}"
        f"import artifex.data.codecs.bilinear; print(cv2.getNumThreads())"
    )
    command = [sys.executable, "-c", f"import sys; {program}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [after]


def test_a_part_of_a_picture_in_memory_is_as_good_as_a_copy():
    part = PHOTO[30:200, 50:270]
    expected = scaled(part.copy(), whole(part), (128, 96))
    np.testing.assert_array_equal(scaled(part, whole(part), (128, 96)), expected)


def test_what_lies_around_a_box_shines_in_at_its_edges():
    pixels = np.zeros((40, 40, 1), np.uint8)
    pixels[:, :10] = 200
    got = scaled(pixels, (10.0, 0.0, 40.0, 40.0), (20, 27))[10, :3, 0]
    assert got[0] > 10 and got[2] == 0
    cut = pixels[:, 10:]
    assert scaled(cut, whole(cut), (20, 27)).max() == 0


@pytest.mark.parametrize(
    ("stored", "box", "size", "can"),
    [
        ((300, 300), (0.0, 0.0, 300.0, 300.0), (100, 100), True),
        ((301, 300), (0.0, 0.0, 301.0, 300.0), (100, 100), False),
        ((300, 301), (0.0, 0.0, 300.0, 301.0), (100, 100), False),
        ((300, 301), (0.0, 0.5, 300.0, 300.0), (100, 100), True),
        ((1, 2**15), (0.0, 0.0, 1.0, 1.0), (1, 1), False),
        ((1, 1), (0.0, 0.0, 1.0, 1.0), (2**15, 1), False),
    ],
)
def test_what_it_can_scale(stored, box, size, can):
    assert can_scale(stored, box, size) is can


@pytest.mark.parametrize("size", [(90, 75), (100, 61), (36, 30)])
def test_without_a_filter_it_is_interpolation_alone(size):
    got = scaled(PHOTO, whole(PHOTO), size, antialias=False)
    np.testing.assert_array_equal(got, cv2.resize(PHOTO, size, interpolation=cv2.INTER_LINEAR))
    assert can_scale((360, 300), whole(PHOTO), (36, 30), antialias=False)
    assert not can_scale((360, 300), whole(PHOTO), (36, 30))


def test_interpolation_alone_shows_stripes_that_are_too_fine():
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 255
    box = (0.0, 0.0, 64.0, 64.0)
    assert (
        np.ptp(scaled(stripes, box, (24, 24), antialias=False))
        > 150
        > 50
        > np.ptp(scaled(stripes, box, (24, 24)))
    )


def interpolated(pixels, box, size):
    """Between the four nearest pixels, those at the edges repeated: the definition."""
    left, top, right, bottom = box
    pixels = pixels.astype(float)
    for axis, (start, stop, count) in enumerate([(top, bottom, size[1]), (left, right, size[0])]):
        at = start + (np.arange(count) + 0.5) * (stop - start) / count - 0.5
        low = np.floor(at).astype(int)
        weight = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        last = pixels.shape[axis] - 1
        one, two = (np.take(pixels, np.clip(i, 0, last), axis) for i in (low, low + 1))
        pixels = one * (1 - weight) + two * weight
    return pixels


@pytest.mark.parametrize("right", [360.0, 359.5, 359.25])
@pytest.mark.parametrize("left", [0.0, 0.5, 7.0])
@pytest.mark.parametrize("size", [(64, 64), (200, 150), (400, 350)])
def test_both_ways_to_interpolate_are_the_definition(left, right, size):
    """Within 1 grey level by resizing (from pixel 0), within 4 by warping, which goes in steps of 1/32 pixel."""
    box = (left, left, right, 299.75)
    got = difference(scaled(PHOTO, box, size, antialias=False), interpolated(PHOTO, box, size).round())
    assert got.max() <= (1 if left == 0 else 4) and got.mean() < 0.5


def test_a_box_that_ends_within_a_picture_of_the_result_s_size_is_scaled():
    noise = np.random.default_rng(0).integers(0, 256, (7, 64, 3), np.uint8)
    box = (0.0, 0.0, 63.6, 6.6)
    expected = interpolated(noise, box, (64, 7)).round()
    assert (
        difference(scaled(noise, box, (64, 7), antialias=False), expected).max() <= 8
    )  # in steps of 1/32 pixel
