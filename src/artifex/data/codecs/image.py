"""Image files: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM.

Pixels are uint8, 0 to 255, (height, width, channels), upright (the orientation that cameras note in EXIF
is applied). Any value that is no such file, or is damaged, is a DecodeError and never a wrong picture.
"""

import math
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_bool, check_choice, check_integer
from artifex.data.codecs.crop import (
    UPRIGHT,
    Box,
    Fit,
    Pixels,
    RandomResizedCrop,
    Size,
    Window,
    paste,
    place,
    stored_box,
    turned,
    upright,
)
from artifex.data.codecs.headers import ImageLimits
from artifex.data.errors import (
    ConfigError,
    DecodeError,
    MissingPackageError,
    ShapeError,
)
from artifex.data.types import ArraySpec

if TYPE_CHECKING:
    from artifex.data.codecs.jpeg import Photo

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Suffixes of the files that `ImageCodec` reads, in lower case."""

# A picture of more pixels than this waits until no other such picture is being decoded: whole and converted, one
# of 64 million takes up to 0.9 GB, and threads would take as many times that.
_LARGE_PIXELS = 2**24
_one_large_picture = threading.Lock()

# A photograph is decoded at 1/d where the part of it is at least this times d larger than the slot. Then the
# mean difference to full decoding is about 1 grey level of 255; sharper filters show more of it.
_MARGIN = {"bilinear": 1.3, "bicubic": 2.0, "lanczos": 2.5, "nearest": math.inf}

_PACKAGES = ("pillow", "simplejpeg", "imagecodecs")


class Resample(StrEnum):
    """How pixels are found between pixels. All but `NEAREST` are antialiased where they scale down."""

    BILINEAR = "bilinear"
    NEAREST = "nearest"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


@dataclass(frozen=True)
class ImageCodec:
    """Decodes image files to uint8 `(height, width, channels)`.

    Grey is luma by ITU-R BT.601. 16-bit values v become round(v * 255 / 65535). Of several frames or pages
    it is the first. Colour profiles are not applied. Damaged JPEG scans that Pillow lets pass are refused;
    damage that a format cannot detect (flipped bits in the pixels of a BMP) is not found, nor is what lies below
    a random crop of a JPEG, which is not decoded (a file that is cut short is found).

    Attributes:
        height: of the slot, in pixels.
        width: of the slot, in pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA, opaque where the file has no alpha; not premultiplied).
        fit: how a picture of another shape fills the slot.
        resample: how it is scaled.
        crop: the random crop that replaces `fit` while training, that is when `decode` gets a generator.
        fill: grey level 0 to 255 of what shines through transparent pixels where alpha is not kept, and of
            the padding of `Fit.CONTAIN`; with 4 channels padding is transparent.
        limits: what a file may ask for.
        antialias: False, with "bilinear", takes the mean of the four nearest pixels also where a picture is made
            smaller, which shows patterns that are not there and saves a tenth of the time. Pictures with alpha
            are filtered all the same.
    """

    height: int
    width: int
    channels: int = 3
    fit: Fit = Fit.COVER
    resample: Resample = Resample.BILINEAR
    crop: RandomResizedCrop | None = None
    fill: int = 0
    limits: ImageLimits = field(default_factory=ImageLimits)
    antialias: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (("height", 1, 2**15), ("width", 1, 2**15), ("fill", 0, 255)):
            check_integer(name, getattr(self, name), low, high)
        if self.channels not in (1, 3, 4):
            raise ConfigError(f"`channels` must be 1 (grey), 3 (RGB) or 4 (RGBA), got {self.channels!r}")
        object.__setattr__(self, "fit", check_choice(Fit, "fit", self.fit))
        object.__setattr__(self, "resample", check_choice(Resample, "resample", self.resample))
        check_bool("antialias", self.antialias)
        if not self.antialias and self.resample is not Resample.BILINEAR:
            raise ConfigError(
                f'`antialias=False` goes with the filter "bilinear" alone, got {self.resample.value!r}; leave it '
                f'out ("nearest" is never antialiased)'
            )
        for module in ("bilinear", "jpeg"):  # a missing package is told here, not in a worker
            import_module(f"artifex.data.codecs.{module}")

    @property
    def spec(self) -> ArraySpec:
        """uint8 (height, width, channels)."""
        return ArraySpec((self.height, self.width, self.channels), np.dtype(np.uint8))

    @property
    def is_random(self) -> bool:
        """Whether there is a random crop."""
        return self.crop is not None

    def stamp(self) -> str:
        """Every setting, and the versions of the packages: another one may round another way."""
        from artifex.data.codecs import bilinear

        versions = [f"opencv {bilinear.VERSION}", *(f"{name} {_version(name)}" for name in _PACKAGES)]
        return " ".join([repr(self), *versions])

    def decode(self, value: Any, out: npt.NDArray[Any], *, rng: np.random.Generator | None = None) -> None:
        """Writes the picture in the file `value` (bytes, bytearray or memoryview) into `out`.

        With `rng`, and `crop` set, it is a random crop. After an error the content of `out` is undefined.

        Raises:
            DecodeError: it is no picture, or damaged, or over `limits`.
            MissingPackageError: 16 bits per channel in colour need an optional package.
            ShapeError: `out` is not a slot of this codec.
        """
        if out.shape != (self.height, self.width, self.channels) or out.dtype != np.uint8:
            raise ShapeError(f"`out` must be {self.spec}, got {out.dtype}{list(out.shape)}")
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise DecodeError(f"an image file is bytes, got {type(value).__name__}")
        size = len(value) if isinstance(value, bytes) else memoryview(value).nbytes
        if size > self.limits.max_bytes:
            raise DecodeError(f"a file of {size} bytes is over `max_bytes` {self.limits.max_bytes}")
        try:
            self._decode(bytes(value), out, rng)
        except (DecodeError, MissingPackageError):
            raise
        except (
            Exception
        ) as error:  # decoders raise whatever they stumble over: struct.error, KeyError, zlib.error
            raise DecodeError(f"not a whole image ({type(error).__name__}: {error})") from error

    def _decode(self, data: bytes, out: Pixels, rng: np.random.Generator | None) -> None:
        from artifex.data.codecs import bilinear, jpeg

        photo = jpeg.read_header(data) if data[:3] == b"\xff\xd8\xff" else None
        if photo is None:
            window = self._decode_picture(data, out, rng)
        else:
            self.limits.check(photo.size)
            window = self._window(turned(photo.size, photo.orientation), rng)
            if photo.size[0] * photo.size[1] > _LARGE_PIXELS:
                with _one_large_picture:
                    self._decode_photo(data, photo, window, out)
            else:
                self._decode_photo(data, photo, window, out)
        if window.mirrored:
            bilinear.mirror(out)

    def _decode_picture(self, data: bytes, out: Pixels, rng: np.random.Generator | None) -> Window:
        from artifex.data.codecs import raster

        with ExitStack() as stack:

            def begin(size: Size) -> None:
                if size[0] * size[1] > _LARGE_PIXELS:
                    stack.enter_context(_one_large_picture)

            image, orientation = raster.load(data, self.limits, begin)
            window = self._window(turned(image.size, orientation), rng)
            box = stored_box(window.box, image.size, orientation)
            if window.alone:
                image = image.crop(box)
                box = (0.0, 0.0, float(image.size[0]), float(image.size[1]))
            image = raster.with_channels(image, self.channels, self.fill)
            size = turned(window.size, orientation)
            pixels = raster.resized(image, box, size, self.resample, antialias=self.antialias)
            paste(upright(pixels, orientation), out, window, self.fill)
            return window

    def _decode_photo(self, data: bytes, photo: "Photo", window: Window, out: Pixels) -> None:
        """Decodes no more of a JPEG than shows, and straight into the slot where nothing is left to do."""
        from artifex.data.codecs import bilinear, jpeg

        channels = min(self.channels, 3)
        size, box, is_slot = window.size, window.box, False
        if photo.orientation == UPRIGHT:
            is_slot = out.shape == (size[1], size[0], channels) and out.flags.c_contiguous
        else:
            size = turned(size, photo.orientation)
            box = stored_box(box, photo.size, photo.orientation)
        if is_slot and size == photo.size and box == (0, 0, *size):
            jpeg.decode(data, photo, channels, buffer=out)
            return
        divisor = self._divisor(box, size, photo.size)
        rows = math.ceil(box[3]) if window.alone else None
        pixels = jpeg.decode(data, photo, channels, divisor, rows=rows)
        left, top, right, bottom = box
        if divisor != 1:
            left, top, right, bottom = left / divisor, top / divisor, right / divisor, bottom / divisor
        if window.alone:
            x, y = int(left), int(top)
            pixels = pixels[y : math.ceil(bottom), x : math.ceil(right)]
            left, top, right, bottom = left - x, top - y, right - x, bottom - y
        box = (left, top, right, bottom)
        antialias = self.antialias
        stored = (pixels.shape[1], pixels.shape[0])
        if self.resample is Resample.BILINEAR and bilinear.can_scale(stored, box, size, antialias=antialias):
            pixels = bilinear.scaled(pixels, box, size, out if is_slot else None, antialias=antialias)
            if is_slot:
                return
        else:
            from artifex.data.codecs import raster

            image = raster.Image.fromarray(pixels if channels == 3 else pixels[..., 0])
            pixels = raster.resized(image, box, size, self.resample, antialias=antialias)
        paste(upright(pixels, photo.orientation), out, window, self.fill)

    def _window(self, size: Size, rng: np.random.Generator | None) -> Window:
        slot = (self.width, self.height)
        if self.crop is None or rng is None:
            return place(size, slot, self.fit)
        left, top, right, bottom = self.crop.draw(size, rng)
        box = (float(left), float(top), float(right), float(bottom))
        return Window(box, slot, alone=True, mirrored=self.crop.draw_flip(rng))

    def _divisor(self, box: Box, size: Size, stored: Size) -> int:
        """1, 2, 4 or 8: by how much smaller a photograph may be decoded."""
        shrink = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]) / _MARGIN[self.resample]
        # libjpeg is told a least size: below 16 pixels another divisor would reach it too.
        if shrink < 2 or max(stored) < 16:
            return 1
        return 2 if shrink < 4 else 4 if shrink < 8 else 8


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
