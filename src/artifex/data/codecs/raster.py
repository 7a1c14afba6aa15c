"""Pictures through Pillow: opened without side effects, and brought to grey, RGB or RGBA.

Of all that Pillow reads only the formats in `headers.sniff` are let in; some of the others run programs.
Files are opened by the reader of their own format: `Image.open` would try many, and warn about sizes
by a rule of its own that can only be changed for the whole process.
"""

import io
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.codecs import bilinear
from artifex.data.codecs.crop import UPRIGHT, Box, Pixels, Size, upright
from artifex.data.codecs.headers import (
    ImageLimits,
    TiffFacts,
    clean_tiff,
    gif_size,
    orientation_of,
    png_facts,
    sniff,
    webp_size,
)
from artifex.data.errors import DecodeError, MissingPackageError

try:
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        Image,
        ImageFile,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
        features,
    )
except ImportError as error:
    raise MissingPackageError(
        f'decoding images needs {error.name}; pip install "artifex-data[image]"'
    ) from error

_READERS: MappingProxyType[str, type[ImageFile.ImageFile]] = MappingProxyType(
    {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "AVIF": AvifImagePlugin.AvifImageFile,
        "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
        "PPM": PpmImagePlugin.PpmImageFile,
    }
)
_FEATURE = MappingProxyType({"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"})

_MODE = {1: "L", 3: "RGB", 4: "RGBA"}
_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_COLOUR_PNG = (2, 4, 6)  # IHDR's colour types that Pillow cuts to 8 bits: RGB, grey with alpha, RGBA


def load(data: bytes, limits: ImageLimits, begin: Callable[[Size], None]) -> tuple[Image.Image, int]:
    """A decoded picture of 8 bits per channel as it is stored, and its orientation (1 to 8).

    Of several frames or pages it is the first. 16-bit values v become round(v * 255 / 65535). `begin` is told
    the size before memory is taken for the pixels.

    Raises:
        DecodeError: it is no picture that can be read here, is damaged, or is over `limits`.
    """
    kind = sniff(data)
    if kind is None:
        raise DecodeError(
            f"{len(data)} bytes that begin with {data[:8]!r}, which is no image format known here"
        )
    if kind in _FEATURE and not features.check(_FEATURE[kind]):
        raise DecodeError(f"this build of Pillow reads no {kind}")
    deep, facts = False, None
    if kind == "PNG":
        size, bits, colour = png_facts(data)
        limits.check(size)
        deep = bits == 16 and colour in _COLOUR_PNG
    elif kind in ("GIF", "WEBP"):
        limits.check(gif_size(data) if kind == "GIF" else webp_size(data))
    elif kind == "TIFF":
        data, facts = clean_tiff(data, limits)
        deep = facts.bits == 16 and facts.samples > 1
    image = _READERS[kind](io.BytesIO(data))
    limits.check(image.size)
    begin(image.size)
    image.load()  # of a 16-bit picture too: it finds what is damaged, where imagecodecs may not
    if deep:
        return _deep(data, kind, image.size, facts), UPRIGHT if facts else _orientation(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image, kind), UPRIGHT if facts else _orientation(image)
    return image, UPRIGHT if facts else _orientation(image)  # Pillow turns a TIFF upright by itself


def size_of(data: bytes, limits: ImageLimits) -> tuple[Size, int]:
    """The stored size of a picture that is not decoded, and its orientation (1 to 8).

    An orientation that stands behind the pixels, as a PNG may have it, is not found.

    Raises:
        DecodeError: it is no picture that can be read here, or is over `limits`.
    """
    kind = sniff(data)
    if kind is None:
        raise DecodeError(f"{len(data)} bytes that are no image format known here")
    if kind == "PNG":
        limits.check(png_facts(data)[0])
    elif kind in ("GIF", "WEBP"):
        limits.check(gif_size(data) if kind == "GIF" else webp_size(data))
    elif kind == "TIFF":
        data, _ = clean_tiff(data, limits)
    image = _READERS[kind](io.BytesIO(data))
    limits.check(image.size)
    return image.size, _orientation(image)


