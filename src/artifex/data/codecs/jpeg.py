"""JPEG through libjpeg-turbo: the fast path of the image codec.

It takes what most photographs are, grey or YCbCr, 8 bits, sequential or progressive, and gives the same
pixels as Pillow. Everything else (CMYK, 12 bits, lossless) is left to Pillow.

Any complaint of libjpeg is an error here, where Pillow stays silent about a damaged scan.
"""

import io
import re
import struct
import threading
from importlib import import_module
from typing import NamedTuple

import numpy as np

from artifex.data.codecs.crop import UPRIGHT, Pixels, Size
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

_LONGEST_SIDE = 65500  # libjpeg's
_USUAL_SAMPLING = (0x11, 0x21, 0x22)  # of the first component: 4:4:4, 4:2:2 and 4:2:0

_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_JFIF, _EXIF, _XMP = b"JFIF\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_LARGEST_SCRATCH = 2**24
_NO_SCAN = "a JPEG that ends before its first scan"
_SPACE = {1: "GRAY", 3: "RGB"}
_MODE = {1: "L", 3: "RGB"}


class Photo(NamedTuple):  # one is made for every file, and a tuple is made quickest
    """What the header of a JPEG says that the fast path can decode.

    Attributes:
        size: as it is stored.
        orientation: 1 to 8.
        frame_at: where in the file its frame begins, if it can be decoded in part: it is sequential, without
            restart markers.
    """

    size: Size
    orientation: int = UPRIGHT
    frame_at: int | None = None


def read_header(data: bytes) -> Photo | None:
    """The header, or None for a kind of JPEG that is left to Pillow.

    Raises:
        DecodeError: there is no whole header.
    """
    # For each photograph, and while other threads wait: so there is no list of the segments, and most of them are
    # passed over by one look into a table.
    exif = xmp = frame_at = None
    has_restarts = is_jfif = is_other = False
    is_sequential = True
    at, end = 2, len(data)
    while at + 4 <= end:
        first, marker, length = _SEGMENT(data, at)
        kind = _KIND[marker] if first == 0xFF else _RUBBISH
        if kind == _RUBBISH:  # between segments; decoders skip it
            at += 1 if first != 0xFF or marker == 0xFF else 2
            continue
        if kind == _END:
            break
        stop = at + 2 + length
        if stop > end:
            raise DecodeError(_NO_SCAN)
        if kind == _PLAIN:  # most are
            pass
        elif kind == _FRAME:
            is_other = is_other or length < 8 or data[at + 4] != 8
            frame_at, is_sequential = at + 4, marker != _PROGRESSIVE
        elif kind == _APP0:
            is_jfif = is_jfif or (length >= 16 and data.startswith(_JFIF, at + 4))
        elif kind == _APP1:
            if exif is None and data.startswith(_EXIF, at + 4):
                exif = data[at + 4 : stop]
            elif xmp is None and data.startswith(_XMP, at + 4):
                xmp = data[at + 4 : stop]
        elif kind == _RESTARTS:
            has_restarts = True
        else:
            is_other = True
        at = stop
    else:
        raise DecodeError(_NO_SCAN)
    if is_other:
        return None
    size = _size_of_usual(data, frame_at, is_jfif) if frame_at else None
    if size is None:
        # Which colours three components are depends on several markers, and is libjpeg's to say.
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if space not in ("YCbCr", "Gray"):
            return None
        size = (int(width), int(height))
    in_part = is_sequential and not has_restarts
    return Photo(size, orientation_of(exif, xmp), frame_at if in_part else None)


def _size_of_usual(data: bytes, frame_at: int, is_jfif: bool) -> Size | None:
    """The size of a photograph whose colours need no asking; None of all others.

    One component is grey; three are YCbCr by the rule of JFIF (ITU-T T.871, section 6.1), which libjpeg follows
    before it looks at other markers.
    """
    length, _, height, width, count = _FRAME_START(data, frame_at - 2)
    if not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE and length == 8 + 3 * count):
        return None
    if data[frame_at + 7] not in _USUAL_SAMPLING:
        return None
    # Of three components the second and third have a sample where the first has one, two or four.
    is_colour = count == 3 and is_jfif and data[frame_at + 10] == data[frame_at + 13] == 0x11
    return (width, height) if count == 1 or is_colour else None


# What a marker begins: rubbish is fill bytes, and markers without a payload.
_PLAIN, _RUBBISH, _END, _FRAME, _OTHER_FRAME, _RESTARTS, _APP0, _APP1 = range(8)

_SEGMENT = struct.Struct(">BBH").unpack_from  # two bytes of a marker, and the length of what follows
_FRAME_START = struct.Struct(">HBHHB").unpack_from  # length, bits, height, width, components


def _kind(marker: int) -> int:
    if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:
        return _RUBBISH
    if marker in (_BASELINE, _EXTENDED, _PROGRESSIVE):
        return _FRAME
    if 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
        return _OTHER_FRAME
    return {0xD9: _END, 0xDA: _END, 0xDD: _RESTARTS, 0xE0: _APP0, 0xE1: _APP1}.get(marker, _PLAIN)


_KIND = bytes(map(_kind, range(256)))


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
    if photo.frame_at is None:
        return None
    # Two times four bits of each component: how often it is sampled across and down.
    count = data[photo.frame_at + 5]
    unit = 8 * max(factors & 15 for factors in data[photo.frame_at + 7 : photo.frame_at + 6 + 3 * count : 3])
    # Colours that are stored at half the height are interpolated with those of the next row.
    height = -(-(rows + 2 * divisor) // unit) * unit
    if height >= photo.size[1]:
        return None
    at = photo.frame_at + 1
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
    if divisor == 1:
        (width, height), least = size, (0, 0)
    else:
        width, height = -(-size[0] // divisor), -(-size[1] // divisor)
        least = (height, width)
    return least, _scratch.pixels(height, width, channels) if buffer is None else buffer


def _decode_leniently(data: bytes, channels: int, divisor: int) -> Pixels:
    from PIL import JpegImagePlugin

    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    width, height = image.size
    image.draft(_MODE[channels], (-(-width // divisor), -(-height // divisor)))
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
