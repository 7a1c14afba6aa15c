"""Processes that read: the same stream as by threads, whoever dies, and nothing left behind."""

import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from artifex.data import BadRecordWarning, create_data_loader
from artifex.data.errors import ConfigError, StalledError, TransformError, WorkerDiedError
from artifex.data.processes.pool import end
from artifex.data.processes.shared import SharedRows, remove_leftovers
from artifex.data.types import TEXT, ArraySpec
from process_items import ENVIRONMENT, Items, NoSpec, OfLengths, Stamped, Unloadable, Where

SHARED = Path("/dev/shm")


def blocks(pid=None):
    """The shared memory of a process, of this one if no other is named: tests beside this one have theirs."""
    owner = str(os.getpid() if pid is None else pid)
    return sorted(path.name for path in SHARED.glob("artifex-*") if path.name.split("-")[1] == owner)


def stream(dataset, **settings):
    loader = create_data_loader(dataset, 8, seed=3, **settings)
    return [
        (np.asarray(batch["index"]).tolist(), np.asarray(batch["x"]).tolist(), batch["name"])
        for batch in loader
    ]


@pytest.fixture(scope="module")
def by_threads():
    return stream(Items(60), num_workers=0)


def test_the_stream_is_that_of_threads(by_threads):
    assert stream(Items(60), num_workers=2, worker="process") == by_threads


def test_a_process_that_dies_is_started_again(by_threads, tmp_path):
    dataset = Items(60, deadly_once=(41, str(tmp_path / "died")))
    assert stream(dataset, num_workers=2, worker="process") == by_threads
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("mixed", [False, True])
def test_records_of_several_shapes(mixed, tmp_path):
    by_threads = stream(OfLengths(22, mixed=mixed), num_workers=0)
    assert {len(x[0]) for _, x, _ in by_threads} == ({300_000} if mixed else {2, 3, 300_000})
    dataset = OfLengths(22, mixed=mixed, deadly_once=(17, str(tmp_path / "died")))
    assert stream(dataset, num_workers=2, worker="process") == by_threads
    assert (tmp_path / "died").exists()


def test_a_process_that_is_killed_from_outside_is_started_again(by_threads):
    loader = create_data_loader(Items(60), 8, seed=3, num_workers=2, worker="process", prefetch=1)
    got = []
    for batch in loader:
        got.append((np.asarray(batch["index"]).tolist(), np.asarray(batch["x"]).tolist(), batch["name"]))
        for child in multiprocessing.active_children():
            if len(got) % 2:
                child.kill()
    assert got == by_threads


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_process_whose_exit_code_another_thread_has_taken_ends_too(is_noted, monkeypatch):
    monkeypatch.setattr("artifex.data.processes.pool._PATIENCE", 0.5)
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    process.start()
    popen = process._popen
    os.waitpid(process.pid, 0)
    noted = threading.Timer(0.05, setattr, (popen, "returncode", 0))
    if is_noted:
        noted.start()
    end(process, time.monotonic() + 0.5)
    assert process._closed == is_noted
    popen.returncode = 0  # or `multiprocessing` would look after it for ever


def test_a_record_that_is_the_end_of_three_processes_is_bad():
    dataset = Items(60, deadly=41)
    with pytest.raises(WorkerDiedError, match="record 41: 3 processes died"):
        stream(dataset, num_workers=2, worker="process")
    loader = create_data_loader(dataset, 8, num_workers=2, worker="process", on_error="skip")
    with pytest.warns(BadRecordWarning, match="record 41"):
        masked = [np.asarray(batch["index"])[~np.asarray(batch["valid"])] for batch in loader]
    assert np.concatenate(masked).tolist() == [41]


def test_errors_come_home():
    with pytest.raises(TransformError, match=r"record 7: Items\[7\] failed: ValueError: broken") as caught:
        stream(Items(60, bad={7}), num_workers=2, worker="process")
    assert any("in a process that reads" in note for note in caught.value.__notes__)


def test_a_process_that_hangs_is_told_with_its_record_and_its_stack(capfd):
    with pytest.raises(StalledError, match="record 41 has been read for more than `timeout` 0.5 s"):
        stream(Items(60, hangs=41), num_workers=2, worker="process", timeout=0.5)
    assert "in _happen" in capfd.readouterr().err


