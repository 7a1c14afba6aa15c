import errno
import os
import resource
import shutil
import subprocess

import numpy as np
import pytest

from artifex.data.cache import CacheWarning, cache_info, clear_cache
from artifex.data.cache import disk as disk_module
from artifex.data.errors import ConfigError
from cache_records import ALL, ROW, SIZE, TRUTH, Made, equal, fill, opened, read, truth


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
