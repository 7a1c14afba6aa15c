"""What is torn, flipped, cut off or killed is never served, and needs nobody to clean it up."""

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from artifex.data.cache import CacheWarning, cache_info
from artifex.data.cache.files import TICK
from artifex.data.cache.folders import root_in
from cache_records import ALL, ROW, SIZE, TRUTH, Made, equal, files, fill, flip, opened, read, truth

TESTS = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["field-0", "field-1", "field-2", "field-3", "sums"])
@pytest.mark.parametrize("still_open", [False, True])
def test_a_flipped_bit_is_never_served(tmp_path, name, still_open):
    reader = fill(tmp_path)
    width = {"field-0": 20_000, "field-1": 3, "field-2": 4, "field-3": 1024, "sums": 8}[name]
    flip(files(tmp_path) / name, 17 * width + 2, bit=6)
    made = Made()
    if still_open:
        made = reader._reader
        made.made.clear()
    else:
        reader = opened(tmp_path, made)
    if still_open and name == "sums":  # nobody looks at sums of what is known
        assert equal(read(reader, ALL), TRUTH) and made.made == []
        return
    with pytest.warns(CacheWarning, match="record 17 is damaged"):
        assert equal(read(reader, ALL), TRUTH)
    assert made.made == [17] and reader._store.damaged == 1
    assert equal(read(opened(tmp_path, made), ALL), TRUTH) and made.made == [17]


def test_a_flipped_bit_is_found_though_the_time_of_the_file_was_set_back(tmp_path):
    reader = fill(tmp_path)
    time.sleep(3 * TICK / 1e9)
    read(reader, ALL), read(reader, ALL)
    path = files(tmp_path) / "field-0"
    times = path.stat()
    flip(path, 17 * 20_000 + 5)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.warns(CacheWarning, match="record 17 is damaged"):
        assert equal(read(reader, ALL), TRUTH)


