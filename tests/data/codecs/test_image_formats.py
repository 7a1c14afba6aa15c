"""Formats, modes, alpha, depth and orientation: every pixel against one worked by hand or against Pillow."""

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from artifex.data.codecs.image import ImageCodec
from artifex.data.errors import DecodeError, MissingPackageError
from codecs_pictures import decoded, difference, opened, photo, saved

PICTURE = photo(40, 60)
EXACT = [
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "packbits"}),
    ("JPEG2000", {"irreversible": False}),
    ("PPM", {}),
]


@pytest.mark.parametrize(("kind", "options"), EXACT)
def test_lossless_formats_give_what_was_saved(kind, options):
    np.testing.assert_array_equal(decoded(ImageCodec(40, 60), saved(PICTURE, kind, **options)), PICTURE)


@pytest.mark.parametrize("kind", ["AVIF", "WEBP", "GIF", "JPEG"])
def test_lossy_formats_give_what_pillow_gives(kind):
    data = saved(PICTURE, kind)
    np.testing.assert_array_equal(decoded(ImageCodec(40, 60), data), np.asarray(opened(data).convert("RGB")))
    assert difference(decoded(ImageCodec(40, 60), data), PICTURE).mean() < 12


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opaque_modes_are_converted_as_pillow_does(channels, kind, mode):
    image = Image.fromarray(PICTURE).convert(mode)
    if mode in {"PNG": ("CMYK", "YCbCr"), "JPEG": ("P",)}.get(kind, ()):
        pytest.skip(f"{kind} has no {mode}")
    data = saved(image, kind)
    expected = opened(data)
    if channels == 1 and kind == "JPEG" and expected.mode == "RGB":
        expected.draft("L", expected.size)  # the file's own luma, which no rounding through RGB has touched
    if expected.mode == "CMYK":
        expected = expected.convert("RGB")
    expected = np.asarray(expected.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(40, 60, channels)
    np.testing.assert_array_equal(decoded(ImageCodec(40, 60, channels), data), expected)


def test_grey_is_luma_of_itu_r_601():
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 60]]], np.uint8)
    got = decoded(ImageCodec(1, 4, 1), saved(colours, "PNG"))[0, :, 0]
    assert got.tolist() == [76, 150, 29, 127]  # round(0.299 r + 0.587 g + 0.114 b)


def test_cmyk_jpeg_with_adobes_inversion():
    cmyk = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # all cyan
    got = decoded(ImageCodec(16, 16), saved(cmyk, "JPEG", quality=95))
    assert difference(got, [0, 255, 255]).max() <= 3


def test_ycck_jpeg():
    """Four components whose first three are YCbCr: Adobe's transform 2, where CMYK says 0."""
    data = bytearray(saved(Image.new("CMYK", (16, 16), (128, 128, 128, 0)), "JPEG", quality=95))
    at = data.index(b"Adobe") + 11
    assert data[at] == 0
    data[at] = 2
    # The middle values read as Y = 128 and no chroma: the same grey.
    got = decoded(ImageCodec(16, 16), bytes(data))
    np.testing.assert_array_equal(got, np.asarray(opened(bytes(data)).convert("RGB")))
    assert difference(got, 127).max() <= 3


def test_rgb_jpeg_is_not_taken_for_ycbcr():
    data = saved(PICTURE, "JPEG", keep_rgb=True, quality=95)
    got = decoded(ImageCodec(40, 60), data)
    np.testing.assert_array_equal(got, np.asarray(opened(data)))
    assert difference(got, PICTURE).mean() < 3


# -- alpha

CLEAR_RED = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [100, 200, 50, 128]]], np.uint8)


def test_transparent_pixels_show_the_fill():
    data = saved(CLEAR_RED, "PNG")
    # 128/255 of the pixel and 127/255 of the fill
    assert decoded(ImageCodec(1, 3), data)[0].tolist() == [[0, 0, 0], [255, 0, 0], [50, 100, 25]]
    assert decoded(ImageCodec(1, 3, fill=255), data)[0].tolist() == [[255] * 3, [255, 0, 0], [177, 227, 152]]
    assert decoded(ImageCodec(1, 3, 1, fill=255), data)[0, :2, 0].tolist() == [255, 76]
    np.testing.assert_array_equal(decoded(ImageCodec(1, 3, 4), data), CLEAR_RED)


