"""A column of a Parquet or Arrow IPC (Feather) file, as a stream of texts."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from artifex.data.errors import ConfigError, MissingPackageError, ReadError
from artifex.data.sources.text.claim import Draft
from artifex.data.sources.text.scan import Spans
from artifex.data.sources.text.streams import DamagedError

_ROWS = 1024
_BUFFER_BYTES = 2**20


def write_column(
    made: Draft,
    file: str,
    form: str,
    column: str,
    count: Callable[[int], None],
) -> Iterator[Spans]:
    """Writes the UTF-8 of a column's values into a draft, one after another; gives the spans of each batch of rows.

    A null has the start -1.

    Args:
        made: the draft.
        file: the path of the table.
        form: "parquet" or "arrow".
        column: its name.
        count: is told how many bytes were written.

    Raises:
        ConfigError: there is no such column, or it holds no strings.
        ReadError: the file is none of that form.
        DamagedError: it cannot be read to its end; what comes before was given.
    """
    pa = _pyarrow(form)
    at = 0
    for row, array in _arrays(pa, file, form, column):
        try:
            # A file may lie about itself, and what follows would read where nothing is.
            array.validate(full=pa.types.is_dictionary(array.type) or pa.types.is_string_view(array.type))
            values = array.cast(pa.large_string()) if array.type != pa.large_string() else array
            data, starts, lengths = _flat(pa, values)
        except pa.ArrowException as error:
            raise DamagedError(f"row {row} and what follows cannot be read ({error})", None) from error
        made.write(data)
        count(len(data))
        yield np.where(starts < 0, -1, starts + at), lengths
        at += len(data)


def _flat(pa: Any, values: Any) -> tuple[memoryview, Any, Any]:
    """The bytes of an array of large strings, where each value starts in them (-1: null), and their lengths."""
    _, offsets, data = values.buffers()
    if len(values) == 0:
        return memoryview(b""), np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.frombuffer(offsets, np.int64, len(values) + 1, values.offset * 8)
    if ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > (0 if data is None else data.size):
        raise pa.ArrowInvalid("offsets of strings are out of range")
    text = memoryview(b"") if data is None else memoryview(data)[int(ends[0]) : int(ends[-1])]
    starts, lengths = ends[:-1] - ends[0], np.diff(ends)
    if values.null_count:
        nulls = values.is_null().to_numpy(zero_copy_only=False)
        starts, lengths = np.where(nulls, -1, starts), np.where(nulls, 0, lengths)
    return text, starts, lengths


def _arrays(pa: Any, path: str, form: str, column: str) -> Iterator[tuple[int, Any]]:
    """(number of the first row, array) of each batch."""
    try:
        schema, batches = (_parquet if form == "parquet" else _arrow)(pa, path, column)
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"no {form} file that can be read: {error}", path=path) from error
    if column not in schema.names:
        raise ConfigError(f"`field` {column!r} is no column of {path}; it has {', '.join(schema.names)}")
    if schema.names.count(column) > 1:
        raise ConfigError(
            f"`field` {column!r} is more than one column of {path}; it has {', '.join(schema.names)}"
        )
    kind = schema.field(column).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(
        is_kind(inner) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    ):
        raise ConfigError(f"`field` {column!r} of {path} holds {kind}, no strings; name a column of strings")
    row = 0
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(f"what follows row {row - 1} cannot be read ({error})", None) from error
        if batch is None:
            return
        yield row, batch.column(batch.schema.get_field_index(column))
        row += batch.num_rows


def _parquet(pa: Any, path: str, column: str) -> tuple[Any, Iterator[Any]]:
    import pyarrow.parquet

    # Buffered, or else all of a column in a group of rows is read at once, and some files are one group.
    file = pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    return file.schema_arrow, file.iter_batches(_ROWS, columns=[column], use_threads=False)


def _arrow(pa: Any, path: str, column: str) -> tuple[Any, Iterator[Any]]:
    """Both layouts: files have an index of their batches at the end, streams have none."""
    import pyarrow.ipc

    source = pa.memory_map(path)
    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    if not is_file:
        reader = pyarrow.ipc.open_stream(source)
        return reader.schema, iter(reader)
    table = pyarrow.ipc.open_file(source)
    return table.schema, (table.get_batch(number) for number in range(table.num_record_batches))


def _pyarrow(form: str) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingPackageError(
            f'{form} files need pyarrow; pip install "artifex-data[parquet]"'
        ) from error
    return pyarrow
