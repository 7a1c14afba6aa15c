"""Where documents begin and end in the bytes of a file, found block by block.

Every encoding that is read here keeps the bytes of ASCII to themselves, so that a line feed is the byte 10. A
document's span leaves out the line feed after it and a carriage return before that; a carriage return elsewhere is
text.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Spans: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Where documents start, and their lengths, in bytes: int64 (n,) each."""
_Bytes: TypeAlias = npt.NDArray[np.uint8]
_Bools: TypeAlias = npt.NDArray[np.bool_]

_LF, _CR, _QUOTE = 10, 13, 34
_SPACES = (9, 10, 13, 32)


class Split(StrEnum):
    """How a file is cut into documents."""

    LINE = "line"
    """Each line, empty ones too."""
    FILLED = "filled"
    """Each line with anything but white space in it."""
    BLOCK = "block"
    """Lines without a blank one between them."""
    COMMA = "comma"
    """Rows of comma-separated values: a line feed in quotes is text, an empty row is none."""
    TAB = "tab"
    """The same with tabs."""


class Block(NamedTuple):
    """Some bytes of a file: where they lie, and the bytes before and after them (a line feed at an end)."""

    at: int
    data: _Bytes
    before: int
    after: int


def spans(
    read: Callable[[int, int], bytes], start: int, end: int, split: Split, *, is_whole: bool, block_bytes: int
) -> Iterator[Spans]:
    """The documents between two places of a file, a block's at a time.

    Args:
        read: gives up to so many bytes from a place on.
        start: the first byte.
        end: the one after the last.
        split: what ends a document.
        is_whole: whether the last document ends with the file; else it is left out unless its end is there.
        block_bytes: how many bytes are looked at together.
    """
    scanner: _Lines | _Rows = (
        _Rows(start, split) if split in (Split.COMMA, Split.TAB) else _Lines(start, split)
    )
    at, before = start, _LF
    while at < end:
        want = min(block_bytes, end - at)
        data = read(at, min(want + 1, end - at))
        if not data:  # it was cut short meanwhile, which its caller finds out
            return
        body = np.frombuffer(data, np.uint8)[:want]
        after = data[want] if len(data) > want else _LF
        yield scanner.block(Block(at, body, before, after))
        at, before = at + len(body), int(body[-1])
    yield scanner.end(end, is_whole=is_whole)


class _Lines:
    """Documents that are lines, or made of whole lines."""

    def __init__(self, start: int, split: Split) -> None:
        self._split = split
        self._line = start  # where the line begins that is not ended yet
        self._is_filled = False  # whether there was anything but white space in it
        self._open: tuple[int, int] | None = None  # the lines without a blank one so far, as one span

    def block(self, block: Block) -> Spans:
        breaks = np.flatnonzero(block.data == _LF)
        filled = _NONE if self._split is Split.LINE else self._filled(block.data, breaks)
        starts, ends = cut(self._line, block, breaks)
        if len(breaks):
            self._line = block.at + int(breaks[-1]) + 1
        return self._chosen(starts, ends, filled)

    def end(self, end: int, *, is_whole: bool) -> Spans:
        starts = np.array([self._line] if self._line < end else [], np.int64)
        found = self._chosen(
            starts, np.full(len(starts), end, np.int64), np.full(len(starts), self._is_filled)
        )
        if self._open is not None:  # there can be a closed one before it only if the last line is blank
            start, stop = self._open
            found = (np.append(found[0], start), np.append(found[1], stop - start))
        return found if is_whole else _NOTHING

    def _chosen(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], filled: _Bools) -> Spans:
        if self._split is Split.BLOCK:
            return self._joined(starts, ends, filled)
        if self._split is Split.FILLED:
            starts, ends = starts[filled], ends[filled]
        return starts, ends - starts

    def _filled(self, data: _Bytes, breaks: npt.NDArray[np.intp]) -> _Bools:
        """For each line that ends in this block whether it is filled; notes it of the one after them."""
        firsts = np.concatenate(([0], breaks + 1))
        begins = data[np.minimum(firsts, len(data) - 1)]
        is_text = ~np.isin(begins, _SPACES)
        is_text[-1] &= firsts[-1] < len(data)
        # White space at its begin says nothing of the rest of a line; an empty one has nothing else.
        unsure = ~is_text
        unsure[:-1] &= firsts[:-1] < breaks
        if unsure.any():
            counts = np.zeros(len(data) + 1, np.int32)
            np.cumsum(~np.isin(data, _SPACES), out=counts[1:])
            stops = np.append(breaks, len(data))
            is_text[unsure] = counts[stops[unsure]] > counts[firsts[unsure]]
        is_text[0] |= self._is_filled
        self._is_filled = bool(is_text[-1])
        return is_text[:-1]

    def _joined(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], filled: _Bools) -> Spans:
        if not len(starts):
            return _NOTHING
        before = np.concatenate(([self._open is not None], filled[:-1]))
        begins = starts[filled & ~before]
        stops = np.concatenate(([self._open[1] if self._open else 0], ends[:-1]))[before & ~filled]
        if self._open is not None:
            begins = np.concatenate(([self._open[0]], begins))
        self._open = (int(begins[-1]), int(ends[-1])) if filled[-1] else None
        begins = begins[: len(stops)]
        return begins, stops - begins


