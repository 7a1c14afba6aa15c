import os

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from artifex.data.errors import ConfigError, DecodeError, ReadError
from artifex.data.sources.text import open_text
from artifex.data.sources.text.claim import draft
from artifex.data.sources.text.tables import write_column
from artifex.testing import SourceContract
from text_files import errors_of, texts, write

VALUES = ["one", "", "drei ä", "x" * 5000, "\0\r\n", *map(str, range(3000))]


def as_parquet(table, path):
    pq.write_table(table, path, row_group_size=700)


def as_file(table, path):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def as_stream(table, path):
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def as_feather(table, path):
    pyarrow.feather.write_feather(table, path, compression="lz4")


WRITERS = pytest.mark.parametrize(
    ("name", "save"),
    [("a.parquet", as_parquet), ("a.arrow", as_file), ("a.arrow", as_stream), ("a.feather", as_feather)],
)


class TestParquet(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.folder = tmp_path
        as_parquet(pa.table({"text": VALUES[:4]}), tmp_path / "a.parquet")

    def source(self):
        return open_text(self.folder / "a.parquet", cache_dir=self.folder / "cache")


@WRITERS
@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_a_column_is_what_pyarrow_gives(tmp_path, name, save, kind):
    column = pa.array(VALUES, pa.string() if kind == "dictionary" else getattr(pa, kind)())
    column = column.dictionary_encode() if kind == "dictionary" else column
    table = pa.table({"id": range(len(VALUES)), "body": column})
    save(table, tmp_path / name)
    source = open_text(tmp_path / name, field="body", cache_dir=tmp_path / "cache")
    assert texts(source) == table["body"].to_pylist()
    assert source[2]["path"] == str(tmp_path / name)


@WRITERS
def test_a_null_is_one_bad_record(tmp_path, name, save):
    save(pa.table({"text": ["a", None, "b", None]}), tmp_path / name)
    source = open_text(tmp_path / name, cache_dir=tmp_path / "cache")
    assert [source[0]["text"], source[2]["text"]] == ["a", "b"]
    assert {n: error.reason for n, error in errors_of(source).items()} == dict.fromkeys(
        [1, 3], "it is null in its column"
    )


def test_slices_of_arrays_are_read_from_where_they_begin(tmp_path):
    column = pa.chunked_array([pa.array(["no", "a", None, "bc", "no"]).slice(1, 3), pa.array(["d"])])
    as_file(pa.table({"text": column}), tmp_path / "a.arrow")
    source = open_text(tmp_path / "a.arrow", cache_dir=tmp_path / "cache")
    assert [source[i]["text"] for i in (0, 2, 3)] == ["a", "bc", "d"]
    assert list(errors_of(source)) == [1]


def test_columns_that_are_no_strings_are_named(tmp_path):
    path = tmp_path / "a.parquet"
    as_parquet(pa.table({"n": [1, 2], "text": [b"a", b"b"]}), path)
    for field, match in (
        ("n", "'n' of .*a.parquet holds int64"),
        ("text", "holds binary, no strings"),
        ("body", "'body' is no column of .*; it has n, text"),
    ):
        with pytest.raises(ConfigError, match=match):
            open_text(path, field=field, cache_dir=tmp_path / "cache")


def test_a_group_of_rows_is_not_held_as_a_whole(tmp_path):
    """16 MB in one group, a page at a time."""
    values = [f"{number} {'x' * 2000}" for number in range(8000)]
    table, path = pa.table({"text": values}), tmp_path / "a.parquet"
    pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=len(values))
    most, before = 0, pa.total_allocated_bytes()

    def count(_bytes):
        nonlocal most
        most = max(most, pa.total_allocated_bytes() - before)

    with draft(str(tmp_path / "data")) as made:
        rows = sum(len(starts) for starts, _ in write_column(made, str(path), "parquet", "text", count))
    assert rows == 8000
    assert 0 < most < 2**23


def test_two_columns_of_one_name_are_told(tmp_path):
    names = ["text", "n", "text"]
    as_parquet(pa.table([["a"], [1], ["b"]], names=names), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="'text' is more than one column of .*; it has text, n, text"):
        open_text(tmp_path / "a.parquet", cache_dir=tmp_path / "cache")


def test_bytes_that_are_no_text_are_bad(tmp_path):
    column = pa.array([b"good", b"\xff"], pa.binary()).view(pa.string())
    as_file(pa.table({"text": column}), tmp_path / "a.arrow")
    source = open_text(tmp_path / "a.arrow", cache_dir=tmp_path / "cache")
    assert source[0]["text"] == "good"
    assert isinstance(errors_of(source)[1], DecodeError)
    again = open_text(tmp_path / "a.arrow", cache_dir=tmp_path / "cache", errors="replace")
    assert again[1]["text"] == "\ufffd"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize("data", [b"", b"no table", b"ARROW1\0\0 cut", b"PAR1"])
def test_a_file_that_is_no_table(tmp_path, name, data):
    path = write(tmp_path / name, data)
    with pytest.raises(ReadError, match="file that can be read") as caught:
        open_text(path, cache_dir=tmp_path / "cache")
    assert caught.value.path == str(path)


def test_what_follows_a_damaged_page_is_one_bad_record(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": VALUES}), path, row_group_size=1024, compression="zstd", use_dictionary=False
    )
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    middle = group.data_page_offset + group.total_compressed_size // 2
    data[middle : middle + 500] = bytes(500)
    path.write_bytes(data)
    source = open_text(path, cache_dir=tmp_path / "cache")
    assert len(source) == 1025
    assert [source[i]["text"] for i in range(1024)] == VALUES[:1024]
    with pytest.raises(DecodeError, match="what follows row 1023 cannot be read"):
        source[1024]


def test_a_stream_that_was_cut_short(tmp_path):
    path = tmp_path / "a.arrow"
    as_stream(pa.table({"text": VALUES}), path)
    os.truncate(path, path.stat().st_size * 2 // 3)
    source = open_text(path, cache_dir=tmp_path / "cache")
    good = [source[i]["text"] for i in range(len(source) - 1)]
    assert len(good) in range(700, 3000)
    assert good == VALUES[: len(good)]
    assert list(errors_of(source)) == [len(good)]


def test_it_is_unpacked_once_for_each_column(tmp_path, monkeypatch):
    from artifex.data.sources.text import open as opening

    calls = []
    write_column = opening.write_column
    monkeypatch.setattr(opening, "write_column", lambda *a: calls.append(a[3]) or write_column(*a))
    path = tmp_path / "a.parquet"
    as_parquet(pa.table({"a": ["x", "y"], "b": ["z", "w"]}), path)
    for _ in range(2):
        for field, expected in (("a", ["x", "y"]), ("b", ["z", "w"])):
            assert texts(open_text(path, field=field, cache_dir=tmp_path / "cache")) == expected
    assert calls == ["a", "b"]
    for index in (tmp_path / "cache").rglob("*.artifex-index"):
        os.truncate(index, 100)
    assert texts(open_text(path, field="a", cache_dir=tmp_path / "cache")) == ["x", "y"]
    assert calls == ["a", "b", "a"]


def test_compressed_tables_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="parquet files are compressed inside"):
        open_text(write(tmp_path / "a.parquet.gz", b""))


def test_many_at_once(tmp_path):
    as_parquet(pa.table({"text": VALUES}), tmp_path / "a.parquet")
    source = open_text(tmp_path / "a.parquet", cache_dir=tmp_path / "cache")
    numbers = np.random.default_rng(0).permutation(len(VALUES))
    assert [r["text"] for r in source.read_many(numbers)] == [VALUES[n] for n in numbers.tolist()]
