"""Figures of a run: medians, spreads, ratios, tables."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

MEASURES = ("wall", "cpu")


@dataclass
class Result:
    """What one contender did.

    Attributes:
        wall: microseconds per item by wall clock, one a round.
        cpu: microseconds of CPU per item, of all processes, one a round.
        first_batch: seconds from the making of the pipeline to its first batch, without imports, one a start.
        import_s: seconds of its imports, after JAX, one a start.
        peak_mb: of memory, of all processes; what they share is counted in each.
        error: why it failed, or None.
    """

    name: str
    kind: str
    environment: str | None = None
    setting: str = ""
    antialiased: bool = True
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    first_batch: list[float] = field(default_factory=list)
    import_s: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    error: str | None = None

    @property
    def is_measured(self) -> bool:
        return self.error is None and bool(self.wall)

    def median(self, measure: str) -> float:
        """Of "wall" or "cpu", in microseconds per item, or of "first_batch", in seconds."""
        return statistics.median(getattr(self, measure))

    def spread(self, measure: str) -> float:
        """From the smallest to the largest, as a share of the median."""
        values = getattr(self, measure)
        return (max(values) - min(values)) / statistics.median(values)


@dataclass
class CaseResults:
    """A case and what its contenders did."""

    name: str
    group: str
    title: str
    item: str
    has_first_batch: bool
    results: list[Result]

    def of(self, *kinds: str) -> list[Result]:
        """Those of these kinds that were measured."""
        return [r for r in self.results if r.kind in kinds and r.is_measured]

    def best(self, kind: str, measure: str) -> Result | None:
        """The one of a kind with the least median."""
        return min(self.of(kind), key=lambda r: r.median(measure), default=None)

    def ratio(self, result: Result, kind: str, measure: str) -> float | None:
        """How many times as fast it is as the best of a kind; above 1 it is ahead."""
        best = self.best(kind, measure)
        return None if best is None else best.median(measure) / result.median(measure)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "CaseResults":
        return cls(**{**values, "results": [Result(**r) for r in values["results"]]})


def newest(run: dict[str, Any], *later: dict[str, Any]) -> list[CaseResults]:
    """The cases of a run, those of later runs in the place of the same ones."""
    newer = {case.name: case for one in later for case in from_run(one)}
    return [newer.get(case.name, case) for case in from_run(run)]


def from_run(run: dict[str, Any]) -> list[CaseResults]:
    """The cases of a run's JSON."""
    return [CaseResults.from_dict(case) for case in run["cases"]]


HEADER = ("contender", "/s", "spread", "x hand", "CPU us", "spread", "x hand", "first s", "MB")


def rows(case: CaseResults) -> list[tuple[str, ...]]:
    """The cells of a table, without those that failed; a star marks pictures that were not antialiased."""
    return [_row(case, result) for result in case.results if result.is_measured]


def _row(case: CaseResults, result: Result) -> tuple[str, ...]:
    def ratio(measure: str) -> str:
        value = case.ratio(result, "hand", measure)
        return "" if value is None else f"{value:.2f}"

    first = _value(case, result, "first_batch")
    return (
        result.name + ("" if result.antialiased else " *"),
        number(1e6 / result.median("wall")),
        f"{result.spread('wall'):.0%}",
        ratio("wall"),
        number(result.median("cpu")),
        f"{result.spread('cpu'):.0%}",
        ratio("cpu"),
        "" if first is None else f"{first:.2f}",
        "" if not result.peak_mb else f"{result.peak_mb:,.0f}",
    )


def number(value: float) -> str:
    """Three digits or more: 0.0123, 1.23, 12.3, 1,234."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(case: CaseResults) -> str:
    """For the terminal."""
    cells = [(*HEADER[:1], case.item + "s" + HEADER[1], *HEADER[2:]), *rows(case)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADER))]
    lines = [case.title]
    for name, *values in cells:
        columns = (value.rjust(width) for value, width in zip(values, widths[1:], strict=True))
        lines.append(f"  {name.ljust(widths[0])}  {'  '.join(columns)}")
    lines += [f"  {r.name}: FAILED: {r.error}" for r in case.results if r.error is not None]
    if any(not r.antialiased for r in case.results):
        lines.append("  * not antialiased, which is less work")
    return "\n".join(lines)


def losses(cases: Iterable[CaseResults]) -> list[tuple[CaseResults, Result, str, Result, float, float]]:
    """Each time someone is ahead of us: case, ours, measure, the other, its ratio, the spread of the two.

    The measures are "wall", "cpu", "first_batch" and "peak_mb"; the ratio is ours by the other's, above 1.
    """
    found = []
    for case in cases:
        for ours in case.of("artifex"):
            for measure in (*MEASURES, "first_batch", "peak_mb"):
                for other in case.of("hand", "peer"):
                    mine, its = _value(case, ours, measure), _value(case, other, measure)
                    if mine and its and mine / its >= 1.005:
                        spread = (
                            0 if measure == "peak_mb" else max(ours.spread(measure), other.spread(measure))
                        )
                        found.append((case, ours, measure, other, mine / its, spread))
    return found


def _value(case: CaseResults, result: Result, measure: str) -> float | None:
    if measure == "peak_mb":
        return result.peak_mb
    if measure == "first_batch" and not (case.has_first_batch and result.first_batch):
        return None
    return result.median(measure)
