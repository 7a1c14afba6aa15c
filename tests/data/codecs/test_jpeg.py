"""Decoding no more of a photograph than is wanted: equal to decoding it whole, and as strict about damage."""

import io

import numpy as np
import pytest
from PIL import Image

from artifex.data.codecs import jpeg
from artifex.data.codecs.image import ImageCodec, RandomResizedCrop
from artifex.data.errors import DecodeError
from codecs_pictures import decoded, photo, saved

PHOTO = photo(203, 171)
KINDS = {
    "4:4:4": {"subsampling": "4:4:4"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:2:0": {"subsampling": "4:2:0"},
    "own tables": {"subsampling": "4:2:0", "optimize": True},
    "restarts": {"subsampling": "4:2:0", "restart_marker_rows": 2},
    "progressive": {"subsampling": "4:2:0", "progressive": True},
}


def file_of(kind, channels=3):
    return saved(PHOTO if channels == 3 else PHOTO[..., 0], "JPEG", quality=90, **KINDS[kind])


def above(data, channels, divisor, rows):
    found = jpeg._decode_above(data, jpeg.read_header(data), channels, divisor, rows)
    return None if found is None else found.copy()


@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_upper_part_is_that_of_the_whole(kind, channels, divisor):
    data = file_of(kind, channels)
    whole = jpeg.decode(data, jpeg.read_header(data), channels, divisor).copy()
    can = kind not in ("restarts", "progressive")
    less = 0
    for rows in range(1, 204):
        part = above(data, channels, divisor, rows)
        if part is None:
            continue
        less += 1
        wanted = -(-rows // divisor)
        assert len(part) < len(whole)
        np.testing.assert_array_equal(part[:wanted], whole[:wanted])
    assert less >= 150 if can else less == 0


def test_a_file_cut_short_below_what_is_wanted_is_found():
    data = file_of("4:2:0")
    assert above(data, 3, 1, 40) is not None
    for end in (len(data) - 1, len(data) - 2, len(data) * 3 // 4):
        with pytest.raises(DecodeError, match="damaged JPEG"):
            jpeg.decode(data[:end], jpeg.read_header(data), 3, rows=40)


def test_damage_in_what_is_wanted_is_found_as_in_the_whole():
    data = file_of("4:2:0")
    start = data.index(b"\xff\xda") + 14
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        broken = bytearray(data)
        for at in rng.integers(start, start + (len(data) - start) // 8, 3):
            broken[at] = rng.integers(256)
        photograph = jpeg.read_header(bytes(broken))
        try:
            whole = jpeg.decode(bytes(broken), photograph, 3).copy()
        except DecodeError:
            whole = None
        try:
            part = jpeg.decode(bytes(broken), photograph, 3, rows=160)
        except DecodeError:
            assert whole is None
            found += 1
            continue
        if whole is not None:
            np.testing.assert_array_equal(part[:160], whole[:160])
    assert found >= 5, "most damage to a scan goes unseen by any decoder"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_crop_is_that_of_the_whole(kind, orientation, monkeypatch):
    exif = Image.Exif()
    exif[274] = orientation
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, "JPEG", exif=exif, **KINDS[kind])
    codec = ImageCodec(24, 24, crop=RandomResizedCrop())

    def crops():
        return [decoded(codec, file.getvalue(), np.random.default_rng(seed)) for seed in range(20)]

    quick = crops()
    monkeypatch.setattr(jpeg, "_decode_above", lambda *_: None)
    np.testing.assert_array_equal(quick, crops())
