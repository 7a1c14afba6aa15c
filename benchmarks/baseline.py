"""The baseline: how we stood to the best of the others, kept to be held against later runs.

Ratios alone are kept, for they hold on another machine where microseconds do not.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.figures import MEASURES, CaseResults, Result

PATH = Path(__file__).with_name("baseline.json")

ALLOWED = 0.15
"""A ratio may fall by this share, or by the spread of the run where that is larger."""

Ratios = dict[str, dict[str, float]]


def ratios(cases: list[CaseResults]) -> Ratios:
    """ "case: contender" -> "hand wall", "peer cpu" ... -> how many times as fast as the best of these we are."""
    found: Ratios = {}
    for case in cases:
        for ours in case.of("artifex"):
            values = {f"{kind} {measure}": case.ratio(ours, kind, measure) for kind, measure in _PAIRS}
            found[f"{case.name}: {ours.name}"] = {k: round(v, 4) for k, v in values.items() if v is not None}
    return found


_PAIRS = [(kind, measure) for kind in ("hand", "peer") for measure in MEASURES]


def regressions(cases: list[CaseResults], before: Ratios) -> list[str]:
    """One line for each ratio that fell further than it may; also for a contender of ours that has failed."""
    now, lines = ratios(cases), []
    for case in cases:
        for ours in (r for r in case.results if r.kind == "artifex"):
            key = f"{case.name}: {ours.name}"
            if ours.error is not None:
                lines.append(f"REGRESSION {key}: failed: {ours.error}")
            for pair, was in before.get(key, {}).items():
                lines += _fallen(case, ours, pair, was, now.get(key, {}).get(pair))
    return lines


def _fallen(case: CaseResults, ours: Result, pair: str, was: float, value: float | None) -> list[str]:
    if value is None:  # that kind did not take part this time
        return []
    kind, measure = pair.split()
    best = case.best(kind, measure)
    assert best is not None
    allowed = max(ALLOWED, ours.spread(measure), best.spread(measure))
    fell = 1 - value / was
    if fell <= allowed:
        return []
    return [
        f"REGRESSION {case.name}: {ours.name}: {measure} was {was:.2f} of the best {kind}, is {value:.2f} "
        f"({best.name}): {fell:.0%} less, allowed {allowed:.0%}"
    ]


def load(path: Path = PATH) -> Ratios:
    """The kept ratios; none where there is no baseline."""
    return json.loads(path.read_text()) if path.exists() else {}


def save(cases: list[CaseResults], path: Path = PATH) -> None:
    """Keeps the ratios of these cases; those of others stay as they were."""
    kept: dict[str, Any] = {**load(path), **ratios(cases)}
    path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
