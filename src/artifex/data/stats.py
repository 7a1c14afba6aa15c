"""What a loader's time goes into, in figures, in one line, and in a sentence that names the bottleneck."""

from dataclasses import dataclass

# A consumer that waits less than this beside workers is what the loader waits for.
_LITTLE = 0.1


@dataclass(frozen=True)
class LoaderStats:
    """Figures of one iteration of a loader, in this process; `DataLoader.stats` gives them.

    Counts are those of the whole iteration. Times, rates and shares are those of a stretch of it: from the first
    batch on, or from the last report, as `on_stats` gets them. The first batch, with all that is loaded, started
    and compiled for it, stands apart.

    Times are wall-clock seconds. Of the consumer's thread, the one that iterates, they add up to `seconds`:
    `consumer_seconds`, `wait_seconds`, `transfer_seconds`, `overhead_seconds`, and without workers the four of
    reading. Those of workers are summed over the workers, and include that they wait for a core or for each other.

    Attributes:
        num_batches: batches handed out since the iteration began.
        num_samples: their rows, with those that are masked or filled up; of a batch on several hosts, those
            that are read here.
        num_bytes: what of them crossed from host to device.
        first_batch_seconds: from asking for the first batch to having it; 0 if there is none yet.
        seconds: length of the stretch.
        batches_per_second, samples_per_second, bytes_per_second: in the stretch.
        wait_share: part of the stretch that the consumer spent in the loader, 0 to 1, whatever it was at there.
        consumer_seconds: the consumer's own work, between two batches.
        wait_seconds: it waited for workers.
        transfer_seconds: calls that take a batch to the device, until they return.
        device_seconds: what the device did with the batches after that: the dataset's own steps and `transform=`.
            Not of the consumer's time alone, for host and device work side by side. It is reckoned from a few batches
            of the loader that were waited for, for half a percent of the time; 0 before there was one.
        device_wait_seconds: the part of `consumer_seconds` that went into waiting for that, e.g. for a loss that
            is computed from the batch: what the consumer took longer than with batches that were waited for.
        probe_seconds: the part of `overhead_seconds` that went into waiting for those.
        overhead_seconds: record numbers, buffers and queues, in the consumer's thread.
        read_seconds: bytes, or samples of a dataset of your own, were fetched (its `__getitem__`).
        decode_seconds: bytes were decoded.
        map_seconds: functions given to `map` ran.
        assemble_seconds: samples were checked, gathered and copied into batches, also from a cache or a process.
        idle_seconds: workers had nothing to do.
        ready_on_host: batches that were read when one was asked for, on average.
        ready_on_device: batches that had crossed besides, on average.
        starved_share: part of the times that a batch was asked for when there was none of either, 0 to 1.
        num_workers: threads or processes that read; 0 if the consumer's thread does.
        worker: "thread" or "process".
    """

    num_batches: int = 0
    num_samples: int = 0
    num_bytes: int = 0
    first_batch_seconds: float = 0.0
    seconds: float = 0.0
    batches_per_second: float = 0.0
    samples_per_second: float = 0.0
    bytes_per_second: float = 0.0
    wait_share: float = 0.0
    consumer_seconds: float = 0.0
    wait_seconds: float = 0.0
    transfer_seconds: float = 0.0
    device_seconds: float = 0.0
    device_wait_seconds: float = 0.0
    probe_seconds: float = 0.0
    overhead_seconds: float = 0.0
    read_seconds: float = 0.0
    decode_seconds: float = 0.0
    map_seconds: float = 0.0
    assemble_seconds: float = 0.0
    idle_seconds: float = 0.0
    ready_on_host: float = 0.0
    ready_on_device: float = 0.0
    starved_share: float = 0.0
    num_workers: int = 0
    worker: str = "thread"

    def summary(self) -> str:
        """One line: counts, rates, how long the consumer waited, what the reading went into, what was ready."""
        if self.num_batches == 0:
            return "no batches yet"
        reading = self._reading()
        whole = sum(reading.values())
        parts = ", ".join(f"{name} {_percent(time, whole)}" for name, time in reading.items())
        return (
            f"{self.num_batches:,} batches ({self.samples_per_second:,.0f} samples/s, "
            f"{self.bytes_per_second / 1e6:,.1f} MB/s); waited {_percent(self.wait_share)} of {self.seconds:.1f} s, "
            f"transfer {_percent(self.transfer_seconds, self.seconds)}, device "
            f"{_percent(self.device_seconds, self.seconds)}; reading: {parts}; "
            f"{self.ready_on_host + self.ready_on_device:.1f} batches ready; first after "
            f"{self.first_batch_seconds:.2f} s"
        )

    def bottleneck(self) -> str:
        """One sentence: what limits the number of batches per second, and what helps.

        With workers it is reading, if the consumer waits for it a tenth of the time or more. Else, and without
        workers, where one thing comes after the other, it is what takes most of the time.
        """
        if self.num_batches < 2 or self.seconds == 0:
            return "there are too few batches to tell: ask again after the second"
        own = self.consumer_seconds - self.device_wait_seconds
        on_the_way, crossing = self._crossing()
        serial = {on_the_way: crossing, "overhead": self.overhead_seconds - self.probe_seconds}
        if self.num_workers == 0:
            serial |= self._reading()
        name, most = max(serial.items(), key=lambda item: item[1])
        if self.num_workers and self.wait_seconds >= _LITTLE * self.seconds:
            if name != "device" or most < max(self.wait_seconds, own):
                return self._of_workers()
        elif own >= most:
            share = _percent(own, self.seconds)
            return f"the consumer is the bottleneck: the loader waited for it {share} of the time"
        return f"{_NAMES[name]} takes {_percent(most, self.seconds)} of the time: {self._way_out(name)}"

    def _crossing(self) -> tuple[str, float]:
        """What the way to the device mostly is, "transfer" or "device", and the consumer's time for all of it."""
        spent = self.transfer_seconds + self.device_wait_seconds
        return "device" if self.device_seconds >= spent / 2 > 0 else "transfer", spent

    def _of_workers(self) -> str:
        reading = self._reading()
        busy = sum(reading.values())
        waits = f"the consumer waits {_percent(self.wait_seconds, self.seconds)} of the time for workers"
        if self.idle_seconds > busy:
            return (
                f"{waits}, and these have nothing to do {_percent(self.idle_seconds, self.idle_seconds + busy)} of "
                f"it: use a larger `prefetch=`, larger batches, or `num_workers=0` for what is read in no time"
            )
        name, most = max(reading.items(), key=lambda item: item[1])
        return f"{_NAMES[name]} takes {_percent(most, busy)} of the workers' time: {self._way_out(name)} ({waits})"

    def _reading(self) -> dict[str, float]:
        return {
            "read": self.read_seconds,
            "decode": self.decode_seconds,
            "map": self.map_seconds,
            "assemble": self.assemble_seconds,
        }

    def _way_out(self, name: str) -> str:
        more = "more workers (`num_workers=`)" if self.num_workers else "workers (`num_workers=2` or more)"
        processes = "" if self.worker == "process" else ', `worker="process"` if it is Python that computes'
        return {
            "read": f"use `cache=`, a faster disk or {more}{processes}",
            "decode": f"use `cache=`, smaller files (resized once, beforehand) or {more}",
            "map": f"use `cache=`, {more}{processes}, or do it on the device (`transform=`)",
            "assemble": 'use larger batches, fewer or smaller fields, or `placement="device"` for what is in memory',
            "transfer": "use larger batches, or integers instead of floats",
            "device": "make `transform=` or the augmentation cheaper, or do a part of it once, beforehand",
            "overhead": "use larger batches",
        }[name]


_NAMES = {
    "read": "reading records (files, or the dataset's `__getitem__`)",
    "decode": "decoding",
    "map": "the function given to `map`",
    "assemble": "putting samples into batches",
    "transfer": "the way to the device",
    "device": "what the device does with a batch (`transform=`, and the dataset's own steps)",
    "overhead": "what is done once for each batch",
}


def _percent(part: float, whole: float = 1.0) -> str:
    return f"{min(100 * part / whole, 100) if whole else 0:.0f} %"
