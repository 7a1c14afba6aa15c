"""Loaders that are slow in one known place, and what they say about it.

Sleeping takes at least as long as it is told to, on a busy machine too; so its share of the time is the largest.
"""

import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import LoaderStats, batch_level, create_data_loader, probes
from artifex.data.device import Crossing
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.probes import Probes
from artifex.data.reader import RecordReader
from artifex.data.samples import MappedReader
from artifex.data.types import ArraySpec

SLOW = 0.005
SIZE, BATCH = 64, 16


class Source:
    def __init__(self, pause, size=SIZE):
        self.pause, self.size = pause, size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        time.sleep(self.pause)
        return {"bytes": bytes([index % 256, 0, 1])}


class Bytes:
    spec = ArraySpec((3,), np.dtype(np.uint8))
    is_random = False

    def __init__(self, pause):
        self.pause = pause

    def decode(self, value, out, *, rng=None):
        time.sleep(self.pause)
        out[...] = np.frombuffer(value, np.uint8)


def mapped(sample):
    time.sleep(SLOW)
    return sample


class Data:
    """A dataset that is slow in one place."""

    def __init__(self, place, batches=SIZE // BATCH):
        self.place, self.size = place, batches * BATCH

    def __len__(self):
        return self.size

    def reader(self):
        source, codec = (
            Source(SLOW * (self.place == "read"), self.size),
            Bytes(SLOW * (self.place == "decode")),
        )
        reader = RecordReader(source, {"x": ("bytes", codec)}, {}, {}, {})
        return MappedReader(reader, mapped, random=False, version=None) if self.place == "map" else reader


class Items:
    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        time.sleep(SLOW)
        return {"x": np.full(3, index, np.uint8)}


WORKERS = [{"num_workers": 0}, {"num_workers": 2}, {"num_workers": 2, "worker": "process"}]
SENTENCES = {
    "read": "reading records (files",
    "decode": "decoding takes",
    "map": "the function given to `map` takes",
}


def run(data, pause=0.0, **settings):
    loader = create_data_loader(data, BATCH, **settings)
    for _ in loader:
        time.sleep(pause)
    return loader


@pytest.mark.parametrize("workers", WORKERS, ids=str)
@pytest.mark.parametrize("place", SENTENCES)
def test_it_names_what_is_slow(place, workers):
    stats = run(Data(place), **workers).stats()
    assert stats.bottleneck().startswith(SENTENCES[place]), stats
    # All records but the first batch's, each of which slept.
    assert getattr(stats, f"{place}_seconds") >= (SIZE - BATCH) * SLOW
    assert stats.num_workers == workers["num_workers"]
    assert stats.worker == workers.get("worker", "thread")


@pytest.mark.parametrize("workers", WORKERS, ids=str)
def test_it_names_a_slow_consumer(workers):
    stats = run(Data("nowhere"), pause=0.05, **workers).stats()
    assert stats.bottleneck().startswith("the consumer is the bottleneck"), stats
    assert stats.consumer_seconds >= 0.05 * SIZE / BATCH


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_dataset_of_ones_own_is_read(num_workers):
    stats = run(Items(), num_workers=num_workers).stats()
    assert stats.bottleneck().startswith(SENTENCES["read"])
    assert stats.read_seconds >= (SIZE - BATCH) * SLOW


@pytest.mark.parametrize("num_workers", [0, 2])
def test_it_names_a_slow_way_to_the_device(num_workers, monkeypatch):
    cross, place = Crossing.__call__, Crossing.place

    def cross_slowly(self, turns, index, arrays, *rest):
        time.sleep(0.03 * isinstance(arrays["x"], np.ndarray))
        return cross(self, turns, index, arrays, *rest)

    def place_slowly(*arguments):
        time.sleep(0.03)
        return place(*arguments)

    monkeypatch.setattr(Crossing, "__call__", cross_slowly)
    monkeypatch.setattr(Crossing, "place", place_slowly)
    stats = run(Data("nowhere", 10), num_workers=num_workers).stats()
    assert stats.bottleneck().startswith("the way to the device takes"), stats
    # With workers the second batch may have crossed along with the first.
    assert stats.transfer_seconds >= 0.03 * (10 - 2)


@batch_level
def sleeps(keys, batch):
    """A step that the CPU back end does before the call returns."""

    def sleep(x):
        time.sleep(0.03)
        return x

    kind = jax.ShapeDtypeStruct(batch["x"].shape, batch["x"].dtype)
    return {"x": jax.pure_callback(sleep, kind, batch["x"])}


def computes(key, sample):
    """A step that it does after the call has returned."""
    x = jnp.zeros(10_000) + sample["x"].sum().astype(jnp.float32)
    y = jax.lax.fori_loop(0, 50, lambda i, y: jnp.sin(y) + x, x)
    return {"x": sample["x"], "y": y.sum()}


SLOW_STEP = "what the device does with a batch (`transform=`"


def run_with(step, settings, monkeypatch):
    monkeypatch.setattr(probes, "_SPARING", 3)  # several in a short time
    data = {"x": np.zeros((16 * BATCH, 3), np.float32)} if "placement" in settings else Data("nowhere", 16)
    loader = create_data_loader(data, BATCH, transform=step, **settings)
    for batch in loader:
        jax.block_until_ready(batch)  # as a training step that is looked at
    return loader.stats()


STEP_SETTINGS = [{"num_workers": 0}, {"num_workers": 2}, {"placement": "device"}]


@pytest.mark.parametrize("settings", STEP_SETTINGS, ids=str)
def test_it_names_a_slow_transform_of_the_device(settings, monkeypatch):
    stats = run_with(sleeps, settings, monkeypatch)
    assert stats.bottleneck().startswith(SLOW_STEP), stats
    assert stats.device_seconds >= 15 * 0.029
    assert 0 < stats.probe_seconds <= stats.overhead_seconds


@pytest.mark.parametrize("settings", STEP_SETTINGS, ids=str)
def test_it_names_a_transform_that_is_still_under_way_when_its_batch_is_handed_out(settings, monkeypatch):
    for _ in range(3):  # a batch takes what it takes, unless the machine has other things to do
        stats = run_with(computes, settings, monkeypatch)
        if stats.bottleneck().startswith(SLOW_STEP):
            break
    assert stats.bottleneck().startswith(SLOW_STEP), stats
    assert 0 < stats.device_wait_seconds <= stats.consumer_seconds


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_slow_consumer_beside_a_device_that_is_busy_but_in_time(num_workers):
    loader = create_data_loader(Data("nowhere", 10), BATCH, transform=computes, num_workers=num_workers)
    jax.block_until_ready(loader.batch(1))
    begun = time.perf_counter()
    jax.block_until_ready([loader.batch(2), loader.batch(3)])
    pause = 2 * (time.perf_counter() - begun)
    for batch in loader:
        time.sleep(pause)
        jax.block_until_ready(batch)
    stats = loader.stats()
    assert stats.bottleneck().startswith("the consumer is the bottleneck"), stats
    assert stats.device_seconds > 0


def test_a_batch_that_is_waited_for_is_the_one_that_it_would_be(monkeypatch):
    data = {"x": np.arange(3 * 32 * BATCH, dtype=np.float32).reshape(-1, 3)}
    traces = []

    def traced(key, sample):
        traces.append(1)
        return {"x": sample["x"] + jax.random.uniform(key, (3,))}

    def stream(is_due):
        monkeypatch.setattr(Probes, "is_due", is_due)
        loader = create_data_loader(data, BATCH, transform=traced, seed=3, last="pad")
        found = [{name: np.asarray(array).tolist() for name, array in batch.items()} for batch in loader]
        return found, loader.stats().probe_seconds

    (waited, cost), (other, nothing) = stream(lambda *_: True), stream(lambda *_: False)
    assert waited == other and cost > 0 == nothing
    assert len(traces) == 2  # once for each loader: a probe compiles nothing


def test_a_mesh_is_waited_for_too():
    sharding = jax.sharding.NamedSharding(
        jax.sharding.Mesh(np.array(jax.devices()[:2]), ("data",)), jax.sharding.PartitionSpec("data")
    )
    loader = create_data_loader(Data("nowhere", 12), BATCH, sharding=sharding, num_workers=0)
    for batch in loader:
        time.sleep(0.005)
        assert batch["x"].sharding == sharding
    assert loader.stats().probe_seconds > 0


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_times_of_the_consumer_add_up(num_workers):
    stats = run(Data("decode"), pause=0.002, num_workers=num_workers).stats()
    parts = [stats.consumer_seconds, stats.transfer_seconds, stats.overhead_seconds]
    if num_workers:
        parts.append(stats.wait_seconds)
    else:
        parts += [stats.read_seconds, stats.decode_seconds, stats.map_seconds, stats.assemble_seconds]
        assert stats.wait_seconds == stats.idle_seconds == 0
    assert sum(parts) == pytest.approx(stats.seconds, rel=1e-6)
    assert stats.wait_share == pytest.approx(1 - stats.consumer_seconds / stats.seconds)


def test_the_times_of_workers_add_up_to_no_more_than_there_is():
    stats = run(Data("read"), num_workers=2).stats()
    busy = stats.read_seconds + stats.decode_seconds + stats.map_seconds + stats.assemble_seconds
    assert busy + stats.idle_seconds <= 2 * stats.seconds + 2 * SLOW * BATCH


SHAPES = [
    ({"x": np.zeros((700, 5), np.uint8), "y": np.arange(700, dtype=np.int32)}, {}, 9),
    ({"x": np.zeros((700, 5), np.uint8), "y": np.arange(700, dtype=np.int32)}, {"num_workers": 2}, 9),
    ({"x": np.zeros((700, 5), np.uint8)}, {"placement": "device"}, 4),
    (Items(), {"num_workers": 2}, 3),
]


@pytest.mark.parametrize(("data", "settings", "row_bytes"), SHAPES)
def test_all_that_is_handed_out_is_counted(data, settings, row_bytes):
    loader = run(data, **settings)
    size = SIZE if isinstance(data, Items) else 700
    stats = loader.stats()
    assert (stats.num_batches, stats.num_samples, stats.num_bytes) == (len(loader), size, size * row_bytes)
    assert stats.batches_per_second == pytest.approx((len(loader) - 1) / stats.seconds)
    assert stats.samples_per_second == pytest.approx(BATCH * stats.batches_per_second, rel=0.1)
    assert stats.bytes_per_second == pytest.approx(row_bytes * stats.samples_per_second)


def test_batches_that_were_ready():
    slow, quick = run(Items(), num_workers=2).stats(), run(Data("nowhere"), pause=0.03, num_workers=2).stats()
    assert quick.ready_on_host + quick.ready_on_device > slow.ready_on_host + slow.ready_on_device
    assert slow.starved_share > quick.starved_share
    assert 0 <= quick.starved_share <= slow.starved_share <= 1


def test_without_a_batch_there_is_nothing_to_say():
    assert create_data_loader(Items(), BATCH).stats() == LoaderStats()


def test_time_stands_still_after_the_end():
    loader = run(Data("nowhere"), num_workers=2)
    first = loader.stats()
    time.sleep(0.02)
    assert loader.stats() == first
    assert first.num_batches == SIZE // BATCH


def test_it_can_be_asked_on_the_way_and_after_a_break():
    loader = create_data_loader(Data("nowhere"), BATCH, num_workers=2)
    batches = iter(loader)
    next(batches)
    assert loader.stats().num_batches == 1
    assert loader.stats().first_batch_seconds > 0
    next(batches)
    time.sleep(0.02)
    stats = loader.stats()
    assert stats.num_batches == 2
    assert stats.consumer_seconds >= 0.02  # of work that has not ended yet
    batches.close()
    ended = loader.stats()
    assert ended == loader.stats()
    assert ended.seconds >= stats.seconds


def test_each_iteration_has_its_own_figures():
    loader = run(Data("nowhere"))
    for number, _ in enumerate(loader):
        if number == 1:
            break
    assert loader.stats().num_batches == 2
    before = loader.stats()
    loader.batch(3)
    assert loader.stats() == before


def test_two_loaders_in_one_thread_do_not_mix():
    slow, quick = (
        create_data_loader(Items(), BATCH, num_workers=0),
        create_data_loader(Data("nowhere"), BATCH, num_workers=0),
    )
    for _ in zip(slow, quick, strict=True):
        pass
    assert slow.stats().read_seconds >= (SIZE - BATCH) * SLOW > quick.stats().read_seconds
    assert quick.stats().consumer_seconds >= (SIZE - BATCH) * SLOW


def test_it_can_be_asked_by_another_thread_while_the_consumer_waits():
    loader, seen, done = create_data_loader(Items(), BATCH, num_workers=2), [], threading.Event()

    def look():
        while not done.wait(0.005):
            seen.append(loader.stats())

    thread = threading.Thread(target=look)
    thread.start()
    for _ in loader:
        pass
    done.set()
    thread.join()
    counts = [stats.num_batches for stats in seen]
    assert counts == sorted(counts)
    assert all(0 <= stats.wait_share <= 1 for stats in seen)
    assert max(stats.wait_share for stats in seen) > 0.5


def test_reports_come_at_batch_boundaries_in_the_thread_that_iterates():
    reports = []

    def log(stats):
        reports.append((stats, threading.get_ident()))

    loader = run(Data("nowhere"), pause=0.02, num_workers=2, on_stats=log, stats_every=0.001)
    stats = [stats for stats, _ in reports]
    assert {thread for _, thread in reports} == {threading.get_ident()}
    # One whenever a batch is asked for after the first, and one at the end, each of the time since the last.
    assert [one.num_batches for one in stats] == [1, 2, 3, 4]
    assert all(one.consumer_seconds >= 0.02 for one in stats)
    assert sum(one.seconds for one in stats) == pytest.approx(loader.stats().seconds, rel=0.05)


def test_a_short_iteration_is_reported_once_at_its_end():
    reports = []
    loader = create_data_loader(Data("nowhere"), BATCH, on_stats=reports.append, stats_every=3600)
    for epoch in range(3):
        for _ in loader:
            pass
        assert [one.num_batches for one in reports] == [SIZE // BATCH] * (epoch + 1)
    next(iter(loader))
    assert len(reports) == 3


def test_an_error_of_the_report_ends_the_iteration():
    def fails(stats):
        raise KeyError("no log")

    loader = create_data_loader(Data("nowhere"), BATCH, on_stats=fails, stats_every=1e-6)
    batches = iter(loader)
    next(batches)
    with pytest.raises(KeyError, match="no log"):
        next(batches)
    assert list(batches) == []


@pytest.mark.parametrize("every", [1e-6, 3600])
def test_a_report_cannot_end_an_iteration_in_silence(every):
    def stops(stats):
        raise StopIteration

    loader = create_data_loader(Data("nowhere"), BATCH, on_stats=stops, stats_every=every)
    for batches in (iter(loader), loader.as_numpy_iterator()):
        with pytest.raises(ConfigError, match="`on_stats` must not raise StopIteration"):
            list(batches)


def test_quick_batches_are_timed_now_and_then_and_stand_for_all():
    data = {"x": np.zeros((256 * BATCH, 3), np.uint8)}
    stats = run(data, pause=0.001).stats()
    assert stats.num_batches == 256
    assert stats.consumer_seconds >= 0.5 * 256 * 0.001
    assert (
        stats.consumer_seconds + stats.transfer_seconds + stats.overhead_seconds + stats.assemble_seconds
        == (pytest.approx(stats.seconds, rel=1e-6))
    )
    assert stats.bottleneck().startswith("the consumer is the bottleneck")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"on_stats": "log"},
            ConfigTypeError,
            "`on_stats` must be a function of a LoaderStats or None, got 'log'",
        ),
        ({"stats_every": 0}, ConfigError, "`stats_every` must be above 0, got 0"),
        ({"stats_every": True}, ConfigTypeError, "`stats_every` must be a number above 0"),
    ],
)
def test_what_a_report_asks_for(settings, error, message):
    with pytest.raises(error, match=message):
        create_data_loader({"x": np.zeros(4)}, 2, **settings)
