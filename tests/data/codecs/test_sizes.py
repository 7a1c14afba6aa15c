import numpy as np
import pytest
from PIL import Image, ImageOps

from artifex.data.codecs.headers import ImageLimits
from artifex.data.codecs.sizes import upright_size
from artifex.data.errors import DecodeError
from codecs_pictures import opened, photo, saved

PICTURE = photo(40, 60)
LIMITS = ImageLimits()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF", "TIFF", "WEBP"])
def test_a_picture_s_size_is_that_of_the_upright_picture(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(PICTURE, kind, exif=exif)
    assert upright_size(data, LIMITS) == ImageOps.exif_transpose(opened(data)).size


@pytest.mark.parametrize("kind", ["GIF", "BMP", "JPEG2000", "PPM"])
def test_formats_without_orientation(kind):
    assert upright_size(saved(PICTURE, kind), LIMITS) == (60, 40)


def test_cmyk():
    assert upright_size(saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"), LIMITS) == (60, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_the_beginning_of_a_file_is_enough(kind):
    data = saved(photo(600, 400), kind)
    assert len(data) > 4000
    assert upright_size(data[:2000], LIMITS) == (400, 600)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "JPEG2000", "PPM"])
def test_any_beginning_gives_the_size_or_an_error(kind):
    data = saved(PICTURE, kind)
    for length in [*range(60), *range(60, len(data), max(len(data) // 50, 1))]:
        try:
            size = upright_size(data[:length], LIMITS)
        except DecodeError:
            continue
        assert size == (60, 40), length


def test_nothing_is_decoded_and_limits_hold():
    bomb = saved(Image.new("L", (20_000, 20_000)), "PNG")
    with pytest.raises(DecodeError, match="over `max_pixels`"):
        upright_size(bomb, LIMITS)
    with pytest.raises(DecodeError, match="a side is over `max_side` 50"):
        upright_size(saved(PICTURE, "JPEG"), ImageLimits(max_side=50))
    with pytest.raises(DecodeError, match="no image format"):
        upright_size(np.arange(100, dtype=np.uint8).tobytes(), LIMITS)
