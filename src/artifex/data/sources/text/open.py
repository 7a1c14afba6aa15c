"""From paths to a source of documents: what is indexed or unpacked on the way."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from artifex.data.cache_dir import cache_folder
from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, ReadError
from artifex.data.fingerprint import digest
from artifex.data.progress import Progress
from artifex.data.sources.text.claim import Draft, draft
from artifex.data.sources.text.encodings import begin_of, checked_encoding, checked_errors
from artifex.data.sources.text.index import (
    Identity,
    Index,
    describe,
    identify,
    make_index,
    map_index,
    open_index,
    write_index,
)
from artifex.data.sources.text.listing import TABLES, File, Paths, TextFormat, list_files
from artifex.data.sources.text.parse import JsonField, Parser, Plain, TableField
from artifex.data.sources.text.scan import Spans, Split, spans
from artifex.data.sources.text.source import Part, TextSource
from artifex.data.sources.text.streams import DamagedError, decompress
from artifex.data.sources.text.tables import write_column
from artifex.data.sources.text.unpack import Unpacked, forget, unpack
from artifex.data.sources.walk import kind_of

_BLOCK_BYTES = 2**22
_SEPARATORS = {Split.COMMA: ",", Split.TAB: "\t"}


class Unit(StrEnum):
    """What is one document of a file of plain text."""

    LINE = "line"
    """A line."""
    FILE = "file"
    """The whole file."""
    BLOCK = "block"
    """Lines without a blank one between them."""


@dataclass(frozen=True)
class Settings:
    """What `open_text` was told, checked, and how many bytes are scanned together."""

    unit: Unit
    field: str
    plain: Plain
    cache_dir: str | None
    max_document_bytes: int
    max_unpacked_bytes: int
    block_bytes: int = _BLOCK_BYTES

    @property
    def cache(self) -> str:
        return str(cache_folder(self.cache_dir))


def open_text(
    paths: Paths,
    *,
    format: str | TextFormat | None = None,
    unit: str | Unit | None = None,
    field: str | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    cache_dir: str | os.PathLike[str] | None = None,
    max_document_bytes: int = 2**26,
    max_unpacked_bytes: int = 2**36,
) -> TextSource:
    """Documents of text files, read at random without holding them in memory.

        source = open_text("corpus/", field="body")
        source[7]  # {"text": "...", "path": "corpus/a.jsonl"}

    A record is `{"text": str, "path": str}`. The first opening of a file finds out where its documents begin, and
    leaves that in an index, `.<name>.<split>.artifex-index` beside the file (12 bytes a document), or in the cache
    folder if nothing can be written there. It is made again when the file's size, time of modification or
    sampled content changes. Files in .gz and .zst, and tables, are unpacked into the cache folder first, once;
    offsets in errors are then those of the unpacked bytes, but where the compressed file itself is damaged.

    What ends a document: of plain text see `unit`, empty lines are documents; of JSONL each line, those of white
    space are passed over; of CSV and TSV each row (RFC 4180) after the header, empty ones are passed over. A line
    ends with LF or CR LF, which are left out; a CR elsewhere is text, as NUL is. A byte order mark of UTF-8 is
    left out. A file without documents adds none.

    Args:
        paths: a file, a folder (files of known endings below it, none that begin with a dot), a pattern (`**`
            means any folders), or a list of these. Files come in the order of the list, those of a folder or
            pattern in the order of their paths, by code point.
        format: "text" (.txt .text .md), "jsonl" (.jsonl .ndjson), "csv", "tsv", "parquet" (.parquet .pq), "arrow"
            (.arrow .feather); None: by the ending. Plain text, JSONL, CSV and TSV may be compressed (.gz, .zst).
        unit: of plain text, "line", "file", or "block" (lines up to a blank one); None: "line".
        field: of JSONL the name of the text, with dots for objects in objects; of a table the column; None: "text".
        encoding: of all files but tables: UTF-8, ASCII, or one of a byte for each character.
        errors: "strict": a document with bytes that are no text is bad; "replace": they become U+FFFD.
        cache_dir: where unpacked files and indexes lie; None: indexes beside the files, the others in the user's
            cache folder, below `text/`.
        max_document_bytes: a longer document is bad, and never read.
        max_unpacked_bytes: bytes that one file may unpack to.

    Raises:
        ConfigError: a setting is wrong, there is no such file, column or document, or a file is in UTF-16 or -32.
        ReadError: a file cannot be read, or its index or content cannot be written anywhere.
        MissingPackageError: a file needs a package that is not installed.
    """
    known = None if format is None else check_choice(TextFormat, "format", format)
    settings = Settings(
        Unit.LINE if unit is None else check_choice(Unit, "unit", unit),
        "text" if field is None else _checked_field(field),
        Plain(checked_encoding(encoding), checked_errors(errors)),
        None if cache_dir is None else str(cache_folder(cache_dir)),
        check_size("max_document_bytes", max_document_bytes),
        check_size("max_unpacked_bytes", max_unpacked_bytes, largest=2**62),
    )
    files = list_files(paths, known)
    forms = {file.form for file in files}
    if unit is not None and TextFormat.TEXT not in forms:
        raise ConfigError(f"`unit` {unit!r} is for plain text; these files are {', '.join(sorted(forms))}")
    if field is not None and forms == {TextFormat.TEXT}:
        raise ConfigError(f"`field` {field!r} is for JSONL and tables; these files are plain text")
    return open_files(files, settings)


def open_files(files: list[File], settings: Settings) -> TextSource:
    """The documents of files whose forms are known."""
    total = sum(os.path.getsize(file.path) for file in files if os.path.exists(file.path))
    with Progress("indexing text", total, in_bytes=True) as bar:
        parts = [_part(file, settings, bar.advance) for file in files]
    source = TextSource(parts, settings.max_document_bytes)
    if not len(source):
        shown = ", ".join(repr(file.path) for file in files[:3])
        raise ConfigError(f"`paths` hold no documents: {len(files)} empty file(s), {shown}")
    return source


def _part(file: File, settings: Settings, advance: Callable[[int], None]) -> Part:
    with _opened(file.path) as descriptor:
        info = os.fstat(descriptor)
        if file.form in TABLES:
            data, index = _column(file, descriptor, settings, advance)
            parser: Parser = Plain("utf-8", settings.plain.errors)
            return _finished(file, info, data, index, 0, parser, settings)
        if file.compression:
            data = _decompressed(file, descriptor, settings, advance)
            advance = _ignore
        else:
            data = Unpacked(file.path, None)
    with _opened(data.data, file.path) as descriptor:
        begin = begin_of(file.path, os.pread(descriptor, 4, 0), settings.plain.encoding)
        split = _split_of(file.form, settings.unit)
        if split is None:
            advance(info.st_size)
            return _finished(file, info, data, None, begin, settings.plain, settings)
        index = _index(file, data, descriptor, begin, split, settings, advance)
        parser, first = _parser(file, data, descriptor, index, split, settings)
    return _finished(file, info, data, index, first, parser, settings)


def _finished(
    file: File,
    info: os.stat_result,
    data: Unpacked,
    index: Index | None,
    first: int,
    parser: Parser,
    settings: Settings,
) -> Part:
    now = info if data.data == file.path else os.stat(data.data)
    described = f"{file.form} {settings.unit} {settings.field} {parser!r}"
    where = (data.data, now.st_size, now.st_mtime_ns)
    return Part(
        file.path, info.st_size, info.st_mtime_ns, *where, index, first, parser, data.damage, described
    )


def _decompressed(
    file: File, descriptor: int, settings: Settings, advance: Callable[[int], None]
) -> Unpacked:
    def write(made: Draft, count: Callable[[int], None]) -> None:
        for piece in decompress(_reader(descriptor), file.compression, advance):
            count(len(piece))  # before it takes up disk
            made.write(piece)

    identity = identify(descriptor)
    return unpack(file.path, settings.cache, identity, file.compression, write, settings.max_unpacked_bytes)


def _column(
    file: File, descriptor: int, settings: Settings, advance: Callable[[int], None]
) -> tuple[Unpacked, Index]:
    """A column's texts, unpacked, and where they are: both are written in one pass."""
    identity = identify(descriptor)
    column = settings.field
    described = describe(identity, {"split": "column"})

    def write(made: Draft, count: Callable[[int], None]) -> None:
        damage: list[DamagedError] = []

        def pieces() -> Iterator[Spans]:
            try:
                yield from write_column(made, file.path, file.form.value, column, count)
            except DamagedError as error:
                damage.append(error)

        with draft(_beside(made.path, "column")) as index:
            write_index(index, described, pieces())
        if damage:
            raise damage[0]

    what = f"{file.form.value} {column}"
    for _ in range(2):
        data = unpack(file.path, settings.cache, identity, what, write, settings.max_unpacked_bytes)
        if (index := open_index(_beside(data.data, "column"), described)) is not None:
            advance(identity.size)
            return data, index
        forget(data)
    raise ReadError("its index was damaged as soon as it was written", path=file.path)


