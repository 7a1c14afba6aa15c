import json
import tracemalloc
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.plan import LastBatch, Listed, Plan, Repeated, arrange, last_batch


def plan(size=10, batch_size=4, last="short", **settings):
    return Plan(Listed(size, **settings), batch_size, LastBatch(last), 0, '{"kind": "test"}')


def epoch_of(plan, epoch=0):
    return [plan.rows(epoch * plan.num_steps + step) for step in range(plan.num_steps)]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 300),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from(list(LastBatch)),
    st.integers(0, 5),
)
def test_batches_cover_an_epoch(size, batch_size, shuffle, last, epoch):
    if last is LastBatch.DROP and size < batch_size:
        with pytest.raises(ConfigError, match="drop_last=False"):
            plan(size, batch_size, last)
        return
    made = plan(size, batch_size, last, shuffle=shuffle)
    batches = epoch_of(made, epoch)
    assert len(batches) == (size // batch_size if last is LastBatch.DROP else ceil(size / batch_size))
    assert [b.step for b in batches] == list(range(len(batches))) and {b.epoch for b in batches} == {epoch}
    if last is not LastBatch.SHORT:
        assert {len(b.numbers) for b in batches} == {batch_size}
    real = np.concatenate([b.numbers[: b.num_valid] for b in batches])[:size]
    assert (
        len(np.unique(real)) == len(real) == (len(batches) * batch_size if last is LastBatch.DROP else size)
    )
    if not shuffle:
        np.testing.assert_array_equal(real, np.arange(len(real)))
    block = made.block(epoch, 0, made.num_steps)
    assert all((a.numbers == b.numbers).all() for a, b in zip(block, batches, strict=True))


def test_padding_repeats_a_record_and_says_so():
    rows = epoch_of(plan(10, 4, "pad", shuffle=False))[-1]
    assert rows.numbers.tolist() == [8, 9, 8, 8] and rows.num_valid == 2


def test_wrapping_goes_on_with_the_epoch_s_beginning():
    rows = epoch_of(plan(10, 4, "wrap", shuffle=False))[-1]
    assert rows.numbers.tolist() == [8, 9, 0, 1] and rows.num_valid == 4
    assert epoch_of(plan(2, 5, "wrap", shuffle=False))[0].numbers.tolist() == [0, 1, 0, 1, 0]


def test_a_part_of_the_rows():
    rows = epoch_of(plan(10, 4, "pad", shuffle=False))[-1].part(np.array([1, 2]))
    assert rows.numbers.tolist() == [9, 8] and rows.num_valid == 1


def test_hash_and_difference():
    one = plan()
    assert one == plan() and hash(one) == hash(plan()) and one.hash == plan().hash and len(one.hash) == 16
    others = [plan(11), plan(batch_size=5), plan(last="drop"), plan(shuffle=False), plan(seed=1)]
    assert len({other.hash for other in [one, *others]}) == 6
    assert one.difference(plan()) == one.difference(plan().describe()) == []
    assert one.difference(plan(11)) == ["`arrangement.num_records` was 11 and is 10"]
    assert one.difference({}) != []


def test_a_description_stays_small():
    source = json.dumps({"kind": "big", "fields": ["x" * 100] * 100})
    one = Plan(Listed(10), 4, LastBatch.SHORT, 0, source)
    assert len(json.dumps(one.describe())) < 4096 and one.describe()["source"]["kind"] == "big"
    assert one.difference(Plan(Listed(10), 4, LastBatch.SHORT, 0, source.replace("x", "y"))) != []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ConfigError, "`num_records` must be from 1"),
        ({"batch_size": 0}, ConfigError, "`batch_size` must be from 1"),
        ({"batch_size": 2.0}, ConfigTypeError, "`batch_size` must be an integer"),
        ({"batch_size": True}, ConfigTypeError, "`batch_size` must be an integer"),
        ({"seed": -1}, ConfigError, "`seed` must be from 0"),
        ({"seed": 2**64}, ConfigError, "`seed` must be from 0"),
    ],
)
def test_bad_settings_are_told(arguments, error, message):
    with pytest.raises(error, match=message):
        plan(**arguments)


def asked(**arguments):
    defaults = {
        "shuffle": True,
        "seed": 0,
        "keep": None,
        "sample_weights": None,
        "balance": None,
        "repeat": 1,
    }
    return arrange([], 4, **defaults | arguments)


def test_arguments_become_an_arrangement():
    assert asked() == Listed(4) and asked(shuffle=False) == Listed(4, False)
    assert asked(repeat=3).size == 12
    assert asked(keep=[True, False, True, True]).size == 3
    assert asked(balance=[0, 0, 1, 1]).size == 4
    assert asked(balance=[0, 0, 1, 1], keep=[True, False, True, True]).size == 3
    assert asked(sample_weights=[0, 0, 1, 0]).at(0, np.arange(4))[0].tolist() == [2] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": [True] * 4, "sample_weights": [1] * 4}, "exclude each other"),
        ({"balance": [1] * 4, "sample_weights": [1] * 4}, "exclude each other"),
        ({"sample_weights": [1] * 4, "shuffle": False}, "needs `shuffle=True`"),
        ({"repeat": 0}, "`repeat` must be from 1"),
    ],
)
def test_arguments_that_contradict(arguments, message):
    with pytest.raises(ConfigError, match=message):
        asked(**arguments)


@pytest.mark.parametrize("repeat", [1, 10**9, 10**17])
def test_the_last_step_there_is_can_be_had(repeat):
    far = Plan(Repeated(Listed(10), repeat), 4)
    rows = far.rows(far.last_step)
    assert len(rows.numbers) == 2 + 2 * (repeat % 2 == 0) and rows.numbers.max() < 10
    with pytest.raises(ConfigError, match=f"`step` must be from 0 to {far.last_step}, got"):
        far.rows(far.last_step + 1)


def test_the_rule_for_the_last_batch():
    assert last_batch(None, False) is LastBatch.SHORT and last_batch(None, True) is LastBatch.DROP
    assert last_batch("pad", False) is LastBatch.PAD and last_batch("drop", True) is LastBatch.DROP
    with pytest.raises(ConfigError, match="`drop_last=True` contradicts `last='wrap'`"):
        last_batch("wrap", True)
    with pytest.raises(ValueError, match="unknown `last` 'padd'; did you mean 'pad'"):
        last_batch("padd", False)


def test_a_step_is_an_integer_of_any_kind():
    one = plan(10)
    assert one.rows(np.int64(3)).numbers.tolist() == one.rows(3).numbers.tolist()
    for step in (-1, 1.5, one.num_steps * 2**32):
        with pytest.raises((ConfigError, ConfigTypeError), match="`step` must be"):
            one.rows(step)


def test_a_huge_batch_costs_what_its_records_cost():
    tracemalloc.start()
    rows = plan(10, 2**31 - 1).rows(0)
    assert len(rows.numbers) == 10 and tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
