import errno
import json
import os
import pickle
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from artifex.data.cache import CacheWarning, cache_info, cached_reader, clear_cache
from artifex.data.cache import disk as disk_module
from artifex.data.cache import folders as folders_module
from artifex.data.cache.folders import Identity, delete, make_room, open_folder, root_in
from artifex.data.types import ArraySpec
from cache_records import ALL, ROW, SIZE, Made, equal, read

SPEC = {"x": ArraySpec((2,), np.dtype(np.uint8))}


def opened(root, version="1", **settings):
    return cached_reader(Made(version=version), "disk", cache_dir=root, **settings)


def filled(root, version="1", **settings):
    reader = opened(root, version, **settings)
    read(reader, ALL)
    return reader


def inside(root):
    return [p for p in root_in(root).iterdir() if p.is_dir()]


def test_every_part_of_an_identity_counts():
    base = ({"kind": "a"}, "stamp", SPEC, 5)
    others = [
        ({"kind": "b"}, "stamp", SPEC, 5),
        ({"kind": "a"}, "other", SPEC, 5),
        ({"kind": "a"}, "stamp", {"y": SPEC["x"]}, 5),
        ({"kind": "a"}, "stamp", {"x": ArraySpec((2,), np.dtype(np.int8))}, 5),
        ({"kind": "a"}, "stamp", SPEC, 6),
    ]
    assert Identity.of(*base) == Identity.of(*base)
    assert len({Identity.of(*parts).hash for parts in (base, *others)}) == 6


def test_an_identity_knows_release_and_format(monkeypatch):
    one = Identity.of({}, "", SPEC, 5)
    monkeypatch.setattr(folders_module, "__version__", "other")
    two = Identity.of({}, "", SPEC, 5)
    monkeypatch.setattr(folders_module, "FORMAT", 0)
    assert len({one.hash, two.hash, Identity.of({}, "", SPEC, 5).hash}) == 3


def test_other_records_have_another_folder(tmp_path):
    filled(tmp_path, "1"), filled(tmp_path, "2")
    assert len(inside(tmp_path)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: text.replace('"format": 1', '"format": 0'),
        lambda text: text.replace('"version": "1"', '"version": "2"'),  # as two of one hash would be
        lambda text: "\0" * len(text),
        None,
    ],
)
def test_a_manifest_that_is_not_ours_is_never_served(tmp_path, damage):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    manifest = folder / "manifest.json"
    text = manifest.read_text()
    assert json.loads(text)["fingerprint"] == {"kind": "made", "version": "1"}
    if damage:
        manifest.write_text(damage(text))
    else:
        manifest.write_bytes(b"\xff\xfe")
    # Were it served, these bytes would be: their sums are right.
    made = Made()
    reader = cached_reader(made, "disk", cache_dir=tmp_path)
    assert equal(read(reader, ALL), read(Made(), ALL)) and len(made.made) == SIZE
    assert manifest.read_text() == text and [p.name for p in inside(tmp_path)] == [folder.name]


def test_a_damaged_folder_in_use_is_left_alone(tmp_path, monkeypatch):
    holder = filled(tmp_path)
    (folder,) = inside(tmp_path)
    (folder / "manifest.json").write_text("{}")
    monkeypatch.setattr(folders_module, "_TRIES", 2)
    with pytest.warns(CacheWarning, match="is damaged, and other processes have it open; the run goes on"):
        reader = opened(tmp_path)
    assert equal(read(reader, ALL), read(holder, ALL))
    del holder
    assert equal(read(opened(tmp_path), ALL), read(Made(), ALL))


def test_the_longest_unused_goes_first(tmp_path):
    for age, version in ((30, "1"), (10, "2"), (20, "3")):
        filled(tmp_path, version)
        newest = max(inside(tmp_path), key=lambda p: (p / "lock").stat().st_mtime)
        os.utime(newest / "lock", (1e9 - age, 1e9 - age))
    names = [entry.name for entry in cache_info(tmp_path)]
    one = cache_info(tmp_path)[0].bytes
    filled(tmp_path, "4", cache_bytes=2 * one + SIZE * ROW)
    left = [entry.name for entry in cache_info(tmp_path)]
    assert left[1:] == names[:2] and len(left) == 3