def _index(
    file: File,
    data: Unpacked,
    descriptor: int,
    begin: int,
    split: Split,
    settings: Settings,
    advance: Callable[[int], None],
) -> Index:
    """The index of a file, from where it lies or made."""
    identity = identify(descriptor)
    described = describe(identity, {"split": split.value, "begin": begin, "is_whole": data.damage is None})
    places = _places(file, data, split, settings)
    for place in places:
        if (index := open_index(place, described)) is not None:
            advance(identity.size)
            return index
    refusal: OSError | None = None
    for place in places:
        try:
            os.makedirs(os.path.dirname(place) or ".", exist_ok=True)
            pieces = spans(
                _reader(descriptor, advance),
                begin,
                identity.size,
                split,
                is_whole=data.damage is None,
                block_bytes=settings.block_bytes,
            )
            return make_index(place, described, _unchanged(pieces, descriptor, identity, file.path))
        except ReadError:
            raise
        except OSError as error:
            refusal = error
    raise ReadError(
        f"its index cannot be written to {' or '.join(places)}: {refusal and (refusal.strerror or refusal)}; name "
        f"a `cache_dir` that can be written to",
        path=file.path,
    ) from refusal


def _unchanged(pieces: Iterator[Spans], descriptor: int, identity: Identity, path: str) -> Iterator[Spans]:
    yield from pieces
    info = os.fstat(descriptor)
    if (info.st_size, info.st_mtime_ns) != (identity.size, identity.mtime_ns):
        raise ReadError("it changed while it was indexed; open it again when it is written", path=path)


