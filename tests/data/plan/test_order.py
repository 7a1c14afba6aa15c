from collections import Counter
from itertools import permutations
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.plan import Order
from artifex.data.plan.order import grid, permute


def whole(size, seed=0, epoch=0):
    return permute(np.arange(size), size, seed, epoch)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 15, 16, 17, 1000, 65_536, 65_537, 1_000_003])
def test_every_number_once(size):
    np.testing.assert_array_equal(np.sort(whole(size)), np.arange(size))


@pytest.mark.slow
def test_every_number_once_of_ten_million():
    assert np.bincount(whole(10**7, seed=3), minlength=10**7).max() == 1


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5000), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_every_number_once_for_any_key(size, seed, epoch):
    np.testing.assert_array_equal(np.sort(whole(size, seed, epoch)), np.arange(size))


@settings(deadline=None, max_examples=50)
@given(st.integers(10**7, 10**12), st.integers(0, 2**64 - 1))
def test_spots_of_huge_sets(size, seed):
    places = np.unique(np.linspace(0, size - 1, 2000).astype(np.int64))
    numbers = permute(places, size, seed, 0)
    assert numbers.min() >= 0 and numbers.max() < size
    assert len(np.unique(numbers)) == len(places)
    # Half of them lie in the lower half: 2,000 draws, a standard deviation of 22.
    assert abs((numbers < size // 2).sum() - len(places) / 2) < 150


@pytest.mark.parametrize("size", [3, 4])
def test_all_permutations_are_equally_likely(size):
    keys = 6_000
    seen = Counter(tuple(whole(size, seed).tolist()) for seed in range(keys))
    expected = keys / len(list(permutations(range(size))))
    chi2 = sum((seen[p] - expected) ** 2 / expected for p in permutations(range(size)))
    assert (
        chi2 < {3: 20.5, 4: 49.7}[size]
    )  # 99.9 % of the chi-square distribution, 5 and 23 degrees of freedom


def test_neighbours_are_not_neighbours_any_more():
    steps = np.diff(whole(100_000))
    assert abs(np.corrcoef(steps[:-1], steps[1:])[0, 1] + 0.5) < 0.02  # -1/2 for independent draws
    assert (np.abs(steps) <= 10).mean() < 0.001


def test_one_place_costs_what_it_costs_in_a_set_of_any_size():
    assert permute(np.array([0]), 2**62, 0, 0).shape == (1,)
    assert grid(2**62) == (2**31, 2**31)


@given(st.integers(1, 10**12))
def test_the_grid_is_barely_larger_than_the_set(size):
    a, b = grid(size)
    assert size <= a * b < size + a and a < 2**32 and b < 2**32


def test_epochs_and_seeds_differ_and_repeat():
    orders = {whole(1000, seed, epoch).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    np.testing.assert_array_equal(whole(1000, 7, 3), whole(1000, 7, 3))


def test_it_is_the_same_for_ever():
    # Written down once: a release that changes these numbers breaks every saved state.
    np.testing.assert_array_equal(whole(10), GOLDEN)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 300), st.integers(1, 40), st.booleans(), st.booleans())
def test_batches_cover_an_epoch(size, batch_size, shuffle, drop_last):
    if drop_last and size < batch_size:
        with pytest.raises(ConfigError, match="drop_last=False"):
            Order(size, batch_size, shuffle, drop_last)
        return
    order = Order(size, batch_size, shuffle, drop_last, seed=1)
    batches = [order.rows(2, step) for step in range(order.num_steps)]
    assert order.num_steps == (size // batch_size if drop_last else ceil(size / batch_size))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    seen = np.concatenate(batches)
    assert len(seen) == len(np.unique(seen)) == (order.num_steps * batch_size if drop_last else size)
    if not shuffle:
        np.testing.assert_array_equal(seen, np.arange(len(seen)))
    np.testing.assert_array_equal(order.slice(2, 0, len(seen)), seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_records": 0, "batch_size": 1}, "`num_records` must be from 1"),
        ({"num_records": 5, "batch_size": 0}, "`batch_size` must be from 1"),
        ({"num_records": 5, "batch_size": 2.0}, "`batch_size` must be an integer"),
        ({"num_records": 5, "batch_size": True}, "`batch_size` must be an integer"),
        ({"num_records": 5, "batch_size": 2, "seed": -1}, "`seed` must be from 0"),
        ({"num_records": 5, "batch_size": 2, "seed": 2**64}, "`seed` must be from 0"),
    ],
)
def test_bad_settings_are_told(arguments, message):
    with pytest.raises((ConfigError, ConfigTypeError), match=message):
        Order(**arguments)


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_outside_of_the_epoch(step):
    with pytest.raises(IndexError, match="an epoch of 3"):
        Order(10, 4).rows(0, step)


GOLDEN = [6, 8, 7, 9, 4, 3, 0, 2, 5, 1]
