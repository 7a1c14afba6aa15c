"""A case is measured in turn, A B C A B C: only the ratios within a run mean anything."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import environment
from benchmarks.environment import CannotMakeError
from benchmarks.figures import CaseResults, Result, number
from benchmarks.imports import time_import
from benchmarks.processes import Child, FailedError
from benchmarks.registry import Case, Contender

FIRST_BATCH_LIMIT = 120.0
"""Seconds after which a contender that has shown no batch has failed."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        home: where environments, data and logs go.
        rounds: measurements of each contender after one start.
        seconds: of one measurement, at least.
        starts: processes of each contender, one after another: one may be faster than the next, by as much as the
            differences that are looked for.
        limit: seconds until the first batch, or beyond `seconds`, after which a contender has failed.
        registry: where the processes of contenders find the cases.
        variables: more of the environment of these processes.
    """

    home: Path
    rounds: int
    seconds: float
    starts: int = 1
    limit: float = FIRST_BATCH_LIMIT
    registry: str = "benchmarks.cases:all_cases"
    variables: dict[str, str] | None = None


def measure(case: Case, settings: Settings) -> CaseResults:
    """What each contender of a case does; one that fails is noted, and the others go on."""
    print(f"{case.name}: {case.title}", flush=True)
    results = [Result(c.name, c.kind, c.environment, c.setting, c.antialiased) for c in case.contenders]
    found = CaseResults(case.name, case.group, case.title, case.item, case.has_first_batch, results)
    turns = _imports if case.is_import else _batches
    turns(case, results, settings)
    return found


def _imports(case: Case, results: list[Result], settings: Settings) -> None:
    # Once for nothing: the files of a package are in memory from then on.
    for turn in range(settings.starts * settings.rounds + 1):
        for contender, result in zip(case.contenders, results, strict=True):
            if result.error is None:
                _import_once(contender, result, settings, counts=turn > 0)


def _import_once(contender: Contender, result: Result, settings: Settings, *, counts: bool) -> None:
    try:
        python = environment.python_of(contender.environment, settings.home)
        times = time_import(python, contender.function, settings.limit)
    except (CannotMakeError, RuntimeError) as error:
        _fail(result, error)
        return
    if counts:
        result.wall.append(times["wall"])
        result.cpu.append(times["cpu"])
        result.peak_mb = max(result.peak_mb or 0, times["peak_mb"])
    else:
        print(f"  {result.name}: {number(times['wall'] / 1e6)} s", flush=True)


def _batches(case: Case, results: list[Result], settings: Settings) -> None:
    work = case.make(settings.home)  # the data are made here, once, and found by all
    for start in range(settings.starts):
        if settings.starts > 1:
            print(f"  start {start + 1} of {settings.starts}", flush=True)
        _one_start(case, results, settings, work)


def _one_start(case: Case, results: list[Result], settings: Settings, work: Any) -> None:
    children: dict[str, Child] = {}
    try:
        for contender, result in zip(case.contenders, results, strict=True):
            if result.error is None:
                _start(case, contender, result, settings, children, work)
        for turn in range(settings.rounds):
            for result in results:
                if result.name in children:
                    _turn(children, result, settings.seconds)
            print(f"  round {turn + 1} of {settings.rounds}", flush=True)
        for result in results:
            if child := children.pop(result.name, None):
                child.quit()
                result.peak_mb = max(result.peak_mb or 0, child.peak_mb)
    finally:
        for child in children.values():
            child.kill()


def _start(
    case: Case,
    contender: Contender,
    result: Result,
    settings: Settings,
    children: dict[str, Child],
    work: Any,
) -> None:
    words = re.sub(r"\W+", "-", contender.name)
    try:
        python = environment.python_of(contender.environment, settings.home)
    except CannotMakeError as error:
        _fail(result, error)
        return
    child = Child(
        python,
        [settings.registry, str(settings.home), case.name, contender.name],
        settings.home / "logs" / case.name / f"{words}.txt",
        limit=settings.limit,
        environment=settings.variables,
    )
    children[contender.name] = child
    try:
        ready = child.ready()
        _compare(case, work, ready.get("first_batch"))
    except (FailedError, TypeError, ValueError) as error:
        children.pop(contender.name).kill()
        _fail(result, error)
        return
    result.import_s.append(ready["import_s"])
    result.first_batch.append(ready["first_batch_s"])
    print(f"  {contender.name}: first batch after {number(ready['first_batch_s'])} s", flush=True)


def _compare(case: Case, work: Any, path: str | None) -> None:
    if case.compare is not None and path is not None:
        first = np.load(path)
        Path(path).unlink()
        case.compare(work, first)


def _turn(children: dict[str, Child], result: Result, seconds: float) -> None:
    child = children[result.name]
    try:
        answer = child.run(seconds)
    except FailedError as error:
        children.pop(result.name).kill()
        _fail(result, error)
        return
    result.wall.append(answer["wall"])
    result.cpu.append(answer["cpu"])


def _fail(result: Result, error: Exception) -> None:
    result.error = str(error)
    print(f"  {result.name}: FAILED: {error}", flush=True)
