"""The chart of a run: `python -m benchmarks.chart RESULTS.json [LATER.json ...] OUT.png`.

It is drawn in the environment "chart".
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import MEASURES, CaseResults, Result, newest, number

COLOURS = {"hand": "#8a8f98", "artifex": "#d1495b", "peer": "#30638e"}
CUT = 10
"""Bars longer than this many times the shortest are cut."""

_NAMES = {"wall": "wall clock", "cpu": "CPU"}


def main() -> None:
    *sources, target = map(Path, sys.argv[1:])
    draw(newest(*(json.loads(path.read_text()) for path in sources)), target)


def draw(cases: list[CaseResults], path: Path) -> None:
    """A row for each case, a bar for each contender; shorter is better."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cases = [case for case in cases if any(r.is_measured for r in case.results)]
    heights = [len(case.of("hand", "artifex", "peer")) + 3 for case in cases]
    figure, axes = plt.subplots(
        len(cases),
        2,
        squeeze=False,
        figsize=(13, 0.24 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    for case, pair in zip(cases, axes, strict=True):
        for measure, axis in zip(MEASURES, pair, strict=True):
            _bars(axis, case, measure)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _bars(axis: Any, case: CaseResults, measure: str) -> None:
    found = sorted(case.of("hand", "artifex", "peer"), key=lambda r: r.median(measure), reverse=True)
    values = [result.median(measure) for result in found]
    end = min(max(values), CUT * min(values))
    lengths = [min(value, end) for value in values]
    bars = axis.barh([_label(r) for r in found], lengths, color=[COLOURS[r.kind] for r in found], height=0.7)
    labels = [number(v) + (" (cut)" if v > end else "") for v in values]
    axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_xlim(0, end * 1.2)
    axis.tick_params(labelsize=8)
    axis.set_xlabel(f"{_NAMES[measure]}, microseconds per {case.item}", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    if measure == "wall":
        axis.set_title(case.title, loc="left", fontsize=9, fontweight="bold")


def _label(result: Result) -> str:
    return result.name if result.antialiased else f"{result.name} *"


if __name__ == "__main__":
    main()
