import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifex.data.documents import Documents, Pieces, lie_in_memory
from artifex.data.errors import ConfigError, ShapeError
from artifex.data.token_arrays import TokenArrays

DOCUMENTS = [[5, 6, 7], [], [8, 9], [10]]


def pieces(*rows):
    return Pieces(*np.array(rows, np.int64).reshape(-1, 4).T)


def test_they_are_documents():
    documents = TokenArrays.from_documents(DOCUMENTS)
    assert isinstance(documents, Documents)
    assert lie_in_memory(documents)
    assert documents.lengths.tolist() == [3, 0, 2, 1]
    assert documents.lengths.dtype == np.int32
    assert len(documents) == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_pieces_by_hand(dtype):
    documents = TokenArrays(np.array([5, 6, 7, 8, 9, 10], dtype), np.array([0, 3, 3, 5, 6]))
    out = np.full(8, -1, np.int32)
    documents.read_pieces(pieces((2, 0, 2, 1), (0, 1, 2, 3), (3, 0, 1, 6)), out)
    assert out.tolist() == [-1, 8, 9, 6, 7, -1, 10, -1]
    documents.read_pieces(pieces((0, 0, 3, 0), (2, 0, 2, 3), (0, 0, 3, 5)), out)  # no gaps
    assert out.tolist() == [5, 6, 7, 8, 9, 5, 6, 7]
    documents.read_pieces(pieces(), out)
    assert out.tolist() == [5, 6, 7, 8, 9, 5, 6, 7]


@given(data=st.data(), backwards=st.booleans())
def test_pieces_are_slices(data, backwards):
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    ids = [[10 * number + i for i in range(length)] for number, length in enumerate(lengths)]
    expected, rows, place = [], [], 0
    for number in data.draw(st.lists(st.integers(0, len(ids) - 1), max_size=8)):
        start = data.draw(st.integers(0, len(ids[number]) - 1))
        length = data.draw(st.integers(1, len(ids[number]) - start))
        gap = data.draw(st.integers(0, 2))
        expected += [-1] * gap + ids[number][start : start + length]
        rows.append((number, start, length, place + gap))
        place += gap + length
    out = np.full(place + 1, -1, np.int32)
    TokenArrays.from_documents(ids).read_pieces(pieces(*(rows[::-1] if backwards else rows)), out)
    assert out.tolist() == [*expected, -1]


def test_a_memory_mapped_file_will_do(tmp_path):
    np.arange(100, 110, dtype=np.uint16).tofile(tmp_path / "tokens")
    tokens = np.memmap(tmp_path / "tokens", np.uint16, "r")
    out = np.zeros(4, np.int32)
    TokenArrays(tokens, np.array([0, 4, 10])).read_pieces(pieces((1, 1, 3, 0)), out)
    assert out.tolist() == [105, 106, 107, 0]


def test_of_a_mapped_file_the_name_is_pickled(tmp_path):
    tokens, offsets = np.arange(10_000, dtype=np.uint16), np.array([0, 4000, 10_000])
    tokens.tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", np.uint16, "r")
    whole, part = TokenArrays(mapped, offsets), TokenArrays(mapped[1:], np.array([0, 9999]))
    data = pickle.dumps(whole)
    assert len(data) < 1000 < 15_000 < len(pickle.dumps(part))
    for documents in (whole, part):
        again = pickle.loads(pickle.dumps(documents))
        assert again.lengths.tolist() == documents.lengths.tolist()
        assert again.stamp() == documents.stamp() and again.fingerprint() == documents.fingerprint()
    tokens.tofile(tmp_path / "longer.part")
    writable = np.memmap(tmp_path / "longer.part", np.uint16, "r+")
    writable[0] = 7  # may not be on disk yet
    assert pickle.loads(pickle.dumps(TokenArrays(writable, offsets))).tokens[0] == 7


def test_large_ids_keep_their_bits():
    documents = TokenArrays.from_documents([[1], [2**31 - 1]])
    out = np.zeros(2, np.int32)
    documents.read_pieces(pieces((0, 0, 1, 0), (1, 0, 1, 1)), out)
    assert out.tolist() == [1, 2**31 - 1]
    assert TokenArrays.from_documents([[2**16 - 1]]).tokens.dtype == np.uint16


def test_content_tells_them_apart():
    one, other = (
        TokenArrays.from_documents(DOCUMENTS),
        TokenArrays.from_documents([[5, 6], [7], [8, 9], [10]]),
    )
    assert one.fingerprint() == TokenArrays.from_documents(DOCUMENTS).fingerprint()
    assert one.fingerprint() != other.fingerprint()
    assert one.stamp() != other.stamp()
    named = TokenArrays(one.tokens, one.offsets, {"corpus": "poems"})
    assert named.fingerprint()["corpus"] == "poems"


def test_what_is_no_document_is_refused():
    tokens = np.arange(6, dtype=np.uint16)
    with pytest.raises(ShapeError, match=r"`tokens` must be a contiguous .* got int64\[6\]"):
        TokenArrays(tokens.astype(np.int64), np.array([0, 6]))
    with pytest.raises(ShapeError, match="`tokens`"):
        TokenArrays(tokens[::2], np.array([0, 3]))
    with pytest.raises(ShapeError, match=r"`offsets` must be .* got int64\[1\]"):
        TokenArrays(tokens, np.array([0]))
    for offsets in ([0, 7], [-1, 6], [0, 4, 3]):
        with pytest.raises(ConfigError, match="`offsets` must rise"):
            TokenArrays(tokens, np.array(offsets))
    with pytest.raises(ConfigError, match="got 2 documents without any"):
        TokenArrays.from_documents([[], []])
    with pytest.raises(ConfigError, match="from 0 to 2147483647, got -3"):
        TokenArrays.from_documents([[1, -3]])
    with pytest.raises(ConfigError, match="got 2147483648"):
        TokenArrays.from_documents([[2**31]])
    with pytest.raises(ShapeError, match="document 1 of `documents`"):
        TokenArrays.from_documents([[1], [0.5]])


def test_what_does_not_say_where_it_lies_is_not_in_memory():
    class Elsewhere:
        lengths = np.ones(1, np.int32)

        def __len__(self):
            return 1

        def read_pieces(self, pieces, out):
            raise NotImplementedError

        def fingerprint(self):
            return {}

    assert not lie_in_memory(Elsewhere())
