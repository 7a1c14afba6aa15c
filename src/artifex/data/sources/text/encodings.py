"""Encodings of text files: which are read, and where the text begins."""

import codecs

from artifex.data.errors import ConfigError, UnknownNameError
from artifex.data.registry import unknown

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


# What encodings in several bytes of ASCII mean something else by.
_ESCAPES = b"+AGE- ~{VP~} \x1b$B0l\x1b(B"


def begin_of(path: str, head: bytes, encoding: str) -> int:
    """Where the text begins: after a byte order mark."""
    if head.startswith(codecs.BOM_UTF8):
        if encoding != "utf-8":
            raise ConfigError(f"{path} begins with the byte order mark of UTF-8, `encoding` is {encoding!r}")
        return len(codecs.BOM_UTF8)
    for mark, name in _MARKS:
        if head.startswith(mark):
            raise ConfigError(
                f"{path} is in {name}, by its byte order mark, which is not read here; convert it with "
                f"`iconv -f {name} -t utf-8`"
            )
    return 0


def checked_errors(errors: str) -> str:
    """The same, if it says what becomes of bytes that are no text."""
    if errors not in ("strict", "replace"):
        raise UnknownNameError(unknown("`errors`", errors, ["strict", "replace"]))
    return errors


def checked_encoding(encoding: str) -> str:
    """The codec's own name, if line feeds, quotes and commas are the bytes that they are in ASCII."""
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"`encoding` {encoding!r} is none that Python knows; try 'utf-8'") from error
    if name in ("utf-8", "utf-8-sig"):
        return "utf-8"
    try:
        ascii_only = bytes(range(128)) + _ESCAPES
        each = [bytes([byte]).decode(name, "replace") for byte in range(256)]
        fits = not name.endswith("unicode-escape") and all(len(c) == 1 for c in each)
        fits = fits and ascii_only.decode(name) == ascii_only.decode("ascii")
        # Of several bytes a character: two halves that mean something else together.
        fits = fits and len(bytes(range(128, 256)).decode(name, "replace")) == 128
    except (LookupError, UnicodeError):  # LookupError: a codec that makes no text, like "hex"
        fits = False
    if not fits:
        raise ConfigError(
            f"`encoding` {encoding!r} is not read here, only UTF-8, ASCII and those of a byte for each character; "
            f"convert the files with `iconv -f {encoding} -t utf-8`"
        )
    return name
