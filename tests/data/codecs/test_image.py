import pickle
import sys
import threading

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from artifex.data.codecs import image as image_module
from artifex.data.codecs import jpeg
from artifex.data.codecs.crop import RandomResizedCrop
from artifex.data.codecs.image import Fit, ImageCodec, ImageLimits, Resample
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    MissingPackageError,
    ShapeError,
    UnknownNameError,
)
from artifex.testing import CodecContract
from codecs_pictures import decoded, difference, opened, photo, saved

PHOTO = photo(200, 250)
JPEG = saved(PHOTO, "JPEG", quality=90)
PNG = saved(PHOTO, "PNG")
PILLOW = {r: Image.Resampling[r.upper()] for r in Resample}


def generator(key=1):
    return np.random.Generator(np.random.Philox(key=key))


class TestPng(CodecContract):
    def codec(self):
        return ImageCodec(200, 250)

    def good(self):
        return PNG, PHOTO


class TestJpeg(CodecContract):
    def codec(self):
        return ImageCodec(200, 250)

    def good(self):
        return JPEG, np.asarray(opened(JPEG))


class TestCropOfJpeg(CodecContract):
    def codec(self):
        return ImageCodec(40, 50, 4, crop=RandomResizedCrop())

    def good(self):
        return JPEG, decoded(self.codec(), JPEG)


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
class TestEveryFormat:
    """The contract's test of what is cut off, for the formats that Pillow decodes."""

    def test_cut_off(self, kind):
        contract = CodecContract()
        data = saved(photo(60, 80), kind)
        expected = np.asarray(opened(data).convert("RGB"))
        contract.codec = lambda: ImageCodec(60, 80)
        contract.good = lambda: (data, expected)
        contract.test_fills_its_slot_and_no_other()
        contract.test_what_is_cut_off_is_a_decode_error_or_right()


# -- the fast path and the general path


def general(codec, data, rng=None):
    """What Pillow alone makes of a JPEG."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jpeg, "read_header", lambda data: None)
        return decoded(codec, data, rng)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"restart_marker_rows": 1}]
)
@pytest.mark.parametrize("size", [(200, 250), (120, 90), (300, 300)])
def test_the_fast_path_gives_the_same_pixels(options, size):
    data = saved(PHOTO, "JPEG", **options)
    codec = ImageCodec(*size)
    assert codec._divisor((0, 0, 250, 200), size[::-1], (250, 200)) == 1
    np.testing.assert_array_equal(decoded(codec, data), general(codec, data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", Fit)
def test_the_fast_path_turns_as_the_general_path(fit, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(PHOTO, "JPEG", exif=exif)
    codec = ImageCodec(100, 140, fit=fit)
    np.testing.assert_array_equal(decoded(codec, data), general(codec, data))


@pytest.mark.parametrize("key", range(8))
def test_the_fast_path_crops_as_the_general_path(key):
    codec = ImageCodec(150, 150, crop=RandomResizedCrop())
    np.testing.assert_array_equal(decoded(codec, JPEG, generator(key)), general(codec, JPEG, generator(key)))


@pytest.mark.parametrize("resample", Resample)
@pytest.mark.parametrize("side", [96, 64, 40, 24])
def test_decoding_at_a_fraction_differs_little(resample, side):
    """At 1/2, 1/4, 1/8; on average by 1.2 grey levels at most."""
    data = saved(photo(400, 500, 3), "JPEG", quality=90)
    codec = ImageCodec(side, side, resample=resample)
    expected = np.asarray(ImageOps.fit(opened(data), (side, side), PILLOW[resample]))
    assert difference(decoded(codec, data), expected).mean() <= 1.2


def test_fractions_that_are_taken():
    codec = ImageCodec(64, 64)
    box = lambda side: (0.0, 0.0, float(side), float(side))  # noqa: E731
    sides = (82, 83, 166, 167, 332, 333, 665, 666, 5000)
    taken = [codec._divisor(box(side), (64, 64), (side, side)) for side in sides]
    # 64 * 1.3 = 83.2 per step of the divisor
    assert taken == [1, 1, 1, 2, 2, 4, 4, 8, 8]
    assert ImageCodec(64, 64, resample="nearest")._divisor(box(5000), (64, 64), (5000, 5000)) == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (15, 15), (16, 16), (17, 33), (1, 400), (400, 1)])
def test_a_jpeg_of_any_size(size):
    data = saved(photo(*size), "JPEG")
    for side in (1, 2, 5):
        codec = ImageCodec(side, side, fit="stretch")
        expected = np.asarray(opened(data).resize((side, side), Image.Resampling.BILINEAR))
        assert difference(decoded(codec, data), expected).mean() <= 4


def test_a_jpeg_is_decoded_straight_into_its_slot(monkeypatch):
    buffers = []
    real = jpeg.decode
    monkeypatch.setattr(jpeg, "decode", lambda *a, **k: buffers.append(k["buffer"]) or real(*a, **k))
    batch = np.zeros((3, 200, 250, 3), np.uint8)
    ImageCodec(200, 250).decode(JPEG, batch[1])
    assert np.shares_memory(buffers[0], batch[1])
    np.testing.assert_array_equal(batch[1], np.asarray(opened(JPEG)))
    assert not batch[0].any()
    assert not batch[2].any()


def test_a_header_that_cameras_get_wrong_is_let_pass():
    """The last three bytes of a sequential scan's header must be 0, 63, 0; some write 0, 0, 0."""
    at = JPEG.index(b"\xff\xda") + 2 + int.from_bytes(JPEG[JPEG.index(b"\xff\xda") + 2 :][:2], "big") - 3
    assert JPEG[at : at + 3] == b"\0\x3f\0"
    odd = JPEG[:at] + b"\0\0\0" + JPEG[at + 3 :]
    for codec in (ImageCodec(200, 250), ImageCodec(50, 60)):
        np.testing.assert_array_equal(decoded(codec, odd), decoded(codec, JPEG))


