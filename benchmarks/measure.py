"""Contenders in turn, A B C A B C, in one process: only their ratios within a run mean anything."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import jax

Batches = Iterator[Any]

# What a contender has read ahead while another one ran is drained before its own time is taken.
_WARM_BATCHES = 8


@dataclass
class Result:
    """What one contender did: items a second by wall clock, and microseconds of CPU per item, each round."""

    name: str
    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass
class Case:
    """One workload: endless batches by contender. The first named "by hand" is what the others are held to."""

    name: str
    items_per_batch: int
    contenders: dict[str, Callable[[], Batches]]


def run(case: Case, *, rounds: int, seconds: float) -> list[Result]:
    """Measures all contenders of a case."""
    streams = {name: make() for name, make in case.contenders.items()}
    results = {name: Result(name) for name in streams}
    for _ in range(rounds):
        for name, stream in streams.items():
            _round(case, stream, results[name], seconds)
    return list(results.values())


def _round(case: Case, stream: Batches, result: Result, seconds: float) -> None:
    for _ in range(_WARM_BATCHES):
        jax.block_until_ready(next(stream))
    cpu, start, items = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        jax.block_until_ready(next(stream))
        items += case.items_per_batch
    result.rate.append(items / (time.perf_counter() - start))
    result.cpu.append((time.process_time() - cpu) / items * 1e6)


def table(case: Case, results: list[Result]) -> str:
    """The medians, the spread over the rounds, and the ratio to the best hand-written loop."""
    hand = [r for r in results if r.name.startswith("by hand")]
    best_rate = max(statistics.median(r.rate) for r in hand)
    best_cpu = min(statistics.median(r.cpu) for r in hand)
    lines = [
        case.name,
        f"  {'contender':34} {'items/s':>10} {'spread':>7} {'of hand':>8} {'CPU us':>9} {'of hand':>8}",
    ]
    for result in results:
        rate, cpu = statistics.median(result.rate), statistics.median(result.cpu)
        spread = (max(result.rate) - min(result.rate)) / rate
        lines.append(
            f"  {result.name:34} {rate:10,.0f} {spread:7.0%} {rate / best_rate:8.2f} {cpu:9.2f} {best_cpu / cpu:8.2f}"
        )
    return "\n".join(lines)


def as_dict(case: Case, results: list[Result]) -> dict[str, Any]:
    """The same for JSON, round by round."""
    return {"case": case.name, "results": [asdict(result) for result in results]}


def endless(make_epoch: Callable[[], Iterator[Any]]) -> Batches:
    """One epoch after the other."""
    while True:
        yield from make_epoch()