def test_edges_do_not_bleed():
    """Half clear red, half opaque green: what is between is green, be it clear or not."""
    picture = np.zeros((8, 64, 4), np.uint8)
    picture[:, :32] = (255, 0, 0, 0)
    picture[:, 32:] = (0, 255, 0, 255)
    got = decoded(ImageCodec(4, 24, 4, fit="stretch"), saved(picture, "PNG")).reshape(-1, 4)
    assert (got[got[:, 3] > 0][:, :3] == (0, 255, 0)).all()
    assert len(set(got[:, 3])) > 2  # some pixels lie across the edge
    flat = decoded(ImageCodec(4, 24, 3, fit="stretch"), saved(picture, "PNG"))
    assert not flat[..., 0].any()


def test_palettes_with_transparency():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    one = saved(image, "PNG", transparency=1)
    many = saved(image, "PNG", transparency=bytes([255, 128, 0]))
    gif = saved(image, "GIF", transparency=2)
    assert decoded(ImageCodec(1, 3, 4), one)[0, :, 3].tolist() == [255, 0, 255]
    assert decoded(ImageCodec(1, 3, 4), many)[0].tolist() == [
        [255, 0, 0, 255],
        [0, 255, 0, 128],
        [0, 0, 255, 0],
    ]
    assert decoded(ImageCodec(1, 3), many)[0].tolist() == [[255, 0, 0], [0, 128, 0], [0, 0, 0]]
    assert decoded(ImageCodec(1, 3, fill=9), gif)[0].tolist() == [[255, 0, 0], [0, 255, 0], [9, 9, 9]]


def test_colour_keys():
    grey = saved(Image.fromarray(np.array([[5, 9]], np.uint8)), "PNG", transparency=9)
    colour = saved(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), "PNG", transparency=(4, 5, 6))
    assert decoded(ImageCodec(1, 2, 4), grey)[0].tolist() == [[5, 5, 5, 255], [9, 9, 9, 0]]
    assert decoded(ImageCodec(1, 2), grey)[0].tolist() == [[5, 5, 5], [0, 0, 0]]
    assert decoded(ImageCodec(1, 2, fill=7), colour)[0].tolist() == [[1, 2, 3], [7, 7, 7]]


def test_grey_with_alpha():
    image = Image.fromarray(np.array([[[200, 255], [200, 0]]], np.uint8), "LA")
    for kind in ("PNG", "TIFF"):
        data = saved(image, kind)
        assert decoded(ImageCodec(1, 2, 1), data)[0, :, 0].tolist() == [200, 0]
        assert decoded(ImageCodec(1, 2, 4), data)[0].tolist() == [[200] * 3 + [255], [200] * 3 + [0]]


# -- more than 8 bits

DEEP = np.array([[0, 128, 129, 257, 32767, 32768, 65406, 65407, 65535]], np.uint16)
SHALLOW = [0, 0, 1, 1, 127, 128, 254, 255, 255]  # round(v * 255 / 65535), v / 257


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_grey_is_scaled_exactly(kind):
    data = saved(Image.fromarray(DEEP), kind)
    assert decoded(ImageCodec(1, 9, 1), data)[0, :, 0].tolist() == SHALLOW
    assert decoded(ImageCodec(1, 9, 3), data)[0, :, 1].tolist() == SHALLOW


def test_16_bit_grey_with_a_colour_key():
    data = saved(Image.fromarray(DEEP), "PNG", transparency=257)
    assert decoded(ImageCodec(1, 9, 4), data)[0, :, 3].tolist() == [255] * 3 + [0] + [255] * 5


