"""A clock is in one stage at a time, and all of its time is somewhere."""

import threading
import time

import pytest

import artifex.data.clock as clocks
from artifex.data.clock import ASSEMBLE, DECODE, IDLE, MAP, READ, Clock, current_clock, use_clock


@pytest.fixture
def at(monkeypatch):
    """Sets the time, in nanoseconds."""
    now = [0]
    monkeypatch.setattr(clocks, "perf_counter_ns", lambda: now[0])
    return lambda moment: now.__setitem__(0, moment)


def test_time_goes_to_the_stage_that_ends(at):
    clock = Clock()
    at(3)
    assert clock.switch(ASSEMBLE) == IDLE
    at(10)
    assert clock.switch(READ) == ASSEMBLE
    at(30)
    assert clock.switch(ASSEMBLE) == READ
    at(35)
    assert clock.switch(IDLE) == ASSEMBLE
    times = clock.times()
    assert (times[READ], times[ASSEMBLE], times[IDLE], times[DECODE]) == (20, 12, 3, 0)


def test_work_counts_at_its_end_and_idleness_at_once(at):
    clock = Clock()
    at(10)
    assert clock.times()[IDLE] == 10
    clock.switch(READ)
    at(30)
    assert clock.times() == [0, 0, 0, 0, 10]
    clock.switch(IDLE)
    at(31)
    assert clock.times() == [20, 0, 0, 0, 11]


def test_what_is_credited_is_taken_from_the_present_stage(at):
    clock = Clock(ASSEMBLE)
    clock.credit(READ, 30)
    clock.credit(DECODE, 50)
    at(100)
    clock.switch(IDLE)
    assert clock.times()[:4] == [30, 50, 0, 20]


def test_a_stage_within_another_is_not_counted_twice(at):
    clock = Clock(ASSEMBLE)
    outer = clock.switch(READ)  # a user's dataset, which ...
    at(5)
    clock.credit(DECODE, 4)  # ... has another of ours inside
    inner = clock.switch(MAP)
    at(7)
    clock.switch(inner)
    at(8)
    clock.switch(outer)
    assert clock.times() == [2, 4, 2, 0, 0]


def test_each_thread_has_its_own():
    mine, theirs = current_clock(), []
    thread = threading.Thread(target=lambda: theirs.append(current_clock()))
    thread.start()
    thread.join()
    assert theirs[0] is not mine
    assert current_clock() is mine


def test_a_thread_can_be_lent_another():
    lent = Clock(ASSEMBLE)
    before = use_clock(lent)
    assert current_clock() is lent
    assert use_clock(before) is lent
    assert current_clock() is before


def test_it_tells_real_time():
    clock, begun = Clock(MAP), time.perf_counter_ns()
    time.sleep(0.01)
    clock.switch(IDLE)
    assert 10_000_000 <= clock.times()[MAP] <= time.perf_counter_ns() - begun + 1_000_000
