"""MPEG audio, above all MP3: where its first frame is, and whether all are there.

Sources: ISO/IEC 11172-3 and 13818-3 (frames); id3.org, "ID3 tag version 2.4.0"; Gabriel Bouvigne, "Mp3 Info Tag
rev 1 specifications".
"""

from typing import NamedTuple

from artifex.data.codecs.audio.content import Content
from artifex.data.errors import DecodeError

_SEARCHED = 2**16
_IN_A_ROW = 3
_ID3_HEADER, _ID3_END = 10, 128
_AT_ONCE = 2**20

# kbit/s by (is MPEG 1, layer) and the four bits of a header; MPEG 2 and 2.5 share theirs.
_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = (44100, 48000, 32000)
# Frames before the ones that hold a frame's data: the overlap of its transforms, and a margin.
_FRAMES_MORE = 4


class Frame(NamedTuple):
    """What the header of a frame says.

    Attributes:
        kind: the bits that all frames of a stream share: version, layer and sample rate.
        length: in bytes.
        samples: of each channel.
        info_at: where in a first frame that holds no sound the facts of the stream are.
    """

    kind: int
    length: int
    samples: int
    info_at: int


def after_id3(content: Content) -> int:
    """Where the tags at the beginning of a file end."""
    at = 0
    while (tag := content.read(at, _ID3_HEADER)).startswith(b"ID3") and len(tag) == _ID3_HEADER:
        size = 0
        for byte in tag[6:]:
            size = size << 7 | byte & 127
        at += _ID3_HEADER + size + (_ID3_HEADER if tag[5] & 16 else 0)
    return at


def first_frame(content: Content, start: int) -> int | None:
    """Where the first of three frames in a row begins, at `start` or up to 64 KiB after it; None if nowhere.

    A file of one or two frames alone counts if they end where it ends.
    """
    data = content.read(start, _SEARCHED)
    at = data.find(b"\xff")
    while at >= 0:
        if _is_in_a_row(content, start + at):
            return start + at
        at = data.find(b"\xff", at + 1)
    return None


def check_mpeg(content: Content, start: int) -> int | None:
    """Checks the frames from `start` on.

    Returns:
        How many samples of each channel they have, if they had to be counted: no header tells of them.

    Raises:
        DecodeError: bytes are missing at the end.
    """
    head = content.read(start, 200)
    frame = _frame(head)
    assert frame is not None, "`first_frame` found it"
    info = head[frame.info_at :]
    if not info.startswith((b"Xing", b"Info")):
        return _counted(content, start, frame.kind)
    flags = int.from_bytes(info[4:8])
    if flags & 2:
        place = 12 if flags & 1 else 8
        told = int.from_bytes(info[place : place + 4])
        if told > content.size - start:
            raise DecodeError(
                f"its header tells of {told} bytes of sound, and {content.size - start} are there: it was cut short"
            )
    return None


def run_up(content: Content, start: int) -> int:
    """Samples that a decoder must have seen before those it gets right, by the frame at `start`.

    In layer 3 a frame may keep data in the frames before, up to 511 bytes back, or 255 in MPEG 2 (`main_data_begin`).
    They are the most frames where each has the lowest bit rate: at 48 kHz and in stereo such a frame has 60 bytes of
    data, so that 511 bytes are 9 frames; in MPEG 2 at 24 kHz it has 3, and 255 bytes are 85 frames.
    """
    header = content.read(start, 4)
    least = bytes(
        (header[0], header[1], header[2] & 0x0C | 0x10, header[3])
    )  # the lowest bit rate, and no padding
    frame = _frame(least)
    assert frame is not None, "`first_frame` found it"
    is_first, has_checksum = header[1] >> 3 & 3 == 3, not header[1] & 1
    data = max(1, frame.length - frame.info_at - 2 * has_checksum)
    return (-(-(511 if is_first else 255) // data) + _FRAMES_MORE) * frame.samples


def _counted(content: Content, start: int, kind: int) -> int:
    """Samples by the headers of all frames."""
    samples, at, base, data = 0, start, start, b""
    while True:
        if at + 4 > base + len(data):
            base, data = at, content.read(at, _AT_ONCE)
        frame = _frame(data[at - base : at - base + 4])
        if frame is None or frame.kind != kind:
            return samples  # a tag, or bytes that decoders pass over
        at += frame.length
        if at > content.size:
            raise DecodeError("its last frame is not whole: it was cut short")
        samples += frame.samples


def _is_in_a_row(content: Content, at: int) -> bool:
    kind = None
    for _ in range(_IN_A_ROW):
        if at == content.size and kind is not None:
            return True
        frame = _frame(content.read(at, 4))
        if frame is None or (kind is not None and frame.kind != kind):
            return False
        kind, at = frame.kind, at + frame.length
    return True


def _frame(header: bytes) -> Frame | None:
    """What a header says; None if it is none, or of a free bit rate."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate, hz = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or rate in (0, 15) or hz == 3:
        return None
    is_first = version == 3
    bits = 1000 * _RATES[is_first, layer][rate]
    hertz = _HZ[hz] >> {3: 0, 2: 1, 0: 2}[version]
    padding = header[2] >> 1 & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and not is_first else 1152
    length = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    is_mono = header[3] >> 6 == 3
    side = ((17 if is_mono else 32) if is_first else (9 if is_mono else 17)) if layer == 3 else 0
    return Frame(header[1] & 0x1E | hz << 8, length, samples, 4 + side)
