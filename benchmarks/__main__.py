"""`make bench`, or `make bench ARGS="arrays jpeg --only artifex,grain --rounds 5 --seconds 2"`."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import baseline, environment, machine
from benchmarks.cases import all_cases
from benchmarks.environment import CannotMakeError
from benchmarks.figures import CaseResults, table
from benchmarks.measure import FIRST_BATCH_LIMIT, Settings, measure
from benchmarks.registry import Case, selected


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", help="groups or cases, see --list; all by default")
    parser.add_argument("--list", action="store_true", help="show the cases and who takes part")
    parser.add_argument(
        "--only", default="", help="contenders, by kind, environment or beginning of the name"
    )
    parser.add_argument("--without-peers", action="store_true", help="nothing that needs another environment")
    parser.add_argument("--starts", type=int, default=2, help="processes of one contender, one after another")
    parser.add_argument("--rounds", type=int, default=3, help="of each of these")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one contender in one round")
    parser.add_argument(
        "--limit", type=float, default=FIRST_BATCH_LIMIT, help="seconds until the first batch"
    )
    parser.add_argument("--home", type=Path, default=Path(".bench"), help="environments, data and results")
    parser.add_argument("--no-chart", action="store_true")
    parser.add_argument("--save-baseline", action="store_true", help="keep the ratios of this run")
    parser.add_argument("--strict", action="store_true", help="a regression is an error")
    options = parser.parse_args()
    if min(options.starts, options.rounds) < 1 or options.seconds <= 0:
        parser.error("`--starts` and `--rounds` must be 1 or more, and `--seconds` above 0")
    return options


def main() -> int:
    options = _options()
    only = [word.strip() for word in options.only.split(",") if word.strip()]
    cases = selected(all_cases(), options.cases, only, with_peers=not options.without_peers)
    if not any(case.contenders for case in cases):
        sys.exit(f"no contender is called {options.only!r}; see `--list`")
    if options.list:
        _show(cases)
        return 0
    settings = Settings(
        options.home.absolute(), options.rounds, options.seconds, options.starts, options.limit
    )
    run: dict[str, Any] = {
        "machine": machine.describe(),
        "starts": options.starts,
        "rounds": options.rounds,
        "seconds": options.seconds,
    }
    started, results = time.strftime("%Y-%m-%d %H:%M:%S"), []
    for case in cases:
        results.append(measure(case, settings))
        print(f"\n{table(results[-1])}\n", flush=True)
    path = _write(run | {"started": started, "cases": [r.as_dict() for r in results]}, settings.home)
    if not options.no_chart:
        _draw(path, settings.home)
    return _compare(results, options)


def _show(cases: list[Case]) -> None:
    for case in cases:
        print(f"{case.name}: {case.title}")
        for contender in case.contenders:
            print(f"  {contender.name:34} {contender.environment or '-':16} {contender.setting}")


def _write(run: dict[str, Any], home: Path) -> Path:
    path = home / "results" / f"{run['started'].translate(str.maketrans(' ', '-', ':'))}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1))
    print(f"written to {path}")
    return path


def _draw(path: Path, home: Path) -> None:
    picture = path.with_suffix(".png")
    try:
        python = environment.python_of("chart", home)
    except CannotMakeError as error:
        print(f"no chart: {error}")
        return
    command = [str(python), "-m", "benchmarks.chart", str(path), str(picture)]
    drawn = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    print(f"drawn to {picture}" if drawn.returncode == 0 else f"no chart: {drawn.stderr[-500:]}")


def _compare(results: list[CaseResults], options: argparse.Namespace) -> int:
    if options.save_baseline:
        baseline.save(results)
        print(f"baseline kept in {baseline.PATH}")
        return 0
    lines = baseline.regressions(results, baseline.load())
    print("\n".join(lines) if lines else "no regressions")
    return 1 if lines and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
