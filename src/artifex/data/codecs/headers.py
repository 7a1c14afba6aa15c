"""What an image file says of itself, looked at before memory is taken and before a decoder sees it."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import MappingProxyType

from artifex.data.codecs.crop import UPRIGHT, Size
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError


@dataclass(frozen=True)
class ImageLimits:
    """What a file may ask for; more is refused before memory is taken.

    Attributes:
        max_pixels: width x height of the stored picture.
        max_bytes: length of the file.
        max_side: the longer of width and height, in pixels.
    """

    max_pixels: int = 2**26
    max_bytes: int = 2**26
    max_side: int = 2**15

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigTypeError(f"`{field.name}` must be an integer > 0, got {value!r}")
            if value < 1:
                raise ConfigError(f"`{field.name}` must be an integer > 0, got {value}")

    def check(self, size: Size) -> None:
        """Raises DecodeError for a picture that is empty or too large."""
        width, height = size
        if width < 1 or height < 1:
            raise DecodeError(f"a picture of {width} x {height} pixels is empty")
        if width > self.max_side or height > self.max_side:
            raise DecodeError(f"{width} x {height} pixels: a side is over `max_side` {self.max_side}")
        if width * height > self.max_pixels:
            raise DecodeError(f"{width} x {height} pixels are over `max_pixels` {self.max_pixels}")


def sniff(data: bytes) -> str | None:
    """The format by its first bytes, None if it is none that is read here. Names do not count."""
    for name, pattern in _MAGIC.items():
        if pattern.match(data):
            return name
    return None


_MAGIC = MappingProxyType(
    {
        "JPEG": re.compile(rb"\xff\xd8\xff"),
        "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
        "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
        "GIF": re.compile(rb"GIF8[79]a"),
        "BMP": re.compile(rb"BM"),
        "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
        "AVIF": re.compile(rb"....ftyp(?:avif|avis|mif1|msf1)", re.DOTALL),
        "JPEG2000": re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n"),
        "PPM": re.compile(rb"P[1-6]\s"),
    }
)


def orientation_of(exif: bytes | None, xmp: bytes | str | None = None) -> int:
    """The orientation, 1 to 8, that a file's metadata give; 1 where they give none or make no sense.

    `exif` is a TIFF structure, with or without the prefix "Exif": tag 274 of its first directory
    (EXIF 2.32, section 4.6.4). XMP has a say only where EXIF has none.
    """
    value = _exif_orientation(exif.removeprefix(b"Exif\0\0")) if exif else None
    if value is None and xmp:
        text = xmp if isinstance(xmp, bytes) else xmp.encode("utf-8", "replace")
        found = re.search(rb'tiff:Orientation(?:="|>)([0-9])', text)
        value = int(found[1]) if found else None
    return value if value is not None and 1 <= value <= 8 else UPRIGHT


def _exif_orientation(tiff: bytes) -> int | None:
    try:
        return next((e.value for e in _tiff_entries(tiff) if e.tag == _ORIENTATION), None)
    except (struct.error, DecodeError):
        return None


# --- PNG, GIF and WebP: their readers take memory, or warn, as soon as they open a file


def png_facts(data: bytes) -> tuple[Size, int, int]:
    """Size, bits per channel and colour type of a PNG (its IHDR chunk)."""
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise DecodeError("a PNG without a header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    animations = [at for name, at in _png_chunks(data) if name == b"acTL"]
    if animations and (
        len(animations) > 1 or not 0 < struct.unpack_from(">I", data, animations[0])[0] < 2**31
    ):
        raise DecodeError("an animated PNG whose number of frames makes no sense")
    return (width, height), bits, colour


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and start of each chunk before the pixels."""
    at = 8
    while at + 16 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        yield data[at + 4 : at + 8], at + 8
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def gif_size(data: bytes) -> Size:
    """Size of a GIF's screen, or of its first frame where that is larger."""
    if len(data) < 13:
        raise DecodeError("a GIF without a header")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    while data[at : at + 1] == b"!":  # extensions: a label, then blocks that begin with their length
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    if data[at : at + 1] != b"," or at + 10 > len(data):
        raise DecodeError("a GIF without a frame")
    left, top, w, h = struct.unpack_from("<HHHH", data, at + 1)
    return max(width, left + w), max(height, top + h)


