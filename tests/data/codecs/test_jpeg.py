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


def outcome(data):
    """Size, orientation and pixels; a word for what is left to Pillow or refused."""
    try:
        photo = jpeg.read_header(data)
        return "left" if photo is None else (photo, jpeg.decode(data, photo, 3).copy())
    except (DecodeError, ValueError, KeyError):
        return "refused"


def changed(data, at, value):
    """With another byte in the frame, counted from its first."""
    at += data.index(b"\xff\xc0") + 4
    return data[:at] + bytes([value]) + data[at + 1 :]


def test_sides_that_no_decoder_takes_are_refused_by_the_header_already():
    data = changed(saved(np.zeros((8, 8), np.uint8), "JPEG"), 1, 65500 >> 8)
    assert jpeg.read_header(changed(data, 2, 65500 & 255)).size == (8, 65500)
    for height in (65501, 65535):
        with pytest.raises(ValueError, match="tjDecompressHeader"):
            jpeg.read_header(changed(data, 2, height & 255))


def test_what_the_header_says_itself_is_what_libjpeg_says_of_it(monkeypatch):
    files = [file_of(kind, channels) for kind in KINDS for channels in (1, 3)]
    files.append(saved(PHOTO, "JPEG", keep_rgb=True))
    rng = np.random.default_rng(0)
    broken = [*files]
    broken += [
        changed(file_of("4:4:4"), at, value) for at in (7, 10, 13) for value in (0x14, 0x41, 0x22, 0x10, 0)
    ]
    broken += [changed(file_of("4:4:4"), at, value) for at in range(1, 7) for value in (0, 255)]
    for _ in range(1500):
        data = bytearray(files[rng.integers(len(files))])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(2, data.index(b"\xff\xda") + 10)) if b"\xff\xda" in data else 2
            if rng.random() < 0.6:
                data[at] = rng.integers(256)
            else:
                data[at : at + int(rng.integers(0, 20))] = rng.bytes(int(rng.integers(0, 6)))
        broken.append(bytes(data))
    quick = [outcome(data) for data in broken]
    monkeypatch.setattr(jpeg, "_size_of_usual", lambda *where: None)
    asked = [outcome(data) for data in broken]
    for one, other in zip(quick, asked, strict=True):
        if isinstance(other, str):
            assert one == other
        else:
            assert one[0] == other[0]
            np.testing.assert_array_equal(one[1], other[1])
    assert sum(isinstance(one, tuple) for one in asked) > 200
    assert asked.count("refused") > 200
    assert asked.count("left") >= 1


def test_libjpeg_is_asked_only_where_colours_need_it(monkeypatch):
    asked = []
    ask = jpeg.simplejpeg.decode_jpeg_header
    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg_header", lambda data: asked.append(1) or ask(data))
    data = file_of("4:2:0")
    assert jpeg.read_header(data).size == PHOTO.shape[1::-1]
    assert jpeg.read_header(file_of("4:2:0", channels=1)).size == PHOTO.shape[1::-1]
    assert not asked
    without = data[:2] + data[2 + 18 :]
    assert data[2:4] == b"\xff\xe0"
    assert jpeg.read_header(without).size == PHOTO.shape[1::-1]
    assert asked == [1]
