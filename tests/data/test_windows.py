import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError
from artifex.data.reader import Reader, slots
from artifex.data.token_arrays import TokenArrays
from artifex.data.windows import WindowReader


def reader_of(documents, length=4, stride=3, pad_id=0):
    return WindowReader(TokenArrays.from_documents(documents), length, stride, pad_id)


def read(reader, rows=None):
    rows = np.arange(len(reader)) if rows is None else np.asarray(rows)
    out = slots(reader.spec, len(rows))
    reader.read_into(rows, out)
    return {name: array.tolist() for name, array in out.items()}


def test_windows_by_hand():
    reader = reader_of([list(range(10, 18)), [], [30, 31], list(range(40, 47))], pad_id=9)
    assert read(reader) == {
        "text_tokens": [
            [10, 11, 12, 13],
            [13, 14, 15, 16],
            [16, 17, 9, 9],
            [30, 31, 9, 9],
            [40, 41, 42, 43],
            [43, 44, 45, 46],  # reaches the end: the last
        ],
        "length": [4, 4, 2, 2, 4, 4],
        "document": [0, 0, 0, 2, 3, 3],
        "start": [0, 3, 6, 0, 0, 3],
    }
    assert read(reader, [4, 2])["text_tokens"] == [[40, 41, 42, 43], [16, 17, 9, 9]]


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any),
    length=st.integers(1, 12),
    data=st.data(),
)
def test_windows_are_slices_until_one_reaches_the_end(lengths, length, data):
    stride = data.draw(st.integers(1, length))
    documents = [list(range(100 * n, 100 * n + size)) for n, size in enumerate(lengths)]
    expected = []
    for number, document in enumerate(documents):
        start = 0
        while start < len(document):
            part = document[start : start + length]
            expected.append((part + [0] * (length - len(part)), len(part), number, start))
            if start + length >= len(document):
                break
            start += stride
    reader = reader_of(documents, length, stride)
    got = read(reader)
    assert list(zip(*(got[name] for name in reader.spec), strict=True)) == expected


def test_it_is_a_reader():
    reader = reader_of([[1, 2, 3, 4, 5]])
    assert isinstance(reader, Reader)
    assert reader.in_memory
    said = reader.fingerprint()
    assert json.loads(json.dumps(said)) == said
    others = [
        reader_of([[1, 2, 3, 4, 5]], 5),
        reader_of([[1, 2, 3, 4, 5]], 4, 2),
        reader_of([[1, 2, 3, 4, 6]]),
    ]
    assert all(other.fingerprint() != said for other in others)
    assert reader.stamp() != others[-1].stamp()
    assert read(pickle.loads(pickle.dumps(reader))) == read(reader)


def test_a_loader_shows_every_window():
    reader = reader_of([list(range(1, 60)), [70], list(range(100, 130))])
    loader = create_data_loader(reader, 4)
    seen = [t for b in loader for t in zip(b["document"].tolist(), b["start"].tolist(), strict=True)]
    whole = read(reader)
    assert sorted(seen) == list(zip(whole["document"], whole["start"], strict=True))


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="`stride` must be from 1 to 4, got 5"):
        reader_of([[1]], 4, 5)
    with pytest.raises(ConfigError, match="`length` must be from 1"):
        reader_of([[1]], 0)
    with pytest.raises(ConfigError, match="`pad_id`"):
        reader_of([[1]], pad_id=-1)
    with pytest.raises(ConfigError, match="must have a document with a token"):
        WindowReader(TokenArrays(np.zeros(1, np.uint8), np.array([0, 0])), 4, 4)