def png(pixels, colour):
    """A 16-bit PNG, built by hand."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, body)
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_png_is_scaled_exactly(colour, channels):
    pytest.importorskip("imagecodecs")
    pixels = np.repeat(DEEP[..., None], channels, 2)
    if channels != 3:
        pixels[..., -1] = 65535
    got = decoded(ImageCodec(1, 9), png(pixels, colour))
    assert got[0].tolist() == [[v] * 3 for v in SHALLOW]
    # Pillow's upper 8 bits are not that.
    assert np.asarray(opened(png(pixels, colour)).convert("RGB"))[0, :, 0].tolist() != SHALLOW


def test_16_bit_colour_tiff_is_scaled_exactly_and_turned():
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = np.repeat(DEEP[..., None], 3, 2)
    data = imagecodecs.tiff_encode(pixels, photometric="rgb")
    assert decoded(ImageCodec(1, 9), data)[0].tolist() == [[v] * 3 for v in SHALLOW]


def test_16_bit_colour_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        MissingPackageError, match=r'PNG with 16 bits.*pip install "artifex-data\[image-plus\]"'
    ):
        decoded(ImageCodec(1, 9), png(np.repeat(DEEP[..., None], 3, 2), 2))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_without_a_range_are_refused(dtype):
    with pytest.raises(DecodeError, match="range is not known"):
        decoded(ImageCodec(4, 4), saved(Image.fromarray(np.ones((4, 4), dtype)), "TIFF"))


# -- orientation

CORNERS = np.array([[1, 2, 3], [4, 5, 6]], np.uint8) * 40
# As EXIF 2.32, section 4.6.4, describes where the stored first row and column are to be seen.
SEEN = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


def with_orientation(image, kind, orientation, **options):
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation_by_hand(kind, orientation):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = with_orientation(CORNERS, kind, orientation, **options)
    expected = np.array(SEEN[orientation]) * 40
    np.testing.assert_array_equal(decoded(ImageCodec(*expected.shape, 1), data)[..., 0], expected)


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "AVIF", "TIFF"])
def test_orientation_is_pillows(kind, orientation):
    data = with_orientation(PICTURE, kind, orientation)
    seen = ImageOps.exif_transpose(opened(data)).convert("RGB")
    np.testing.assert_array_equal(decoded(ImageCodec(seen.height, seen.width), data), np.asarray(seen))
    # Scaled before it is turned: the two passes change places, and round in between.
    fitted = ImageOps.fit(seen, (31, 17), Image.Resampling.LANCZOS)
    assert difference(decoded(ImageCodec(17, 31, resample="lanczos"), data), fitted).max() <= 1
    fitted = ImageOps.fit(seen, (31, 17), Image.Resampling.BILINEAR)
    assert difference(decoded(ImageCodec(17, 31), data), fitted).mean() <= 1


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientations_that_there_are_not_turn_nothing(orientation):
    for kind in ("JPEG", "PNG", "TIFF"):
        data = with_orientation(Image.new("RGB", (6, 4), (9, 9, 9)), kind, orientation)
        assert (decoded(ImageCodec(4, 6), data) == 9).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_broken_exif_turns_nothing(kind):
    for exif in (
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0garbage",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff",
    ):
        data = saved(PICTURE, kind, exif=exif)
        assert decoded(ImageCodec(40, 60), data).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_orientation_in_xmp_counts_where_exif_has_none(kind):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    options = {"xmp": xmp}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info}
    data = saved(PICTURE, kind, **options)
    seen = ImageOps.exif_transpose(opened(data))
    assert seen.size == (40, 60)
    np.testing.assert_array_equal(decoded(ImageCodec(60, 40), data), np.asarray(seen))


def test_orientation_in_a_text_of_imagemagicks():
    from PIL.PngImagePlugin import PngInfo

    exif = Image.Exif()
    exif[274] = 8
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n      {len(exif.tobytes())}\n{exif.tobytes().hex()}\n")
    data = saved(CORNERS, "PNG", pnginfo=info)
    assert (decoded(ImageCodec(3, 2, 1), data)[..., 0] == np.array(SEEN[8]) * 40).all()


# -- several frames and odd tags


def test_of_several_frames_it_is_the_first():
    frames = [Image.new("RGB", (5, 4), (c, c, c)) for c in (10, 100, 200)]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert opened(data).n_frames == 3
        assert (decoded(ImageCodec(4, 5), data) == 10).all(), kind


def test_odd_tags_of_a_tiff_are_passed_over():
    """Pillow would warn about a description of two values, and about a profile that lies nowhere."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[34675] = b"x" * 40
    tags[700] = b"y" * 40
    data = bytearray(saved(PICTURE, "TIFF", tiffinfo=tags))
    at = data.index(struct.pack("<HH", 34675, 7))
    data[at + 8 : at + 12] = struct.pack("<I", 2**31)  # beyond the end of the file
    with pytest.warns(UserWarning, match="Tag|Truncated|Expecting"):
        opened(bytes(data)).load()
    np.testing.assert_array_equal(decoded(ImageCodec(40, 60), bytes(data)), PICTURE)


def test_big_tiff():
    np.testing.assert_array_equal(
        decoded(ImageCodec(40, 60), saved(PICTURE, "TIFF", big_tiff=True, compression="tiff_lzw")), PICTURE
    )
