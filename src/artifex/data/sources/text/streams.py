"""Compressed files as a stream: gzip (RFC 1952) and zstandard (RFC 8878), of any number of members or frames."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from artifex.data.errors import MissingPackageError

# Bytes that are given to the decoder at once. They bound what comes of them: deflate makes up to 1032 bytes of one,
# a zstandard block of 4 bytes up to 128 KiB.
_GZIP_STEP, _ZSTD_STEP = 2**14, 2**11


class DamagedError(Exception):
    """What follows in a compressed file cannot be had; `position` is the byte where that begins, if there is one."""

    def __init__(self, reason: str, position: int | None) -> None:
        super().__init__(reason)
        self.reason, self.position = reason, position


@dataclass(frozen=True)
class _Format:
    name: str
    decoder: Callable[[], Any]
    error: type[Exception]
    step: int
    may_be_padded: bool


def decompress(
    read: Callable[[int, int], bytes], kind: str, advance: Callable[[int], None]
) -> Iterator[bytes]:
    """The content of a file that is compressed as `kind`, ".gz" or ".zst".

    Args:
        read: gives up to so many bytes of it from a place on.
        kind: the ending of its name.
        advance: is told how many compressed bytes were used up.

    Raises:
        DamagedError: once all that comes before the damage was given.
        MissingPackageError: zstandard is not installed.
    """
    form = _format(kind)
    at = 0
    while True:
        begin = at
        at = _after_padding(read, at) if form.may_be_padded and at else at
        if at and not read(at, 1):
            return
        decoder = form.decoder()
        begin = at
        while not decoder.eof:
            data = read(at, form.step)
            if not data:
                raise DamagedError(f"the {form.name} data end too early", at)
            try:
                content = decoder.decompress(data)
            except form.error:
                yield from _one_by_one(read, form, begin, at)
                return
            used = len(data) - len(decoder.unused_data)
            at += used
            advance(used)
            yield content


def _one_by_one(
    read: Callable[[int, int], bytes], form: _Format, begin: int, damaged: int
) -> Iterator[bytes]:
    """What comes before the damage in the step that begins at `damaged`, of the member that begins at `begin`.

    A decoder that fails keeps to itself what it made of the bytes before, so that they are given to another one
    byte by byte.
    """
    decoder = form.decoder()
    for place in range(begin, damaged, form.step):
        decoder.decompress(read(place, min(form.step, damaged - place)))
    for place in range(damaged, damaged + form.step):
        try:
            content = decoder.decompress(read(place, 1))
        except form.error as error:
            raise DamagedError(f"the {form.name} data are damaged ({error})", place) from error
        yield content
    raise DamagedError(f"the {form.name} data are damaged", damaged)


def _after_padding(read: Callable[[int, int], bytes], at: int) -> int:
    """The first byte from a place on that is not zero: tapes and some programs fill files up with zeros."""
    while data := read(at, _GZIP_STEP):
        rest = data.lstrip(b"\0")
        at += len(data) - len(rest)
        if rest:
            break
    return at


def _format(kind: str) -> _Format:
    if kind == ".gz":
        return _Format("gzip", lambda: zlib.decompressobj(wbits=31), zlib.error, _GZIP_STEP, True)
    try:
        import zstandard
    except ImportError as error:
        raise MissingPackageError('.zst files need zstandard; pip install "artifex-data[text]"') from error
    return _Format(
        "zstandard",
        lambda: zstandard.ZstdDecompressor().decompressobj(),
        zstandard.ZstdError,
        _ZSTD_STEP,
        False,
    )
