import pickle

import numpy as np
import pytest

from artifex.data.errors import ConfigError, DecodeError, ReadError, ShapeError
from artifex.data.randomness import RecordRandom
from artifex.data.reader import ArrayReader, NumberReader, RecordReader, SubsetReader, slots
from artifex.data.samples import ItemReader
from artifex.data.types import ArraySpec

X = np.arange(5 * 2, dtype=np.uint8).reshape(5, 2)


class Twice:
    """Doubles a number; draws one instead if it may."""

    spec = ArraySpec((), np.dtype(np.int32))
    is_random = True

    def decode(self, value, out, *, rng=None):
        if value == 3:
            raise DecodeError("three is no number")
        out[...] = rng.integers(1000) if rng else 2 * value


class Records:
    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index == 4:
            raise ReadError("gone", path="4.txt")
        return {"n": index, "path": f"{index}.txt", "class": index % 2}


def record_reader():
    return RecordReader(
        Records(), {"twice": ("n", Twice())}, {"label": "class"}, {"paths": "path"}, {"kind": "test"}
    )


def read(reader, indices, random=None):
    out = slots(reader.spec, len(indices))
    reader.read_into(np.array(indices), out, random)
    return {name: array.tolist() for name, array in out.items()}


def test_fields_of_a_record():
    assert read(record_reader(), [2, 0]) == {"twice": [4, 0], "label": [0, 0], "paths": ["2.txt", "0.txt"]}


def test_a_codec_gets_the_record_s_own_numbers():
    alone = read(record_reader(), [2], RecordRandom(0, np.zeros(1, np.int64), np.array([2])))["twice"]
    assert (
        read(record_reader(), [1, 2], RecordRandom(0, np.zeros(2, np.int64), np.array([1, 2])))["twice"][1:]
        == alone
    )


def test_errors_name_record_and_file():
    with pytest.raises(DecodeError, match="record 3: 3.txt: three is no number"):
        read(record_reader(), [1, 3])
    with pytest.raises(ReadError, match="record 4: 4.txt: gone"):
        read(record_reader(), [4])


def test_read_many_is_used_and_gives_the_same():
    class Many(Records):
        calls = 0

        def read_many(self, indices):
            Many.calls += 1
            return [self[int(i)] for i in indices]

    one = record_reader()
    many = RecordReader(Many(), one.codecs, one.numbers, one.texts, {})
    assert read(many, [0, 2, 1]) == read(one, [0, 2, 1]) and Many.calls == 1


def test_arrays_are_gathered():
    reader = ArrayReader({"x": X, "y": np.arange(5), "name": np.array(list("abcde"))})
    assert read(reader, [4, 0, 4]) == {
        "x": [[8, 9], [0, 1], [8, 9]],
        "y": [4, 0, 4],
        "name": ["e", "a", "e"],
    }
    assert reader.spec["y"].dtype == np.int32 and reader.spec["name"].is_text


def test_float64_becomes_float32_and_16_bit_stays():
    spec = ArrayReader({"a": np.zeros(2), "b": np.zeros(2, np.float16), "c": np.zeros(2, bool)}).spec
    assert [str(field.dtype) for field in spec.values()] == ["float32", "float16", "bool"]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({}, ConfigError, "`arrays` is empty"),
        ({"x": X, "y": [1, 2]}, ShapeError, "same length, got {'x': 5, 'y': 2}"),
        ({"x": X[:0]}, ShapeError, "`x` must have at least one row"),
        ({"x": 3}, ShapeError, "`x` must have at least one row"),
        (
            {"x": np.array([{}, []], object)},
            ShapeError,
            "`x` must be an array of numbers or a list of strings",
        ),
        ({"x": np.array([2**40])}, ShapeError, "`x` has numbers that do not fit int32"),
        ({"x": np.array([1.0, -1e39])}, ShapeError, "`x` has numbers that do not fit float32"),
        ({"x": np.array([np.nan, np.inf, 1e39])}, ShapeError, "`x` has numbers that do not fit float32"),
        ({"x": np.array(["2020-01-01"], "M8[D]")}, ShapeError, "`x` must be an array of numbers"),
    ],
)
def test_bad_arrays_are_told(arrays, error, message):
    with pytest.raises(error, match=message):
        ArrayReader(arrays)


def test_a_memory_map_stays_one(tmp_path):
    np.save(tmp_path / "x.npy", X)
    reader = ArrayReader({"x": np.load(tmp_path / "x.npy", mmap_mode="r")})
    assert read(reader, [1])["x"] == [[2, 3]] and reader.spec == ArrayReader({"x": X}).spec


def test_numbers_are_the_records_with_the_root_key():
    assert read(NumberReader(10**9, (7, 2**32 - 1), {}), [0, 999_999_999]) == {
        "record": [0, 999_999_999],
        "root": [[7, 2**32 - 1]] * 2,
    }


def test_a_subset_tells_its_own_numbers():
    numbers = np.array([4, 3, 1, 0])
    reader = SubsetReader(record_reader(), 4, numbers.__getitem__, {"records": 4})
    assert read(reader, [2, 3])["paths"] == ["1.txt", "0.txt"]
    with pytest.raises(DecodeError, match="record 1: 3.txt"):
        read(reader, [2, 1])


@pytest.mark.parametrize(
    "reader",
    [record_reader(), ArrayReader({"x": X}), NumberReader(3, (1, 2), {"kind": "n"})],
    ids=lambda r: type(r).__name__,
)
def test_it_can_be_sent_to_another_process(reader):
    copy = pickle.loads(pickle.dumps(reader))
    assert read(copy, [0, 2]) == read(reader, [0, 2]) and copy.fingerprint() == reader.fingerprint()


@pytest.mark.parametrize("dtype", [">f4", ">i4", ">u2", ">i8", ">f8", "<f4"])
def test_either_byte_order_gives_the_right_numbers(dtype):
    values = np.arange(5).astype(dtype)
    reader = ArrayReader({"x": values})
    assert read(reader, [3, 1])["x"] == [3, 1] and reader.spec["x"].dtype.isnative


def test_views_that_are_not_contiguous_are_not_copied_whole():
    base = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    for view in (base.transpose(0, 2, 1), base[..., :2], base[::-1]):
        assert read(ArrayReader({"x": view}), [4, 1])["x"] == view[[4, 1]].tolist()


def test_bytes_are_no_strings():
    with pytest.raises(ShapeError, match="`x` must be an array of numbers"):
        ArrayReader({"x": np.array([b"a"])})


def test_a_mismatch_in_a_subset_has_its_own_number():
    reader = SubsetReader(
        ItemReader([{"x": [1]}, {"x": [1]}, {"x": [1, 2]}]), 2, np.array([1, 2]).__getitem__, {}
    )
    with pytest.raises(ShapeError, match="record 1: `x` is"):
        read(reader, [0, 1])


def test_what_is_no_number_or_infinite_stays_so_and_digits_may_go():
    reader = ArrayReader({"x": np.array([np.nan, np.inf, -np.inf, 0.1]), "y": np.array([np.nan] * 4)})
    out = slots(reader.spec, 4)
    reader.read_into(np.arange(4), out)
    np.testing.assert_array_equal(out["x"], np.array([np.nan, np.inf, -np.inf, 0.1], np.float32))
    assert np.isnan(out["y"]).all()