# -- fits, by hand and against Pillow


def stripes():
    """Four columns of one colour each, two rows."""
    return np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 2, 0)


def test_cover_cuts_off_both_sides():
    assert decoded(ImageCodec(2, 2, 1), saved(stripes(), "PNG"))[..., 0].tolist() == [[20, 30]] * 2


def test_contain_pads():
    got = decoded(ImageCodec(4, 4, 1, fit="contain", fill=7), saved(stripes(), "PNG"))
    assert got[..., 0].tolist() == [[7] * 4, [10, 20, 30, 40], [10, 20, 30, 40], [7] * 4]


def test_contain_pads_with_transparency():
    got = decoded(ImageCodec(4, 4, 4, fit="contain", fill=7), saved(stripes(), "PNG"))
    assert got[0, 0].tolist() == [7, 7, 7, 0]
    assert got[1, 2].tolist() == [30, 30, 30, 255]


def test_stretch_scales_each_axis():
    got = decoded(ImageCodec(1, 2, 1, fit="stretch", resample="nearest"), saved(stripes(), "PNG"))
    assert got[..., 0].tolist() == [[20, 40]]


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["png", "jpeg"])
@pytest.mark.parametrize("resample", Resample)
@pytest.mark.parametrize("size", [(140, 160), (170, 100), (333, 100)])
def test_fits_are_pillows(size, resample, data):
    image, wh = opened(data), size[::-1]
    oracle = {
        "cover": ImageOps.fit(image, wh, PILLOW[resample]),
        "contain": ImageOps.pad(image, wh, PILLOW[resample], color=(31, 31, 31)),
        "stretch": image.resize(wh, PILLOW[resample]),
    }
    for fit, expected in oracle.items():
        got = difference(decoded(ImageCodec(*size, fit=fit, resample=resample, fill=31), data), expected)
        # Bilinear has filters of its own, which test_bilinear.py holds to Pillow's.
        assert got.mean() <= (0.8 if resample is Resample.BILINEAR else 0), fit


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_extreme_shapes(kind, fit, size):
    data = saved(np.full((*size, 3), 200, np.uint8), kind)
    got = decoded(ImageCodec(16, 16, fit=fit), data)
    if fit is Fit.CONTAIN and size != (1, 1):  # the thinnest line there is
        assert (got == 200).all(2).sum() == 16
        assert (got == 0).all(2).sum() == 16 * 15
    else:
        assert (got == 200).all()