def webp_size(data: bytes) -> Size:
    """Size of a WebP's canvas (RFC 9649)."""
    kind = data[12:16]
    if len(data) >= 30 and kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if len(data) >= 25 and kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if len(data) >= 30 and kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise DecodeError("a WebP without a header")


# --- TIFF

_ORIENTATION = 274
_TILE = (322, 323)
_BITS, _SAMPLES = 258, 277
# What the pixels need; all else is descriptions, profiles, previews and makers' notes.
_SINGLE = frozenset({256, 257, 259, 262, 266, 274, 277, 278, 284, 292, 293, 317, *_TILE})
_NEEDED = _SINGLE | {
    258,
    273,
    279,
    320,
    324,
    325,
    338,
    339,
    347,
    512,
    513,
    514,
    519,
    520,
    521,
    529,
    530,
    531,
    532,
}
_WIDTH = MappingProxyType(
    {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
)
_FORMAT = MappingProxyType({1: "B", 3: "H", 4: "I", 16: "Q"})


@dataclass(frozen=True)
class _Entry:
    at: int
    tag: int
    count: int
    value: int | None


@dataclass(frozen=True)
class TiffFacts:
    """What the first directory of a TIFF says: bits per sample, samples per pixel, orientation (1 to 8)."""

    bits: int
    samples: int
    orientation: int


def clean_tiff(data: bytes, limits: ImageLimits) -> tuple[bytes, TiffFacts]:
    """The same TIFF with all entries but those that the pixels need made void, and what they say.

    Readers warn about odd descriptions, and follow their links, though no pixel depends on them.

    Raises:
        DecodeError: an entry that the pixels need lies outside of the file or makes no sense.
    """
    clean = bytearray(data)
    found: dict[int, int | None] = {}
    for entry in _tiff_entries(data):
        if entry.tag not in _NEEDED:
            clean[entry.at + 2 : entry.at + 4] = b"\0\0"  # a type that does not exist: readers pass over it
            continue
        if entry.value is None or (entry.count != 1 and entry.tag in _SINGLE):
            raise DecodeError(f"a TIFF whose tag {entry.tag} makes no sense or lies outside of the file")
        found[entry.tag] = entry.value
    if all(found.get(tag) for tag in _TILE):
        limits.check((found[_TILE[0]] or 0, found[_TILE[1]] or 0))
    turn = found.get(_ORIENTATION) or UPRIGHT
    return bytes(clean), TiffFacts(
        found.get(_BITS) or 1, found.get(_SAMPLES) or 1, turn if turn <= 8 else UPRIGHT
    )


def _tiff_entries(data: bytes) -> Iterator[_Entry]:
    """The entries of the first directory, each with its first value, None where that cannot be had."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise DecodeError("no TIFF structure")
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    word, inline, step = ("Q", 8, 20) if big else ("I", 4, 12)
    (start,) = struct.unpack_from(order + word, data, 8 if big else 4)
    (number,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    start += 8 if big else 2
    if start + number * step > len(data):
        raise DecodeError("a TIFF whose directory lies outside of the file")
    for at in range(start, start + number * step, step):
        tag, kind, count = struct.unpack_from(order + "HH" + word, data, at)
        size, place = _WIDTH.get(kind, 0) * count, at + 4 + struct.calcsize(word)
        if size > inline:
            (place,) = struct.unpack_from(order + word, data, place)
        whole = size > 0 and place + size <= len(data)
        code = _FORMAT.get(kind)
        value = 0 if code is None else struct.unpack_from(order + code, data, place)[0] if whole else None
        yield _Entry(at, tag, count, value if whole else None)
