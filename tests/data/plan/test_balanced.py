from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.errors import ConfigError, ShapeError
from artifex.data.plan import Balanced
from artifex.data.plan.arrangement import at_running_places
from artifex.data.plan.order import permute, permute_each


def balanced(labels, numbers=None, shuffle=True, seed=0):
    return Balanced.of(labels, len(labels), numbers=numbers, shuffle=shuffle, seed=seed)


def epoch_of(made, epoch=0):
    return made.at(epoch, np.arange(made.size))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 2**64 - 1), st.integers(0, 2**40)), min_size=1)
)
def test_many_small_shuffles_are_the_shuffles(shuffles):
    columns = zip(*shuffles, strict=True)
    sizes, seeds, epochs = (np.array(c, d) for c, d in zip(columns, ("i8", "u8", "i8"), strict=True))
    places = np.arange(len(sizes)) % sizes
    got = permute_each(places, sizes, seeds, epochs)
    expected = [
        int(permute(np.array([p]), n, s, e)[0]) for p, (n, s, e) in zip(places, shuffles, strict=True)
    ]
    assert got.tolist() == expected


@pytest.mark.parametrize("size", [2**31 - 1, 2**40 + 1, 10**12, (2**26 - 1) ** 2 + 1])
def test_many_shuffles_of_huge_sets(size):
    places = np.linspace(0, size - 1, 50).astype(np.int64)
    many = permute_each(places, np.full(50, size), np.full(50, 7, np.uint64), np.full(50, 3))
    np.testing.assert_array_equal(many, permute(places, size, 7, 3))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 400),
    st.integers(1, 100),
)
def test_classes_come_equally_often_over_any_stretch(labels, shuffle, epoch, start, length):
    made = balanced(labels, shuffle=shuffle, seed=5)
    numbers, _ = at_running_places(made, np.arange(start, start + length) + epoch * made.size)
    seen = Counter(np.asarray(labels)[numbers].tolist())
    counts = [seen[label] for label in set(labels)]
    assert max(counts) - min(counts) <= 2


def test_within_a_class_each_record_once_before_any_again():
    labels = np.array([0] * 3 + [1] * 5 + [2] * 2)
    made = balanced(labels, seed=9)
    stream, turns = map(np.concatenate, zip(*(epoch_of(made, e) for e in range(9)), strict=True))
    for label, size in enumerate((3, 5, 2)):
        here = labels[stream] == label
        rounds = stream[here][: here.sum() // size * size].reshape(-1, size)
        assert len(rounds) >= 6 and (np.sort(rounds) == np.flatnonzero(labels == label)).all()
        assert len({tuple(r) for r in rounds.tolist()}) > 1, "in another order"
        assert (turns[here][: rounds.size].reshape(-1, size) == np.arange(len(rounds))[:, None]).all()
    pairs = set(zip(stream.tolist(), turns.tolist(), strict=True))
    assert len(pairs) == len(stream), "a record's keys are its own each time"


def test_by_hand_without_shuffle():
    made = balanced(["b", "a", "a", "b", "a"], shuffle=False)
    assert epoch_of(made)[0].tolist() == [1, 0, 2, 3, 4] and made.size == 5
    assert epoch_of(made, 1)[0].tolist() == [0, 1, 3, 2, 0] and epoch_of(made, 1)[1].tolist() == [
        1,
        1,
        1,
        1,
        2,
    ]


def test_each_order_of_the_classes_is_as_likely():
    made = balanced([0, 1, 2], seed=1)
    orders = Counter(tuple(epoch_of(made, epoch)[0].tolist()) for epoch in range(1200))
    chi2 = sum((count - 200) ** 2 / 200 for count in orders.values())
    assert len(orders) == 6 and chi2 < 20.5  # 99.9 % of the chi-square distribution, 5 degrees of freedom


def test_of_some_records_only():
    made = balanced([0, 0, 1, 1, 2], numbers=np.array([0, 1, 2]))
    assert made.size == 3 and set(epoch_of(made)[0].tolist()) <= {0, 1, 2}
    assert {tuple(sorted(epoch_of(made, e)[0].tolist())) for e in range(20)} >= {(0, 1, 2)}


def test_what_tells_two_apart():
    one = balanced([0, 0, 1])
    assert (
        one == balanced(["x", "x", "y"]) and one != balanced([0, 1, 1]) and one != balanced([0, 0, 1], seed=1)
    )
    assert one.describe() != balanced([0, 1, 0]).describe() and one.describe()["balanced"] == 2


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1], ShapeError, r"one label for each of the 3 records, got shape \(2,\)"),
        ([[0], [1], [1]], ShapeError, r"got shape \(3, 1\)"),
        (np.array([1, "1", 2], object), ConfigError, "all integers or all strings"),
        ([[0], [1, 2], [3]], ShapeError, "one label per record"),
        ([0.5, 1.0, 2.0], ConfigError, "integers or strings, got float64"),
        ([None] * 3, ConfigError, "integers or strings, got None"),
        (np.array([0.5, 1.0, 2.0], object), ConfigError, "integers or strings, got 0.5"),
    ],
)
def test_labels_that_are_none(labels, error, message):
    with pytest.raises(error, match=message):
        Balanced.of(labels, 3, numbers=None, shuffle=True, seed=0)
