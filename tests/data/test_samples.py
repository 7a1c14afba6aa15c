import re
import sys
import tracemalloc
from collections import UserList

import numpy as np
import pytest

from artifex.data import create_data_loader, with_names
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    NoRecordError,
    ReadError,
    ShapeError,
    TransformError,
)
from artifex.data.randomness import RecordRandom
from artifex.data.reader import ArrayReader, slots
from artifex.data.samples import (
    ItemReader,
    IteratedDatasetWarning,
    MappedReader,
    _read_all,
    reader_of,
    spec_of,
)

ITEMS = [{"x": np.full(2, i, np.float64), "n": i, "name": f"item {i}"} for i in range(4)]


def read(reader, indices, random=None):
    out = slots(reader.spec, len(indices))
    reader.read_into(np.array(indices), out, random)
    return {name: array.tolist() for name, array in out.items()}


def test_a_list_of_dicts_is_a_dataset():
    reader = reader_of(ITEMS)
    assert {name: str(field) for name, field in reader.spec.items()} == {
        "x": "float32[2]",
        "n": "int32[]",
        "name": "object[]",
    }
    assert read(reader, [3, 0]) == {"x": [[3, 3], [0, 0]], "n": [3, 0], "name": ["item 3", "item 0"]}


def test_a_dict_of_arrays_is_a_dataset():
    assert isinstance(reader_of({"x": np.zeros((3, 2)), "y": [1, 2, 3]}), ArrayReader)


def test_its_own_reader_comes_first():
    class Dataset(list):
        def reader(self):
            return own

    own = ArrayReader({"x": [1]})
    assert reader_of(Dataset(ITEMS)) is own


def test_what_a_dataset_says_of_its_samples_is_not_asked_for():
    class Dataset:
        @property
        def spec(self):
            raise AssertionError("it may trace all that is done to a sample")

        def reader(self):
            return ArrayReader({"x": np.zeros(3)})

        def __len__(self):
            return 3

    assert isinstance(reader_of(Dataset()), ArrayReader)


@pytest.mark.parametrize(
    "reader", [3, lambda self: "text", lambda self, path: None, property(lambda self: 3)]
)
def test_what_others_call_reader_is_let_be(reader):
    dataset = type("Dataset", (list,), {"reader": reader})(ITEMS)
    assert isinstance(reader_of(dataset), ItemReader)


def test_what_can_only_be_iterated_is_read_once_and_it_is_said():
    class Stream:
        times = 0

        def __iter__(self):
            Stream.times += 1
            return iter(ITEMS)

    with pytest.warns(
        IteratedDatasetWarning, match=r"Stream has no `__getitem__`: its 4 samples \(\d+ bytes\)"
    ):
        reader = reader_of(Stream())
    assert read(reader, [1])["n"] == [1] and Stream.times == 1


def test_what_is_too_large_to_be_read_into_memory_is_refused():
    with pytest.raises(ConfigError, match="first 3 samples are more than 20000 bytes; add `__getitem__`"):
        _read_all(iter([{"x": np.zeros(1000)}] * 9), largest=20_000)


@pytest.mark.parametrize(
    "sample",
    [7, "text" * 10, {"x": "text"}, (1, 2.0), np.float32(3), {"x": np.zeros(10**6)[:1]}, b"bytes"],
    ids=str,
)
def test_what_has_no_end_is_refused_whatever_it_gives(sample):
    class Endless:
        def __iter__(self):
            return iter(lambda: sample, None)

    tracemalloc.start()
    with pytest.raises(
        ConfigError, match="Endless has no `__getitem__`.* samples are more than 1000000 bytes"
    ):
        _read_all(Endless(), largest=10**6)
    assert tracemalloc.get_traced_memory()[1] < 2 * 10**6
    tracemalloc.stop()


def test_the_bytes_that_are_said_are_those_that_are_taken():
    tracemalloc.start()
    with pytest.warns(IteratedDatasetWarning) as caught:
        samples = _read_all(
            {"x": i + 1000, "y": "a" * 50 + str(i), "z": np.zeros(i % 50)} for i in range(5000)
        )
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    said = int(re.search(r"\((\d+) bytes\)", str(caught[0].message))[1])
    assert len(samples) == 5000 and 0.8 < said / taken < 1.25


@pytest.mark.parametrize("dataset", [3, "text", np.zeros((3, 2)), (i for i in ITEMS), None])
def test_what_is_no_dataset_is_told(dataset):
    with pytest.raises(ConfigTypeError, match="a dataset needs `__len__` and `__getitem__`"):
        reader_of(dataset)


