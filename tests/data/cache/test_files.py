import os
import threading
import time

import numpy as np

from artifex.data.cache.files import (
    TEXT_BYTES,
    TICK,
    Field,
    FilesState,
    decode_texts,
    encode_texts,
    grow,
    look,
    open_file,
    read_start,
    write_at,
)
from artifex.data.types import ArraySpec


def test_strings_come_back():
    texts = ["", "a", "größe", "猫" * 340, "\udce4.jpg", "\0", "x" * 1020]
    fits = np.ones(len(texts), bool)
    rows = encode_texts(np.array(texts, object), fits)
    assert fits.all() and rows.shape == (7, TEXT_BYTES) and decode_texts(rows) == texts
    assert rows[1, :6].tolist() == [1, 0, 0, 0, ord("a"), 0]
    encode_texts(np.array(["x" * 1021, "猫" * 341], object), fits[:2])
    assert fits.tolist() == [False, False, True, True, True, True, True]


def test_two_that_grow_a_file_at_once_leave_it_as_long_as_either_wants(tmp_path, monkeypatch):
    one, other = open_file(tmp_path / "f"), open_file(tmp_path / "f")
    thread, ftruncate = threading.Thread(target=grow, args=(other, 200)), os.ftruncate

    def late(file, size):
        if file == one:  # has seen that the file is too short, and the other one comes in between
            thread.start()
            thread.join(0.3)
        ftruncate(file, size)

    try:
        monkeypatch.setattr(os, "ftruncate", late)
        grow(one, 100)
        thread.join()
        assert os.fstat(one).st_size == 200
    finally:
        os.close(one), os.close(other)


def test_a_file_grows_and_never_shrinks(tmp_path):
    file = open_file(tmp_path / "f")
    try:
        write_at(file, b"abc", 4)
        grow(file, 5)
        assert read_start(file, 100) == b"\0\0\0\0abc"
        grow(file, 10)
        assert os.fstat(file).st_size == 10 and read_start(file, 6) == b"\0\0\0\0ab"
    finally:
        os.close(file)


def test_the_state_tells_of_a_write_and_settles(tmp_path):
    file = open_file(tmp_path / "f")
    try:
        fields = {"x": Field.of(ArraySpec((3,), np.dtype(np.int16)), file, 5)}
        before = look(fields)
        assert before.sizes == (30,) and look(fields) == before
        time.sleep(2 * TICK / 1e9)
        assert before.is_settled()
        write_at(file, b"a", 3)
        assert look(fields) != before and not look(fields).is_settled()
        assert fields["x"].rows[0].tolist() == [0, ord("a") << 8, 0]
    finally:
        os.close(file)


def test_a_time_in_the_future_is_not_settled():
    assert not FilesState((1,), (time.time_ns() + 10**12,)).is_settled()
