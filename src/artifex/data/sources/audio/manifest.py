"""Lists of sound files: CSV, TSV or JSONL, with a label, a text or a part of the file in each row."""

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.registry import unknown
from artifex.data.sources.audio.source import AudioSource, list_files, number_names

_COLUMNS = ("path", "label", "text", "speaker", "offset", "duration")
_SECONDS = ("offset", "duration")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson", ".json")
_INTEGER = re.compile(r"-?\d{1,4000}")
_NO_TEXT = re.compile("[\ud800-\udfff]")  # halves of a character, which JSON can name alone


def audio_manifest(
    path: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> AudioSource:
    """The sounds that a list names, in its order; one file may come in many rows, as different parts of it.

    The columns are `path` and, all of them optional, `label`, `text`, `speaker`, `offset` and `duration` (both in
    seconds); others are passed over. A CSV or TSV file has their names in its first row, a JSONL file in each line.
    Labels that are all integers are taken as they are, others are numbered in the order of their names. A file that
    is not there is a ReadError when its record is read.

    Args:
        path: the list, in UTF-8: `.csv`, `.tsv`, `.jsonl` or `.ndjson`.
        root: the folder that relative paths start from; that of the list, if None.
        columns: what columns are called in the list, if not so: `{"path": "audio_filepath"}`.

    Raises:
        ConfigError: the list cannot be read; a row lacks a value, or has one that makes no sense; no file is there.
        UnknownNameError: `columns` names one that is not known.
    """
    name = os.fspath(path)
    called = _called(columns)
    rows = list(_rows(name, called))
    if not rows:
        raise ConfigError(f"{name!r} lists no files")
    base = os.fspath(root) if root is not None else os.path.dirname(name)
    paths = [_string(name, row, "path", called) for row in rows]
    unique = list(dict.fromkeys(paths))
    numbers = {one: number for number, one in enumerate(unique)}
    file_of = np.array([numbers[one] for one in paths], np.int64)
    labels, classes = _labels(name, rows, called)
    texts, speakers = (
        tuple(_string(name, row, key, called) for row in rows) if key in rows[0][1] else None
        for key in ("text", "speaker")
    )
    return AudioSource(
        list_files(base, unique), file_of, labels, classes, texts, speakers, _spans(name, rows, called)
    )


_Row = tuple[int, dict[str, Any]]  # line, and values by our names of the columns


def _called(columns: Mapping[str, str] | None) -> dict[str, str]:
    for column in columns or {}:
        if column not in _COLUMNS:
            raise UnknownNameError(unknown("column in `columns`", column, _COLUMNS))
    return {column: column for column in _COLUMNS} | dict(columns or {})


def _rows(name: str, called: dict[str, str]) -> Iterator[_Row]:
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in (*_DELIMITERS, *_JSON):
        raise ConfigError(f"`path` {name!r} must end in {', '.join((*_DELIMITERS, *_JSON))}")
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            if suffix in _JSON:
                values = _json_rows(name, file)
            else:
                values = _table_rows(name, csv.DictReader(file, delimiter=_DELIMITERS[suffix], strict=True))
            first: set[str] = set()
            for line, row in values:
                known = {column: row[theirs] for column, theirs in called.items() if theirs in row}
                meant = set(known).difference(_SECONDS)
                first = first or meant
                if meant != first:
                    raise ConfigError(
                        f"{name!r}, line {line}: columns {sorted(meant)}, and of the first row {sorted(first)}"
                    )
                if "path" not in known:
                    raise ConfigError(
                        f"{name!r}, line {line}: no column {called['path']!r} with the path, only {', '.join(row)}; "
                        f"say with `columns` what it is called"
                    )
                yield line, known
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"`path` {name!r} cannot be read: {error}") from error


def _json_rows(name: str, file: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{name!r}, line {line}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{name!r}, line {line}: an object is wanted, got {type(row).__name__}")
        yield line, row


def _table_rows(name: str, reader: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in reader:
        if None in row or None in row.values():
            raise ConfigError(
                f"{name!r}, line {reader.line_num}: the first row has {len(reader.fieldnames)} names, and this one "
                f"another number of values"
            )
        yield reader.line_num, row


def _string(name: str, row: _Row, key: str, called: dict[str, str]) -> str:
    value = row[1][key]
    if not isinstance(value, str) or (key == "path" and not value):
        raise ConfigError(f"{name!r}, line {row[0]}: `{called[key]}` must be a string, got {value!r}")
    if _NO_TEXT.search(value) or (key == "path" and "\0" in value):
        raise ConfigError(f"{name!r}, line {row[0]}: `{called[key]}` has a character that is none: {value!r}")
    return value


def _labels(name: str, rows: list[_Row], called: dict[str, str]) -> tuple[Any, tuple[str, ...]]:
    if "label" not in rows[0][1]:
        return None, ()
    values = [row[1]["label"] for row in rows]
    for (line, _), value in zip(rows, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
            raise ConfigError(
                f"{name!r}, line {line}: `{called['label']}` must be an int or a name, got {value!r}"
            )
    if all(isinstance(value, int) or _INTEGER.fullmatch(value) for value in values):
        numbers = [int(value) for value in values]
        if max(numbers) >= 2**31 or min(numbers) < -(2**31):
            raise ConfigError(f"{name!r}: labels must fit in int32, got {min(numbers)} to {max(numbers)}")
        return np.array(numbers, np.int32), ()
    return number_names([str(value) for value in values])


def _spans(
    name: str, rows: list[_Row], called: dict[str, str]
) -> tuple[tuple[float, float | None], ...] | None:
    if not any(key in row[1] for row in rows for key in _SECONDS):
        return None
    return tuple(
        (_seconds(name, row, "offset", called) or 0.0, _seconds(name, row, "duration", called))
        for row in rows
    )


def _seconds(name: str, row: _Row, key: str, called: dict[str, str]) -> float | None:
    """An offset of 0 or more, or a duration above 0; None where there is none."""
    value = row[1].get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ConfigTypeError(f"{name!r}, line {row[0]}: `{called[key]}` must be seconds, got {value!r}")
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        seconds = float("nan")
    if not (0 < seconds < float("inf") or (key == "offset" and seconds == 0)):
        rule = "0 or more" if key == "offset" else "above 0"
        raise ConfigError(f"{name!r}, line {row[0]}: `{called[key]}` must be {rule} seconds, got {value!r}")
    return seconds