def test_an_empty_dataset_is_told():
    with pytest.raises(ConfigError, match=r"the dataset \(list\) is empty"):
        reader_of([])


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"x": np.zeros(3)}, r"record 1: `x` is float64\[3\], but float32\[2\] in the first record"),
        ({"x": np.zeros(2, np.int32)}, r"record 1: `x` is int32\[2\], but float32\[2\] in the first record"),
        (
            {"x": np.zeros(2), "y": 1},
            r"record 1: it has the keys \['x', 'y'\], but the first record has \['x'\]",
        ),
    ],
)
def test_samples_that_differ_are_told(second, message):
    with pytest.raises(ShapeError, match=message):
        read(ItemReader([{"x": np.zeros(2)}, second]), [0, 1])


def test_a_string_that_is_none_and_a_number_that_does_not_fit():
    with pytest.raises(ShapeError, match="record 1: `a` must be a string, got int"):
        read(ItemReader([{"a": "x"}, {"a": 1}]), [1])
    with pytest.raises(ShapeError, match="record 1: `a` has numbers that do not fit int32"):
        read(ItemReader([{"a": 1}, {"a": 2**40}]), [1])
    with pytest.raises(ShapeError, match="`a` must be an array, a number or a string, got dict"):
        spec_of({"a": {}})
    with pytest.raises(ShapeError, match="a sample must be a dict"):
        spec_of(3)


def test_a_user_s_error_names_the_record_and_keeps_its_traceback():
    class Dataset:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"x": 1 / (index - 2)}

    with pytest.raises(TransformError, match=r"record 2: Dataset\[2\] failed: ZeroDivisionError") as caught:
        read(reader_of(Dataset()), [0, 2])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.__cause__.__traceback__.tb_next.tb_frame.f_code.co_name == "__getitem__"


def test_a_typed_error_stays_what_it_is():
    class Dataset(list):
        def __getitem__(self, index):
            if index:
                raise ReadError("no disk", path="x")
            return {"a": 1}

    with pytest.raises(ReadError, match="record 1: x: no disk"):
        read(ItemReader(Dataset("ab")), [1])


def test_a_function_on_each_sample():
    reader = MappedReader(
        reader_of(ITEMS), lambda s: {"y": s["x"] + 1, "name": s["name"].upper()}, random=False, version=None
    )
    assert read(reader, [2]) == {"y": [[3, 3]], "name": ["ITEM 2"]}


def test_a_random_function_gets_the_record_s_own_generator():
    def function(sample, rng):
        return {"r": np.float32(rng.random() if rng else -1)}

    reader = MappedReader(reader_of(ITEMS), function, random=True, version=None)
    whole = read(reader, [0, 1, 2], RecordRandom(0, np.zeros(3, np.int64), np.array([0, 1, 2])))["r"]
    assert read(reader, [1], RecordRandom(0, np.zeros(1, np.int64), np.array([1])))["r"] == [whole[1]]
    assert len(set(whole)) == 3 and read(reader, [1])["r"] == [-1]


def test_a_function_that_fails_or_changes_its_mind():
    def fails(sample):
        return {"x": [1, 2][sample["n"]]}

    with pytest.raises(TransformError, match="record 2: .*failed on this sample: IndexError"):
        read(MappedReader(reader_of(ITEMS), fails, random=False, version=None), [2])
    with pytest.raises(ShapeError, match="record 3: `x` is"):
        read(
            MappedReader(reader_of(ITEMS), lambda s: {"x": np.zeros(s["n"])}, random=False, version=None), [3]
        )
    with pytest.raises(ConfigTypeError, match="`function` must be callable"):
        MappedReader(reader_of(ITEMS), 3, random=False, version=None)


def test_two_random_functions_are_independent():
    def draw(name):
        return lambda s, rng: {**s, name: np.float64(rng.random() if rng else 0)}

    inner = MappedReader(reader_of(ITEMS), draw("a"), random=True, version=None)
    outer = MappedReader(inner, draw("b"), random=True, version=None)
    drawn = read(outer, [0, 1, 2], RecordRandom(0, np.zeros(3, np.int64), np.arange(3)))
    assert len({*drawn["a"], *drawn["b"]}) == 6


def test_the_version_of_a_function_is_in_the_fingerprint():
    one, two = (
        MappedReader(reader_of(ITEMS), lambda s: s, random=False, version=v).fingerprint() for v in ("1", "2")
    )
    assert one != two and one["of"] == reader_of(ITEMS).fingerprint()


def test_wrong_versions_and_keys():
    with pytest.raises(ConfigTypeError, match="`version` must be a string or None, got 3"):
        MappedReader(reader_of(ITEMS), lambda s: s, random=False, version=3)
    with pytest.raises(ShapeError, match="the keys of a sample must be strings, got 3"):
        reader_of([{3: 1}])


class Tensor:
    """As a tensor of another framework is: it has items, a length, and becomes an array when NumPy asks."""

    def __init__(self, values, requires_grad=False):
        self.values, self.requires_grad = np.asarray(values), requires_grad

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return Tensor(self.values[index])

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return np.asarray(self.values, dtype)