class _Rows:
    """Rows of comma- or tab-separated values, in which a line feed between quotes is text."""

    def __init__(self, start: int, split: Split) -> None:
        self._separator = ord("," if split is Split.COMMA else "\t")
        self._row = start
        self._is_quoted = False
        self._closed = -2  # where the last quote was that closed a field

    def block(self, block: Block) -> Spans:
        breaks = np.flatnonzero(block.data == _LF)
        quotes = np.flatnonzero(block.data == _QUOTE)
        if len(quotes) or self._is_quoted:
            breaks = self._unquoted(block, breaks, quotes)
        starts, ends = cut(self._row, block, breaks)
        if len(breaks):
            self._row = block.at + int(breaks[-1]) + 1
        rows = ends > starts
        return starts[rows], (ends - starts)[rows]

    def end(self, end: int, *, is_whole: bool) -> Spans:
        if self._row >= end or not is_whole:
            return _NOTHING
        return np.array([self._row]), np.array([end - self._row])

    def _unquoted(
        self, block: Block, breaks: npt.NDArray[np.intp], quotes: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp]:
        """The line feeds outside of quotes.

        A quote opens and closes in turn, a doubled one does both. So the number of quotes before a line feed says
        whether it is in quotes, unless a quote stands within a field that has none around it and means itself.
        """
        inside = self._is_quoted
        opening = quotes[int(inside) :: 2]
        previous = np.where(opening > 0, block.data[opening - 1], block.before) if len(opening) else opening
        regular = (previous == self._separator) | (previous == _LF) | (previous == _QUOTE)
        starts_with_one = len(opening) and opening[0] == 0 and block.before == _QUOTE
        if not regular.all() or (starts_with_one and self._closed != block.at - 1):
            return self._one_by_one(block, breaks, quotes)
        if len(quotes):
            self._is_quoted = inside ^ bool(len(quotes) % 2)
            closing = quotes[1 - int(inside) :: 2]
            self._closed = block.at + int(closing[-1]) if len(closing) else self._closed
        return breaks[(np.searchsorted(quotes, breaks) + int(inside)) % 2 == 0]

    def _one_by_one(
        self, block: Block, breaks: npt.NDArray[np.intp], quotes: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.intp]:
        """The same for any quotes: one opens only where a field begins, or right after one that closed."""
        marks = np.concatenate((breaks, quotes))
        marks.sort()
        found: list[int] = []
        data = block.data
        for place in marks.tolist():
            if data[place] == _LF:
                if not self._is_quoted:
                    found.append(place)
            elif self._is_quoted:
                self._is_quoted = False
                self._closed = block.at + place
            else:
                previous = data[place - 1] if place else block.before
                again = self._closed == block.at + place - 1
                self._is_quoted = bool(again or previous == _LF or previous == self._separator)
        return np.array(found, np.intp)


def cut(start: int, block: Block, breaks: npt.NDArray[np.intp]) -> Spans:
    """Starts and ends of what the line feeds at `breaks` end, the first of which began at `start`."""
    ends = breaks + block.at
    starts = np.concatenate(([start], ends + 1))[:-1]
    before = np.where(breaks > 0, block.data[breaks - 1], block.before) if len(breaks) else breaks
    # Of an empty line the byte before is none of its own.
    return starts, ends - ((before == _CR) & (ends > starts))


_NOTHING: Spans = (np.empty(0, np.int64), np.empty(0, np.int64))
_NONE: _Bools = np.empty(0, bool)