def test_what_is_in_use_stays_and_counts_as_what_it_may_become(tmp_path):
    holder = opened(tmp_path, "1")  # nothing written yet
    limit = (SIZE + 10) * ROW
    made = Made(version="2")
    other = cached_reader(made, "disk", cache_dir=tmp_path, cache_bytes=limit)
    assert len(inside(tmp_path)) == 2
    read(other, ALL), read(other, ALL)
    assert SIZE + SIZE - 10 <= len(made.made) <= SIZE + SIZE - 8
    with pytest.warns(CacheWarning, match="other caches that are in use take all of `cache_bytes`"):
        third = cached_reader(Made(version="3"), "disk", cache_dir=tmp_path, cache_bytes=limit)
    assert isinstance(third, Made)
    del holder, other
    filled(tmp_path, "3", cache_bytes=limit)
    assert [entry.records for entry in cache_info(tmp_path)] == [SIZE]


def test_a_folder_that_goes_while_it_is_looked_at_has_no_size(tmp_path, monkeypatch):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    listdir = os.listdir

    def goes(path):
        folder.rename(tmp_path / "gone")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", goes)
    assert folders_module.size_of(folder) == 0 and not folder.exists()


def test_a_folder_that_goes_while_it_is_made(tmp_path, monkeypatch):
    filled(tmp_path)
    [folder] = inside(tmp_path)
    mkdir, there = os.mkdir, []

    def goes(path, *mode):
        try:
            mkdir(path, *mode)
        except FileExistsError:
            if Path(path) == folder:
                there.append(delete(folder))
            raise

    monkeypatch.setattr(os, "mkdir", goes)
    assert equal(read(opened(tmp_path), ALL), read(Made(), ALL))
    assert there == [True] and inside(tmp_path) == [folder]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS])
def test_folders_that_cannot_be_locked_are_left_alone(tmp_path, monkeypatch, error):
    """Another user's, under a root that several share, or those of a disk that cannot be written."""
    filled(tmp_path, "1")
    (theirs,), open_file = inside(tmp_path), os.open

    def refuses(path, *rest):
        if Path(path) == theirs / "lock":
            raise OSError(error, os.strerror(error), path)
        return open_file(path, *rest)

    monkeypatch.setattr(os, "open", refuses)
    (entry,) = cache_info(tmp_path)
    assert entry.in_use and entry.records == SIZE and clear_cache(tmp_path) == []
    made = Made(version="2")
    reader = cached_reader(made, "disk", cache_dir=tmp_path, cache_bytes=(SIZE + 10) * ROW)
    read(reader, ALL), read(reader, ALL)
    assert SIZE + SIZE - 10 <= len(made.made) <= SIZE + SIZE - 8, "theirs counts, and stays"
    assert theirs.exists()


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import sys, os; from cache_records import *; from artifex.data.cache import cached_reader\n"
        "r = cached_reader(Made(), 'disk', cache_dir=sys.argv[1]); read(r, np.arange(9)); print(1, flush=True)\n"
        "sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])}
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe) as program:
        program.stdout.readline()
        (entry,) = cache_info(tmp_path)
        (folder,) = inside(tmp_path)
        assert entry.in_use and not delete(folder)
        program.kill()
    assert delete(folder) and not cache_info(tmp_path)


def test_nothing_else_is_deleted(tmp_path):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    (folder / "thesis.txt").write_text("mine")
    assert not delete(folder) and (folder / "thesis.txt").exists()
    root = root_in(tmp_path)
    (root / ("a" * 32)).symlink_to(folder)
    assert not delete(root / ("a" * 32))
    other = open_folder(root, Identity.of({}, "", SPEC, 5), 2**20)
    assert make_room(root, other, 100, 100) == 100
    assert (folder / "thesis.txt").exists()


def test_what_a_killed_deletion_left_goes(tmp_path):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    folder.rename(folder.with_name(f"deleted-{'0' * 32}"))
    filled(tmp_path)
    assert [p.name for p in inside(tmp_path)] == [folder.name]


def test_what_a_killed_start_left_goes_when_it_is_old(tmp_path):
    filled(tmp_path)
    old, new = (root_in(tmp_path) / f".CACHEDIR.TAG-{digit * 32}" for digit in "ab")
    old.write_text(""), new.write_text("")
    os.utime(old, (1e9, 1e9))
    opened(tmp_path)
    assert not old.exists() and new.exists()


