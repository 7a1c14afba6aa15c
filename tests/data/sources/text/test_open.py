import json
import os
import pickle

import numpy as np
import pytest

from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    ReadError,
    RecordError,
    UnknownNameError,
)
from artifex.data.sources import BatchSource
from artifex.data.sources.text import open_text
from artifex.testing import SourceContract
from text_files import errors_of, jsonl, open_in_blocks, texts, write


class TestLines(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.folder = tmp_path
        write(tmp_path / "a.txt", "one\ntwo\n")
        write(tmp_path / "b.txt", "three\n\nfour")

    def source(self):
        return open_text(self.folder)


class TestMixed(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.folder = tmp_path
        write(tmp_path / "a.jsonl", jsonl("one", "two"))
        write(tmp_path / "b.csv", "id,text\n1,three\n2,four\n")

    def source(self):
        return open_text(self.folder)


def test_records_are_numbered_over_all_files(tmp_path):
    write(tmp_path / "b.txt", "3\n4\n")
    write(tmp_path / "a" / "x.txt", "1\n2")
    write(tmp_path / "empty.txt", "")
    write(tmp_path / "notes.bin", "no")
    source = open_text(tmp_path)
    assert isinstance(source, BatchSource)
    assert texts(source) == ["1", "2", "3", "4"]
    assert source[-1] == {"text": "4", "path": str(tmp_path / "b.txt")}
    assert source.paths == tuple(str(tmp_path / name) for name in ("a/x.txt", "b.txt", "empty.txt"))


def test_a_list_keeps_its_order_and_a_pattern_is_sorted(tmp_path):
    for name in ("b", "a", "c"):
        write(tmp_path / f"{name}.txt", name)
    assert texts(open_text([tmp_path / "b.txt", str(tmp_path / "a.txt")])) == ["b", "a"]
    assert texts(open_text(str(tmp_path / "*.txt"))) == ["a", "b", "c"]
    assert texts(open_text([str(tmp_path / "[bc].txt"), tmp_path / "a.txt"])) == ["b", "c", "a"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path):
    write(tmp_path / "a[1].txt", "x")
    assert texts(open_text(tmp_path / "a[1].txt")) == ["x"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("line", ["a", "b", "", "c"]), ("block", ["a\r\nb", "c"]), ("file", ["a\r\nb\r\n\r\nc\r\n"])],
)
def test_units_of_plain_text(tmp_path, unit, expected):
    write(tmp_path / "a.txt", "a\r\nb\r\n\r\nc\r\n")
    assert texts(open_text(tmp_path / "a.txt", unit=unit)) == expected


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5, 100])
def test_documents_do_not_depend_on_blocks(tmp_path, block_bytes):
    path = write(tmp_path / "a.csv", 'text,n\n"a\n""b""\r\n",1\n,2\nä,3')
    assert texts(open_in_blocks(path, block_bytes)) == ['a\n"b"\r\n', "", "ä"]


def test_nested_fields(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"a": {"b": "x"}}\n{"a": {"c": 1}}\n{"a": 1}\n{"b": 2}')
    source = open_text(path, field="a.b")
    assert source[0]["text"] == "x"
    reasons = [error.reason for error in errors_of(source).values()]
    assert reasons == [
        "it has no `a.b`; names: 'c'",
        "its `a` is a number, no object",
        "it has no `a`; names: 'b'",
    ]


def test_what_is_no_json_is_one_bad_record_each(tmp_path):
    bad = [
        "{",
        "[1]",
        '{"x": 1}',
        '{"text": 1}',
        '{"text": null}',
        '{"text": "a", "n": NaN}',
        "[" * 200_000,
        '{"text": "\\ud800"}',
        '{"text": "a"} {"text": "b"}',
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(["", *bad, ' \t\r\n{"text": "good"}\n\n']))
    source = open_text(path)
    found = errors_of(source)
    assert list(found) == list(range(len(bad)))
    assert source[len(bad)]["text"] == "good"
    assert len(source) == len(bad) + 1
    assert all(isinstance(error, DecodeError) and error.path == str(path) for error in found.values())
    data = path.read_bytes()
    assert [data[e.offset :].startswith(line.encode()) for e, line in zip(found.values(), bad, strict=True)]
    assert "nested too deep" in found[6].reason
    with pytest.raises(DecodeError, match="record 0"):
        source.read_many(np.array([len(bad), 0, 1]))


def test_numbers_of_any_size_are_json(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "n": -' + "9" * 5000 + ', "x": 1e999}\n{"text": 7}')
    source = open_text(path)
    assert source[0]["text"] == "a"
    assert errors_of(source)[1].reason == "its `text` is a number, no string"


