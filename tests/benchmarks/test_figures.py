"""Medians, ratios, tables, losses, regressions and the page, worked out by hand."""

import json
from pathlib import Path

import pytest
from benchmarks.figures import CaseResults, Result, losses, number, rows, table
from benchmarks.page import losses_section, page

from benchmarks import baseline


def result(name: str, kind: str, wall: list[float], cpu: list[float], **more) -> Result:
    return Result(name, kind, wall=wall, cpu=cpu, **more)


def case(*results: Result, **more) -> CaseResults:
    values = {"name": "c", "group": "g", "title": "a case", "item": "image", "has_first_batch": True}
    return CaseResults(**(values | more), results=list(results))


@pytest.fixture
def example() -> CaseResults:
    return case(
        result("by hand: slow", "hand", [8, 8, 8], [4, 4, 4], first_batch=[0.5], peak_mb=100),
        result("by hand: quick", "hand", [4, 5, 4], [6, 6, 6], first_batch=[0.1], peak_mb=300),
        result("artifex", "artifex", [5, 4, 6], [8, 8, 8], first_batch=[0.4], peak_mb=200),
        result("peer", "peer", [10, 10, 10], [2, 2, 2], first_batch=[0.8], peak_mb=400, antialiased=False),
        result("broken", "peer", [], [], error="it died"),
    )


def test_ratios_are_to_the_best_of_a_kind_by_each_measure(example: CaseResults):
    ours = example.results[2]
    assert ours.median("wall") == 5
    assert ours.spread("wall") == pytest.approx(0.4)
    # The best loop by hand is another one by wall clock (4) than by CPU (4 of the slow one).
    assert example.ratio(ours, "hand", "wall") == pytest.approx(4 / 5)
    assert example.ratio(ours, "hand", "cpu") == pytest.approx(4 / 8)
    assert example.ratio(ours, "peer", "wall") == pytest.approx(10 / 5)
    assert case(ours).ratio(ours, "hand", "wall") is None


def test_the_table(example: CaseResults):
    ours = rows(example)[2]
    assert ours == ("artifex", "200,000", "40%", "0.80", "8", "0%", "0.50", "0.40", "200")
    assert rows(example)[3][0] == "peer *"
    text = table(example)
    assert "images/s" in text
    assert "broken: FAILED: it died" in text
    assert "* not antialiased" in text
    assert len({len(line) for line in text.splitlines()[1:6]}) == 1
    assert rows(case(*example.results, has_first_batch=False))[0][7] == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.01234, "0.0123"), (1.234, "1.23"), (99.96, "100"), (1234.4, "1,234")]
)
def test_numbers(value: float, text: str):
    assert number(value) == text


def test_losses_are_all_that_is_ahead_of_us(example: CaseResults):
    found = {(measure, other.name): ratio for _, _, measure, other, ratio, _ in losses([example])}
    assert found == {
        ("wall", "by hand: quick"): pytest.approx(5 / 4),
        ("cpu", "by hand: slow"): pytest.approx(2),
        ("cpu", "by hand: quick"): pytest.approx(8 / 6),
        ("cpu", "peer"): pytest.approx(4),
        ("first_batch", "by hand: quick"): pytest.approx(4),
        ("peak_mb", "by hand: slow"): pytest.approx(2),
    }


def test_the_section_of_losses(example: CaseResults):
    text = losses_section([example])
    assert "| peer | CPU | 4.00 | not antialiased |" in text
    # 1.25 times is less than the 40 % from our fastest round to our slowest.
    assert "| by hand: quick | wall clock | 1.25 | within the spread |" in text
    assert text.index("| 4.00 |") < text.index("| 1.25 |")
    ahead = case(result("artifex", "artifex", [1], [1]), result("peer", "peer", [2], [2]))
    assert "Nowhere" in losses_section([ahead])


def test_regressions_are_falls_beyond_the_spread(example: CaseResults):
    assert baseline.ratios([example]) == {
        "c: artifex": {"hand wall": 0.8, "hand cpu": 0.5, "peer wall": 2, "peer cpu": 0.25}
    }
    kept = {"hand wall": 1.0, "hand cpu": 0.55, "peer wall": 4.0, "peer cpu": 0.5, "hand gone": 1.0}
    del kept["hand gone"]
    lines = baseline.regressions([example], {"c: artifex": kept})
    # hand wall fell by 20 % and hand cpu by 9 %: within 40 % of spread, and within 15 %.
    assert [line.split(": ")[2].split(",")[0] for line in lines] == [
        "wall was 4.00 of the best peer",
        "cpu was 0.50 of the best peer",
    ]
    assert all(line.startswith("REGRESSION c: artifex") for line in lines)
    assert baseline.regressions([example], {}) == []


def test_a_contender_of_ours_that_fails_is_a_regression():
    failed = case(result("artifex", "artifex", [], [], error="it died"))
    assert baseline.regressions([failed], {}) == ["REGRESSION c: artifex: failed: it died"]


def test_a_baseline_keeps_what_was_not_measured(example: CaseResults, tmp_path: Path):
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"other: artifex": {"hand wall": 1.0}, "c: artifex": {"hand wall": 9.0}}))
    baseline.save([example], path)
    kept = baseline.load(path)
    assert kept["other: artifex"] == {"hand wall": 1.0}
    assert kept["c: artifex"]["hand wall"] == 0.8
    assert baseline.load(tmp_path / "none.json") == {}


def test_results_survive_json(example: CaseResults):
    assert CaseResults.from_dict(json.loads(json.dumps(example.as_dict()))) == example


def test_the_page_holds_every_case_failure_and_setting(example: CaseResults):
    example.results[2].setting = "no settings"
    machine = {
        "cores": 2,
        "cpu": "a CPU",
        "system": "Linux",
        "python": "3.11",
        "versions": {"jax": "1"},
        "load": 0.5,
    }
    run = {"started": "2026-01-02 03:04:05", "starts": 2, "rounds": 3, "seconds": 1.0, "machine": machine}
    text = page(run | {"cases": [example.as_dict()]}, has_picture=False)
    assert "### A case" in text
    assert "broken failed: it died" in text
    assert "| artifex | no settings |" in text
    assert "2026-01-02, 2 cores (a CPU, Linux),\nload 0.5" in text
    assert "| peer \\* |" in text
    assert "benchmarks.png" not in text
    assert text.index("Where Artifex loses") < text.index("All figures")

    example.results[2].wall = [1.0, 1.0, 1.0]
    later = run | {"started": "2026-01-03 03:04:05", "cases": [example.as_dict()]}
    again = page(run | {"cases": [json.loads(json.dumps(example.as_dict()))]}, later, has_picture=False)
    assert "Measured again, 2026-01-03" in again and ": c.\n" in again
    assert "| artifex | 1,000,000 |" in again and again.count("### A case") == 1

    last = later | {"started": "2026-01-04 03:04:05"}
    both = page(run | {"cases": [json.loads(json.dumps(example.as_dict()))]}, later, last, has_picture=False)
    assert "2026-01-04" in both and "2026-01-03" not in both, "nothing of that run stands any more"
