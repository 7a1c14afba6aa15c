"""What an epoch is made of: exactly the records that it should have, exactly as often, in 1,000 configurations."""

import numpy as np
import pytest

from artifex.data.plan import Drawn, Kept, LastBatch, Listed, Mixed, Plan, Repeated
from artifex.data.plan.arrangement import at_running_places

LAST = list(LastBatch)


def seed_of(rng):
    return int(rng.integers(2**64, dtype=np.uint64))


def configuration(number):
    """A plan at random, over at most 5,000 records; how often each comes in an epoch of it; and its epoch."""
    rng = np.random.default_rng(number)
    num_records = int(rng.choice([1, 2, rng.integers(1, 100), rng.integers(1, 5001)]))
    counts = np.ones(num_records, np.int64)
    shuffle, seed = bool(rng.random() < 0.8), seed_of(rng)
    arrangement = Listed(num_records, shuffle, seed)
    if number % 3 == 1:
        counts = (rng.random(num_records) < rng.uniform(0.01, 1)).astype(np.int64)
        counts[rng.integers(num_records)] = 1
        arrangement = Kept.of(counts.astype(bool), num_records, shuffle=shuffle, seed=seed)
    if number % 5 == 1:
        times = int(rng.integers(1, 5))
        arrangement, counts = Repeated(arrangement, times), times * counts
    batch_size = int(rng.choice([1, rng.integers(1, 65), rng.integers(1, 1025)]))
    last = LAST[rng.integers(4)]
    if last is LastBatch.DROP:
        batch_size = min(batch_size, arrangement.size)
    epoch = int(rng.choice([0, 1, rng.integers(2**32)]))
    return Plan(arrangement, batch_size, last, seed), counts, epoch


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_every_record_as_often_as_it_should(first):
    for number in range(first, first + 250):
        plan, counts, epoch = configuration(number)
        batches = plan.block(epoch, 0, plan.num_steps)
        numbers = np.concatenate([b.numbers for b in batches])
        valid = np.concatenate([np.arange(len(b.numbers)) < b.num_valid for b in batches])
        total, surplus = counts.sum(), len(numbers) - counts.sum()
        times = np.bincount(numbers[:total], minlength=len(counts))
        if plan.last is LastBatch.DROP:
            assert -plan.batch_size < surplus <= 0, number
            assert (times <= counts).all() and len(times) == len(counts), number
        else:
            np.testing.assert_array_equal(times, counts, err_msg=str(number))
            assert 0 <= surplus < plan.batch_size, number
        if plan.last is LastBatch.SHORT:
            assert surplus == 0, number
        if plan.last is LastBatch.WRAP:
            np.testing.assert_array_equal(numbers[total:], np.resize(numbers[:total], surplus))
        if plan.last is LastBatch.PAD:
            assert valid[:total].all() and not valid[total:].any(), number
            assert surplus == 0 or set(numbers[total:]) == {batches[-1].numbers[0]}, number
        else:
            assert valid.all(), number
        # A record that comes again in an epoch comes in another turn, and so with other random numbers.
        turns = np.concatenate([b.turns for b in batches])[:total]
        assert len({*zip(numbers[:total].tolist(), turns.tolist(), strict=True)}) == len(turns), number


@pytest.mark.parametrize("number", range(40))
def test_a_mixture_is_exact_over_any_thousand_batches(number):
    rng = np.random.default_rng(number)
    count, batch_size = int(rng.integers(2, 9)), int(rng.integers(1, 65))
    weights = rng.integers(1, [2, 10, 1000, 2**28][number % 4], count)
    sizes = rng.integers(1, 5001, count)
    offsets = np.cumsum([0, *sizes[:-1]])
    parts = tuple(Listed(int(size), True, number) for size in sizes)
    # So that a window may lie over several epochs.
    places = int(rng.choice([batch_size * 300 + 7, 10**9]))
    mixed = Mixed(parts, tuple(weights.tolist()), tuple(offsets.tolist()), places)
    start = int(rng.integers(10**12)) * batch_size
    numbers, _ = at_running_places(mixed, start + np.arange(1000 * batch_size))
    owners = np.searchsorted(offsets, numbers, side="right") - 1
    off = np.bincount(owners, minlength=count) - 1000 * batch_size * weights / weights.sum()
    # Less than one record for each two-way choice: part i hangs below i + 1 of them, the last below as many as
    # the one before it.
    assert (np.abs(off) < np.minimum(np.arange(count) + 1, count - 1)).all(), off


def test_draws_are_as_likely_as_their_weights_say():
    """Chi-square of 100 sets of 10 weights, 5,000 draws each, with fixed seeds."""
    chi_squares = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        weights = rng.uniform(0.1, 1, 10)
        drawn = Drawn.of(weights, 10, places=2500, seed=seed_of(rng))
        numbers, _ = at_running_places(drawn, np.arange(5000))  # two epochs
        expected = 5000 * weights / weights.sum()
        chi_squares.append(float(((np.bincount(numbers, minlength=10) - expected) ** 2 / expected).sum()))
    # 9 degrees of freedom: 99.99 % lie below 33.72, and of 100 all do with a probability of 99 %.
    assert max(chi_squares) < 33.72
    # Their sum has 900, a mean of 900 and a standard deviation of 42.4. Too even would be wrong, too.
    assert abs(sum(chi_squares) - 900) < 3.29 * 42.4


def test_draws_of_an_epoch_do_not_hang_together():
    """Pairs of neighbours are as likely as the product says: chi-square, 24 degrees of freedom."""
    drawn = Drawn.of(np.ones(5), 5, places=20_000, seed=11)
    numbers, _ = drawn.at(0, np.arange(20_000))
    pairs = np.bincount(5 * numbers[::2] + numbers[1::2], minlength=25)
    assert ((pairs - 400) ** 2 / 400).sum() < 51.18  # 99.9 %
