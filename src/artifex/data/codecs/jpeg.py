"""JPEG through libjpeg-turbo: the fast path of the image codec.

It takes what most photographs are, grey or YCbCr, 8 bits, sequential or progressive, and gives the same
pixels as Pillow. Everything else (CMYK, 12 bits, lossless) is left to Pillow.

Any complaint of libjpeg is an error here, where Pillow stays silent about a damaged scan.
"""

import io
import threading
from dataclasses import dataclass

import numpy as np

from artifex.data.codecs.crop import Pixels, Size
from artifex.data.codecs.headers import orientation_of
from artifex.data.errors import DecodeError, MissingPackageError

try:
    import simplejpeg
    from PIL import JpegImagePlugin
except ImportError as error:
    raise MissingPackageError(
        f'decoding images needs {error.name}; pip install "artifex-data[image]"'
    ) from error

# Complaints about headers that cameras get wrong; no pixel depends on them.
_HARMLESS = ("Invalid SOS parameters", "Unknown Adobe color transform")

_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_LARGEST_SCRATCH = 2**24
_SPACE = {1: "GRAY", 3: "RGB"}
_MODE = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Photo:
    """What the header of a JPEG says that the fast path can decode: stored size, orientation (1 to 8)."""

    size: Size
    orientation: int


def read_header(data: bytes) -> Photo | None:
    """The header, or None for a kind of JPEG that is left to Pillow.

    Raises:
        DecodeError: there is no whole header.
    """
    exif = xmp = None
    for marker, start, stop in _segments(data):
        if marker == 0xE1 and exif is None and data[start : start + 6] == _EXIF:
            exif = data[start:stop]
        elif marker == 0xE1 and xmp is None and data.startswith(_XMP, start):
            xmp = data[start:stop]
        elif marker in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            if stop - start < 6 or data[start] != 8:
                return None
            break
        elif 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
    # Which colours three components are is libjpeg's to say: it depends on several markers.
    height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    if space not in ("YCbCr", "Gray"):
        return None
    return Photo((int(width), int(height)), orientation_of(exif, xmp))


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """(marker, start, stop) of each segment's payload up to the first scan."""
    found: list[tuple[int, int, int]] = []
    at, end = 2, len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:  # rubbish between segments; decoders skip it
            at += 1
            continue
        marker = data[at + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without payload
            at += 1 if marker == 0xFF else 2
            continue
        if marker in (0xD9, 0xDA):
            return found
        stop = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if stop > end:
            break
        found.append((marker, at + 4, stop))
        at = stop
    raise DecodeError("a JPEG that ends before its first scan")


class _Scratch(threading.local):
    """Memory for the pixels of one photograph at a time, one piece per thread.

    Where each photograph takes fresh memory, the C library hands it back to the system in between, and
    the page faults cost a third of the decoding again.
    """

    memory: Pixels = np.empty(0, np.uint8)

    def pixels(self, height: int, width: int, channels: int) -> Pixels:
        size = height * width * channels
        if size > _LARGEST_SCRATCH:
            return np.empty((height, width, channels), np.uint8)
        if self.memory.size < size:
            self.memory = np.empty(size, np.uint8)
        return self.memory[:size].reshape(height, width, channels)


_scratch = _Scratch()


def decode(
    data: bytes, photo: Photo, channels: int, divisor: int = 1, buffer: Pixels | None = None
) -> Pixels:
    """The stored pixels, (height, width, channels) with 1 or 3 channels.

    `divisor` 2, 4 or 8 gives the picture smaller by that factor, sides rounded up, for less work: the
    cosine transform of each block is evaluated at fewer points. They are written into `buffer`, C-contiguous
    and of the result's shape; without one the result lasts until this thread decodes again.

    Raises:
        DecodeError: the scan is cut off or damaged.
    """
    width, height = (-(-side // divisor) for side in photo.size)
    least = (0, 0) if divisor == 1 else (height, width)
    if buffer is None:
        buffer = _scratch.pixels(height, width, channels)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, _SPACE[channels], min_height=least[0], min_width=least[1], buffer=buffer
        )
    except ValueError as error:
        if not str(error).startswith(_HARMLESS):
            raise DecodeError(f"a damaged JPEG ({error})") from error
        buffer[...] = _decode_leniently(data, channels, divisor)
        return buffer
    assert pixels.shape == (height, width, channels), (pixels.shape, photo, divisor)
    return pixels


def _decode_leniently(data: bytes, channels: int, divisor: int) -> Pixels:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    width, height = image.size
    image.draft(_MODE[channels], (-(-width // divisor), -(-height // divisor)))
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
