import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.sources.text.parse import split_row
from artifex.data.sources.text.scan import Split, spans
from text_files import blocks_of, lines_of, rows_of

MORE = settings(max_examples=300, deadline=None)


def documents(data, split, block_bytes, *, is_whole=True, start=0):
    pieces = spans(
        lambda at, size: data[at : at + size],
        start,
        len(data),
        split,
        is_whole=is_whole,
        block_bytes=block_bytes,
    )
    found = []
    for starts, lengths in pieces:
        assert starts.dtype == lengths.dtype == np.int64
        found += [data[a : a + n] for a, n in zip(starts.tolist(), lengths.tolist(), strict=True)]
    return found


def made_of(alphabet):
    return st.lists(st.sampled_from(alphabet), max_size=40).map(lambda parts: "".join(parts).encode())


BLOCKS = st.integers(1, 9)


@MORE
@given(made_of(["a", "\n", "\r", "\r\n", "ä", " ", "\0"]), BLOCKS)
def test_lines_are_those_of_python(data, block_bytes):
    assert [d.decode() for d in documents(data, Split.LINE, block_bytes)] == lines_of(data)


@MORE
@given(made_of(["a", "\n", "\r\n", " ", "\t", "\n \n", "\r"]), BLOCKS)
def test_filled_lines_are_those_with_something_in_them(data, block_bytes):
    expected = [line for line in lines_of(data) if line.strip(" \t\r\n")]
    assert [d.decode() for d in documents(data, Split.FILLED, block_bytes)] == expected


@MORE
@given(made_of(["a", "b\n", "\n", "\r\n", " ", "\n\n", "\n \n"]), BLOCKS)
def test_blocks_are_those_found_line_by_line(data, block_bytes):
    assert [d.decode() for d in documents(data, Split.BLOCK, block_bytes)] == blocks_of(data)


CELLS = st.lists(
    st.lists(st.text(alphabet='ab",\n\r \tä', max_size=6), min_size=1, max_size=3), min_size=1, max_size=6
)


@MORE
@given(CELLS, BLOCKS, st.sampled_from([",", "\t"]), st.sampled_from(["\n", "\r\n"]))
def test_rows_that_the_csv_module_writes_come_back(rows, block_bytes, separator, end):
    file = io.StringIO(newline="")
    # The module leaves a carriage return without quotes if only those that must have some get them.
    csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows[::2])
    rows[1::2] = [[cell.replace("\r", "") for cell in row] for row in rows[1::2]]
    csv.writer(file, delimiter=separator, lineterminator=end).writerows(rows[1::2])
    rows = rows[::2] + rows[1::2]
    data = file.getvalue().encode()
    split = Split.COMMA if separator == "," else Split.TAB
    found = [split_row(d.decode(), separator) for d in documents(data, split, block_bytes)]
    assert found == rows


@MORE
@given(made_of(["a", '"', '""', ",", "\n", '"\n', ',"', "\r\n"]), BLOCKS)
def test_any_quotes_end_rows_where_the_csv_module_ends_them(data, block_bytes):
    expected = rows_of(data)
    found = documents(data, Split.COMMA, block_bytes)
    # The module takes a row apart as it is found; here only where it ends is compared, for stray quotes too.
    assert [next(csv.reader([d.decode()]), []) for d in found] == expected


@MORE
@given(made_of(["a", '"', '""', ",", "\n", '"\n', ',"', "\r\n"]), BLOCKS)
def test_the_size_of_blocks_changes_nothing(data, block_bytes):
    for split in Split:
        assert documents(data, split, block_bytes) == documents(data, split, 1000)


@MORE
@given(made_of(["a", '"', "\n", " ", ","]), BLOCKS, st.sampled_from(list(Split)), st.integers(0, 40))
def test_of_a_damaged_file_only_documents_whose_end_is_there(data, block_bytes, split, cut):
    """What was there before the damage is what the whole file has there."""
    whole = documents(data, split, 1000)
    kept = documents(data[:cut], split, block_bytes, is_whole=False)
    assert kept == whole[: len(kept)]
    lost = documents(data[:cut], split, block_bytes)
    assert len(lost) - len(kept) in (0, 1)


def test_a_file_may_begin_after_its_first_byte():
    assert documents(b"xyzab\nc", Split.LINE, 4, start=3) == [b"ab", b"c"]


def test_a_stray_quote_means_itself():
    data = b'id,text\n1,5" pipe\n2,"a\nb"\n3,6"\n'
    for size in range(1, len(data) + 1):
        assert documents(data, Split.COMMA, size) == [b"id,text", b'1,5" pipe', b'2,"a\nb"', b'3,6"']


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('"a",b', ["a", "b"]),
        ('"a""b",""', ['a"b', ""]),
        ('"a,b",', ["a,b", ""]),
        ('5" x,"y"', ['5" x', "y"]),
        ('"\n"', ["\n"]),
    ],
)
def test_values_of_a_row(line, values):
    assert split_row(line, ",") == values == next(csv.reader([line]))
