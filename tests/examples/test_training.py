import numpy as np

from artifex.examples import training
from artifex.examples.training import Meter


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


def watched(meter, monkeypatch, batch):
    """Two epochs of three and two batches: each is waited for one second, and worked on four."""
    clock = Clock()
    monkeypatch.setattr(training, "time", clock)

    def batches(count):
        for _ in range(count):
            clock.now += 1
            yield batch

    for count in (3, 2):
        for _ in meter.watch(batches(count)):
            clock.now += 4
            meter.losses.append(2.0)


def test_meter_tells_waiting_from_training(monkeypatch):
    meter = Meter("images")
    watched(meter, monkeypatch, {"index": np.arange(10)})
    # the first of five batches compiles, and is not counted
    assert (meter.seen, meter.seconds, meter.waited) == (40, 20, 4)
    assert (meter.rate, meter.waiting) == (2, 0.2)
    assert str(meter) == "2.00 bits, 2 images/s, 20.0% waiting"


def test_meter_counts_what_it_is_told_to(monkeypatch):
    meter = Meter("tokens", lambda batch: int(batch["length"].sum()))
    watched(meter, monkeypatch, {"index": np.arange(2), "length": np.array([30, 20])})
    assert str(meter) == "2.00 bits, 10 tokens/s, 20.0% waiting"


def test_meter_before_anything_was_measured():
    assert str(Meter("images")) == "nan bits, 0 images/s, 0.0% waiting"
