import json
from collections import Counter
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.errors import ConfigError
from artifex.data.plan import Bucketed, LastBatch, Plan, arrange


def plan(buckets, batch_size=4, last="short", keep=None, weights=None, balance=None, repeat=1, **settings):
    buckets = np.asarray(buckets, np.int32)
    arguments = {"shuffle": True, "seed": 0} | settings
    arrangement = arrange(
        [], len(buckets), keep=keep, sample_weights=weights, balance=balance, repeat=repeat, buckets=buckets,
        **arguments,
    )  # fmt: skip
    return Plan(arrangement, batch_size, LastBatch(last))


def epoch_of(plan, epoch=0):
    return plan.block(epoch, 0, plan.num_steps)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80),
    st.integers(1, 9),
    st.booleans(),
    st.sampled_from(list(LastBatch)),
    st.integers(0, 3),
    st.data(),
)
def test_every_batch_is_of_one_bucket_and_every_record_comes_once(buckets, size, shuffle, last, epoch, data):
    buckets = np.array(buckets)
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(buckets), max_size=len(buckets))))
    if not keep.any():
        return
    counts = Counter(buckets[keep].tolist())
    if last is LastBatch.DROP and max(counts.values()) < size:
        with pytest.raises(ConfigError, match=f"more than the {max(counts.values())} records in any bucket"):
            plan(buckets, size, last, keep=keep, shuffle=shuffle)
        return
    made = plan(buckets, size, last, keep=keep, shuffle=shuffle)
    batches = epoch_of(made, epoch)
    expected = sum(c // size if last is LastBatch.DROP else ceil(c / size) for c in counts.values())
    assert len(batches) == made.num_steps == expected
    assert [b.step for b in batches] == list(range(expected)) and {b.epoch for b in batches} == {epoch}
    assert all(len(set(buckets[b.numbers].tolist())) == 1 for b in batches)
    real = np.concatenate([b.numbers[: b.num_valid] for b in batches])
    assert keep[real].all()
    if last in (LastBatch.SHORT, LastBatch.PAD):
        assert sorted(real.tolist()) == np.flatnonzero(keep).tolist()
    if last is LastBatch.WRAP:
        assert set(real.tolist()) == set(np.flatnonzero(keep).tolist())
    if last is LastBatch.DROP:
        assert len(set(real.tolist())) == len(real) == sum(c // size * size for c in counts.values())
    if last is not LastBatch.SHORT:
        assert {len(b.numbers) for b in batches} == {size} and made.is_even
    assert max(len(b.numbers) for b in batches) == made.most_rows
    for step in {0, expected // 2, expected - 1}:
        alone = made.rows(epoch * made.num_steps + step)
        assert alone.numbers.tolist() == batches[step].numbers.tolist() and alone.step == step
        part = made.block(epoch, step, min(step + 2, expected))
        assert [b.numbers.tolist() for b in part] == [b.numbers.tolist() for b in batches[step : step + 2]]


def test_in_order_one_bucket_comes_after_the_other():
    made = plan([1, 0, 1, 0, 1], 2, shuffle=False)
    assert [b.numbers.tolist() for b in epoch_of(made)] == [[1, 3], [0, 2], [4]]
    assert [b.numbers.tolist() for b in epoch_of(plan([1, 0, 1, 0, 1], 2, "pad", shuffle=False))][-1] == [
        4,
        4,
    ]


def test_batches_of_the_buckets_are_mixed_and_each_epoch_has_an_order_of_its_own():
    buckets = np.arange(400) % 2
    orders = [[int(buckets[b.numbers[0]]) for b in epoch_of(plan(buckets, 10), e)] for e in range(20)]
    assert len({tuple(order) for order in orders}) > 15
    assert all(6 < sum(a != b for a, b in pairwise(o)) < 35 for o in orders)  # 20 expected
    first = [tuple(sorted(b.numbers.tolist())) for b in epoch_of(plan(buckets, 10), 0)]
    second = [tuple(sorted(b.numbers.tolist())) for b in epoch_of(plan(buckets, 10), 1)]
    assert not set(first) & set(second), "who is together changes too"


def test_repeats():
    made = plan([0, 0, 0, 1, 1], 2, repeat=2)
    batches = epoch_of(made)
    assert len(batches) == 5 and sorted(np.concatenate([b.numbers for b in batches])) == sorted(
        [0, 1, 2, 3, 4] * 2
    )
    pairs = {p for b in batches for p in zip(b.numbers.tolist(), b.turns.tolist(), strict=True)}
    assert len(pairs) == 10, "other random numbers each time"


def test_draws_by_weight():
    buckets = np.repeat([0, 1, 2], 1000)
    weights = np.repeat([3.0, 1.0, 0.0], 1000)
    weights[:500] = 0
    seen = np.concatenate([b.numbers for b in epoch_of(plan(buckets, 50, weights=weights))])
    counts = np.bincount(buckets[seen], minlength=3)
    assert counts.tolist() == [1800, 1200, 0], "in proportion to the sums of the weights, 1500 and 1000"
    assert seen.min() >= 500
    drawn = np.bincount(seen[buckets[seen] == 1], minlength=2000)[1000:]
    # 1,200 draws of 1,000: each comes 1.2 times, and none at all with probability exp(-1.2) = 0.30.
    assert 0.25 < (drawn == 0).mean() < 0.35


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"balance": [0, 1]}, "`balance` does not go with buckets"),
        ({"weights": [1, 1], "keep": [True, True]}, "exclude each other"),
        ({"weights": [1, 1], "shuffle": False}, "needs `shuffle=True`"),
        ({"keep": [False, False]}, "nothing would be left"),
        ({"weights": [0, 0]}, "must have a number greater than 0"),
        ({"repeat": 0}, "`repeat` must be from 1"),
    ],
)
def test_arguments_that_do_not_go(arguments, message):
    with pytest.raises(ConfigError, match=message):
        plan([0, 1], 1, **arguments)


def test_what_tells_two_apart():
    one = plan([0, 1, 1])
    assert one == plan([0, 1, 1]) and one.hash == plan([0, 1, 1]).hash
    others = [plan([0, 0, 1]), plan([0, 1, 1], seed=1), plan([0, 1, 1], shuffle=False), plan([0, 1, 2])]
    assert len({other.hash for other in [one, *others]}) == 5
    assert isinstance(one.arrangement, Bucketed) and one.arrangement.size == 3
    many = plan(np.arange(5000) % 50, 8)
    assert len(json.dumps(many.describe())) < 4096


@pytest.mark.parametrize("weights", [(1, 1e-12, 1e-12), (1, 1, 1.17), (5, 3, 0), (1e300, 1e300, 1e300)])
def test_an_epoch_has_as_many_draws_as_records(weights):
    buckets = np.repeat([0, 1, 2], 10)
    made = plan(buckets, 3, weights=np.repeat(weights, 10))
    counts = np.bincount(buckets[np.concatenate([b.numbers for b in epoch_of(made)])], minlength=3)
    assert counts.sum() == 30
    np.testing.assert_allclose(counts, 30 * np.array(weights) / sum(weights), atol=1)