def _places(file: File, data: Unpacked, split: Split, settings: Settings) -> list[str]:
    """Where the index may lie, the best first."""
    if data.data != file.path:
        return [_beside(data.data, split.value)]
    cached = os.path.join(
        settings.cache, "text", f"{digest([os.path.realpath(file.path)])}.{split.value}.artifex-index"
    )
    return [cached] if settings.cache_dir is not None else [_beside(file.path, split.value), cached]


def _parser(
    file: File, data: Unpacked, descriptor: int, index: Index, split: Split, settings: Settings
) -> tuple[Parser, int]:
    """What makes text of a document, and how many entries of the index come before the first one."""
    if file.form is TextFormat.JSONL:
        return JsonField(tuple(settings.field.split(".")), settings.plain), 0
    if file.form is TextFormat.TEXT:
        return settings.plain, 0
    if index.count == 0:
        return settings.plain, 0
    start, length = map_index(index)[1][0].tolist()
    if length > settings.max_document_bytes:
        raise ConfigError(f"the header of {file.path} has {length} bytes, over `max_document_bytes`")
    separator = _SEPARATORS[split]
    try:
        names = TableField(0, 0, separator, settings.plain).row(os.pread(descriptor, length, start), start)
    except DecodeError as error:
        raise ConfigError(f"the header of {file.path} cannot be read: {error}") from error
    if names.count(settings.field) != 1:
        how = "no column" if settings.field not in names else "more than one column"
        raise ConfigError(f"`field` {settings.field!r} is {how} of {file.path}; it has {', '.join(names)}")
    return TableField(names.index(settings.field), len(names), separator, settings.plain), 1


def _split_of(form: TextFormat, unit: Unit) -> Split | None:
    if form is TextFormat.TEXT:
        return {Unit.LINE: Split.LINE, Unit.BLOCK: Split.BLOCK}.get(unit)
    return {TextFormat.JSONL: Split.FILLED, TextFormat.CSV: Split.COMMA, TextFormat.TSV: Split.TAB}[form]


@contextmanager
def _opened(path: str, named: str | None = None) -> Generator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ReadError(error.strerror or str(error), path=named or path) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if (kind := kind_of(mode)) != "no regular file" or not os.path.isfile(path):
            raise ReadError(f"{kind}, no file", path=named or path)
        yield descriptor
    finally:
        os.close(descriptor)


def _reader(descriptor: int, advance: Callable[[int], None] | None = None) -> Callable[[int, int], bytes]:
    def read(at: int, size: int) -> bytes:
        try:
            data = os.pread(descriptor, size, at)
        except OSError as error:
            raise ReadError(error.strerror or str(error), offset=at) from error
        if advance is not None:
            advance(len(data))
        return data

    return read


def _checked_field(field: object) -> str:
    if not isinstance(field, str):
        raise ConfigTypeError(f"`field` must be a string, got {field!r}")
    if not field:
        raise ConfigError("`field` must be a name, got ''")
    return field


def _beside(path: str, split: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{split}.artifex-index")


def _ignore(_done: int) -> None:
    pass