def test_processes_are_others_without_jax_and_with_one_thread_each():
    loader = create_data_loader(Where(32), 8, num_workers=2, worker="process")
    batches = list(loader)
    assert os.getpid() not in np.concatenate([batch["pid"] for batch in batches])
    assert not any(np.any(batch["has_jax"]) for batch in batches)
    assert all(np.all(np.asarray(batch["threads"]) == 1) for batch in batches)
    assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"] != "1"


def test_processes_stay_for_the_next_epoch_and_end_with_the_loader():
    gc.collect()
    before, children = set(blocks()), set(multiprocessing.active_children())
    loader = create_data_loader(Where(32), 8, num_workers=2, worker="process")
    for _ in range(2):
        pids = [{int(p) for batch in loader for p in np.asarray(batch["pid"])} for _ in range(3)]
        assert len(set.union(*pids)) <= 2
        assert len(set(blocks()) - before) == len(set(multiprocessing.active_children()) - children) == 2
        loader.close()  # and again: it starts new ones
        assert set(multiprocessing.active_children()) <= children and set(blocks()) <= before
    list(loader)
    del loader
    gc.collect()
    assert set(multiprocessing.active_children()) <= children and set(blocks()) <= before


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_nothing_is_left_after_starts_and_stops(times):
    gc.collect()
    before, children = set(blocks()), set(multiprocessing.active_children())
    for _ in range(times):
        batches = iter(create_data_loader(Items(60), 8, num_workers=2, worker="process"))
        next(batches)
        batches.close()
        del batches
    gc.collect()
    assert set(multiprocessing.active_children()) <= children and set(blocks()) <= before


def test_a_program_that_is_killed_leaves_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            from artifex.data import create_data_loader
            from process_items import ENVIRONMENT, Items

            if __name__ == "__main__":
                batches = iter(create_data_loader(Items(60), 8, num_workers=2, worker="process"))
                next(batches)
                print("begun", flush=True)
                time.sleep(100)
            """
        )
    )
    program = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert program.stdout is not None and program.stdout.readline() == "begun\n"
    ours = blocks(program.pid)
    assert ours
    program.kill()
    program.wait()
    program.stdout.close()
    deadline = time.monotonic() + 10
    while set(ours) & set(blocks(program.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
        remove_leftovers()  # as the next start of such a loader does
    assert not set(ours) & set(blocks(program.pid))


def test_deaths_of_a_record_that_was_read_in_between_do_not_count(tmp_path):
    loader = create_data_loader(Items(1), 1, num_workers=1, worker="process", prefetch=1)
    for _ in range(5):
        assert len(list(loader)) == 1
        loader._processes._deaths[0] += 2  # two more would be one too many
    loader.close()


def test_a_process_that_dies_before_its_first_record_is_told():
    loader = create_data_loader(NoSpec(4), 2, num_workers=1, worker="process")
    with pytest.raises(ConfigError, match="end before they can begin"):
        list(loader)
    loader.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate") or not SHARED.is_dir(), reason="only Linux tells")
def test_too_little_shared_memory_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = blocks()
    loader = create_data_loader(Items(4), 2, num_workers=1, worker="process")
    with pytest.raises(ConfigError, match="/dev/shm has not so much left"):
        list(loader)
    loader.close()
    assert blocks() == before


@pytest.mark.skipif(not SHARED.is_dir(), reason="only Linux shows shared memory as files")
def test_leftovers_are_removed_and_nothing_else():
    rows = SharedRows([{"x": ArraySpec((2,), np.dtype(np.int32)), "s": TEXT}], [3])
    dead, others = SHARED / "artifex-4194999-1-0", SHARED / "artifex-notes"
    dead.touch()
    others.touch()
    try:
        removed = remove_leftovers()  # of tests beside this one too
        assert dead.name in removed and rows.name.lstrip("/") not in removed
        assert (SHARED / rows.name).exists() and others.exists()
    finally:
        others.unlink()
        rows.close(remove=True)
    assert not (SHARED / rows.name).exists()


def test_both_sides_see_the_same_memory():
    spec = {"x": ArraySpec((2,), np.dtype(np.int32)), "y": ArraySpec((), np.dtype(np.float64)), "s": TEXT}
    large = {"x": ArraySpec((40,), np.dtype(np.int32))}
    one = SharedRows([spec, large], [3, 2])
    other = SharedRows([spec, large], [3, 2], one.name)
    other.arrays[0]["x"][1] = 5
    other.arrays[0]["y"][2] = 0.5
    assert one.arrays[0]["x"].tolist() == [[0, 0], [5, 5], [0, 0]]
    assert one.arrays[0]["y"].tolist() == [0, 0, 0.5]
    other.arrays[1]["x"][:] = 7
    assert (one.arrays[1]["x"] == 7).all() and one.progress.tolist() == [0, 0]
    other.close(remove=False)
    one.close(remove=True)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_cache_is_the_program_s_and_spares_the_processes(cache, tmp_path, by_threads):
    where = {"cache_dir": tmp_path} if cache == "disk" else {}
    loader = create_data_loader(Stamped(60), 8, seed=3, num_workers=2, worker="process", cache=cache, **where)
    list(loader)
    loader.close()
    children = set(multiprocessing.active_children())
    assert len(list(loader)) == 8
    assert set(multiprocessing.active_children()) <= children


def test_what_processes_ask_for():
    with pytest.raises(ConfigError, match=r'`worker="process"`.*cannot be pickled.*top of a module'):
        create_data_loader(_Unpicklable(), 4, num_workers=2, worker="process")
    with pytest.raises(ConfigError, match="`num_workers` 1 or more"):
        create_data_loader(Items(8), 4, num_workers=0, worker="process")


class _Unpicklable(Items):
    def __init__(self):
        super().__init__(8)
        self.function = lambda: None


def run_program(text, tmp_path, **settings):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    command = [sys.executable, str(path)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, **settings)


UNGUARDED = """
    from artifex.data import create_data_loader

    class Mine:
        def __len__(self):
            return 64

        def __getitem__(self, number):
            return {"x": number}

    for batch in create_data_loader(Mine(), 16, num_workers=2, worker="process"):
        pass
