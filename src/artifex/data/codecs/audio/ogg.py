"""Ogg: whether a file has its last page, and how much sound is in it. Sources: RFC 3533; the Vorbis I specification.

No header tells how long the sound is; decoders take the last page that there is for the last one there was.
"""

from artifex.data.codecs.audio.content import Content
from artifex.data.errors import DecodeError

_CAPTURE = b"OggS"
_LARGEST_PAGE = 27 + 255 + 255 * 255
_ENDS_STREAM = 4
_NO_PACKET_ENDS = 2**64 - 1


def check_ogg(content: Content) -> int:
    """Looks up the last page.

    Returns:
        How many samples of each channel end in it, 0 where that does not matter. Of what libvorbisfile seeks in the
        last page it is off by the samples that the encoder had cut off at the end: it must come there from before.

    Raises:
        DecodeError: the last page is not whole, or not marked as the last one of its stream; or it is of another
            stream than the first page: of several in a row decoders read the first alone.
    """
    tail = content.read(max(0, content.size - 2 * _LARGEST_PAGE), 2 * _LARGEST_PAGE)
    at = tail.rfind(_CAPTURE)
    page = tail[at:] if at >= 0 else b""
    length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else _LARGEST_PAGE
    if length > len(page) or not page[5] & _ENDS_STREAM:
        raise DecodeError("its last page is not the end of its stream: it was cut short")
    if page[14:18] != content.head[14:18]:
        raise DecodeError(
            "there is more than one stream in it, and its last page is not of the first one: files that were put one "
            "after the other, or more than sound; write each into a file of its own"
        )
    if b"\x01vorbis" not in content.head[:64]:
        return 0
    end, stream = _position(page), page[14:18]
    while (at := tail.rfind(_CAPTURE, 0, at)) >= 0:
        before = _position(tail[at:])
        if tail[at + 14 : at + 18] == stream and before != _NO_PACKET_ENDS:
            return max(0, end - before)
    return end


def _position(page: bytes) -> int:
    """The number of samples up to the end of the last packet that ends in a page."""
    return int.from_bytes(page[6:14], "little")
