import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, StateError
from artifex.data.packed import PackedReader
from artifex.data.plan.packing import pack_best_fit, pack_concat
from artifex.data.reader import Reader, slots
from artifex.data.token_arrays import TokenArrays

DOCUMENTS = [
    [11, 12, 13],
    list(range(20, 30)),
    [],
    list(range(40, 47)),
    [51],
    list(range(60, 65)),
    [71, 72, 73, 74],
]


def corpus(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(1, 1000, n).tolist() for n in rng.integers(0, 40, count)]


def reader_of(documents, pack=pack_best_fit, row_length=8, *, pad_id=0, with_segments=True, **options):
    arrays = TokenArrays.from_documents(documents)
    return PackedReader(arrays, pack(arrays.lengths, row_length, **options), pad_id, with_segments)


def read(reader, rows=None):
    rows = np.arange(len(reader)) if rows is None else np.asarray(rows)
    out = slots(reader.spec, len(rows))
    reader.read_into(rows, out)
    return out


def test_best_fit_rows_by_hand():
    rows = read(reader_of(DOCUMENTS, shuffle=False, pad_id=9))
    assert rows["text_tokens"].tolist() == [
        [11, 12, 13, 60, 61, 62, 63, 64],
        [20, 21, 22, 23, 24, 25, 26, 27],
        [28, 29, 71, 72, 73, 74, 9, 9],
        [40, 41, 42, 43, 44, 45, 46, 51],
    ]
    assert rows["segment_ids"].tolist() == [
        [1, 1, 1, 2, 2, 2, 2, 2],
        [1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 2, 2, 2, 2, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 2],
    ]
    assert rows["positions"].tolist() == [
        [0, 1, 2, 0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 0, 1, 2, 3, 0, 0],
        [0, 1, 2, 3, 4, 5, 6, 0],
    ]


def test_concat_rows_by_hand():
    rows = read(reader_of([[11, 12, 13], [21, 22, 23, 24]], pack_concat, 5, shuffle=False), [1, 0])
    assert rows["text_tokens"].tolist() == [[23, 24, 0, 0, 0], [11, 12, 13, 21, 22]]
    assert rows["segment_ids"].tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 2, 2]]
    assert rows["positions"].tolist() == [[0, 1, 0, 0, 0], [0, 1, 2, 0, 1]]  # 23 begins at 0 again


def slowly(reader, documents, rows):
    """The fields of rows, token by token."""
    length = reader.packing.row_length
    fields = {name: np.zeros((len(rows), length), np.int32) for name in reader.spec}
    fields["text_tokens"][...] = reader.pad_id
    for row, number in enumerate(rows):
        for segment, piece in enumerate(zip(*reader.packing.pieces(np.array([number])), strict=True), 1):
            document, start, size, place = map(int, piece)
            for i in range(size):
                fields["text_tokens"][row, place + i] = documents[document][start + i]
                fields["segment_ids"][row, place + i] = segment
                fields["positions"][row, place + i] = i
    return fields


@pytest.mark.parametrize("pack", [pack_best_fit, pack_concat])
@settings(deadline=None, max_examples=40)
@given(data=st.data(), row_length=st.integers(1, 30), pad_id=st.sampled_from([0, 7]))
def test_a_batch_is_what_its_rows_are_token_by_token(pack, data, row_length, pad_id):
    lengths = data.draw(st.lists(st.integers(0, 25), min_size=1, max_size=20).filter(any))
    documents = [list(range(100 * n, 100 * n + length)) for n, length in enumerate(lengths)]
    reader = reader_of(documents, pack, row_length, pad_id=pad_id, seed=1)
    rows = data.draw(st.lists(st.integers(0, len(reader) - 1), min_size=1, max_size=6))
    got, expected = read(reader, rows), slowly(reader, documents, rows)
    for name in reader.spec:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_it_is_a_reader():
    reader = reader_of(DOCUMENTS)
    assert isinstance(reader, Reader)
    assert reader.in_memory
    assert not reader.is_random
    assert {str(field) for field in reader.spec.values()} == {"int32[8]"}
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(read(copy)["text_tokens"], read(reader)["text_tokens"])


def test_tokens_alone():
    reader = reader_of(DOCUMENTS, with_segments=False)
    assert list(reader.spec) == ["text_tokens"]
    np.testing.assert_array_equal(read(reader)["text_tokens"], read(reader_of(DOCUMENTS))["text_tokens"])


