"""Ogg: whether a file has its last page. Source: RFC 3533.

No header tells how long the sound is; decoders take the last page that there is for the last one there was.
"""

from artifex.data.codecs.audio.content import Content
from artifex.data.errors import DecodeError

_CAPTURE = b"OggS"
_LARGEST_PAGE = 27 + 255 + 255 * 255
_ENDS_STREAM = 4


def check_ogg(content: Content) -> None:
    """Raises DecodeError unless the last page is whole and marked as the last of its stream."""
    tail = content.read(max(0, content.size - _LARGEST_PAGE), _LARGEST_PAGE)
    at = tail.rfind(_CAPTURE)
    page = tail[at:] if at >= 0 else b""
    length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else _LARGEST_PAGE
    if length > len(page) or not page[5] & _ENDS_STREAM:
        raise DecodeError("its last page is not the end of its stream: it was cut short")
