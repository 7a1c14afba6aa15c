"""A corpus tokenized once: the same tokens, whoever is killed, whatever is damaged."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from artifex.data import token_store
from artifex.data.errors import ConfigError, DecodeError
from artifex.data.token_store import OnBadDocument, store_tokens
from process_items import ENVIRONMENT


class Counted:
    """Documents of 0 to 9 ids; which were encoded is counted."""

    def __init__(self, size, bad=()):
        self.size, self.bad, self.encoded = size, bad, []

    def __len__(self):
        return self.size

    def encode(self, indices):
        for number in indices:
            if int(number) in self.bad:
                raise DecodeError("no text", path="a.txt", record=int(number))
        self.encoded += indices.tolist()
        return [ids_of(number) for number in indices.tolist()]


def ids_of(number):
    return np.arange(number, number + number % 10, dtype=np.int32)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(token_store, "_DOCUMENTS", 16)
    monkeypatch.setattr(token_store, "_AT_ONCE", 4)


def store(documents, folder, **settings):
    settings = {"vocab_size": 5000, "num_workers": 0, **settings}
    return store_tokens(documents, {"kind": "counted", "size": len(documents)}, folder, **settings)


def assert_whole(stored, size, empty=()):
    assert len(stored.offsets) == size + 1
    for number in range(size):
        ids = stored.tokens[stored.offsets[number] : stored.offsets[number + 1]]
        np.testing.assert_array_equal(ids, [] if number in empty else ids_of(number))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_documents_come_back(tmp_path, size, workers):
    told = []
    stored = store(
        Counted(size), tmp_path, num_workers=workers, progress=lambda done, all_: told.append((done, all_))
    )
    assert_whole(stored, size)
    assert told[-1] == (size, size) and told == sorted(told)
    assert sorted(path.name for path in stored.folder.iterdir()) == ["manifest.json", "offsets", "tokens"]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(2**16, np.uint16), (2**16 + 1, np.int32)])
def test_small_vocabularies_take_two_bytes(tmp_path, vocab_size, dtype):
    assert store(Counted(20), tmp_path, vocab_size=vocab_size).tokens.dtype == dtype


def test_it_is_made_once(tmp_path):
    store(Counted(40), tmp_path)
    again = Counted(40)
    assert_whole(store(again, tmp_path), 40)
    assert again.encoded == []
    other = store_tokens(again, {"kind": "other"}, tmp_path, vocab_size=5000, num_workers=0)
    assert_whole(other, 40)
    assert len(again.encoded) == 40


def test_an_error_keeps_what_was_done_and_a_second_try_goes_on(tmp_path):
    with pytest.raises(DecodeError, match="record 50: a.txt: no text"):
        store(Counted(100, bad={50}), tmp_path)
    again = Counted(100)
    assert_whole(store(again, tmp_path), 100)
    assert min(again.encoded) == 48


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_documents_are_left_empty_where_that_is_asked_for(tmp_path, workers):
    stored = store(
        Counted(100, bad={0, 50, 51, 99}), tmp_path, on_error=OnBadDocument.SKIP, num_workers=workers
    )
    assert_whole(stored, 100, empty={0, 50, 51, 99})
    assert [bad.record for bad in stored.bad] == [0, 50, 51, 99]
    assert (stored.bad[0].path, stored.bad[0].error) == ("a.txt", "DecodeError")


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "no json"])
def test_a_damaged_part_is_made_again(tmp_path, damage):
    with pytest.raises(DecodeError):
        store(Counted(100, bad={99}), tmp_path)
    part = next(tmp_path.glob("*/part-00000001.tokens"))
    about = part.with_suffix(".json")
    data = part.read_bytes()
    if damage == "cut":
        part.write_bytes(data[:-1])
    elif damage == "flip":
        part.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == "gone":
        part.unlink()
    else:
        about.write_bytes(about.read_bytes()[:-5])
    again = Counted(100)
    assert_whole(store(again, tmp_path), 100)
    assert {16, 31} <= set(again.encoded) and 0 not in again.encoded


@pytest.mark.parametrize(
    ("name", "match"),
    [("tokens", "file of tokens"), ("offsets", "file of offsets"), ("manifest.json", "manifest")],
)
@pytest.mark.parametrize("left", [-8, 0])
def test_damage_of_a_finished_store_is_told(tmp_path, name, match, left):
    path = store(Counted(100), tmp_path).folder / name
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ConfigError, match=f"is damaged: its {match}.*delete the folder"):
        store(Counted(100), tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("manifest.json", b"{}", "its manifest is not one of version 1"),
        ("manifest.json", b'{"version": 1}', "its manifest is none: KeyError: 'num_tokens'"),
        ("manifest.json", b"[]", "its manifest is not one of version 1"),
        ("offsets", bytes(101 * 8), "its offsets do not match their checksum"),
    ],
)
def test_other_content_of_a_finished_store_is_told(tmp_path, name, data, match):
    (store(Counted(100), tmp_path).folder / name).write_bytes(data)
    with pytest.raises(ConfigError, match=f"is damaged: {match}"):
        store(Counted(100), tmp_path)


def test_a_build_goes_on_where_another_one_has_finished(tmp_path):
    """The other one deletes what the store was made of, and with it the file that is being written here."""

    class Overtaken(Counted):
        def encode(self, indices):
            if indices[-1] == self.size - 1 and not list(tmp_path.glob("*/manifest.json")):
                store(Counted(self.size), tmp_path)
            return super().encode(indices)

    assert_whole(store(Overtaken(100), tmp_path), 100)
    names = sorted(path.name for path in next(tmp_path.iterdir()).iterdir())
    assert names == ["manifest.json", "offsets", "tokens"]


def test_a_full_disk_is_told_and_nothing_half_written_is_left(tmp_path, monkeypatch):
    def full(_file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(token_store.os, "fsync", full)
        with pytest.raises(ConfigError, match="`cache_dir` .* No space left on device; free some space"):
            store(Counted(100), tmp_path)
    assert list(tmp_path.glob("*/*")) == []
    assert_whole(store(Counted(100), tmp_path), 100)


def test_long_documents_are_taken_a_few_at_a_time(tmp_path, monkeypatch):
    """Of 40 tokens each, two are more than 64 tokens; of one token each there may be four at a time."""
    monkeypatch.setattr(token_store, "_TOKENS_AT_ONCE", 64)

    class Mixed(Counted):
        def encode(self, indices):
            taken.append(len(indices))
            return [np.full(40 if number < 16 else 1, number) for number in indices.tolist()]

    taken = []
    stored = store(Mixed(32), tmp_path)
    assert np.diff(stored.offsets).tolist() == [40] * 16 + [1] * 16
    assert max(taken[: taken.index(4)]) == 2 and max(taken) == 4
    np.testing.assert_array_equal(stored.tokens, np.repeat(np.arange(32), np.diff(stored.offsets)))


def test_an_id_that_the_store_has_no_room_for_is_told(tmp_path):
    class Large(Counted):
        def encode(self, indices):
            return [np.array([2**16 + 1], np.int32) for _ in indices]

    with pytest.raises(ConfigError, match="`vocab_size` must be more than the id 65537"):
        store(Large(5), tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="`cache_dir` .* cannot be used"):
        store(Counted(5), tmp_path / "file")


SLOW = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    sys.path[:0] = sys.argv[2:]
    from data import test_token_store as t
    from artifex.data import token_store
    token_store._DOCUMENTS, token_store._AT_ONCE = 16, 4

    class Slow(t.Counted):
        def encode(self, indices):
            time.sleep(0.002)
            return super().encode(indices)

    print("begun", flush=True)
    t.store(Slow(2000), Path(sys.argv[1]), num_workers=2)
    print("done", flush=True)
    """
)


