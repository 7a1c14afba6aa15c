"""JPEG through libjpeg-turbo: the fast path of the image codec.

It takes what most photographs are, grey or YCbCr, 8 bits, sequential or progressive, and gives the same
pixels as Pillow. Everything else (CMYK, 12 bits, lossless) is left to Pillow.

Any complaint of libjpeg is an error here, where Pillow stays silent about a damaged scan.
"""

import io
import re
import threading
from importlib import import_module
from typing import NamedTuple

import numpy as np

from artifex.data.codecs.crop import Pixels, Size
from artifex.data.codecs.headers import orientation_of
from artifex.data.errors import DecodeError, MissingPackageError

try:
    import simplejpeg

    import_module("PIL")  # whether it is there: photographs are decoded without most of it, which takes 25 ms
except ImportError as error:
    raise MissingPackageError(
        f'decoding images needs {error.name}; pip install "artifex-data[image]"'
    ) from error

# Complaints about headers that cameras get wrong; no pixel depends on them.
_HARMLESS = ("Invalid SOS parameters", "Unknown Adobe color transform")

# What it says where the picture was decoded whole, and more data follow.
_LEFT_OVER = re.compile(r"Corrupt JPEG data: \d+ extraneous bytes before marker 0xd9")

_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_LARGEST_SCRATCH = 2**24
_SPACE = {1: "GRAY", 3: "RGB"}
_MODE = {1: "L", 3: "RGB"}


class Photo(NamedTuple):  # one is made for every file, and a tuple is made quickest
    """What the header of a JPEG says that the fast path can decode.

    Attributes:
        size: as it is stored.
        orientation: 1 to 8.
        height_at: where in the file its height stands, if it can be decoded in part: it is sequential, without
            restart markers.
        unit: rows that are decoded at a time.
    """

    size: Size
    orientation: int
    height_at: int | None = None
    unit: int = 8


def read_header(data: bytes) -> Photo | None:
    """The header, or None for a kind of JPEG that is left to Pillow.

    Raises:
        DecodeError: there is no whole header.
    """
    exif = xmp = height_at = None
    has_restarts, unit = False, 8
    for marker, start, stop in _segments(data):
        if marker == 0xE1 and exif is None and data[start : start + 6] == _EXIF:
            exif = data[start:stop]
        elif marker == 0xE1 and xmp is None and data.startswith(_XMP, start):
            xmp = data[start:stop]
        elif marker in (_BASELINE, _EXTENDED, _PROGRESSIVE):
            if stop - start < 6 or data[start] != 8:
                return None
            # Two times four bits of each component: how often it is sampled across and down.
            unit = 8 * max((factors & 15 for factors in data[start + 7 : stop : 3]), default=1)
            if marker != _PROGRESSIVE:
                height_at = start + 1
        elif marker == 0xDD:
            has_restarts = True
        elif 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return None
    # Which colours three components are is libjpeg's to say: it depends on several markers.
    height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    if space not in ("YCbCr", "Gray"):
        return None
    return Photo(
        (int(width), int(height)), orientation_of(exif, xmp), None if has_restarts else height_at, unit
    )


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
    data: bytes,
    photo: Photo,
    channels: int,
    divisor: int = 1,
    buffer: Pixels | None = None,
    *,
    rows: int | None = None,
) -> Pixels:
    """The stored pixels, (height, width, channels) with 1 or 3 channels.

    `divisor` 2, 4 or 8 gives the picture smaller by that factor, sides rounded up, for less work: the
    cosine transform of each block is evaluated at fewer points. They are written into `buffer`, C-contiguous
    and of the result's shape; without one the result lasts until this thread decodes again.

    With `rows` no more than that many stored rows, from the first on, are wanted: the result may end below them.

    Raises:
        DecodeError: the scan is cut off or damaged, as far as it was decoded.
    """
    if rows is not None and buffer is None:
        above = _decode_above(data, photo, channels, divisor, rows)
        if above is not None:
            return above
    least, buffer = _room(photo.size, channels, divisor, buffer)
    try:
        pixels = simplejpeg.decode_jpeg(
            data, _SPACE[channels], min_height=least[0], min_width=least[1], buffer=buffer
        )
    except ValueError as error:
        if not str(error).startswith(_HARMLESS):
            raise DecodeError(f"a damaged JPEG ({error})") from error
        buffer[...] = _decode_leniently(data, channels, divisor)
        return buffer
    assert pixels.shape == buffer.shape, (pixels.shape, photo, divisor)
    return pixels


def _decode_above(data: bytes, photo: Photo, channels: int, divisor: int, rows: int) -> Pixels | None:
    """The upper part of a picture, with `rows` at least; None where it is no less work, or did not go well.

    libjpeg is told that the picture ends below them. It then complains of all that is left over before the
    end of the file, and this must be the first that it complains of.
    """
    if photo.height_at is None:
        return None
    # Colours that are stored at half the height are interpolated with those of the next row.
    height = -(-(rows + 2 * divisor) // photo.unit) * photo.unit
    if height >= photo.size[1]:
        return None
    at = photo.height_at
    least, buffer = _room((photo.size[0], height), channels, divisor, None)
    try:
        simplejpeg.decode_jpeg(
            b"".join((data[:at], height.to_bytes(2, "big"), data[at + 2 :])),
            _SPACE[channels],
            min_height=least[0],
            min_width=least[1],
            buffer=buffer,
        )
    except ValueError as error:
        if not _LEFT_OVER.fullmatch(str(error)):
            return None
    return buffer


def _room(size: Size, channels: int, divisor: int, buffer: Pixels | None) -> tuple[tuple[int, int], Pixels]:
    """The least (height, width) that makes the decoder divide by `divisor`, and memory for what comes of it."""
    width, height = (-(-side // divisor) for side in size)
    least = (0, 0) if divisor == 1 else (height, width)
    return least, _scratch.pixels(height, width, channels) if buffer is None else buffer


def _decode_leniently(data: bytes, channels: int, divisor: int) -> Pixels:
    from PIL import JpegImagePlugin

    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    width, height = image.size
    image.draft(_MODE[channels], (-(-width // divisor), -(-height // divisor)))
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