# -- random crops


def test_a_crop_is_cut_out_then_scaled():
    codec = ImageCodec(32, 48, crop=RandomResizedCrop((0.1, 0.4)))
    box = codec.crop.draw((250, 200), generator(3))
    expected = Image.fromarray(PHOTO).crop(box).resize((48, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decoded(codec, PNG, generator(3)), np.asarray(expected))


def test_no_generator_no_crop():
    plain, cropping = ImageCodec(32, 48), ImageCodec(32, 48, crop=RandomResizedCrop())
    np.testing.assert_array_equal(decoded(cropping, PNG), decoded(plain, PNG))
    np.testing.assert_array_equal(decoded(plain, PNG, generator()), decoded(plain, PNG))
    assert difference(decoded(cropping, PNG, generator()), decoded(plain, PNG)).mean() > 3


def test_a_crop_of_a_turned_photo_is_of_what_is_seen():
    exif = Image.Exif()
    exif[274] = 6
    data = saved(PHOTO, "PNG", exif=exif)
    codec = ImageCodec(32, 48, crop=RandomResizedCrop((0.1, 0.4)))
    seen = ImageOps.exif_transpose(opened(data))
    assert seen.size == (200, 250)
    expected = seen.crop(codec.crop.draw(seen.size, generator(3))).resize((48, 32), Image.Resampling.BILINEAR)
    # The two passes of the resize change places with the axes, and round in between.
    assert difference(decoded(codec, data, generator(3)), expected).max() <= 1


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_flip_is_the_mirror_image_of_the_same_crop(kind, orientation, channels):
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(PHOTO, kind, exif=exif)
    plain, flipping = (
        ImageCodec(32, 48, channels, crop=RandomResizedCrop((0.1, 0.4), flip=flip)) for flip in (0, 1)
    )
    expected = decoded(plain, data, generator(3))[:, ::-1]
    np.testing.assert_array_equal(decoded(flipping, data, generator(3)), expected)
    slots = np.zeros((32, 96, channels), np.uint8)
    flipping.decode(data, slots[:, ::2], rng=generator(3))
    np.testing.assert_array_equal(slots[:, ::2], expected)
    np.testing.assert_array_equal(decoded(flipping, data), decoded(plain, data))


# -- the door


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"height": 0}, ConfigError, "`height` must be from 1"),
        ({"width": True}, ConfigTypeError, "`width` must be an integer"),
        ({"channels": 2}, ConfigError, "`channels` must be 1"),
        ({"fill": 256}, ConfigError, "`fill` must be from 0 to 255"),
        ({"fit": "covr"}, UnknownNameError, "unknown `fit` 'covr'; did you mean 'cover'"),
        ({"resample": "area"}, UnknownNameError, "known: 'bilinear', 'nearest'"),
    ],
)
def test_settings_that_are_wrong(settings, kind, message):
    with pytest.raises(kind, match=message):
        _untyped(ImageCodec)(**{"height": 4, "width": 4} | settings)


def _untyped(cls):
    """The constructor without the tests' run-time type check, as users meet it."""

    def make(**settings):
        made = object.__new__(cls)
        for name, value in settings.items():
            object.__setattr__(made, name, value)
        made.__post_init__()
        return made

    return make


def test_plain_strings_are_coerced():
    codec = ImageCodec(4, 4, fit="contain", resample="lanczos")
    assert codec.fit is Fit.CONTAIN
    assert codec.resample is Resample.LANCZOS
    assert codec == pickle.loads(pickle.dumps(codec))
    assert hash(codec) == hash(ImageCodec(4, 4, fit=Fit.CONTAIN, resample=Resample.LANCZOS))


