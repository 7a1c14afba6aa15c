import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from artifex.data.cache import CacheWarning, cache_info, cached_reader, clear_cache
from artifex.data.cache import disk as disk_module
from artifex.data.cache.files import TICK
from artifex.data.cache.folders import root_in
from artifex.data.errors import ConfigError
from cache_records import SIZE, Made, equal, read

ALL = np.arange(SIZE)
TRUTH = read(Made(), ALL)
ROW = 20_000 + 3 + 4 + 1024 + 8
TESTS = Path(__file__).parents[2]


def opened(folder, made=None, **settings):
    return cached_reader(made or Made(), "disk", cache_dir=folder, **settings)


def truth(numbers):
    return {name: array[numbers] for name, array in TRUTH.items()}


def files(folder):
    (inside,) = [p for p in root_in(folder).iterdir() if p.is_dir()]
    return inside


def flip(path, place, bit=0):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def fill(folder):
    reader = opened(folder)
    assert equal(read(reader, ALL), TRUTH)
    return reader


def test_what_was_read_is_there_for_the_next_run(tmp_path):
    fill(tmp_path)
    made = Made()
    again = opened(tmp_path, made)
    assert not again.in_memory
    shuffled = np.random.default_rng(0).permutation(SIZE)
    assert equal(read(again, shuffled), truth(shuffled))
    assert made.made == [] and again.in_memory
    assert equal(read(again, [7, 7, 0]), truth([7, 7, 0]))


def test_what_this_process_wrote_is_checked_when_all_is_there(tmp_path):
    reader = opened(tmp_path)
    read(reader, ALL[1:])
    assert not reader._store._is_right.any()
    read(reader, [0])
    assert reader._store._is_right.all() and reader.in_memory


def test_some_are_there_and_some_are_not(tmp_path):
    made = Made()
    reader = opened(tmp_path, made)
    read(reader, [3, 1])
    assert equal(read(reader, [0, 1, 2, 3, 0]), truth([0, 1, 2, 3, 0]))
    assert made.made == [3, 1, 0, 2, 0] and not reader.in_memory


def test_a_record_written_while_its_sum_is_looked_up_is_not_damaged(tmp_path, monkeypatch):
    made = Made()
    reader, look_up, make = opened(tmp_path, made), disk_module.DiskStore._read_sum, made.read_into
    others = ["writes it", "reads it"]  # threads that come in between

    def looked_up(store, number):
        total = look_up(store, number)
        if others == ["writes it", "reads it"]:
            others.pop(0)
            read(reader, [5])
        return total

    def made_again(indices, out, random=None):
        if len(made.made) == 1:
            others.pop()
            assert equal(read(reader, [5]), truth([5]))
        make(indices, out, random)

    monkeypatch.setattr(disk_module.DiskStore, "_read_sum", looked_up)
    monkeypatch.setattr(made, "read_into", made_again)
    assert equal(read(reader, [5]), truth([5]))
    assert reader._store.damaged == 0 and not others


def test_slots_with_gaps(tmp_path):
    for reader in (fill(tmp_path), opened(tmp_path)):
        wide = {name: np.zeros((4, *a.shape[1:]), a.dtype) for name, a in TRUTH.items()}
        reader.read_into(np.array([5, 6]), {name: array[::2] for name, array in wide.items()})
        assert equal({name: array[::2] for name, array in wide.items()}, truth([5, 6]))
        assert not wide["x"][1::2].any()


def test_two_in_one_process_see_each_other_s(tmp_path):
    one, made = opened(tmp_path), Made()
    two = opened(tmp_path, made)
    read(one, ALL[:30])
    assert equal(read(two, ALL), TRUTH) and made.made == list(range(30, SIZE))
    assert equal(read(one, ALL), TRUTH) and one.in_memory


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


def test_a_long_string_is_right_and_not_kept(tmp_path):
    class Long(Made):
        def read_into(self, indices, out, random=None):
            super().read_into(indices, out)
            out["path"][indices == 4] = "猫" * 341  # 1,023 bytes
            out["path"][indices == 5] = "猫" * 340

    made = Long()
    reader = opened(tmp_path, made)
    with pytest.warns(CacheWarning, match="strings of more than 1020 bytes"):
        read(reader, ALL)
    made.made.clear()
    got = read(reader, [3, 4, 5])
    assert got["path"].tolist() == [TRUTH["path"][3], "猫" * 341, "猫" * 340] and made.made == [4]


