import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from artifex.data.plan import order
from artifex.data.plan.order import grid, permute, permute_each


def whole(size, seed=0, epoch=0):
    return permute(np.arange(size), size, seed, epoch)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 15, 16, 17, 1000, 65_536, 65_537, 1_000_003])
def test_every_number_once(size):
    np.testing.assert_array_equal(np.sort(whole(size)), np.arange(size))


@pytest.mark.parametrize("size", [2**14, 50_000, 65_537, 10**6, 2**24])
def test_by_tables_it_is_the_same(size, monkeypatch):
    places = np.random.default_rng(size).integers(0, size, 4096)
    quick = [permute(places, size, 2**64 - 5, epoch) for epoch in (0, 3)]
    monkeypatch.setattr(order, "_TABLED", range(0))
    for epoch, numbers in zip((0, 3), quick, strict=True):
        assert numbers.dtype == np.int64
        np.testing.assert_array_equal(numbers, permute(places, size, 2**64 - 5, epoch))


def test_there_are_tables_only_where_they_are_worth_it(monkeypatch):
    monkeypatch.setattr(order, "_tables_of", lambda *of: pytest.fail("there was to be no table"))
    permute(np.arange(128), 10**6, 0, 0)
    permute(np.arange(8192), 8192, 0, 0)
    permute(np.arange(8192), 10**8, 0, 0)
    permute(np.arange(8192), np.int64(10**8), 0, 0)
    with pytest.raises(pytest.fail.Exception):
        permute(np.arange(8192), 10**6, 0, 0)


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


def at(place, size, num_keys):
    """The records at one place in the orders of many seeds."""
    seeds = np.arange(num_keys, dtype=np.uint64)
    return permute_each(
        np.full(num_keys, place), np.full(num_keys, size), seeds, np.zeros(num_keys, np.int64)
    )


def assert_chi_square(counts, expected):
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < stats.chi2.isf(1e-4, np.size(counts) - 1), chi2


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_all_permutations_are_equally_likely(size):
    keys = 200_000
    codes = sum(at(place, size, keys) * size**place for place in range(size))
    _, counts = np.unique(codes, return_counts=True)
    assert len(counts) == math.factorial(size)
    assert_chi_square(counts, keys / len(counts))


@pytest.mark.parametrize("size", [6, 1024, 1025, 50_000, 2**32 + 1])
def test_records_at_two_places_are_independent(size):
    keys, parts = 100_000, min(size, 16)
    one, two = (at(place, size, keys) * parts // size for place in (0, 1))
    counts = np.bincount(one * parts + two, minlength=parts**2).reshape(parts, parts)
    records = np.array([-(-size * (i + 1) // parts) - -(-size * i // parts) for i in range(parts)], float)
    pairs = np.outer(records, records) - np.diag(records)  # two places never hold the same record
    possible = pairs > 0
    assert counts[~possible].sum() == 0
    assert_chi_square(counts[possible], keys * pairs[possible] / pairs.sum())


def test_as_many_records_stay_in_place_as_by_chance():
    # Their number is a Poisson variable of mean 1 (a derangement has probability 1/e).
    stay = [int((whole(1025, seed) == np.arange(1025)).sum()) for seed in range(2000)]
    counts = np.bincount(np.minimum(stay, 5), minlength=6)
    chances = stats.poisson.pmf(np.arange(5), 1)
    assert_chi_square(counts, 2000 * np.append(chances, 1 - chances.sum()))


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
    assert size <= a * b < size + b and a < 2**32 and b < 2**32


def test_epochs_and_seeds_differ_and_repeat():
    orders = {whole(1000, seed, epoch).tobytes() for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    np.testing.assert_array_equal(whole(1000, 7, 3), whole(1000, 7, 3))


@pytest.mark.parametrize(
    ("size", "first"),
    [
        (10, [6, 4, 3, 7, 2, 1, 0, 5, 9, 8]),
        (50_000, [40593, 34546, 27594, 17941, 19262]),
        (10**10, [3974562623, 7371892309, 4138293533, 7268019981, 6348557806]),
    ],
)
def test_it_is_the_same_for_ever(size, first):
    # Written down once: a release that changes these numbers breaks every saved state.
    assert permute(np.arange(len(first)), size, 0, 0).tolist() == first
