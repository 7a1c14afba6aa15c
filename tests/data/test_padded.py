import json
import pickle
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data import create_data_loader
from artifex.data.buckets import subset_reader
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.loader import HostBatches
from artifex.data.padded import PaddedReader, bucket_edges, length_buckets, padded_to_longest
from artifex.data.plan import Rows
from artifex.data.reader import Reader, slots
from artifex.data.token_arrays import TokenArrays

EOS = 2
DOCUMENTS = [[11, EOS], [], [21, 22, 23, 24, 25, EOS], [31, 32, 33, 34, 35], [41, 42, 43, EOS]]


def reader_of(documents=DOCUMENTS, length=4, pad_id=0, eos_id=EOS):
    return PaddedReader(TokenArrays.from_documents(documents), length, pad_id, eos_id)


def read(reader, rows=None):
    rows = np.arange(len(reader)) if rows is None else np.asarray(rows)
    out = slots(reader.spec, len(rows))
    reader.read_into(rows, out)
    return {name: array.tolist() for name, array in out.items()}


def test_rows_by_hand():
    assert read(reader_of(pad_id=9)) == {
        "text_tokens": [
            [11, EOS, 9, 9],
            [9, 9, 9, 9],
            [21, 22, 23, EOS],  # cut, and still ended
            [31, 32, 33, 34],  # cut, and never ended
            [41, 42, 43, EOS],
        ],
        "length": [2, 0, 4, 4, 4],
    }
    assert read(reader_of(eos_id=None), [2])["text_tokens"] == [[21, 22, 23, 24]]
    assert read(reader_of(), [1])["text_tokens"] == [[0, 0, 0, 0]]


@settings(deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=8).filter(any),
    length=st.integers(1, 10),
    data=st.data(),
)
def test_a_batch_is_what_its_documents_are_one_by_one(documents, length, data):
    rows = data.draw(st.lists(st.integers(0, len(documents) - 1), min_size=1, max_size=8))
    got = read(reader_of(documents, length, pad_id=7), rows)
    for row, number in enumerate(rows):
        ids = documents[number][:length]
        if len(documents[number]) > length and documents[number][-1] == EOS:
            ids[-1] = EOS
        assert got["text_tokens"][row] == ids + [7] * (length - len(ids))
        assert got["length"][row] == len(ids)


def test_it_is_a_reader():
    reader = reader_of()
    assert isinstance(reader, Reader)
    assert reader.in_memory
    said = reader.fingerprint()
    assert json.loads(json.dumps(said)) == said
    others = [reader_of(length=5), reader_of(pad_id=1), reader_of(eos_id=None), reader_of(DOCUMENTS[1:])]
    assert all(other.fingerprint() != said for other in others)
    assert reader.stamp() != others[-1].stamp()
    assert read(pickle.loads(pickle.dumps(reader))) == read(reader)


def test_each_document_is_in_the_least_length_that_holds_it():
    documents = [[1] * n for n in (1, 4, 5, 8, 9, 30, 0)]
    reader = length_buckets(TokenArrays.from_documents(documents), (4, 8, 16))
    assert reader.of.tolist() == [0, 0, 1, 1, 2, 2, 0]
    assert [spec["text_tokens"].shape for spec in reader.specs] == [(4,), (8,), (16,)]


def test_a_loader_makes_each_batch_of_one_length():
    rng = np.random.default_rng(0)
    documents = [rng.integers(3, 99, n).tolist() for n in rng.integers(1, 40, 50)]

    def fresh():
        reader = length_buckets(TokenArrays.from_documents(documents), (8, 16, 32), eos_id=EOS)
        return create_data_loader(reader, 4, seed=1)

    whole = [{name: np.asarray(value) for name, value in batch.items()} for batch in fresh()]
    assert {b["text_tokens"].shape[1] for b in whole} == {8, 16, 32}
    seen = []
    for b in whole:
        for number, row, length in zip(b["index"], b["text_tokens"], b["length"], strict=True):
            seen.append(int(number))
            assert row[:length].tolist() == documents[number][: len(row)]
            assert not row[length:].any()
            assert len(row) == next(edge for edge in (8, 16, 32) if edge >= min(len(documents[number]), 32))
    assert sorted(seen) == list(range(50))
    loader = fresh()
    steps = iter(loader)
    for step in range(len(whole)):
        other = fresh()
        other.restore(json.loads(json.dumps(loader.state())))
        rest = [np.asarray(b["text_tokens"]) for b in other]
        assert len(rest) == len(whole) - step
        for got, expected in zip(rest, whole[step:], strict=True):
            np.testing.assert_array_equal(got, expected["text_tokens"])
        next(steps)


EDGES = (8, 16, 32)


def of_any_length(size=50):
    rng = np.random.default_rng(0)
    return [[*rng.integers(3, 99, n).tolist(), EOS] for n in rng.integers(0, 40, size)]


