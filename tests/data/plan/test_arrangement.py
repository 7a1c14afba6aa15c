from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.data.plan import Drawn, Kept, Listed, Mixed, Repeated
from artifex.data.plan.arrangement import at_running_places, whole_weights


def epoch_of(arrangement, epoch=0):
    numbers, turns = arrangement.at(epoch, np.arange(arrangement.size))
    return numbers.tolist(), turns.tolist()


KEPT = Kept.of(np.arange(20) % 3 == 0, 20, shuffle=True, seed=1)
MIXED = Mixed((Listed(7), Listed(13, seed=2), Listed(5, False)), (5, 3, 2), (0, 7, 20), 40)
ALL = [
    Listed(11),
    Listed(11, False),
    KEPT,
    Repeated(Listed(4), 3),
    MIXED,
    Repeated(MIXED, 2),
    Drawn.of([1, 0, 3], 3, places=9, seed=0),
]


@pytest.mark.parametrize("arrangement", ALL, ids=repr)
def test_a_place_does_not_depend_on_what_is_asked_with_it(arrangement):
    for epoch in (0, 3):
        numbers, turns = epoch_of(arrangement, epoch)
        for place in range(arrangement.size):
            n, t = arrangement.at(epoch, np.array([place]))
            assert (n[0], t[0]) == (numbers[place], turns[place])
        some = np.array([arrangement.size - 1, 0, arrangement.size // 2])
        assert arrangement.at(epoch, some)[0].tolist() == [numbers[i] for i in some]


@pytest.mark.parametrize("arrangement", ALL, ids=repr)
def test_a_record_never_comes_twice_in_the_same_turn(arrangement):
    seen = [pair for epoch in range(4) for pair in zip(*epoch_of(arrangement, epoch), strict=True)]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("arrangement", ALL, ids=repr)
def test_the_description_tells_it_from_the_others(arrangement):
    same = [other for other in ALL if other.describe() == arrangement.describe()]
    assert same == [arrangement] and hash(arrangement) == hash(same[0])


def test_a_list_gives_every_record_once_per_epoch():
    assert sorted(epoch_of(Listed(11))[0]) == list(range(11))
    assert epoch_of(Listed(11))[0] != epoch_of(Listed(11), 1)[0] and epoch_of(Listed(11), 2)[1] == [2] * 11
    assert epoch_of(Listed(5, shuffle=False))[0] == [0, 1, 2, 3, 4]


def test_a_filter_closes_the_gaps():
    assert sorted(epoch_of(KEPT)[0]) == [0, 3, 6, 9, 12, 15, 18] and KEPT.size == 7
    other = Kept.of(np.arange(20) % 3 == 1, 20, shuffle=True, seed=1)
    assert other != KEPT or other.describe() != KEPT.describe()
    for mask, error in (
        ([True] * 3, ShapeError),
        (np.ones(20), ShapeError),
        ([[True], [True, False]], ShapeError),
        (np.zeros(20, bool), ConfigError),
    ):
        with pytest.raises(error, match="`keep`"):
            Kept.of(mask, 20, shuffle=True, seed=0)


def test_repeating_takes_an_order_of_its_own_each_time():
    numbers, turns = epoch_of(Repeated(Listed(50), 3))
    rounds = [numbers[i : i + 50] for i in (0, 50, 100)]
    assert [sorted(r) for r in rounds] == [list(range(50))] * 3 and rounds[0] != rounds[1] != rounds[2]
    assert turns == [0] * 50 + [1] * 50 + [2] * 50
    assert epoch_of(Repeated(Listed(50), 3), 1)[1][0] == 3


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=5),
    st.integers(0, 10**12),
    st.integers(1, 400),
)
def test_any_stretch_of_a_mixture_has_its_shares(weights, start, length):
    parts = tuple(Listed(10 + i) for i in range(len(weights)))
    offsets = tuple(1000 * i for i in range(len(weights)))
    mixed = Mixed(parts, tuple(weights), offsets, 10**9)
    numbers, _ = at_running_places(mixed, start + np.arange(length))
    counts = np.bincount(numbers // 1000, minlength=len(weights))
    # Each two-way choice above a part may be off by less than one, on either side of the stretch.
    off = np.abs(counts - length * np.array(weights) / sum(weights))
    assert (off < len(weights) + 1).all()


def test_weights_whose_products_would_not_fit_are_refused():
    largest = 2**31 - 1
    mixed = Mixed((Listed(3), Listed(4)), (largest - 1, 1), (0, 3), 10**9)
    numbers, _ = at_running_places(mixed, np.arange(largest - 250, largest + 250))
    assert np.flatnonzero(numbers >= 3).tolist() == [250]  # the one of the lesser part begins the period
    with pytest.raises(ConfigError, match=r"`sum\(weights\)` must be from 1 to 2147483647"):
        Mixed((Listed(3), Listed(4)), (largest, 1), (0, 3), 10**9)


def test_a_mixture_s_shares_are_exact_over_its_period():
    numbers, _ = at_running_places(MIXED, np.arange(10_000))
    assert Counter(np.searchsorted([7, 20], numbers, side="right").tolist()) == {0: 5000, 1: 3000, 2: 2000}


def test_each_part_of_a_mixture_goes_through_its_own_epochs():
    numbers, _ = at_running_places(MIXED, np.arange(1000))
    first = numbers[numbers < 7]
    for start in range(0, len(first) - 7, 7):
        assert sorted(first[start : start + 7]) == list(range(7))


@pytest.mark.parametrize(
    ("weights", "whole"),
    [
        (np.array([1, 3]), (1, 3)),
        ([1, 1], (1, 1)),
        ([0.7, 0.3], (7, 3)),
        ([1 / 3, 2 / 3], (1, 2)),
        ([2, 6], (1, 3)),
        ([5], (1,)),
    ],
)
def test_weights_become_whole(weights, whole):
    assert whole_weights(weights) == whole


@pytest.mark.parametrize(
    "weights",
    [
        [0.123456789, 0.87654321],
        [3.14159, 2.71828, 1.41421],
        [1, 1.4e-6],
        np.random.default_rng(0).random(40),
        [x for p in (241, 239, 233, 229) for x in (1 / p, (p - 1) / p)],
        [x for p in (97, 89, 83, 79, 73, 71, 67, 61, 59, 53) for x in (1 / p, (p - 1) / p)],
    ],
)
def test_odd_weights_are_kept_to_a_billionth(weights):
    whole = np.array(whole_weights(weights))
    assert whole.sum() < 2**31
    np.testing.assert_allclose(whole / whole.sum(), np.array(weights) / sum(weights), atol=1e-9)


def test_weights_too_far_apart():
    with pytest.raises(ConfigError, match="factor of a million"):
        whole_weights([1e-9, 1])
    assert whole_weights([1, 10**8]) == (1, 10**8), "whole numbers are exact"


@pytest.mark.parametrize(
    ("weights", "whole"),
    [
        (np.array([128, 128], np.uint8), (1, 1)),
        (np.array([200, 100], np.uint8), (2, 1)),
        ([np.uint8(128), np.uint8(64), np.uint8(64)], (2, 1, 1)),
        (np.array([100, 100], np.int8), (1, 1)),
        (np.array([60000, 60000], np.float16), (1, 1)),
        ([1e308, 1e308], (1, 1)),
        ([5e-324, 5e-324], (1, 1)),
        ([10**400, 10**400], (1, 1)),
    ],
)
def test_sums_of_weights_do_not_overflow(weights, whole):
    assert whole_weights(weights) == whole


@pytest.mark.parametrize("listed", [Listed(10, seed=5), Listed(7, False), Listed(1, seed=3)])
def test_many_short_epochs_at_once_are_those_one_by_one(listed):
    running = np.random.default_rng(1).permutation(3000)
    numbers, turns = at_running_places(listed, running)
    for place, number, turn in zip(running[::50], numbers[::50], turns[::50], strict=True):
        epoch, within = divmod(int(place), listed.size)
        assert (number, turn) == tuple(int(a[0]) for a in listed.at(epoch, np.array([within])))
    few = at_running_places(listed, np.sort(running)[:40])
    assert (np.sort(running)[:40] // listed.size == few[1]).all()


@pytest.mark.parametrize("weights", [[], [0, 1], [-1, 2], [float("inf"), 1], [float("nan")]])
def test_weights_that_are_none(weights):
    with pytest.raises(ConfigError, match="`weights` must be numbers > 0"):
        whole_weights(weights)
    with pytest.raises(ConfigTypeError, match="`weights` must be numbers > 0"):
        whole_weights(["a"])


def test_draws_follow_their_weights_and_come_again():
    drawn = Drawn.of([1, 0, 3, 4], 4, places=40_000, seed=3)
    numbers = drawn.at(0, np.arange(40_000))[0]
    # Standard deviations of at most 100 draws.
    np.testing.assert_allclose(np.bincount(numbers, minlength=4), [5000, 0, 15_000, 20_000], atol=500)
    assert epoch_of(drawn)[0] == epoch_of(drawn)[0] != epoch_of(drawn, 1)[0]


@pytest.mark.parametrize("weights", [[1, -1], [0, 0], [np.nan, 1], [np.inf, 1]])
def test_sample_weights_that_are_none(weights):
    with pytest.raises(ConfigError, match="`sample_weights` must"):
        Drawn.of(weights, 2, places=2, seed=0)
    with pytest.raises(ShapeError, match="one number for each of the 3 records"):
        Drawn.of([1, 1], 3, places=2, seed=0)


@pytest.mark.parametrize("weights", [[1 + 1j, 1], np.array([1j, 1]), ["1", "2"], [10**400, 1], [[1], [1, 2]]])
def test_sample_weights_that_are_no_numbers(weights):
    with pytest.raises(ConfigTypeError, match="`sample_weights` must be"):
        Drawn.of(weights, 2, places=2, seed=0)


def test_weights_whose_sum_is_beyond_a_float():
    made = Drawn.of(np.full(10, 1e308), 10, places=1000, seed=0)
    assert len(set(made.at(0, np.arange(1000))[0].tolist())) == 10
