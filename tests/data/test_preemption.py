"""Ending at a batch boundary when a signal comes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError

DATA = {"x": np.arange(40)}


def loader(data=DATA, **settings):
    return create_data_loader(data, 4, seed=2, **settings)


def test_the_state_is_handed_over_at_the_next_boundary_and_the_rest_is_the_rest():
    whole = [batch["x"].tolist() for batch in loader()]
    run, saved, got = loader(), [], []
    with run.stop_on(signal.SIGUSR2, save=saved.append):
        while not run.is_stopped:
            for batch in run:
                got.append(batch["x"].tolist())
                if len(got) == 3:
                    os.kill(os.getpid(), signal.SIGUSR2)
    assert (len(got), len(saved)) == (3, 1)
    again = loader()
    again.restore(json.loads(json.dumps(saved[0])))
    assert got + [batch["x"].tolist() for batch in again] == whole


class Slow:
    def __init__(self):
        self.is_slow = threading.Event()

    def __len__(self):
        return 40

    def __getitem__(self, number):
        if self.is_slow.is_set():
            time.sleep(2)
        return {"x": np.int32(number)}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_it_does_not_wait_for_a_slow_batch(num_workers):
    data = Slow()
    run, saved = loader(data, num_workers=num_workers, prefetch=1), []
    with run.stop_on(signal.SIGUSR2, save=saved.append):
        batches = iter(run)
        next(batches)
        data.is_slow.set()
        if num_workers:
            next(batches)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        begun = time.monotonic()
        for _ in batches:
            if num_workers:  # it had been read ahead
                continue
            pytest.fail("a batch came after the signal")
        assert saved and time.monotonic() - begun < 60
    assert run.is_stopped


def test_leaving_the_loop_hands_the_state_over_too_and_handlers_come_back():
    before = signal.getsignal(signal.SIGUSR2)
    run, saved = loader(), []
    with run.stop_on(signal.SIGUSR2, save=saved.append):
        next(iter(run))
        os.kill(os.getpid(), signal.SIGUSR2)
    assert [state["step"] for state in saved] == [1]
    assert signal.getsignal(signal.SIGUSR2) == before
    with loader().stop_on(signal.SIGUSR2, save=saved.append):
        pass
    assert len(saved) == 1


def test_a_stopped_loader_gives_no_more_until_it_is_told_otherwise():
    run = loader()
    with run.stop_on(signal.SIGUSR2):
        os.kill(os.getpid(), signal.SIGUSR2)
        assert list(run) == [] and run.state()["step"] == 0


def test_a_program_that_is_told_to_end_saves_within_a_second(tmp_path):
    script = textwrap.dedent(
        f"""
        import json, signal, sys, time
        import numpy as np
        from artifex.data import create_data_loader

        run = create_data_loader({{"x": np.arange(1000)}}, 4, seed=2)
        save = lambda state: open({str(tmp_path / "state")!r}, "w").write(json.dumps(state))
        with run.stop_on(signal.SIGTERM, save=save):
            for step, batch in enumerate(run):
                time.sleep(0.02)
                if step == 3:
                    print("begun", flush=True)
        print("stopped" if run.is_stopped else "over")
        """
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None and program.stdout.readline() == "begun\n"
    program.terminate()
    begun = time.monotonic()
    assert program.stdout.readline() == "stopped\n" and program.wait(20) == 0
    program.stdout.close()
    assert time.monotonic() - begun < 10  # one second on a machine with nothing else to do
    assert json.loads((tmp_path / "state").read_text())["step"] >= 4


def test_what_it_asks_for():
    with pytest.raises(ConfigError, match="needs a signal"):
        loader().stop_on()
    with pytest.raises(ConfigTypeError, match="`save` must be a function"):
        loader().stop_on(signal.SIGUSR2, save=3)

    failed = []

    def elsewhere():
        try:
            loader().stop_on(signal.SIGUSR2).__enter__()
        except ConfigError as error:
            failed.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in failed[0]


def test_epochs_after_a_signal_have_no_batches_and_the_state_stays():
    whole = [batch["x"].tolist() for batch in loader()]
    run, got = loader(), []
    with run.stop_on(signal.SIGUSR2):
        for _ in range(5):
            for batch in run:
                got.append(batch["x"].tolist())
                if len(got) == 3:
                    os.kill(os.getpid(), signal.SIGUSR2)
        assert (run.state()["epoch"], run.state()["step"]) == (0, 3) and run.is_stopped
    assert got + [batch["x"].tolist() for batch in run] == whole, "who goes on goes on there"
    assert len(list(run)) == len(run)


def test_loaders_that_stop_on_one_signal_all_hear_of_it_and_so_does_the_program():
    heard, states = [], {"a": [], "b": []}
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        a, b = loader(), loader()
        with (
            a.stop_on(signal.SIGUSR2, save=states["a"].append),
            b.stop_on(signal.SIGUSR2, save=states["b"].append),
        ):
            for step, _ in enumerate(zip(a, b, strict=False)):
                if step == 2:
                    os.kill(os.getpid(), signal.SIGUSR2)
        assert a.is_stopped and b.is_stopped and heard == [signal.SIGUSR2]
        assert {name: [state["step"] for state in found] for name, found in states.items()} == {
            "a": [3],
            "b": [3],
        }
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_save_that_fails_after_a_break_is_told_at_the_end():
    run, tries = loader(), []

    def save(state):
        tries.append(state["step"])
        raise OSError("disk full")

    def train():
        with run.stop_on(signal.SIGUSR2, save=save):
            for _ in run:
                os.kill(os.getpid(), signal.SIGUSR2)
                break

    with pytest.raises(OSError, match="disk full"):
        train()
    assert tries == [1]


@pytest.mark.parametrize("wrong", ["SIGTERM", signal.SIGKILL])
def test_signals_that_cannot_be_handled_are_told_and_nothing_is_left_behind(wrong):
    before = signal.getsignal(signal.SIGUSR2)
    stop = loader().stop_on(signal.SIGUSR2, wrong)
    with pytest.raises(ConfigError, match="`stop_on` takes signals that a program may handle"), stop:
        pass
    assert signal.getsignal(signal.SIGUSR2) == before
