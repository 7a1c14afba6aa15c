"""FLAC: whether the end of a file is the end that its header tells of.

Decoders look no further than they are asked to, so the last frame is looked up here: its number, its length and its
checksum. Source: RFC 9639.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from artifex.data.codecs.audio.content import Content
from artifex.data.errors import DecodeError

_SYNC = (b"\xff\xf8", b"\xff\xf9")
_STREAMINFO = b"\0\0\0\x22"
_LONGEST_HEADER = 16
_MANY_BYTES = 2**20
_MOST_SUMMED = 2**16

# x to the power of n modulo x^16 + x^15 + x^2 + 1 comes around after so many n.
_CRC16, _CRC16_PERIOD = 0x8005, 32767
_CRC8 = 0x07
_BLOCK_SIZES = {1: 192, **{n: 144 << n for n in range(2, 6)}, **{n: 1 << n for n in range(8, 16)}}


def check_flac(content: Content, at: int) -> bool:
    """Looks up the last frame of a FLAC stream that begins at byte `at`.

    Returns:
        Whether the file ends where that frame ends, and its checksum is right. If not, what follows it is a tag, or
        it is damaged: only decoding tells.

    Raises:
        DecodeError: the last frame is not the one that the header tells of.
    """
    head = content.read(at, 42)
    if len(head) < 42 or (head[4] & 0x7F, *head[5:8]) != tuple(_STREAMINFO):
        raise DecodeError("it ends, or is damaged, in its header")
    block_size, frame_bytes = int.from_bytes(head[10:12]), int.from_bytes(head[15:18])
    numbers = int.from_bytes(head[18:26])
    total = numbers & (1 << 36) - 1
    if numbers >> 44 == 0:
        raise DecodeError("its sample rate is 0 Hz")
    if total == 0:
        raise DecodeError(
            "its header does not tell how long it is, as that of a file that was written into a pipe; "
            "encode it again, into a file"
        )
    for window in (frame_bytes or _MANY_BYTES, frame_bytes + _MANY_BYTES):
        tail = content.read(max(at + 42, content.size - window), window)
        start = _last_frame(tail, block_size, total)
        if start is not None:
            return len(tail) - start <= _MOST_SUMMED and _crc16(tail[start:]) == 0
    raise DecodeError(
        f"its header tells of {total} frames of sound, and they do not end at its end: it was cut short, or the "
        f"header is wrong"
    )


def _last_frame(tail: bytes, block_size: int, total: int) -> int | None:
    """Where in the end of a file the frame begins that ends with sample number `total`."""
    end = len(tail)
    while end > 0:
        at = max(tail.rfind(sync, 0, end) for sync in _SYNC)
        if at < 0:
            return None
        first, last = _samples(tail[at : at + _LONGEST_HEADER], block_size) or (0, 0)
        if first == total:  # there is more sound than the header tells of
            return None
        if last == total:
            return at
        end = at + 1
    return None


def _samples(header: bytes, block_size: int) -> tuple[int, int] | None:
    """The numbers of a frame's first sample and of the one after its last; None if this is no frame's header."""
    if len(header) < 6 or header[3] & 1:
        return None
    # The number is written like a character of UTF-8, of up to seven bytes.
    extra = max(0, 8 - (~header[4] & 0xFF).bit_length() - 1)
    after = 5 + extra
    number = header[4] & (0x7F >> (extra + 1 if extra else 0))
    for byte in header[5:after]:
        number = number << 6 | byte & 0x3F
    code = header[2] >> 4
    if code in (6, 7):
        size = int.from_bytes(header[after : after + code - 5]) + 1
        after += code - 5
    else:
        size = _BLOCK_SIZES.get(code, 0)
    after += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if size == 0 or after >= len(header) or _crc8(header[: after + 1]):
        return None
    first = number if header[1] & 1 else number * block_size
    return first, first + size


def _crc8(data: bytes) -> int:
    """The checksum of a header; 0 for one with its own at the end."""
    crc = 0
    for byte in data:
        crc = _crc8_table()[crc ^ byte]
    return crc


@cache
def _crc8_table() -> bytes:
    table = list(range(256))
    for _ in range(8):
        table = [(crc << 1 ^ (_CRC8 if crc & 128 else 0)) & 255 for crc in table]
    return bytes(table)


def _crc16(data: bytes) -> int:
    """The checksum of a frame; 0 for one with its own at the end.

    It is linear: the sum, modulo 2, of what each set bit adds to it.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).view(np.int8)
    masks = np.negative(bits).astype(np.int16).view(np.uint16)
    return int(np.bitwise_xor.reduce(_crc16_of_bits()[-len(masks) :] & masks))


@cache
def _crc16_of_bits() -> npt.NDArray[np.uint16]:
    """What each bit adds, the last one of the data last."""
    powers = np.empty(_CRC16_PERIOD, np.uint16)
    power = _CRC16
    for place in range(_CRC16_PERIOD):
        powers[place] = power
        power = (power << 1 ^ (_CRC16 if power & 0x8000 else 0)) & 0xFFFF
    return np.resize(powers, 8 * _MOST_SUMMED)[::-1].copy()
