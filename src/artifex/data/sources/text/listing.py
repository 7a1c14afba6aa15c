"""Which files a path, a pattern or a folder means, and what they hold, by their names."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.sources.walk import Walk

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class TextFormat(StrEnum):
    """What a file holds."""

    TEXT = "text"
    """Plain text."""
    JSONL = "jsonl"
    """A JSON object on each line."""
    CSV = "csv"
    """Comma-separated values, names in the first row."""
    TSV = "tsv"
    """The same with tabs."""
    PARQUET = "parquet"
    """An Apache Parquet table."""
    ARROW = "arrow"
    """An Arrow IPC (Feather version 2) table."""


SUFFIXES: dict[str, TextFormat] = {
    ".txt": TextFormat.TEXT,
    ".text": TextFormat.TEXT,
    ".md": TextFormat.TEXT,
    ".jsonl": TextFormat.JSONL,
    ".ndjson": TextFormat.JSONL,
    ".csv": TextFormat.CSV,
    ".tsv": TextFormat.TSV,
    ".parquet": TextFormat.PARQUET,
    ".pq": TextFormat.PARQUET,
    ".arrow": TextFormat.ARROW,
    ".feather": TextFormat.ARROW,
}
COMPRESSIONS = (".gz", ".zst")
TABLES = (TextFormat.PARQUET, TextFormat.ARROW)


@dataclass(frozen=True, slots=True)
class File:
    """A file, what it holds, and the ending that says how it is compressed ("" if it is not)."""

    path: str
    form: TextFormat
    compression: str


def list_files(paths: Paths, form: TextFormat | None) -> list[File]:
    """The files, in their order: that of a list, and of the paths' code points within a pattern or a folder.

    Raises:
        ConfigError: there is no such file, or what it holds is not known.
        ConfigTypeError: `paths` is of another type.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    if isinstance(paths, bytes) or not isinstance(paths, Sequence):
        raise ConfigTypeError(f"`paths` must be a path or a list of paths, got {type(paths).__name__}")
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigTypeError(f"`paths` must be a path or a list of paths, got {path!r} in it")
    if not paths:
        raise ConfigError("`paths` is empty; give at least one file, folder or pattern")
    return [file for path in paths for file in _expanded(os.fspath(path), form)]


def _expanded(path: str, form: TextFormat | None) -> list[File]:
    if os.path.isdir(path):
        return _inside(path, form)
    if os.path.exists(path):
        return [_file(path, form)]
    matches = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    files = [_file(match, form) for match in matches if not os.path.isdir(match)]
    if not files:
        raise ConfigError(
            f"`paths` {path!r} does not exist" + (" or match a file" if glob.has_magic(path) else "")
        )
    return files


def _inside(folder: str, form: TextFormat | None) -> list[File]:
    suffixes = [suffix for suffix, meant in SUFFIXES.items() if form in (None, meant)]
    endings = tuple(suffix + end for suffix in suffixes for end in ("", *COMPRESSIONS))
    walk = Walk(endings)
    names = sorted(name for name, _, _ in walk.files(folder))
    if walk.skipped:
        told = ", ".join(f"{name!r} ({reason})" for name, reason in walk.skipped[:3])
        raise ConfigError(
            f"`paths` {folder!r} holds what cannot be read: {told}; list the files that you mean"
        )
    if not names:
        others = ", ".join(f"{n} in {suffix or 'no suffix'}" for suffix, n in walk.others.most_common(5))
        raise ConfigError(
            f"no file under `paths` {folder!r} ends in {', '.join(suffixes)}; files there are: {others or 'none'}"
        )
    return [_file(os.path.join(folder, *name.split("/")), form) for name in names]


def _file(path: str, form: TextFormat | None) -> File:
    stem, suffix = os.path.splitext(path)
    compression = suffix.lower() if suffix.lower() in COMPRESSIONS else ""
    if compression:
        suffix = os.path.splitext(stem)[1]
    meant = form or SUFFIXES.get(suffix.lower())
    if meant is None:
        known = ", ".join(SUFFIXES)
        raise ConfigError(f"`format` of {path!r} is not known by its name (known are {known}); say `format`")
    if compression and meant in TABLES:
        raise ConfigError(f"{path!r}: {meant.value} files are compressed inside; unpack it, or write it so")
    return File(path, meant, compression)
