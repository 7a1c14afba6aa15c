"""WAV and AIFF: files of chunks, each with its name and its length.

The decoder takes what is there for all there was, so the lengths that the chunks tell are held against the file's.
Sources: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991); EBU Tech 3306
(RF64); Apple, "Audio Interchange File Format 1.3" (1989).
"""

from artifex.data.codecs.audio.content import Content
from artifex.data.errors import DecodeError

_UNKNOWN = 0xFFFFFFFF
# A loop over a file that consists of empty chunks must end.
_MOST_CHUNKS = 1000
_TAGS = (b"ID3", b"TAG", b"APETAGEX")
_PADDING = 4096


def check_wav(content: Content) -> None:
    """Raises DecodeError unless a RIFF, RIFX or RF64 file has as many bytes of sound as it tells of.

    The length 0xFFFFFFFF, which is written into pipes, means up to the end of the file.
    """
    head = content.head
    order = "big" if head.startswith(b"RIFX") else "little"
    at, long = 12, None
    for _ in range(_MOST_CHUNKS):
        header = head[at : at + 8]
        if len(header) < 8:
            header = content.read(at, 8)
        if len(header) < 8:
            break
        name, length = header[:4], int.from_bytes(header[4:], order)
        if name == b"data":
            if length == _UNKNOWN:
                if long is None:
                    return
                length = long
            _check_end(content, at + 8, length)
            return
        if name == b"ds64":
            long = int.from_bytes(content.read(at + 16, 8), "little")
        elif name == b"fmt " and content.read(at + 12, 4) == b"\0\0\0\0":
            raise DecodeError("its sample rate is 0 Hz")
        at += 8 + length + (length & 1)
    raise DecodeError("it ends, or is damaged, before its sound begins")


def check_aiff(content: Content) -> None:
    """Raises DecodeError unless an AIFF or AIFC file has as many bytes and frames of sound as it tells of."""
    at, told, held = 12, None, None
    for _ in range(_MOST_CHUNKS):
        header = content.read(at, 8)
        if len(header) < 8 or (told is not None and held is not None):
            break
        name, length = header[:4], int.from_bytes(header[4:], "big")
        if name == b"COMM":
            told = _bytes_told(content.read(at + 8, min(length, 22)))
        elif name == b"SSND":
            offset = int.from_bytes(content.read(at + 8, 4), "big")
            _check_end(content, at + 8, length)
            held = length - 8 - offset
        at += 8 + length + (length & 1)
    if told is None or held is None:
        raise DecodeError("it ends, or is damaged, before its sound begins")
    if told > 0 and not 0 <= held - told < 2:
        raise DecodeError(f"its header tells of {told} bytes of sound, and it has {held}")


def _bytes_told(common: bytes) -> int:
    """Bytes of sound by the beginning of the chunk COMM; -1 for compressed ones."""
    if len(common) < 18:
        raise DecodeError("its chunk COMM is too short")
    if common[8:18] == bytes(10):
        raise DecodeError("its sample rate is 0 Hz")
    if common[18:] not in (b"", b"NONE", b"sowt", b"twos", b"raw "):
        return -1
    channels = int.from_bytes(common[:2], "big")
    frames = int.from_bytes(common[2:6], "big")
    bits = int.from_bytes(common[6:8], "big")
    return frames * channels * ((bits + 7) // 8)


def _check_end(content: Content, start: int, length: int) -> None:
    end = start + length
    if end == content.size:
        return
    if end > content.size:
        raise DecodeError(
            f"its header tells of {length} bytes of sound, and {content.size - start} are there: it was cut short"
        )
    # What follows begins at an even place, but not all programs see to that.
    if not any(_is_harmless(content, place) for place in {end, end + (length & 1)}):
        raise DecodeError(
            f"its header tells of {length} bytes of sound, and {content.size - end} bytes follow that are no chunk: "
            f"its length is wrong"
        )


def _is_harmless(content: Content, at: int) -> bool:
    """Whether nothing is there, or another chunk, a tag or padding."""
    rest = content.size - at
    if rest < 8:
        return True
    header = content.read(at, 8)
    if header.startswith(_TAGS):
        return True
    if header[:4] == b"\0\0\0\0":
        return rest <= _PADDING and not any(content.read(at, rest))
    name = header[:4]
    lengths = (int.from_bytes(header[4:], "little"), int.from_bytes(header[4:], "big"))
    return name.isascii() and name.decode("ascii").isprintable() and min(lengths) <= rest - 8