@given(data=st.data(), row_length=st.integers(1, 12), skipped=st.integers(0, 3))
def test_rows_of_the_corpus_as_it_lies_are_what_the_general_way_gives(data, row_length, skipped):
    documents = [[5] * skipped, *corpus(12)]
    arrays = TokenArrays.from_documents(documents)
    arrays = TokenArrays(arrays.tokens, arrays.offsets[1:])  # the first tokens are no document's
    packing = pack_concat(arrays.lengths, row_length, shuffle=False)
    fast, general = (PackedReader(arrays, packing, 7, with_segments=segments) for segments in (False, True))
    rows = data.draw(st.lists(st.integers(0, len(fast) - 1), min_size=1, max_size=6))
    np.testing.assert_array_equal(read(fast, rows)["text_tokens"], read(general, rows)["text_tokens"])
    np.testing.assert_array_equal(read(fast)["text_tokens"], read(general)["text_tokens"])


def test_slots_need_not_be_contiguous():
    reader = reader_of(DOCUMENTS)
    wide = np.zeros((len(reader), 16), np.int32)
    out = slots(reader.spec, len(reader)) | {"text_tokens": wide[:, ::2]}
    reader.read_into(np.arange(len(reader)), out)
    np.testing.assert_array_equal(wide[:, ::2], read(reader)["text_tokens"])


def test_fingerprints_tell_what_differs():
    reader = reader_of(DOCUMENTS)
    said = reader.fingerprint()
    assert json.loads(json.dumps(said)) == said
    others = [
        reader_of(DOCUMENTS, pad_id=1),
        reader_of(DOCUMENTS, with_segments=False),
        reader_of(DOCUMENTS, seed=1),
        reader_of(DOCUMENTS, row_length=9),
        reader_of(DOCUMENTS, pack_concat),
        reader_of([[99, *DOCUMENTS[0][1:]], *DOCUMENTS[1:]]),
    ]
    assert all(other.fingerprint() != said for other in others)
    assert reader.stamp() == others[0].stamp() != others[-1].stamp()


def test_a_packing_of_other_documents_is_refused():
    arrays = TokenArrays.from_documents(DOCUMENTS)
    with pytest.raises(ConfigError, match="`packing` was made from other lengths"):
        PackedReader(arrays, pack_best_fit(arrays.lengths[1:], 8))
    with pytest.raises(ConfigError, match="`pad_id` must be from 0"):
        reader_of(DOCUMENTS, pad_id=-100)
    with pytest.raises(ConfigTypeError, match="`with_segments`"):
        reader_of(DOCUMENTS, with_segments=1)


def batches(loader):
    return [{name: np.asarray(value) for name, value in batch.items()} for batch in loader]


@pytest.mark.parametrize("last", ["pad", "short"])
@pytest.mark.parametrize("pack", [pack_best_fit, pack_concat])
def test_a_loader_goes_on_from_any_step(pack, last):
    reader = reader_of(corpus(), pack, 32)

    def fresh():
        return create_data_loader(reader, 8, seed=3, last=last)

    whole = batches(fresh())
    assert len(whole) > 3
    assert sorted(i for b in whole for i in b["index"][b.get("valid", slice(None))]) == list(
        range(len(reader))
    )
    loader = fresh()
    steps = iter(loader)
    for step in range(len(whole)):
        state = json.loads(json.dumps(loader.state()))
        other = fresh()
        other.restore(state)
        rest = batches(other)
        assert len(rest) == len(whole) - step
        for got, expected in zip(rest, whole[step:], strict=True):
            assert got.keys() == expected.keys()
            for name in got:
                np.testing.assert_array_equal(got[name], expected[name])
        next(steps)


def test_a_state_of_another_packing_is_refused():
    state = create_data_loader(reader_of(corpus(), row_length=32), 8).state()
    with pytest.raises(StateError, match="seed"):
        create_data_loader(reader_of(corpus(), row_length=32, seed=1), 8).restore(state)


@pytest.mark.parametrize("pack", [pack_best_fit, pack_concat])
def test_bad_records_may_be_left_out_of_packed_rows_too(pack, tmp_path):
    documents = TokenArrays.from_documents([[11, 12, 2], [21, 22, 23, 2], [31, 2]])
    reader = PackedReader(documents, pack(documents.lengths, 8))
    settings = {"on_error": "quarantine", "quarantine": tmp_path / "bad.jsonl"}
    loader = create_data_loader(reader, 1, **settings)
    tokens = sorted(int(t) for batch in loader for t in np.asarray(batch["text_tokens"]).ravel() if t)
    assert tokens == [2, 2, 2, 11, 12, 21, 22, 23, 31] and not loader.bad_records
