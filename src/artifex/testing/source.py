"""What every source keeps to."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from artifex.data.sources import BatchSource, Source
from artifex.data.types import Record


class SourceContract:
    """Subclass it in a test and override `source`, which gives a source of at least two records."""

    def source(self) -> Source:
        raise NotImplementedError

    def test_is_a_source_with_records(self) -> None:
        source = self.source()
        assert isinstance(source, Source), f"{type(source).__name__} lacks `__len__` or `__getitem__`"
        assert len(source) >= 2, "the contract needs two records at least"

    def test_gives_the_same_record_twice(self) -> None:
        source = self.source()
        assert_same(_all(source), _all(source))

    def test_is_built_the_same_twice(self) -> None:
        assert_same(_all(self.source()), _all(self.source()))

    def test_records_share_their_keys(self) -> None:
        keys = [sorted(record) for record in _all(self.source())]
        assert all(k == keys[0] for k in keys), f"records with different keys: {keys}"

    def test_ends(self) -> None:
        source = self.source()
        for index in (len(source), len(source) + 7):
            try:
                source[index]
            except IndexError:
                continue
            raise AssertionError(f"no IndexError for record {index} of {len(source)}")

    def test_survives_pickling(self) -> None:
        source = self.source()
        assert_same(_all(pickle.loads(pickle.dumps(source))), _all(source))

    def test_threads_see_the_same(self) -> None:
        source = self.source()
        numbers = [*range(len(source))] * 3
        with ThreadPoolExecutor(8) as pool:
            assert_same(list(pool.map(source.__getitem__, numbers)), [source[i] for i in numbers])

    def test_reads_many_as_it_reads_one(self) -> None:
        source = self.source()
        if isinstance(source, BatchSource):
            numbers = np.array([1, 0, len(source) - 1, 1], np.int64)
            assert_same(list(source.read_many(numbers)), [source[int(i)] for i in numbers])


def _all(source: Source) -> list[Record]:
    return [source[i] for i in range(len(source))]


def assert_same(one: Any, other: Any) -> None:
    """Raises unless two values, which may hold arrays in lists and mappings, are equal, types included."""
    assert type(one) is type(other), f"{type(one).__name__} and {type(other).__name__}"
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, f"{one.dtype} and {other.dtype}"
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other), f"keys {list(one)} and {list(other)}"
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), f"{len(one)} and {len(other)} values"
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other, f"{one!r} and {other!r}"