def test_what_desktops_leave_in_a_folder_is_no_matter(tmp_path):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    (folder / ".DS_Store").write_bytes(b"")
    assert len(cache_info(tmp_path)) == 1
    (folder / "manifest.json").write_text("{")
    assert equal(read(opened(tmp_path), ALL), read(Made(), ALL))
    assert len(clear_cache(tmp_path)) == 1 and inside(tmp_path) == []


def test_a_damaged_folder_with_a_file_of_the_user_s_is_told(tmp_path):
    filled(tmp_path)
    (folder,) = inside(tmp_path)
    (folder / "thesis.txt").write_text("mine")
    (folder / "manifest.json").write_text("{")
    with pytest.warns(
        CacheWarning, match=rf"{folder.name} is damaged, and has what is none of .*: thesis.txt"
    ):
        assert isinstance(opened(tmp_path), Made)


def test_a_folder_over_a_smaller_bound_is_made_anew(tmp_path):
    filled(tmp_path)
    reader = opened(tmp_path, cache_bytes=10 * ROW)
    read(reader, ALL)
    (entry,) = cache_info(tmp_path)
    assert entry.records == 10 and entry.bytes < 10 * ROW + 2**16


def test_those_that_start_at_once_stay_within_the_bound(tmp_path, monkeypatch):
    limit, last = (SIZE + 10) * ROW, threading.Barrier(4)
    room = disk_module.make_room

    def slow(*arguments):
        allowed = room(*arguments)
        time.sleep(0.2)  # the others have looked by then, if nothing holds them
        return allowed

    monkeypatch.setattr(disk_module, "make_room", slow)

    def start(version):
        last.wait()
        return opened(tmp_path, version, cache_bytes=limit)

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("ignore", CacheWarning)
        readers = list(pool.map(start, "1234"))
    for reader in readers:
        read(reader, ALL)
    assert sum(entry.bytes for entry in cache_info(tmp_path)) < limit + 4 * 2**16


def test_nobody_waits_for_one_who_is_stuck(tmp_path, monkeypatch):
    monkeypatch.setattr(folders_module, "_PATIENCE", 0.05)
    filled(tmp_path)
    with folders_module.alone(root_in(tmp_path)):
        assert equal(read(opened(tmp_path), ALL), read(Made(), ALL))


@pytest.mark.parametrize("refused", [os.O_RDWR, os.O_RDWR | os.O_CLOEXEC])
def test_a_root_of_another_user_can_be_shared(tmp_path, monkeypatch, refused):
    """Whose lock can be read, or not even that."""
    filled(tmp_path, "1")
    open_file = os.open

    def refuses(path, flags, *mode, **where):
        if Path(path) == root_in(tmp_path) / "lock" and flags & refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_file(path, flags, *mode, **where)

    monkeypatch.setattr(os, "open", refuses)
    filled(tmp_path, "2")
    assert len(cache_info(tmp_path)) == 2


def test_no_more_descriptors_is_a_warning(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(disk_module, "open_file", none)
    with pytest.warns(CacheWarning, match="Too many open files; the run goes on without it"):
        assert isinstance(opened(tmp_path), Made)


def test_a_relative_root_stays_where_it_is(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    reader = filled("here")
    monkeypatch.chdir(tmp_path / "other")
    assert equal(read(pickle.loads(pickle.dumps(reader)), ALL), read(Made(), ALL))
    assert len(cache_info(tmp_path / "here")) == 1 and list((tmp_path / "other").iterdir()) == []


def test_the_user_s_cache_folder(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/home/ada")
    for value, expected in (("/fast", "/fast/artifex"), ("", "/home/ada/.cache/artifex"), ("x", None)):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert str(root_in(None).parent) == (
            expected or "/home/ada/.cache/artifex"
        )  # relative ones do not count
    monkeypatch.setattr(sys, "platform", "darwin")
    assert str(root_in(None).parent) == "/home/ada/Library/Caches/artifex"


def test_a_root_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`cache_dir` cannot be used: .*file.*; give another folder"):
        opened(tmp_path / "file")


def test_a_root_without_room_is_a_warning(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folders_module.os, "fsync", full)
    with pytest.warns(CacheWarning, match="No space left on device; the run goes on without it"):
        assert isinstance(opened(tmp_path), Made)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_unicode_and_deep_roots(tmp_path):
    root = tmp_path / "größe 猫" / "\udce4"
    filled(root)
    assert cache_info(root)[0].records == SIZE
