"""When a batch is waited for, and what follows from it."""

from artifex.data.meter import Meter
from artifex.data.probes import Probe, Probes

MS = 10**6


def test_half_a_percent_of_the_time_goes_into_probes():
    probes, now, spent, costs = Probes(), 0, 0, [3 * MS, 40 * MS, MS // 2]
    waits = 0
    while now < 200_000 * MS:
        now += MS
        if probes.is_due(now):
            cost = costs[waits % 3]
            now, spent, waits = now + cost, spent + cost, waits + 1
            probes.spent(cost, now)
    assert waits > 30
    assert 0.004 < spent / now < 0.00501


def test_of_several_processes_that_wait_for_each_other_each_waits_less():
    probes = Probes(share=4)
    probes.spent(MS, 0)
    assert not probes.is_due(800 * MS - 1)
    assert probes.is_due(800 * MS)


def test_before_the_first_there_is_nothing_to_tell_and_then_the_median_of_the_last():
    probes = Probes()
    assert probes.typical() is None
    for device in (500, *range(1, 10)):
        probes.add(Probe(1, device, 1000 - device))
    assert probes.typical() == Probe(1, 5, 995)


def test_what_a_consumer_takes_longer_than_with_a_batch_that_is_ready_is_the_device_s():
    """12 ms of a consumer for each batch, 5 of its own: it waits 7 of the 9 ms that the batch takes."""
    probes = Probes()
    probes.add(Probe(2 * MS, 7 * MS, 5 * MS))
    assert Meter(probes=probes)._of_device(10, 0.12) == (0.07, 0.07)
    assert Meter(probes=probes)._of_device(10, 0.05) == (0.07, 0.0)
    assert Meter(probes=probes)._of_device(10, 0.04) == (0.07, 0.0)
    assert Meter(probes=probes)._of_device(10, 9.0) == (0.07, 0.09)
    assert Meter()._of_device(10, 9.0) == (0.0, 0.0)
