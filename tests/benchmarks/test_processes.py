"""Contenders as processes, with fakes: one works, the others fail in every way there is, and the rest goes on."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from benchmarks.cases import all_cases
from benchmarks.measure import Settings, measure
from benchmarks.processes import Child, FailedError

sys.path.insert(0, str(Path(__file__).parent))
from fake_contenders import cases

VARIABLES = {"BENCHMARKS_WITHOUT_JAX": "1", "PYTHONPATH": str(Path(__file__).parent)}
REGISTRY = "fake_contenders:cases"


def start(contender: str, home: Path, limit: float = 20) -> Child:
    arguments = [REGISTRY, str(home), "fake", contender]
    log = home / f"{contender}.txt"
    return Child(Path(sys.executable), arguments, log, limit=limit, environment=VARIABLES)


def is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def test_a_contender_is_measured_stopped_between_its_turns_and_ended_with_its_workers(tmp_path: Path):
    child = start("with_a_worker", tmp_path)
    try:
        assert child.ready()["first_batch_s"] > 0
        worker = int((tmp_path / "worker").read_text())
        time.sleep(0.1)
        assert is_stopped(worker)
        answer = child.run(0.1)
        # Batches of 10 things, each after a millisecond of sleep.
        assert answer["items"] % 10 == 0
        assert answer["wall"] >= 100
        assert answer["items"] <= 0.2 / 0.001 * 10
        assert 0 <= answer["cpu"] < answer["wall"]
        child.quit()
        # Two interpreters at least.
        assert child.peak_mb > 10
        assert not is_alive(worker)
    finally:
        child.kill()


@pytest.mark.parametrize(
    ("contender", "message"),
    [("dies_at_first", "died with status 3: the last words"), ("raises", "ValueError: no such data")],
)
def test_one_that_fails_says_why(tmp_path: Path, contender: str, message: str):
    child = start(contender, tmp_path)
    try:
        with pytest.raises(FailedError, match=message):
            child.ready()
    finally:
        child.kill()


def test_one_that_is_late_has_failed_and_leaves_no_worker(tmp_path: Path):
    child, before = start("hangs", tmp_path, limit=1), time.monotonic()
    try:
        with pytest.raises(FailedError, match="took over 1 s for the first batch"):
            child.ready()
    finally:
        child.kill()
    assert time.monotonic() - before < 5
    # Its worker was running, and has gone with it.
    worker, deadline = int((tmp_path / "worker").read_text()), time.monotonic() + 3
    while time.monotonic() < deadline and is_alive(worker):
        time.sleep(0.02)
    assert not is_alive(worker)


def test_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    case, _ = cases()
    wanted = ("good", "raises", "dies_later")
    case = replace(case, contenders=tuple(c for c in case.contenders if c.name in wanted))
    settings = Settings(
        tmp_path, rounds=2, seconds=0.05, starts=2, limit=20, registry=REGISTRY, variables=VARIABLES
    )
    results = {r.name: r for r in measure(case, settings).results}
    assert len(results["good"].wall) == len(results["good"].cpu) == 4
    assert len(results["good"].first_batch) == len(results["good"].import_s) == 2
    assert results["good"].error is None
    assert results["good"].peak_mb is not None
    assert results["good"].peak_mb > 5
    # The first round's batches are the last that it has.
    assert results["dies_later"].error == "died with status 4"
    assert results["raises"].error == "ValueError: no such data"
    assert capsys.readouterr().out.count("raises: FAILED: ValueError") == 1  # it is not started again
    assert not [p for p in psutil.Process(os.getpid()).children() if "benchmarks.child" in p.cmdline()]


def test_one_whose_first_batch_is_another_has_failed(tmp_path: Path):
    _, case = cases()
    settings = Settings(tmp_path, rounds=1, seconds=0.05, limit=20, registry=REGISTRY, variables=VARIABLES)
    results = {r.name: r for r in measure(case, settings).results}
    assert results["counts"].is_measured
    assert results["miscounts"].error == "[1, 2, 3] is not [0, 1, 2]"
    # What was written to be looked at is gone.
    assert {path.suffix for path in (tmp_path / "logs" / "compared").iterdir()} == {".txt"}


def test_a_case_of_the_bench_itself(tmp_path: Path):
    case = next(c for c in all_cases() if c.name == "resume-50")
    case = replace(case, contenders=tuple(c for c in case.contenders if c.environment is None))
    results = measure(case, Settings(tmp_path, rounds=1, seconds=0.05)).results
    assert [(r.kind, r.error) for r in results] == [("hand", None), ("artifex", None)]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