@pytest.mark.parametrize(
    ("items", "spec"),
    [
        ([(np.zeros((2, 3)), i) for i in range(3)], {"x": "float32[2, 3]", "y": "int32[]"}),
        ([[Tensor(np.zeros(4)), Tensor(1)]] * 3, {"x": "float32[4]", "y": "int32[]"}),
        ([Tensor(np.zeros(4, np.uint8))] * 3, {"x": "uint8[4]"}),
        ([{"image": Tensor([1.0, 2.0])}] * 3, {"image": "float32[2]"}),
        ([1, 2, 3], {"x": "int32[]"}),
        ([[1, 2], [3, 4], [5, 6]], {"x": "int32[2]"}),
        (["a", "b", "c"], {"x": "object[]"}),
        (range(3), {"x": "int32[]"}),
    ],
)
def test_items_of_any_kind(items, spec):
    reader = reader_of(items)
    assert {name: str(field) for name, field in reader.spec.items()} == spec
    out = read(reader, [2, 0])
    for name, position in zip(spec, range(len(spec)), strict=True):
        item = items[2]
        value = item[name] if isinstance(item, dict) else item[position] if len(spec) > 1 else item
        assert out[name][0] == (value if isinstance(value, str) else np.asarray(value).tolist())


@pytest.mark.parametrize("dataset", [Tensor(np.zeros((3, 2))), (Tensor([1]) for _ in range(2))])
def test_a_tensor_is_a_field_and_no_dataset(dataset):
    with pytest.raises(ConfigTypeError, match="arrays go in as a dict"):
        reader_of(dataset)


def test_a_value_that_numpy_cannot_read_names_the_record():
    items = [(Tensor([1.0]), 0), (Tensor([1.0], requires_grad=True), 0)]
    with pytest.raises(ShapeError, match="record 1: `x` .* this Tensor: RuntimeError: Can't call numpy"):
        read(reader_of(items), [0, 1])
    with pytest.raises(ShapeError, match="got bytes; decode it first"):
        reader_of([b"abc"])


def test_records_that_are_none_are_bad_ones():
    reader = reader_of([None, None, {"x": 1.0}, None])
    assert read(reader, [2]) == {"x": [1.0]}
    with pytest.raises(NoRecordError, match="record 3: the dataset gives None for it") as caught:
        read(reader, [2, 3])
    assert isinstance(caught.value, LookupError)
    with pytest.raises(ConfigError, match="the first 3 records of the dataset are all None"):
        reader_of([None] * 3)


def test_what_has_no_end_is_told():
    class Endless(list):
        def __len__(self):
            return 2**63 - 1

    with pytest.raises(ConfigError, match=r"has no end; leave grain's `repeat\(\)` out"):
        reader_of(Endless([1]))


def test_a_stream_of_tuples_is_bounded_too():
    with pytest.raises(ConfigError, match="samples are more than 4000 bytes"):
        _read_all(((np.zeros(1), np.zeros(1)) for _ in iter(int, 1)), largest=4000)
    with pytest.raises(NoRecordError, match="record 1"):
        _read_all(iter([(1, 2), None]))


def test_a_class_is_no_dataset_and_it_is_said_what_is():
    class Photos:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"x": index}

    message = r"`dataset` must be a dataset, got the class .*Photos itself: make one of it, `Photos\(...\)`"
    for use in (
        reader_of,
        lambda photos: create_data_loader(photos, 2),
        lambda photos: with_names(photos, "x"),
    ):
        with pytest.raises(ConfigTypeError, match=message):
            use(Photos)


def test_lists_are_told_apart_by_what_is_in_them():
    def of(first, count=100):
        return reader_of(
            [{"x": np.full(3, i), "name": str(i)} for i in range(first, first + count)]
        ).fingerprint()

    assert of(0) == of(0)
    assert of(0)["rows"] != of(1)["rows"]
    assert len(of(0)["rows"]) == 8 and len(of(0, 3)["rows"]) == 3
    assert reader_of([(1, "a"), None, (3, "c")]).fingerprint()["rows"]  # bad ones are no obstacle

    # A sequence of one's own may be slow, or random: nothing of it is read for that.
    class Own(list):
        def __getitem__(self, index):
            if index > 0:
                raise ReadError("gone")
            return super().__getitem__(index)

    assert "rows" not in reader_of(UserList([1, 2])).fingerprint() | reader_of(Own([1, 2])).fingerprint()


@pytest.mark.parametrize("code", [None, 0, "done"])
def test_a_function_that_calls_exit_has_failed_on_its_record(code):
    class Exits:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 2:
                sys.exit(code)
            return {"x": index}

    with pytest.raises(TransformError, match=r"record 2: Exits\[2\] failed: SystemExit"):
        read(reader_of(Exits()), [0, 2])
    mapped = MappedReader(
        reader_of([1, 2, 3]), lambda s: sys.exit(code) if s["x"] == 3 else s, random=False, version=None
    )
    with pytest.raises(TransformError, match="record 2: .* failed on this sample: SystemExit"):
        read(mapped, [2])