def test_json_strings_are_those_of_the_json_module(tmp_path):
    values = ["ä\u2028\n", "\U0001f600", "\\ud", "\0", "", "x" * 10_000]
    path = write(tmp_path / "a.jsonl", jsonl(*values))
    expected = [json.loads(line)["text"] for line in path.read_text().split("\n") if line]
    assert texts(open_text(path)) == expected == values


def test_the_place_of_a_byte_that_is_no_text(tmp_path):
    path = write(tmp_path / "a.txt", b"good\nab\xffc\nend")
    source = open_text(path)
    with pytest.raises(DecodeError, match="byte 0xff at 7 is no utf-8") as caught:
        source[1]
    assert (caught.value.offset, caught.value.record, caught.value.path) == (7, 1, str(path))
    assert source[0]["text"] + source[2]["text"] == "goodend"
    assert texts(open_text(path, errors="replace")) == ["good", "ab\ufffdc", "end"]
    assert texts(open_text(path, encoding="latin-1")) == ["good", "abÿc", "end"]


def test_a_long_document_is_bad_and_is_not_read(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", b"short\n" + b"x" * 1001 + b"\nend")
    source = open_text(path, max_document_bytes=1000)
    asked = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda f, n, at: asked.append(n) or pread(f, n, at))
    with pytest.raises(DecodeError, match="1001 bytes are over `max_document_bytes` 1000") as caught:
        source[1]
    assert caught.value.offset == 6
    assert asked == []
    assert source.read_many(np.array([2, 0]))[0]["text"] == "end"
    assert max(asked) < 4096


def test_nul_and_lone_carriage_returns_are_text(tmp_path):
    assert texts(open_text(write(tmp_path / "a.txt", b"a\0b\rc\r\nd\r"))) == ["a\0b\rc", "d\r"]


