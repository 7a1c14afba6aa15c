from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


GOLDEN = [6, 8, 7, 9, 4, 3, 0, 2, 5, 1]
