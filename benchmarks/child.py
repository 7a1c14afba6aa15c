"""The process of one contender: `python -m benchmarks.child REGISTRY HOME CASE CONTENDER`.

It says one line of JSON when the first batch is there, one for each line `run SECONDS` that it reads, and one
for `quit`. An error is a line {"error": ...}, and the end.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.registry import Case, find


def main() -> None:
    registry, home, case_name, contender_name = sys.argv[1:]
    # What libraries print goes where errors go.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    status = 1
    try:
        case = next(c for c in find(registry)() if c.name == case_name)
        _serve(case, contender_name, Path(home), say)
        status = 0
    except Exception as error:
        traceback.print_exc()
        say({"error": f"{type(error).__name__}: {error}"[:300]})
    for process in psutil.Process().children(recursive=True):
        process.kill()
    os._exit(status)  # threads that wait for each other at the end of an interpreter are none of our affair


def _serve(case: Case, contender_name: str, home: Path, say: Any) -> None:
    contender = next(c for c in case.contenders if c.name == contender_name)
    work = case.make(home)
    block = _jax()
    clock = time.perf_counter()
    for module in contender.imports:
        importlib.import_module(module)
    make = find(contender.function)
    if contender.before:
        find(contender.before)()
    import_s = time.perf_counter() - clock

    clock = time.perf_counter()
    batches = make(work, **contender.options)
    first = block(next(batches))
    first_batch_s = time.perf_counter() - clock
    path = home / "logs" / case.name / f"{os.getpid()}.npy"
    say({"import_s": import_s, "first_batch_s": first_batch_s, **_checked(case, first, path)})
    del first
    for _ in range(case.warm_batches):  # workers that are not yet all there are no affair of the first round
        block(next(batches))
    cpu = _cpu_seconds()
    for line in sys.stdin:
        if line.split()[0] == "quit":
            break
        answer, cpu = _measure(case, batches, block, float(line.split()[1]), cpu)
        say(answer)
    say({"peak_mb": _own_peak_mb()})


def _jax() -> Any:
    """What waits for the arrays of a batch, with the device made ready, which is nobody's merit."""
    if os.environ.get("BENCHMARKS_WITHOUT_JAX"):
        return lambda batch: batch
    import jax

    jax.devices()

    def block(batch: Any) -> Any:
        # Not for lists of strings, which are there: JAX would ask each of them.
        jax.block_until_ready(
            [v for v in batch.values() if not isinstance(v, list)] if isinstance(batch, dict) else batch
        )
        return batch

    return block


def _measure(
    case: Case, batches: Iterator[Any], block: Any, seconds: float, cpu_before: float
) -> tuple[dict[str, float], float]:
    """Wall clock: of batches after those that had been made ahead. CPU: of all since the last time."""
    for _ in range(case.warm_batches):
        block(next(batches))
    clock, count = time.perf_counter(), 0
    while count < case.least_batches or time.perf_counter() - clock < seconds:
        block(next(batches))
        count += 1
    wall, cpu = time.perf_counter() - clock, _cpu_seconds()
    items = count * case.items_per_batch
    all_items = items + case.warm_batches * case.items_per_batch
    answer = {"wall": wall / items * 1e6, "cpu": (cpu - cpu_before) / all_items * 1e6, "items": items}
    return answer, cpu


def _checked(case: Case, batch: Any, path: Path) -> dict[str, str]:
    """Whether a batch is what all others give: a contender that does less is none.

    What only the bench itself can judge is left in a file, which the answer names.
    """
    array = batch
    if isinstance(batch, (dict, tuple)):
        array = batch[case.field] if isinstance(batch, dict) else batch[0]
    if case.check is not None:
        case.check(array)
    if case.compare is None:
        return {}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(array))
    return {"first_batch": str(path)}


def _cpu_seconds() -> float:
    """Of this process and all that it has started; the own ones finer than the hundredths that a system counts."""
    own = psutil.Process()
    times = own.cpu_times()
    total = time.process_time() + times.children_user + times.children_system
    for process in own.children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _own_peak_mb() -> float:
    # Not `getrusage`: its peak is inherited from the process that started this one.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        return 0.0


if __name__ == "__main__":
    main()