def test_byte_order_marks(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfa\nb")
    for unit in ("line", "file", "block"):
        assert open_text(path, unit=unit)[0]["text"][0] == "a"
    with pytest.raises(ConfigError, match="mark of UTF-8, `encoding` is 'iso8859-1'"):
        open_text(path, encoding="latin-1")
    with pytest.raises(ConfigError, match="iconv -f utf-16"):
        open_text(write(tmp_path / "b.txt", "a\nb".encode("utf-16")))
    with pytest.raises(ConfigError, match="hold no documents"):
        open_text(write(tmp_path / "c.txt", b"\xef\xbb\xbf"), unit="file")
    assert texts(open_text(write(tmp_path / "d.csv", b"\xef\xbb\xbftext\nx"))) == ["x"]


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-16-le",
        "utf-32",
        "utf-7",
        "gbk",
        "shift_jis",
        "iso2022_jp",
        "iso2022_jp_ext",
        "hz",
        "hex",
        "cp037",
        "unicode_escape",
        "raw_unicode_escape",
    ],
)
def test_encodings_of_several_bytes_are_refused(tmp_path, encoding):
    path = write(tmp_path / "a.txt", "x")
    with pytest.raises(ConfigError, match=f"iconv -f {encoding} -t utf-8"):
        open_text(path, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf8", "ascii", "cp1252", "latin-1", "koi8-r"])
def test_other_encodings_are_read(tmp_path, encoding):
    assert texts(open_text(write(tmp_path / "a.txt", "a\r\nb"), encoding=encoding)) == ["a", "b"]


def test_rows_of_another_length_and_open_quotes_are_bad(tmp_path):
    path = write(tmp_path / "a.csv", 'id,text\n1,a\n2\n3,b,c\n4,"x"y\n\n5,"open\n')
    source = open_text(path)
    assert source[0]["text"] == "a"
    assert [error.reason for error in errors_of(source).values()] == [
        "it has 1 values, the header 2",
        "it has 3 values, the header 2",
        "its value 2 goes on after the quote that closes it",
        "a quote in it is never closed",
    ]
    assert errors_of(source)[1].offset == 12


def test_a_file_that_changes_is_told(tmp_path):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    other = write(tmp_path / "b.txt", "three\n")
    source = open_text([path, other])
    stamp, fingerprint = source.stamp(), source.fingerprint()
    assert source[0]["text"] == "one"
    os.utime(path, ns=(1, 1))
    for read in (lambda: source[1], lambda: source.read_many(np.array([2, 0]))):
        with pytest.raises(ReadError, match="changed since it was opened") as caught:
            read()
        assert caught.value.path == str(path)
    assert source[2]["text"] == "three"
    assert source.unchanged(np.array([2, 0, 1])).tolist() == [True, False, False]
    again = open_text([path, other])
    assert again.stamp() != stamp
    assert again.fingerprint() == fingerprint
    other.unlink()
    with pytest.raises(ReadError, match="No such file") as caught:
        pickle.loads(pickle.dumps(again))[2]
    assert (caught.value.record, caught.value.path) == (2, str(other))
    assert again.unchanged(np.array([2])).tolist() == [False]


def test_a_fingerprint_is_the_same_wherever_the_files_lie(tmp_path):
    for folder in ("here", "there/deep"):
        write(tmp_path / folder / "a.txt", "a\nb")
        write(tmp_path / folder / "s" / "b.txt", "c")
    here, there = open_text(tmp_path / "here"), open_text(tmp_path / "there" / "deep")
    assert here.fingerprint() == there.fingerprint()
    assert here.stamp() != there.stamp()
    assert open_text(tmp_path / "here", unit="file").fingerprint() != here.fingerprint()
    assert open_text(tmp_path / "here", errors="replace").fingerprint() != here.fingerprint()


def test_more_files_than_are_open_at_a_time(tmp_path):
    for i in range(300):
        write(tmp_path / f"{i:03}.txt", f"{i}\n{i}b")
    source = open_text(tmp_path)
    numbers = np.random.default_rng(0).permutation(600)
    found = [record["text"] for record in source.read_many(numbers)]
    assert found == [f"{n // 2}{'b' if n % 2 else ''}" for n in numbers.tolist()]


def test_settings_that_are_wrong(tmp_path):
    path = write(tmp_path / "a.txt", "x")
    table = write(tmp_path / "a.csv", "id,text,id\n1,2,3")
    lines = write(tmp_path / "a.jsonl", jsonl("x"))
    for error, match, paths, settings in [
        (ConfigError, "does not exist", tmp_path / "none.txt", {}),
        (ConfigError, "or match a file", str(tmp_path / "*.none"), {}),
        (ConfigError, "`paths` is empty", [], {}),
        (ConfigTypeError, "`paths` must be", 3, {}),
        (ConfigTypeError, "`paths` must be", [path, 3], {}),
        (ConfigError, "say `format`", write(tmp_path / "a.xyz", "x"), {}),
        (UnknownNameError, "`format`", path, {"format": "jsonll"}),
        (UnknownNameError, "`unit`", path, {"unit": "lines"}),
        (UnknownNameError, "`errors`", path, {"errors": "ignore"}),
        (ConfigError, "none that Python knows", path, {"encoding": "utf-9"}),
        (ConfigError, "none that Python knows", path, {"encoding": "utf\0"}),
        (ConfigError, "`unit` 'line' is for plain text", lines, {"unit": "line"}),
        (ConfigError, "`field` 'text' is for JSONL", path, {"field": "text"}),
        (ConfigError, "'body' is no column of .*; it has id, text, id", table, {"field": "body"}),
        (ConfigError, "'id' is more than one column", table, {"field": "id"}),
        (ConfigError, "`max_document_bytes`", path, {"max_document_bytes": 0}),
        (ConfigError, "hold no documents", write(tmp_path / "empty.txt", ""), {}),
        (ConfigError, "hold no documents", write(tmp_path / "empty.csv", "id,text\n"), {}),
    ]:
        with pytest.raises(error, match=match):
            open_text(paths, **settings)


def test_no_folder_without_text(tmp_path):
    write(tmp_path / "a.png", "x")
    with pytest.raises(ConfigError, match=r"no file under .* files there are: 1 in \.png"):
        open_text(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(ReadError, match="a named pipe"):
        open_text(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="a named pipe"):
        open_text(tmp_path)


def test_random_reads_of_many_are_those_of_one(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["x" * n for n in rng.integers(0, 9000, 300)]
    source = open_text(write(tmp_path / "a.txt", "\n".join(lines)))
    numbers = rng.integers(-300, 300, 500)
    assert [r["text"] for r in source.read_many(numbers)] == [lines[n] for n in numbers]
    assert source.read_many(np.empty(0, np.int64)) == []
    for number in (300, -301):
        with pytest.raises(IndexError):
            source.read_many(np.array([0, number]))


def test_errors_are_record_errors_that_can_be_pickled(tmp_path):
    source = open_text(write(tmp_path / "a.txt", b"\xff\n\xfe"))
    for error in errors_of(source).values():
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, RecordError)
        assert str(again) == str(error)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="Linux alone can be asked for a file")
@pytest.mark.parametrize("refuses", [False, True])
def test_a_small_corpus_is_asked_for_as_a_whole(tmp_path, monkeypatch, refuses):
    asked = []

    def advise(file, start, length, advice):
        asked.append((start, length))
        if refuses:
            raise OSError("no such thing here")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    monkeypatch.setattr("artifex.data.sources.text.source._ASKED_AT_ONCE", 10)
    write(tmp_path / "a.txt", b"one\ntwo\nthree and more\n")
    assert texts(open_text(tmp_path / "a.txt")) == ["one", "two", "three and more"]
    assert asked == ([(0, 10)] if refuses else [(0, 10), (10, 10), (20, 10)])
    asked.clear()
    monkeypatch.setattr("artifex.data.sources.text.source._ASKED_FOR", 5)
    assert len(texts(open_text(tmp_path / "a.txt"))) == 3 and asked == []