@pytest.mark.parametrize("settings", [{"max_pixels": 0}, {"max_bytes": -1}, {"max_side": 0}])
def test_limits_that_are_wrong(settings):
    with pytest.raises(ConfigError, match="must be an integer > 0"):
        ImageLimits(**settings)


@pytest.mark.parametrize(
    "out", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 5, 3), np.uint8)]
)
def test_a_slot_of_another_shape_is_refused(out):
    with pytest.raises(ShapeError, match=r"`out` must be uint8\[4, 4, 3\], got"):
        ImageCodec(4, 4).decode(PNG, out)


def test_any_kind_of_bytes_will_do():
    codec = ImageCodec(20, 20)
    for data in (PNG, JPEG):
        expected = decoded(codec, data)
        for value in (bytearray(data), memoryview(data), memoryview(b"x" + data)[1:]):
            np.testing.assert_array_equal(decoded(codec, value), expected)
    with pytest.raises(DecodeError, match="bytes, got str"):
        decoded(codec, "cat.jpg")


def test_nothing_of_pillows_is_changed():
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    decoded(ImageCodec(20, 20), PNG)
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    assert before[0] is False


@pytest.mark.parametrize(
    ("module", "package"), [("jpeg", "simplejpeg"), ("jpeg", "PIL"), ("bilinear", "cv2")]
)
def test_a_missing_package_is_told_at_construction(monkeypatch, module, package):
    monkeypatch.delitem(sys.modules, f"artifex.data.codecs.{module}")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=package + r'; pip install "artifex-data\[image\]"'):
        ImageCodec(4, 4)


def test_different_pictures_in_threads():
    """Neighbours in a batch, decoded at once, each with a draw of its own."""
    codec = ImageCodec(32, 32, crop=RandomResizedCrop())
    files = [saved(photo(90, 110, seed), kind) for seed in range(6) for kind in ("JPEG", "PNG")]
    expected = [decoded(codec, data, generator(i)) for i, data in enumerate(files)]
    batch = np.zeros((len(files), 32, 32, 3), np.uint8)

    def work(rows):
        for i in rows:
            codec.decode(files[i], batch[i], rng=generator(i))

    threads = [threading.Thread(target=work, args=(range(k, len(files), 4),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(batch, np.stack(expected))


def test_suffixes_are_those_of_what_is_read():
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in
             ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")}  # fmt: skip
    assert set(image_module.IMAGE_SUFFIXES) <= known


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_no_photo_shows_through_in_the_next(channels):
    """Photographs of one thread share the memory that they are decoded into."""
    codec = ImageCodec(40, 50, channels)
    files = [saved(photo(h, w, h), "JPEG") for h, w in ((90, 110), (60, 70), (120, 100), (41, 50), (40, 50))]
    alone = [general(codec, data) for data in files]
    if channels == 1:  # the file's own luma, which no rounding through RGB has touched
        luma = [opened(data) for data in files]
        for image in luma:
            image.draft("L", image.size)
        alone = [decoded(codec, saved(image, "PNG")) for image in luma]
    for _ in range(2):
        for data, expected in zip(files, alone, strict=True):
            np.testing.assert_array_equal(decoded(codec, data), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_without_antialiasing(kind):
    data = saved(photo(120, 120), kind)
    codec = ImageCodec(48, 48, antialias=False)
    expected = cv2.resize(np.asarray(opened(data)), (48, 48), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(decoded(codec, data), expected)
    assert codec.stamp() != ImageCodec(48, 48).stamp()


def test_only_bilinear_goes_without_antialiasing():
    with pytest.raises(ConfigError, match="antialias=False.*bilinear.*'lanczos'"):
        ImageCodec(8, 8, resample="lanczos", antialias=False)
    with pytest.raises(ConfigTypeError, match="antialias"):
        ImageCodec(8, 8, antialias=1)
