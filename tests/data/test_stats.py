"""What the figures of a loader say in words."""

import re
from dataclasses import FrozenInstanceError, replace

import pytest

from artifex.data.stats import LoaderStats

SERIAL = LoaderStats(
    num_batches=1001,
    num_samples=128_128,
    num_bytes=4_000_000,
    first_batch_seconds=0.5,
    seconds=10.0,
    samples_per_second=12_800.4,
    bytes_per_second=39_321_600,
    wait_share=0.6,
    consumer_seconds=4.0,
    transfer_seconds=0.5,
    device_seconds=0.2,
    overhead_seconds=0.1,
    read_seconds=4.5,
    decode_seconds=0.5,
    map_seconds=0.3,
    assemble_seconds=0.1,
    ready_on_host=1.5,
    ready_on_device=0.25,
)
WORKERS = replace(SERIAL, num_workers=2, wait_seconds=5.4, idle_seconds=1.0)


def test_the_figures_are_frozen():
    with pytest.raises(FrozenInstanceError):
        SERIAL.seconds = 1.0


def test_the_summary_is_one_line():
    assert SERIAL.summary() == (
        "1,001 batches (12,800 samples/s, 39.3 MB/s); waited 60 % of 10.0 s, transfer 5 %, device 2 %; reading: "
        "read 83 %, decode 9 %, map 6 %, assemble 2 %; 1.8 batches ready; first after 0.50 s"
    )
    assert LoaderStats().summary() == "no batches yet"


@pytest.mark.parametrize(
    ("stats", "sentence"),
    [
        (SERIAL, "reading records .* takes 45 % of the time: .* disk or workers .`num_workers=2` or more"),
        (
            replace(SERIAL, decode_seconds=4.7),
            "^decoding takes 47 % of the time: use `cache=`, smaller files",
        ),
        (replace(SERIAL, map_seconds=5.0), "`map` takes 50 % of the time: .* on the device .`transform=`"),
        (replace(SERIAL, assemble_seconds=5.0), 'samples into batches takes 50 % .*`placement="device"`'),
        (
            replace(SERIAL, transfer_seconds=5.0),
            "the way to the device takes 50 % .* integers instead of floats",
        ),
        (replace(SERIAL, overhead_seconds=5.0), "once for each batch takes 50 % .* larger batches"),
        # Who waits for the device waits in its own time, in the calls into JAX, or not at all.
        (
            replace(SERIAL, device_seconds=8.0, consumer_seconds=9.0, device_wait_seconds=7.5),
            "^what the device does with a batch .* takes 80 % of the time: make `transform=`",
        ),
        (replace(SERIAL, device_seconds=6.0, transfer_seconds=6.0), "^what the device does .* takes 60 %"),
        (replace(SERIAL, device_seconds=8.0, consumer_seconds=9.0), "^the consumer is the .* 90 % of the"),
        (
            replace(SERIAL, device_seconds=3.0, consumer_seconds=9.0, device_wait_seconds=3.0),
            "^the consumer is the bottleneck: .* waited for it 60 % of the time",
        ),
        # A probe is no fault of the loader's.
        (
            replace(SERIAL, overhead_seconds=9.0, probe_seconds=8.9),
            "^reading records .* takes 45 % of the time",
        ),
        (
            replace(SERIAL, consumer_seconds=9.0),
            "^the consumer is the bottleneck: .* waited for it 90 % of the",
        ),
        (
            WORKERS,
            r"^reading records .* takes 83 % of the workers' time: .* more workers .*Python that computes "
            r"\(the consumer waits 54 % of the time for workers\)$",
        ),
        (replace(WORKERS, map_seconds=20.0), '`map` takes 80 % of the workers\' time: .*`worker="process"`'),
        (
            replace(WORKERS, idle_seconds=20.0),
            "waits 54 % .* nothing to do 79 % of it: use a larger `prefetch=`",
        ),
        # Beside workers that are quick enough, what the workers do does not matter.
        (replace(WORKERS, wait_seconds=0.9), "^the consumer is the bottleneck: .* 40 % of the time"),
        (replace(WORKERS, wait_seconds=0.9, transfer_seconds=5.0), "the way to the device takes 50 %"),
        (
            replace(
                WORKERS, wait_seconds=1.0, device_seconds=8.0, consumer_seconds=9.0, device_wait_seconds=7.5
            ),
            "^what the device does with a batch .* takes 80 % of the time",
        ),
        (replace(WORKERS, device_seconds=4.0, device_wait_seconds=3.5), "^reading .* waits 54 % of the time"),
        (replace(SERIAL, num_batches=1), "too few batches to tell"),
        (LoaderStats(), "too few batches to tell"),
    ],
)
def test_the_bottleneck_is_named_with_the_way_out(stats, sentence):
    assert re.search(sentence, stats.bottleneck()), stats.bottleneck()


def test_processes_are_not_recommended_where_they_read_already():
    processes = replace(WORKERS, worker="process", map_seconds=20.0)
    assert "process" not in processes.bottleneck()
