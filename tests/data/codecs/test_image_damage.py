"""What is no image, or no longer one: a DecodeError, never a wrong picture, a warning or a full memory."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from artifex.data.codecs.crop import RandomResizedCrop
from artifex.data.codecs.image import ImageCodec, ImageLimits
from artifex.data.errors import DecodeError
from codecs_pictures import decoded, opened, photo, saved

PICTURE = photo(48, 64)
KINDS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]
FILES = {kind: saved(PICTURE, kind) for kind in KINDS} | {
    "progressive JPEG": saved(PICTURE, "JPEG", progressive=True),
    "CMYK JPEG": saved(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
    "packed TIFF": saved(PICTURE, "TIFF", compression="tiff_lzw"),
    "palette PNG": saved(Image.fromarray(PICTURE).convert("P"), "PNG", transparency=bytes(range(256))),
}
CODEC = ImageCodec(48, 64)


def chunk(name, body, crc=None):
    crc = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def png(width, height, body, *extra):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(extra)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", FILES)
def test_cut_off_anywhere_it_is_an_error_or_right(kind):
    data = FILES[kind]
    right = decoded(CODEC, data)
    wrong = []
    for left in sorted({*np.linspace(0, len(data) - 1, 60).astype(int), *range(len(data) - 8, len(data))}):
        try:
            got = decoded(CODEC, data[:left])
        except DecodeError as error:
            assert error.reason  # noqa: PT017
            assert error.path is None  # noqa: PT017
            continue
        if not np.array_equal(got, right):
            wrong.append((left, len(data)))
    assert not wrong


@pytest.mark.parametrize("codec", [CODEC, ImageCodec(16, 16), ImageCodec(48, 64, 1)], ids=str)
@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG"])
@pytest.mark.parametrize("left", [3, 30, 0.3, 0.6, 0.95, -2, -1])
def test_a_jpeg_is_cut_off(codec, kind, left):
    data = FILES[kind]
    with pytest.raises(DecodeError, match="JPEG"):
        decoded(codec, data[: int(left * len(data)) if isinstance(left, float) else left])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "0 bytes that begin with b''"),
        (b"\0" * 1000, "no image format known"),
        (b"this is a text, named cat.jpg", "begin with b'this is '"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image format known"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "no image format known",
        ),  # would run a program
        (b"BM but not a bitmap", "not a whole image"),
        (b"P6 but not pixels", "not a whole image"),
        (b"\xff\xd8\xff", "ends before its first scan"),
        (b"\x89PNG\r\n\x1a\n", "without a header"),
        (b"II*\0\x08\0\0\0\xff\xff", "outside of the file"),
        (b"II*\0\xff\xff\xff\xff", "not a whole image"),
    ],
)
def test_what_is_no_image(value, reason):
    with pytest.raises(DecodeError, match=reason):
        decoded(CODEC, value)


def test_a_png_with_a_wrong_checksum():
    data = png(4, 4, zlib.compress(bytes(20)))
    assert decoded(ImageCodec(4, 4), data).shape == (4, 4, 3)
    for name in (b"IHDR", b"IDAT"):
        at = data.index(name) + 4
        bad = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(DecodeError):
            decoded(ImageCodec(4, 4), bad)


def test_a_jpeg_whose_scan_is_damaged():
    """Forty bytes of it are missing: all below is shifted, and Pillow says nothing."""
    whole = saved(photo(200, 250), "JPEG")
    at = len(whole) * 2 // 3
    data = whole[:at] + whole[at + 40 :]
    assert (np.asarray(opened(data)) != np.asarray(opened(whole))).any()
    with pytest.raises(DecodeError, match="a damaged JPEG"):
        decoded(CODEC, data)


# -- bombs


def bomb():
    """400 million grey pixels in less than half a megabyte."""
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(20_001 * 100)) for _ in range(200)) + packer.flush()
    return png(20_000, 20_000, body)


@pytest.mark.parametrize("side", [8000, 10_000, 20_000])
def test_a_bomb_is_refused_before_memory_is_taken(side):
    """Pillow warns at 9,460 pixels squared and raises at 13,378: neither is to be seen."""
    data = bomb() if side == 20_000 else png(side, side, zlib.compress(bytes(100)))
    assert len(data) < 500_000
    limits = ImageLimits(max_pixels=2**25)
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError, match=rf"{side} x {side} pixels are over `max_pixels` 33554432"):
            decoded(ImageCodec(8, 8, limits=limits), data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def huge_headers():
    """Formats that state a size early, with one of 30,000 x 30,000 put in."""
    jpeg = bytearray(FILES["JPEG"])
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 30_000, 30_000)
    gif = bytearray(FILES["GIF"])
    gif[6:10] = struct.pack("<HH", 30_000, 30_000)
    frame = bytearray(FILES["GIF"])
    at = frame.index(b",", 13 + 3 * 256)
    assert struct.unpack("<HH", frame[at + 5 : at + 9]) == (64, 48)
    frame[at + 5 : at + 9] = struct.pack("<HH", 30_000, 30_000)
    bmp = bytearray(FILES["BMP"])
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    tiff = bytearray(FILES["TIFF"])
    for at in range(10, 10 + 12 * 2, 12):  # width and height come first
        assert struct.unpack_from("<H", tiff, at)[0] in (256, 257)
        struct.pack_into("<HII", tiff, at + 2, 4, 1, 30_000)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (29_999).to_bytes(3, "little") * 2
    lossless = b"VP8L" + struct.pack("<I", 5) + b"\x2f" + (16_383 | 16_383 << 14).to_bytes(4, "little")
    return {
        "JPEG": bytes(jpeg),
        "GIF": bytes(gif),
        "GIF frame": bytes(frame),
        "BMP": bytes(bmp),
        "PPM": b"P6 30000 30000 255\n" + bytes(100),
        "TIFF": bytes(tiff),
        "WEBP": b"RIFF" + struct.pack("<I", 22) + b"WEBP" + extended,
        "WEBP lossless": b"RIFF" + struct.pack("<I", 18) + b"WEBP" + lossless + bytes(9),
    }


@pytest.mark.parametrize("kind", huge_headers())
def test_absurd_sizes_are_refused(kind):
    with pytest.raises(DecodeError, match="over `max_pixels`"):
        decoded(CODEC, huge_headers()[kind])


def test_a_side_that_is_too_long():
    with pytest.raises(DecodeError, match="100000 x 2 pixels: a side is over `max_side` 32768"):
        decoded(CODEC, png(100_000, 2, b""))


def test_a_file_that_is_too_long():
    with pytest.raises(DecodeError, match="a file of 1000 bytes is over `max_bytes` 999"):
        decoded(ImageCodec(4, 4, limits=ImageLimits(max_bytes=999)), bytes(1000))


def test_limits_are_kept_to_the_pixel():
    data = saved(PICTURE, "PNG")
    decoded(ImageCodec(4, 4, limits=ImageLimits(64 * 48, len(data), 64)), data)
    for limits in (ImageLimits(64 * 48 - 1), ImageLimits(max_bytes=len(data) - 1), ImageLimits(max_side=63)):
        with pytest.raises(DecodeError):
            decoded(ImageCodec(4, 4, limits=limits), data)


def test_tiles_larger_than_the_picture():
    """Pillow warns about the size of a tile; nothing of that may be seen."""
    entries = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, 10_000), (323, 4, 10_000), (324, 4, 8), (325, 4, 256)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(300)
    with pytest.raises(DecodeError, match="10000 x 10000"):
        decoded(CODEC, data)


def test_a_gif_without_a_frame():
    with pytest.raises(DecodeError, match="a GIF without a frame"):
        decoded(CODEC, b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + b";")


@pytest.mark.parametrize("frames", [[0], [2**31], [1, 1]])
def test_an_animated_png_that_makes_no_sense(frames):
    extra = [chunk(b"acTL", struct.pack(">II", n, 0)) for n in frames]
    with pytest.raises(DecodeError, match="number of frames"):
        decoded(ImageCodec(4, 4), png(4, 4, zlib.compress(bytes(20)), *extra))


# -- bytes flipped at random


@pytest.mark.parametrize("kind", FILES)
def test_flipped_bytes_give_an_error_or_a_whole_picture(kind):
    """No other exception, no warning (they are errors in these tests), and every pixel written."""
    data = np.frombuffer(FILES[kind], np.uint8)
    rng = np.random.default_rng(len(data))
    codec = ImageCodec(24, 24, limits=ImageLimits(max_pixels=2**20), crop=RandomResizedCrop())
    outcomes = {"error": 0, "picture": 0}
    for _ in range(80):
        bad = data.copy()
        end = len(bad) if rng.random() < 0.5 else min(200, len(bad))  # headers are short and worth it
        places = rng.integers(0, end, rng.integers(1, 5))
        bad[places] = rng.integers(0, 256, len(places))
        slots = [np.full((24, 24, 3), pattern, np.uint8) for pattern in (0, 255)]
        try:
            for slot in slots:
                codec.decode(bad.tobytes(), slot, rng=np.random.Generator(np.random.Philox(key=1)))
        except DecodeError as error:
            assert not isinstance(error.__cause__, Warning), error  # noqa: PT017
            outcomes["error"] += 1
            continue
        np.testing.assert_array_equal(*slots)
        outcomes["picture"] += 1
    assert min(outcomes.values()) > 0 or kind.endswith("PNG"), outcomes  # checksums