def test_what_a_killed_build_left_beside_a_whole_store_goes(tmp_path):
    stored = store(Counted(20), tmp_path)
    for name in ("part-00000000.json", "tokens.4711"):
        (stored.folder / name).write_text("left")
    assert_whole(store(Counted(20), tmp_path), 20)
    assert sorted(path.name for path in stored.folder.iterdir()) == ["manifest.json", "offsets", "tokens"]


def test_builds_that_are_killed_go_on(tmp_path):
    tests = os.path.dirname(os.path.dirname(__file__))
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(30):
        command = [sys.executable, "-c", SLOW, str(tmp_path), tests]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert process.stdout.readline() == "begun\n"
        time.sleep(rng.uniform(0.05, 0.3))
        process.send_signal(signal.SIGKILL)
        done = "done" in process.communicate()[0]
        if done:
            break
        kills += 1
    assert kills >= 2
    again = Counted(2000)
    assert_whole(store(again, tmp_path), 2000)
    assert len(again.encoded) < 2000
    assert not list(tmp_path.glob("*/part-*"))


def _build(folder):
    token_store._DOCUMENTS, token_store._AT_ONCE = 16, 4
    store(Counted(600), folder, num_workers=2)


def test_two_builds_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_build, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert_whole(store(Counted(600), tmp_path), 600)


def test_the_manifest_is_plain(tmp_path):
    manifest = json.loads((store(Counted(20), tmp_path).folder / "manifest.json").read_text())
    assert manifest["num_documents"] == 20 and manifest["num_tokens"] == sum(n % 10 for n in range(20))
