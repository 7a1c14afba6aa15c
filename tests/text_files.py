"""Files of text for tests, and what they hold by the rules of the standard library."""

import csv
import io
import json

from artifex.data.errors import RecordError
from artifex.data.sources.text.listing import list_files
from artifex.data.sources.text.open import Settings, Unit, open_files
from artifex.data.sources.text.parse import Plain


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def texts(source):
    return [source[i]["text"] for i in range(len(source))]


def errors_of(source):
    """Record -> its error, of the bad ones."""
    found = {}
    for i in range(len(source)):
        try:
            source[i]
        except RecordError as error:
            found[i] = error
    return found


def open_in_blocks(path, block_bytes, unit="line", field="text", cache_dir=None):
    """As `open_text`, with blocks so small that their borders fall everywhere."""
    cache = None if cache_dir is None else str(cache_dir)
    settings = Settings(Unit(unit), field, Plain("utf-8", "strict"), cache, 2**26, 2**30, block_bytes)
    return open_files(list_files(path, None), settings)


def lines_of(data):
    """Lines of bytes, by Python's own iteration, which ends them with LF."""
    lines = [line.removesuffix(b"\n") if line.endswith(b"\n") else line for line in io.BytesIO(data)]
    ended = [line.endswith(b"\n") for line in io.BytesIO(data)]
    return [
        (line.removesuffix(b"\r") if end else line).decode() for line, end in zip(lines, ended, strict=True)
    ]


def blocks_of(data):
    """Lines joined until one is blank, a line at a time."""
    blocks, open_lines = [], []
    for line in io.BytesIO(data):
        if line.strip(b" \t\r\n"):
            open_lines.append(line)
        elif open_lines:
            blocks.append(b"".join(open_lines))
            open_lines = []
    blocks += [b"".join(open_lines)] if open_lines else []
    return [(b.removesuffix(b"\n").removesuffix(b"\r") if b.endswith(b"\n") else b).decode() for b in blocks]


def rows_of(data, delimiter=","):
    """Rows by the csv module, without the empty ones."""
    return [row for row in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter) if row]


def jsonl(*values):
    return "".join(json.dumps({"text": value}) + "\n" for value in values).encode()
