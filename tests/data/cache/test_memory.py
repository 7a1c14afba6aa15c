import numpy as np
import pytest

from artifex.data.cache.memory import MemoryStore, capacity
from artifex.data.errors import ConfigError
from artifex.data.reader import slots
from cache_records import SIZE, Made, equal, read

ROW = 20_000 + 3 + 4 + 128


def rows(numbers):
    return read(Made(), numbers)


def test_what_was_written_comes_back_and_the_rest_is_named():
    store = MemoryStore(Made().spec, SIZE, 2**30)
    numbers = np.array([5, 0, 59])
    store.write(numbers, rows(numbers))
    asked = np.array([1, 59, 5, 5, 2])
    out = slots(Made().spec, 5)
    assert store.read_into(asked, out).tolist() == [0, 4]
    assert equal({n: a[1:4] for n, a in out.items()}, rows([59, 5, 5]))
    assert not store.is_complete
    store.write(np.arange(SIZE), rows(np.arange(SIZE)))
    assert store.is_complete and store.read_into(asked, out).tolist() == []
    assert equal(out, rows(asked))


def test_it_keeps_the_first_records_that_fit():
    store = MemoryStore(Made().spec, SIZE, 10 * ROW + 1)
    store.write(np.arange(SIZE), rows(np.arange(SIZE)))
    assert not store.is_complete
    assert store.read_into(np.arange(8, 13), slots(Made().spec, 5)).tolist() == [2, 3, 4]


def test_what_is_kept_does_not_change_with_the_batch():
    store = MemoryStore(Made().spec, SIZE, 2**30)
    batch = rows([3])
    store.write(np.array([3]), batch)
    batch["x"][...] = 0
    out = slots(Made().spec, 1)
    store.read_into(np.array([3]), out)
    assert equal(out, rows([3]))


def test_a_bound_below_one_record_is_told():
    with pytest.raises(ConfigError, match="`cache_bytes` 9 is less than one record, which has 10 bytes"):
        capacity(5, 10, 9)
    assert [capacity(5, 10, 10), capacity(5, 10, 39), capacity(5, 10, 1000), capacity(5, 0, 1)] == [
        1,
        3,
        5,
        5,
    ]