def test_many_flipped_bits_anywhere(tmp_path):
    fill(tmp_path)
    rng = np.random.default_rng(1)
    for _ in range(20):
        for _ in range(10):
            path = files(tmp_path) / str(rng.choice(["field-0", "field-1", "field-2", "field-3", "sums"]))
            flip(path, int(rng.integers(path.stat().st_size)), int(rng.integers(8)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            assert equal(read(opened(tmp_path), ALL), TRUTH)


@pytest.mark.parametrize("name", ["field-0", "field-1", "field-2", "field-3", "sums"])
@pytest.mark.parametrize("size", [0, 5, 2000])
@pytest.mark.parametrize("still_open", [False, True])
def test_a_file_that_was_cut_off(tmp_path, name, size, still_open):
    reader = fill(tmp_path)
    os.truncate(files(tmp_path) / name, min(size, (files(tmp_path) / name).stat().st_size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert equal(read(reader if still_open else opened(tmp_path), ALL), TRUTH)
        assert equal(read(opened(tmp_path), ALL), TRUTH)


@pytest.mark.parametrize("name", ["field-0", "field-3", "sums", "manifest.json", "lock"])
def test_a_file_that_is_gone(tmp_path, name):
    fill(tmp_path)
    (files(tmp_path) / name).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert equal(read(opened(tmp_path), ALL), TRUTH)
    made = Made()
    assert equal(read(opened(tmp_path, made), ALL), TRUTH) and made.made == []


def damage(rng, folder):
    """Does something at random to a file of the caches."""
    paths = sorted(root_in(folder).glob("*/*"))
    if not paths:
        return
    path = paths[rng.integers(len(paths))]
    size = path.stat().st_size
    match rng.integers(6):
        case 0:
            path.unlink()
        case 1:
            os.truncate(path, int(rng.integers(size + 1)))
        case 2:
            os.truncate(path, size + int(rng.integers(100_000)))
        case 3:
            path.write_bytes(rng.bytes(int(rng.integers(40_000))))
        case 4:
            other = paths[rng.integers(len(paths))]
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two), other.write_bytes(one)
        case _:
            for _ in range(rng.integers(1, 20) if size else 0):
                flip(path, int(rng.integers(size)), int(rng.integers(8)))


@pytest.mark.parametrize(
    "first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(25, 200, 25))]
)
def test_damage_of_every_kind_is_never_served_and_heals(tmp_path, monkeypatch, first):
    # The open reader holds its folder: so long others try to make a damaged one anew.
    monkeypatch.setattr("artifex.data.cache.folders._TRIES", 2)
    for seed in range(first, first + 25):
        rng, folder = np.random.default_rng(seed), tmp_path / str(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheWarning)
            reader = opened(folder)
            read(reader, ALL[rng.random(SIZE) < 0.8])
            for _ in range(int(rng.integers(1, 6))):
                damage(rng, folder)
                for one in (reader, opened(folder)):
                    numbers = rng.permutation(SIZE)
                    assert equal(read(one, numbers), truth(numbers)), seed
            del reader, one
            assert equal(read(opened(folder), ALL), TRUTH), seed
        made = Made()
        assert equal(read(opened(folder, made), ALL), TRUTH) and made.made == [], seed
        shutil.rmtree(folder)


def test_records_in_each_other_s_place(tmp_path):
    fill(tmp_path)
    for name, width in (("field-0", 20_000), ("field-1", 3), ("field-2", 4), ("field-3", 1024), ("sums", 8)):
        path = files(tmp_path) / name
        data = path.read_bytes()
        path.write_bytes(data[width : 2 * width] + data[:width] + data[2 * width :])
    with pytest.warns(CacheWarning, match="damaged"):
        assert equal(read(opened(tmp_path), ALL), TRUTH)


def run_many(folder, seconds, during, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(TESTS)])}
    rng, count = np.random.default_rng(3), 0

    def start():
        nonlocal count
        count += 1
        command = [sys.executable, "-m", "cache_records", str(folder), str(count), str(seconds), *arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)

    running, ended, kills = [start() for _ in range(8)], [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(float(rng.uniform(0.05, 0.25)))
        victim = int(rng.integers(8))
        kills += running[victim].poll() is None
        running[victim].kill()
        ended.append(running[victim])
        running[victim] = start()
        during(rng)
    results = [(program.communicate(timeout=60)[1], program.returncode) for program in [*ended, *running]]
    assert [said.decode() for said, code in results if code not in (0, -signal.SIGKILL)] == []
    return kills


def test_eight_processes_that_are_killed_at_any_time(tmp_path):
    assert run_many(tmp_path, 3, lambda rng: None) > 5
    made = Made()
    assert equal(read(opened(tmp_path, made), ALL), TRUTH)
    assert len(made.made) < SIZE


@pytest.mark.slow
@pytest.mark.parametrize("rows", [5, 70, 150])
def test_eight_processes_with_three_datasets_in_little_room(tmp_path, rows):
    assert run_many(tmp_path, 6, lambda rng: None, "3", str(rows * ROW)) > 10
    assert sum(entry.bytes for entry in cache_info(tmp_path)) < (rows + 5) * ROW + 3 * 200_000
    for version in "123":
        made = Made(version=version)
        for _ in range(2):
            assert equal(read(opened(tmp_path, made), ALL), TRUTH)
        assert len(made.made) <= SIZE


def test_eight_processes_killed_while_bits_flip_and_files_go(tmp_path):
    def harm(rng):
        try:
            paths = [p for p in root_in(tmp_path).glob("*/*") if p.name != "lock"]
        except FileNotFoundError:  # Python 3.11 and 3.12, if a folder goes meanwhile
            return
        for path in paths:
            try:
                kind, size = rng.integers(12), path.stat().st_size
                if kind == 0:
                    path.unlink()
                elif size and kind < 6:
                    flip(path, int(rng.integers(size)), int(rng.integers(8)))
            except FileNotFoundError:
                pass

    assert run_many(tmp_path, 3, harm) > 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert equal(read(opened(tmp_path), ALL), TRUTH)
    made = Made()
    assert equal(read(opened(tmp_path, made), ALL), TRUTH) and made.made == []
