import multiprocessing
import os
import pickle
import time

import pytest

from artifex.data.errors import ReadError
from artifex.data.sources.text import open as opening
from artifex.data.sources.text import open_text
from artifex.data.sources.text.claim import draft
from text_files import texts, write


@pytest.fixture
def made(monkeypatch):
    """The indexes that were made so far."""
    paths = []
    make = opening.make_index

    def note(path, described, pieces):
        paths.append(path)
        return make(path, described, pieces)

    monkeypatch.setattr(opening, "make_index", note)
    return paths


def test_an_index_is_made_once_for_each_way_to_cut(tmp_path, made):
    path = write(tmp_path / "a.txt", "one\n\ntwo\n")
    for unit, name in (("line", ".a.txt.line.artifex-index"), ("block", ".a.txt.block.artifex-index")):
        for _ in range(2):
            open_text(path, unit=unit)
        assert made == [str(tmp_path / name)]
        made.clear()
    assert sorted(os.listdir(tmp_path)) == [
        ".a.txt.block.artifex-index",
        ".a.txt.line.artifex-index",
        "a.txt",
    ]


def test_an_index_is_made_again_when_the_file_changes(tmp_path, made):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    open_text(path)
    info = path.stat()
    # Of the same size; then of the same time, too.
    write(path, "on\netwo\n")
    assert texts(open_text(path)) == ["on", "etwo"]
    write(path, "o\nnetwo\n")
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
    assert texts(open_text(path)) == ["o", "netwo"]
    assert len(made) == 3


@pytest.mark.parametrize("place", [0, 9, 20, 300, 512, 520, -1])
def test_a_damaged_index_is_made_again(tmp_path, made, place):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    open_text(path)
    index = tmp_path / ".a.txt.line.artifex-index"
    whole = bytearray(index.read_bytes())
    damaged = whole.copy()
    damaged[place] ^= 1
    index.write_bytes(damaged)
    source = open_text(path)
    assert texts(source) == ["one", "two"]
    if place != 300:  # there are zeros after the header's text, which mean nothing
        assert len(made) == 2
        assert index.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 100, 512, 523])
def test_an_index_that_was_cut_short_is_made_again(tmp_path, made, size):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    open_text(path)
    os.truncate(tmp_path / ".a.txt.line.artifex-index", size)
    assert texts(open_text(path)) == ["one", "two"]
    assert len(made) == 2


def test_a_source_sees_that_its_index_was_replaced(tmp_path):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    source = open_text(path)
    (tmp_path / ".a.txt.line.artifex-index").write_bytes(bytes(536))
    with pytest.raises(ReadError, match="was replaced"):
        pickle.loads(pickle.dumps(source))[0]


def test_where_the_folder_refuses_it_lies_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    path = write(tmp_path / "data" / "a.txt", "one\ntwo\n")
    real = os.open

    def refuse(name, flags, *rest):
        if flags & os.O_CREAT and str(name).startswith(str(path.parent)):
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert texts(open_text(path)) == ["one", "two"]
    assert os.listdir(path.parent) == ["a.txt"]
    (index,) = (tmp_path / "cache" / "artifex" / "text").iterdir()
    assert index.name.endswith(".line.artifex-index")


def test_a_named_cache_folder_gets_the_index(tmp_path):
    path = write(tmp_path / "data" / "a.txt", "one\ntwo\n")
    assert texts(open_text(path, cache_dir=tmp_path / "cache")) == ["one", "two"]
    assert os.listdir(path.parent) == ["a.txt"]
    assert len(list((tmp_path / "cache" / "text").iterdir())) == 1


def test_nowhere_to_write_to(tmp_path):
    path = write(tmp_path / "data" / "a.txt", "one\n")
    with pytest.raises(ReadError, match="name a `cache_dir` that can be written to") as caught:
        open_text(path, cache_dir=write(tmp_path / "file", ""))
    assert caught.value.path == str(path)


def test_a_file_that_grows_while_it_is_indexed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    scan = opening.spans

    def grow(*arguments, **settings):
        with path.open("a") as file:
            file.write("three\n")
        return scan(*arguments, **settings)

    monkeypatch.setattr(opening, "spans", grow)
    with pytest.raises(ReadError, match="changed while it was indexed"):
        open_text(path)
    assert os.listdir(tmp_path) == ["a.txt"]


def _open(path, queue):
    queue.put(len(open_text(path)))


def test_several_processes_make_one_index(tmp_path):
    path = write(tmp_path / "a.txt", "line\n" * 50_000)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_open, args=(path, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=60) for _ in processes] == [50_000] * 3
    for process in processes:
        process.join()
    assert sorted(os.listdir(tmp_path)) == [".a.txt.line.artifex-index", "a.txt"]


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    write(tmp_path / ".a.txt.line.artifex-index.part", "half")
    assert texts(open_text(path)) == ["one", "two"]
    assert sorted(os.listdir(tmp_path)) == [".a.txt.line.artifex-index", "a.txt"]


def test_a_draft_waits_for_another_one(tmp_path):
    import threading

    seen = []

    def second():
        with draft(str(tmp_path / "x")) as made:
            seen.append((tmp_path / "x").read_bytes())
            made.write(b"second")

    with draft(str(tmp_path / "x")) as made:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        assert seen == []
        made.write(b"first")
        made.publish()
    thread.join(10)
    assert seen == [b"first"]
    assert os.listdir(tmp_path) == ["x"]
