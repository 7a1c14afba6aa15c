"""`make bench`, or `make bench ARGS="jpeg --rounds 9"`."""

import argparse
import json
import time
from pathlib import Path

from benchmarks import arrays, jpeg
from benchmarks.measure import Case, as_dict, run, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "only", nargs="*", choices=["arrays", "jpeg", []], help="arrays, jpeg; both by default"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one contender in one round")
    parser.add_argument("--home", type=Path, default=Path(".bench"), help="where data and results go")
    options = parser.parse_args()
    cases: list[Case] = []
    if "jpeg" in options.only or not options.only:
        cases += jpeg.cases(options.home / "photographs")
    if "arrays" in options.only or not options.only:
        cases += arrays.cases()
    records = []
    for case in cases:
        results = run(case, rounds=options.rounds, seconds=options.seconds)
        print(table(case, results), flush=True)
        records.append(as_dict(case, results))
    path = options.home / time.strftime("results-%Y%m%d-%H%M%S.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=1))
    print(f"written to {path}")


if __name__ == "__main__":
    main()