def test_a_bound_keeps_the_first_records(tmp_path):
    made = Made()
    reader = opened(tmp_path, made, cache_bytes=10 * ROW)
    assert equal(read(reader, ALL), TRUTH) and equal(read(reader, ALL), TRUTH)
    assert made.made == [*range(SIZE), *range(10, SIZE)] and not reader.in_memory
    (entry,) = cache_info(tmp_path)
    assert (entry.records, entry.num_records) == (10, SIZE)
    wider = opened(tmp_path, made, cache_bytes=20 * ROW)
    made.made.clear()
    assert equal(read(wider, ALL), TRUTH) and made.made == list(range(10, SIZE))
    with pytest.raises(ConfigError, match=f"`cache_bytes` 1000 is less than one record, which has {ROW}"):
        opened(tmp_path, cache_bytes=1000)


# -- a disk that fails


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("after", [0, 7, 9])
def test_a_write_that_fails_ends_the_keeping_and_not_the_run(tmp_path, monkeypatch, error, after):
    calls, pwrite = [], os.pwrite

    def fails(file, data, place):
        calls.append(place)
        if len(calls) > after:
            raise OSError(error, os.strerror(error))
        return pwrite(file, data, place)

    reader = opened(tmp_path)
    monkeypatch.setattr(disk_module.os, "pwrite", fails)
    with pytest.warns(CacheWarning, match="nothing more is kept") as told:
        assert equal(read(reader, ALL), TRUTH)
    assert equal(read(reader, ALL), TRUTH) and len(told) == 1 and len(calls) == after + 1
    monkeypatch.undo()
    made = Made()
    assert equal(read(opened(tmp_path, made), ALL), TRUTH) and len(made.made) == SIZE - after // 5


def test_short_writes_are_continued(tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(disk_module.os, "pwrite", lambda f, data, place: pwrite(f, data[:777], place))
    fill(tmp_path)
    made = Made()
    assert equal(read(opened(tmp_path, made), ALL), TRUTH) and made.made == []


def test_a_read_that_fails_is_made_again(tmp_path, monkeypatch):
    fill(tmp_path)
    reader = opened(tmp_path)

    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(disk_module.os, "preadv", fails)
    with pytest.warns(CacheWarning, match="cannot be read"):
        assert equal(read(reader, ALL), TRUTH)


def test_a_file_cut_off_while_it_is_opened_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("artifex.data.cache.files.grow", lambda file, size: None)
    with pytest.warns(CacheWarning, match="cut off while it was opened; the run goes on without it"):
        reader = opened(tmp_path)
    assert equal(read(reader, ALL), TRUTH)


def test_a_full_file_system(tmp_path):
    """A real one, of one megabyte: 60 records have 1.3."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)]
    if not mount or not umount or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount, and not everywhere")
    try:
        reader, made = opened(tmp_path), Made()
        with pytest.warns(CacheWarning, match="nothing more is kept .No space left"):
            assert equal(read(reader, ALL), TRUTH)
        assert equal(read(reader, ALL), TRUTH)
        with pytest.warns(CacheWarning, match="nothing more is kept"):
            assert equal(read(opened(tmp_path, made), ALL), TRUTH)
        assert 10 < len(made.made) < SIZE
        fill_up(tmp_path / "more")
        other = Made(version="2")  # no room for a folder or its manifest
        with pytest.warns(CacheWarning):
            assert equal(read(opened(tmp_path, other), ALL), TRUTH)
    finally:
        subprocess.run([umount, "-l", str(tmp_path)], check=True)


def test_a_disk_that_became_read_only(tmp_path):
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [mount, "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)]
    if not mount or not umount or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount, and not everywhere")
    try:
        fill(tmp_path)
        subprocess.run([mount, "-o", "remount,ro", str(tmp_path)], check=True)
        for version in "12":
            with pytest.warns(CacheWarning, match="Read-only file system; the run goes on without it"):
                assert equal(read(opened(tmp_path, Made(version=version)), ALL), TRUTH)
        assert [entry.records for entry in cache_info(tmp_path)] == [SIZE] and clear_cache(tmp_path) == []
    finally:
        subprocess.run([umount, "-l", str(tmp_path)], check=True)


def test_a_limit_on_the_size_of_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.warns(CacheWarning, match="File too large; the run goes on without it"):
            reader = opened(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert equal(read(reader, ALL), TRUTH)


def fill_up(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


# -- many processes


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