"""


def test_a_script_that_its_processes_cannot_import_is_told_and_ends(tmp_path):
    said = run_program(UNGUARDED, tmp_path)
    assert said.returncode == 1
    assert 'ConfigError: processes for `worker="process"` end before they can begin' in said.stderr
    assert 'needs `if __name__ == "__main__":`' in said.stderr.splitlines()[-1]


def test_what_cannot_be_unpickled_is_told():
    before = set(blocks())  # a loader of a test before this one may wait for the garbage collector
    loader = create_data_loader(Unloadable(16), 4, num_workers=2, worker="process", on_error="skip")
    with pytest.raises(ConfigError, match="there it cannot be unpickled: ImportError: no such thing"):
        list(loader)
    deadline = time.monotonic() + 10  # the other process may just be beginning
    while not set(blocks()) <= before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(blocks()) <= before


def test_a_dataset_that_takes_for_ever_to_unpickle_is_told(monkeypatch):
    monkeypatch.setattr("artifex.data.processes.pool._START_PATIENCE", 1.0)
    loader = create_data_loader(Unloadable(16, hangs=True), 4, num_workers=1, worker="process", timeout=0.5)
    with pytest.raises(StalledError, match="has not begun after 1 s"):
        list(loader)
    loader.close()


def test_to_close_in_the_middle_is_no_death_of_a_record(by_threads):
    loader = create_data_loader(Items(60), 8, seed=3, num_workers=2, worker="process", on_error="skip")
    got = []
    for batch in loader:
        got.append((np.asarray(batch["index"]).tolist(), np.asarray(batch["x"]).tolist(), batch["name"]))
        loader.close()
    assert got == by_threads and loader.bad_records == ()


def test_what_hangs_is_not_started_again_once_nobody_wants_it():
    gc.collect()
    before, children = set(blocks()), set(multiprocessing.active_children())
    loader = create_data_loader(Items(60, hangs=13), 8, shuffle=False, num_workers=2, worker="process")
    batches = iter(loader)
    next(batches)
    time.sleep(0.5)
    batches.close()
    loader.close()
    time.sleep(1.0)
    assert set(multiprocessing.active_children()) <= children and set(blocks()) <= before


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


HANGS = """
    import multiprocessing, time
    from artifex.data import create_data_loader
    from process_items import Items

    if __name__ == "__main__":
        batches = iter(create_data_loader(Items(60, hangs=13), 8, shuffle=False, num_workers=2, worker="process"))
        next(batches)
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        time.sleep(60)
"""


def test_processes_that_hang_end_with_the_program_however_it_ends(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(HANGS))
    program = subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    pids = list(map(int, program.stdout.readline().split()))
    assert len(pids) == 2
    program.kill()
    program.wait()
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, pids))
    program.stdout.close()