@pytest.mark.parametrize("num_workers", [0, 3])
def test_a_batch_is_as_long_as_its_longest_document(num_workers):
    documents = TokenArrays.from_documents(sorted(of_any_length(), key=len))
    full = create_data_loader(PaddedReader(documents, 32, eos_id=EOS), 3, shuffle=False)
    loader = create_data_loader(
        padded_to_longest(documents, EDGES, eos_id=EOS), 3, shuffle=False, num_workers=num_workers
    )
    shapes = set()
    for got, expected in zip(loader, full, strict=True):
        width = got["text_tokens"].shape[1]
        shapes.add(width)
        assert width == next(edge for edge in EDGES if edge >= int(got["length"].max()))
        np.testing.assert_array_equal(got["text_tokens"], expected["text_tokens"][:, :width])
        assert not expected["text_tokens"][:, width:].any()
        for name in ("length", "index"):
            np.testing.assert_array_equal(got[name], expected[name])
    assert shapes == set(EDGES)


def test_what_a_process_reads_of_a_batch_has_the_shape_of_the_whole():
    """Rows 0 and 1 are short, row 2 is long; the process has the first two alone."""
    documents = TokenArrays.from_documents([[5], [6], [7] * 20])
    rows = Rows(0, 0, np.arange(3), np.zeros(3, np.int64), 3)
    reader = padded_to_longest(documents, EDGES)
    for part, width in ((rows.part(np.array([0, 1])), 32), (Rows(0, 0, np.arange(2), np.zeros(2), 2), 8)):
        (batch,) = HostBatches(reader, [part.part(np.arange(2))], 3, num_workers=0, prefetch=1)
        assert batch.arrays["text_tokens"].shape == (2, width)
        assert batch.arrays["text_tokens"][:, 0].tolist() == [5, 6]


def test_the_longest_decides_in_parts_of_a_dataset_too():
    documents = TokenArrays.from_documents(of_any_length())
    part = subset_reader(padded_to_longest(documents, EDGES), 7, lambda i: i * 3, {"every": 3})
    (batch,) = create_data_loader(part, 7, shuffle=False)
    assert batch["text_tokens"].shape[1] == next(e for e in EDGES if e >= int(batch["length"].max()))
    assert isinstance(part, Reader)


def test_plans_of_padding_to_one_length_of_buckets_and_of_the_longest_differ():
    documents = TokenArrays.from_documents(of_any_length())
    readers = [
        PaddedReader(documents, 32),
        length_buckets(documents, EDGES),
        padded_to_longest(documents, EDGES),
    ]
    assert len({create_data_loader(reader, 4).plan.hash for reader in readers}) == 3


def padded(lengths, edges):
    """Tokens of all rows, padding included."""
    return sum(next(edge for edge in edges if edge >= min(n, edges[-1])) for n in lengths)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=20).filter(any),
    count=st.integers(1, 5),
    multiple=st.integers(1, 9),
)
def test_no_other_edges_pad_less(lengths, count, multiple):
    edges = bucket_edges(np.array(lengths), count, multiple=multiple)
    possible = sorted({-(-max(n, 1) // multiple) * multiple for n in lengths})
    least = min(
        padded(lengths, (*shorter, possible[-1]))
        for few in range(count)
        for shorter in combinations(possible[:-1], few)
    )
    assert padded(lengths, edges) == least
    assert len(edges) <= count
    assert list(edges) == sorted(set(edges))
    assert edges[-1] == possible[-1]


def test_edges_by_hand():
    lengths = np.array([3, 3, 3, 7, 30, 100])
    assert bucket_edges(lengths, 1) == (104,)
    assert bucket_edges(lengths, 2) == (8, 104)  # 4 * 8 + 2 * 104 = 240; with (32, 104) 5 * 32 + 104 = 264
    assert bucket_edges(lengths, 3) == (8, 32, 104)
    assert bucket_edges(lengths, 9) == (8, 32, 104)
    assert bucket_edges(lengths, 2, longest=30) == (8, 32)
    assert bucket_edges(lengths, 9, multiple=1) == (3, 7, 30, 100)


def test_settings_out_of_range_are_refused():
    documents = TokenArrays.from_documents(DOCUMENTS)
    for edges in ((), (8, 8), (16, 8)):
        with pytest.raises(ConfigError, match="`edges` must be lengths that rise"):
            length_buckets(documents, edges)
    with pytest.raises(ConfigError, match="`length` must be from 1"):
        length_buckets(documents, (0, 8))
    with pytest.raises(ConfigError, match="`eos_id`"):
        reader_of(eos_id=-1)
    with pytest.raises(ConfigError, match="`pad_id`"):
        reader_of(pad_id=-1)
    with pytest.raises(ConfigError, match="`count`"):
        bucket_edges(documents.lengths, 0)
    with pytest.raises(ConfigError, match="`multiple`"):
        bucket_edges(documents.lengths, 1, multiple=0)
    with pytest.raises(ConfigError, match="`longest`"):
        bucket_edges(documents.lengths, 1, longest=0)
    with pytest.raises(ShapeError, match="`lengths`"):
        bucket_edges(np.array([0.5]), 1)
