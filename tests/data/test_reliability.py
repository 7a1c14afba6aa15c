"""What a long run meets: kills, interrupts, thousands of starts, fifty epochs. Full counts behind `slow`."""

import gc
import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest

from artifex.data import BadRecordWarning, create_data_loader
from process_items import ENVIRONMENT, Items

SLOW = pytest.mark.slow

# Each batch's digest and the state behind it, in one line: what a run that is killed has left is whole lines.
RUN = """
    import hashlib, json, os, sys
    import numpy as np
    from artifex.data import create_data_loader

    file, batches = sys.argv[1], int(sys.argv[2])
    data = {"x": np.arange(1000, dtype=np.float32), "y": np.arange(1000)}
    loader = create_data_loader(data, 16, seed=7, repeat=2, sample_weights=np.arange(1, 1001), last="wrap")
    lines = open(file).read().splitlines() if os.path.exists(file) else []
    if lines and not lines[-1].endswith("}"):
        lines.pop()
    if lines:
        loader.restore(json.loads(lines[-1].split(" ", 1)[1]))
    print("begun", flush=True)
    with open(file, "a") as out:
        while len(lines) < batches:
            for batch in loader:
                digest = hashlib.sha256(np.asarray(batch["x"]).tobytes() + np.asarray(batch["index"]).tobytes())
                lines.append("")
                out.write(f"{digest.hexdigest()} {json.dumps(loader.state())}\\n")
                out.flush()
                if len(lines) == batches:
                    break
"""


def digests(file):
    return [line.split(" ", 1)[0] for line in file.read_text().splitlines() if line.endswith("}")]


@pytest.mark.parametrize("kills", [100, pytest.param(1000, marks=SLOW)])
def test_a_run_that_is_killed_again_and_again_gives_the_whole_stream(kills, tmp_path):
    script, rng = textwrap.dedent(RUN), random.Random(kills)
    batches = 40 * kills

    def run(file):
        command = [sys.executable, "-c", script, str(file), str(batches)]
        program = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        return program

    whole = run(tmp_path / "whole")
    assert whole.wait(600) == 0
    for _ in range(kills):
        program = run(tmp_path / "killed")
        time.sleep(rng.uniform(0, 0.05))
        program.send_signal(signal.SIGKILL)
        program.wait()
        _drop_a_broken_line(tmp_path / "killed")
    assert run(tmp_path / "killed").wait(600) == 0
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")


def _drop_a_broken_line(file: Path):
    text = file.read_text()
    file.write_text(text[: text.rfind("\n") + 1])


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=SLOW)])
def test_the_stream_is_the_same_however_often_a_process_that_reads_is_killed(kills):
    def stream(loader, kill):
        found, killed = hashlib.sha256(), 0
        while killed < kills:
            for batch in loader:
                found.update(np.asarray(batch["x"]).tobytes())
                killed += 1
                if kill:
                    victims = [c for c in multiprocessing.active_children() if c.name == "artifex-reader"]
                    if victims:
                        victims[killed % len(victims)].kill()
                if killed == kills:
                    break
        loader.close()
        return found.hexdigest()

    def loader():
        return create_data_loader(Items(60), 8, seed=3, num_workers=2, worker="process", prefetch=1)

    assert stream(loader(), kill=True) == stream(loader(), kill=False)


@pytest.mark.parametrize(
    "settings", [{"num_workers": n} for n in (0, 1, 4)] + [{"num_workers": 2, "worker": "process"}], ids=str
)
def test_of_many_records_exactly_the_good_ones_come_after_a_resume_too(settings):
    bad = set(random.Random(1).sample(range(500), 37))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadRecordWarning)
        loaders = [
            create_data_loader(Items(500, bad=bad), 16, seed=1, on_error="skip", **settings) for _ in range(2)
        ]
        batches = iter(loaders[0])
        seen = [number for _ in range(11) for number in _valid(next(batches))]
        loaders[1].restore(loaders[0].state())
        seen += [number for batch in loaders[1] for number in _valid(batch)]
    assert sorted(seen) == sorted(set(range(500)) - bad)


def _valid(batch):
    return np.asarray(batch["index"])[np.asarray(batch["valid"])].tolist()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_thousand_starts_and_stops_leave_nothing(num_workers):
    data = Items(16)
    process = psutil.Process()

    def cycles(count):
        for _ in range(count):
            batches = iter(create_data_loader(data, 4, num_workers=num_workers, prefetch=2))
            next(batches)
            batches.close()
        gc.collect()
        return threading.active_count(), process.num_fds(), len(process.children(recursive=True))

    assert all(many <= few for many, few in zip(cycles(1000), cycles(5), strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"num_workers": 0},
        {"num_workers": 2},
        {"cache": "memory"},
        pytest.param({"num_workers": 2, "worker": "process"}, marks=SLOW),
    ],
)
def test_fifty_epochs_take_no_more_memory_than_a_few(settings):
    data = [{"x": np.full(4096, i, np.float32)} for i in range(64)]
    loader = create_data_loader(data, 16, **settings)
    process, used = psutil.Process(), []
    for _ in range(50):
        for batch in loader:
            batch["x"].block_until_ready()
        used.append(process.memory_info().rss)
    slope = np.polyfit(np.arange(40), np.array(used[10:]) / 2**20, 1)[0]
    assert slope < 1, f"{slope:.2f} MiB an epoch"


def test_nothing_is_ever_forked(tmp_path):
    script = textwrap.dedent(
        """
        import os

        def fork():
            raise SystemExit("a fork")

        os.register_at_fork(before=fork)
        import jax.numpy as jnp
        from artifex.data import create_data_loader
        from process_items import Items

        jnp.ones(3).block_until_ready()
        for settings in ({"num_workers": 2}, {"num_workers": 2, "worker": "process"}):
            assert len(list(create_data_loader(Items(60), 8, **settings))) == 8
        """
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        env=ENVIRONMENT,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("worker", ["thread", "process"])
@pytest.mark.parametrize("cares", [True, False])
def test_control_c_ends_a_program_with_what_it_says_itself_or_python_says(cares, worker):
    script = textwrap.dedent(
        f"""
        import signal, sys
        from artifex.data import create_data_loader
        from process_items import Items

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
        loader = create_data_loader(Items(60), 8, num_workers=2, worker={worker!r})
        try:
            while True:
                for batch in loader:
                    pass
                print("epoch", flush=True)
        except {"KeyboardInterrupt" if cares else "ZeroDivisionError"}:
            sys.exit("stopped")
        """
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=ENVIRONMENT,
    )
    assert program.stdout is not None
    while program.stdout.readline() != "epoch\n":
        pass
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does: to the processes that read too
    _, errors = program.communicate(timeout=20)
    if cares:
        assert (program.returncode, errors) == (1, "stopped\n")
        return
    assert program.returncode == -signal.SIGINT
    lines = errors.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and lines[-1] == "KeyboardInterrupt"
    # One error, where the program's loop stood: nothing of threads, processes, or what is being closed.
    assert errors.count("Traceback") == 1 and 'File "<string>"' in lines[1]
    assert not any(word in errors for word in ("ignored", "leaked", "Warning", "During handling"))


def test_a_state_is_plain_json():
    loader = create_data_loader(Items(60), 8, on_error="skip")
    next(iter(loader))
    assert json.loads(json.dumps(loader.state())) == loader.state()