def _orientation(image: Image.Image) -> int:
    info = image.info
    exif = info.get("exif")
    if exif is None and (raw := info.get("Raw profile type exif")):  # hexadecimal text after three lines
        exif = bytes.fromhex("".join(raw.split("\n")[3:]))
    return orientation_of(exif, info.get("XML:com.adobe.xmp") or info.get("xmp"))


def _deep(data: bytes, kind: str, size: Size, facts: TiffFacts | None) -> Image.Image:
    """A picture of 16 bits and several channels, of which Pillow would give the upper 8 bits."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingPackageError(
            f'a {kind} with 16 bits per channel needs imagecodecs; pip install "artifex-data[image-plus]"'
        ) from error
    deep = imagecodecs.png_decode(data) if facts is None else imagecodecs.tiff_decode(data, index=0)
    if deep.dtype != np.uint16 or deep.ndim != 3 or deep.shape[2] not in (2, 3, 4):
        raise DecodeError(f"a {kind} of {deep.dtype} {list(deep.shape)}; use 2 to 4 interleaved channels")
    pixels = upright(_scaled(deep), UPRIGHT if facts is None else facts.orientation)
    if pixels.shape[:2] != (size[1], size[0]):
        raise DecodeError(f"a {kind} whose readers disagree about its size")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _eight_bits(image: Image.Image, kind: str) -> Image.Image:
    """A grey picture of more than 8 bits. 32-bit and float values have no range to scale from."""
    values = np.asarray(image)
    # Pillow reads a PPM of more than 8 bits as 32-bit integers that it has scaled to 0..65535.
    if image.mode == "F" or (image.mode == "I" and kind != "PPM"):
        raise DecodeError(
            f"a {kind} of {values.dtype} values, whose range is not known; save it with 8 or 16 bits"
        )
    grey = Image.fromarray(_scaled(values))
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey


def _scaled(deep: npt.NDArray[Any]) -> Pixels:
    return ((deep.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def with_channels(image: Image.Image, channels: int, fill: int) -> Image.Image:
    """The picture as grey, RGB or RGBA.

    Grey is luma by ITU-R BT.601. What is transparent lets grey level `fill` shine through, unless alpha
    is kept; an opaque picture asked for with alpha stays RGB, for `paste` to make it opaque.
    """
    see_through = image.mode in _WITH_ALPHA
    if see_through:
        image.info.pop("transparency", None)
    elif "transparency" in image.info:
        see_through = True
    if see_through:
        image = image.convert({"La": "LA", "PA": "RGBA"}.get(image.mode, "RGBA")).convert("RGBA")
        if channels == 4:
            return image
        image = Image.alpha_composite(Image.new("RGBA", image.size, (fill, fill, fill, 255)), image)
    elif image.mode not in ("1", "L", "P", "RGB", "YCbCr"):  # CMYK and the like, on their way to grey
        image = image.convert("RGB")
    return image.convert(_MODE[min(channels, 3)])


def resized(image: Image.Image, box: Box, size: Size, resample: str, *, antialias: bool = True) -> Pixels:
    """The part `box` of a picture scaled to `size`, as (height, width, channels).

    With `antialias`, and of pictures with alpha always, each pixel is a weighted mean over all that it covers, with
    transparent pixels weighing nothing, so that their colour does not bleed into the edges.
    """
    left, top, right, bottom = box
    width, height = image.size
    quick = resample == "bilinear" and image.mode != "RGBA"
    if quick and bilinear.can_scale(image.size, box, size, antialias=antialias):
        pixels = np.asarray(image)
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        return bilinear.scaled(pixels, box, size, antialias=antialias)
    if (right - left, bottom - top) == size and left == int(left) and top == int(top):
        image = image.crop((int(left), int(top), int(right), int(bottom)))
    else:
        # The arithmetic of a box may end a hair outside of the picture, which Pillow refuses.
        box = (max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height))
        image = image.resize(size, Image.Resampling[resample.upper()], box=box)
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
