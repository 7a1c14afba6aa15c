"""From the bytes of a document to its text.

What is wrong with one is a DecodeError whose `offset` is the byte of the file where the document begins or, if a
byte is none of its encoding, that byte.
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from artifex.data.errors import DecodeError


class Parser(Protocol):
    """Gives the text of a document. Thread-safe, picklable."""

    def __call__(self, data: bytes, start: int, /) -> str:
        """The text in `data`, which lies at byte `start` of its file.

        Raises:
            DecodeError: there is none.
        """
        ...


@dataclass(frozen=True)
class Plain:
    """All of the document is text."""

    encoding: str
    errors: str

    def __call__(self, data: bytes, start: int, /) -> str:
        try:
            return data.decode(self.encoding, self.errors)
        except UnicodeDecodeError as error:
            place = start + error.start
            raise DecodeError(
                f"byte {data[error.start]:#04x} at {place} is no {self.encoding}: {error.reason}; "
                f"another `encoding`, or `errors='replace'`, would read it",
                offset=place,
            ) from error


@dataclass(frozen=True)
class JsonField:
    """The document is a JSON object, and the text a string in it; `field` are the names on the way to it."""

    field: tuple[str, ...]
    plain: Plain

    def __call__(self, data: bytes, start: int, /) -> str:
        line = self.plain(data, start)
        try:
            value = _JSON.decode(line)
        except RecursionError as error:
            raise DecodeError("its JSON is nested too deep", offset=start) from error
        except ValueError as error:
            raise DecodeError(f"it is no JSON: {error}", offset=start) from error
        for depth, name in enumerate(self.field):
            if not isinstance(value, dict):
                what = f"its `{'.'.join(self.field[:depth])}`" if depth else "it"
                raise DecodeError(f"{what} is {_kind(value)}, no object", offset=start)
            if name not in value:
                known = ", ".join(map(repr, list(value)[:8])) or "none"
                raise DecodeError(
                    f"it has no `{'.'.join(self.field[: depth + 1])}`; names: {known}", offset=start
                )
            value = value[name]
        if not isinstance(value, str):
            raise DecodeError(f"its `{'.'.join(self.field)}` is {_kind(value)}, no string", offset=start)
        # Half of a surrogate pair can be written in JSON, and is no text.
        if b"\\ud" in data or b"\\uD" in data:
            value = self._without_halves(value, start)
        return value

    def _without_halves(self, value: str, start: int) -> str:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            if self.plain.errors == "replace":
                return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
            raise DecodeError(
                "its string has half of a surrogate pair, which is no text", offset=start
            ) from error
        return value


@dataclass(frozen=True)
class TableField:
    """The document is a row of separated values (RFC 4180), and the text the one in a column.

    A quote within a value that has none around it means itself.
    """

    column: int
    columns: int
    separator: str
    plain: Plain

    def __call__(self, data: bytes, start: int, /) -> str:
        row = self.row(data, start)
        if len(row) != self.columns:
            raise DecodeError(f"it has {len(row)} values, the header {self.columns}", offset=start)
        return row[self.column]

    def row(self, data: bytes, start: int) -> list[str]:
        """All values of a row."""
        line = self.plain(data, start)
        if '"' not in line:
            return line.split(self.separator)
        try:
            return split_row(line, self.separator)
        except DecodeError as error:
            error.offset = start
            raise


def split_row(line: str, separator: str) -> list[str]:
    """The values of a row that has quotes in it.

    Raises:
        DecodeError: a quote is not closed, or text follows one that is.
    """
    values: list[str] = []
    place = 0
    while True:
        if line.startswith('"', place):
            value, place = _quoted(line, place + 1)
            if place < len(line) and line[place] != separator:
                raise DecodeError(f"its value {len(values) + 1} goes on after the quote that closes it")
            stop = place
        else:
            stop = line.find(separator, place)
            stop = len(line) if stop < 0 else stop
            value = line[place:stop]
        values.append(value)
        if stop >= len(line):
            return values
        place = stop + 1


def _quoted(line: str, start: int) -> tuple[str, int]:
    """The value whose opening quote is before `start`, and the place after its closing one."""
    place = start
    while True:
        place = line.find('"', place)
        if place < 0:
            raise DecodeError("a quote in it is never closed")
        if not line.startswith('"', place + 1):
            return line[start:place].replace('""', '"'), place + 1
        place += 2


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds: dict[type, str] = {bool: "a boolean", dict: "an object", list: "an array", str: "a string"}
    return kinds.get(type(value), "a number")


# Integers are looked at by nobody, and an int has a limit of digits, which JSON has not.
_JSON = json.JSONDecoder(parse_constant=_refuse, parse_int=float)
