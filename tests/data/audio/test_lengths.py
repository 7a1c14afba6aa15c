import os

import numpy as np
import pytest

from artifex.data.audio import LengthsNotKeptWarning, lengths, read_lengths
from artifex.data.sources.audio import audio_folder
from audio_files import sound, write


@pytest.fixture
def reads(monkeypatch):
    """The files whose headers were read."""
    read: list[str] = []
    original = lengths.read_audio_info

    def record(path):
        read.append(os.path.basename(path))
        return original(path)

    monkeypatch.setattr(lengths, "read_audio_info", record)
    return read


def fill(root):
    for number, kind in enumerate(("wav", "flac", "ogg")):
        write(root / f"{number}.{kind}", sound(8000 * (number + 1), 0.5 + number / 4), 8000 * (number + 1))
    return root


def test_lengths_are_read_once_and_kept(tmp_path, reads):
    root, cache = fill(tmp_path / "data"), tmp_path / "cache"
    files = audio_folder(root).files
    frames, rates = read_lengths(files, cache)
    assert frames.tolist() == [4000, 12000, 24000] and rates.tolist() == [8000, 16000, 24000]
    assert frames.dtype == rates.dtype == np.int64
    assert sorted(reads) == ["0.wav", "1.flac", "2.ogg"]
    again = read_lengths(audio_folder(root).files, cache)
    assert len(reads) == 3
    np.testing.assert_array_equal(again, (frames, rates))


def test_files_that_changed_or_are_new_are_read_again_and_no_others(tmp_path, reads):
    root, cache = fill(tmp_path / "data"), tmp_path / "cache"
    read_lengths(audio_folder(root).files, cache)
    write(root / "0.wav", sound(8000, 1), 8000)
    write(root / "3.wav", sound(8000, 2), 8000)
    reads.clear()
    frames, _ = read_lengths(audio_folder(root).files, cache)
    assert frames.tolist() == [8000, 12000, 24000, 16000]
    assert sorted(reads) == ["0.wav", "3.wav"]
    # A part of the files is looked up in what is known of all, and does not drop the rest.
    read_lengths(audio_folder(root, suffixes=(".flac",)).files, cache)
    read_lengths(audio_folder(root).files, cache)
    assert len(reads) == 2


def test_a_file_of_the_same_size_and_another_time_is_read_again(tmp_path, reads):
    root, cache = fill(tmp_path / "data"), tmp_path / "cache"
    read_lengths(audio_folder(root).files, cache)
    os.utime(root / "1.flac", ns=(1, 1))
    reads.clear()
    read_lengths(audio_folder(root).files, cache)
    assert reads == ["1.flac"]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:30] + b"?" + d[31:], lambda _: b"x"]
)
def test_a_damaged_index_is_made_again(tmp_path, reads, damage):
    root, cache = fill(tmp_path / "data"), tmp_path / "cache"
    expected = read_lengths(audio_folder(root).files, cache)
    (index,) = (cache / "audio").iterdir()
    index.write_bytes(damage(index.read_bytes()))
    reads.clear()
    np.testing.assert_array_equal(read_lengths(audio_folder(root).files, cache), expected)
    assert len(reads) == 3


def test_a_bad_file_has_no_length_and_is_tried_again(tmp_path, reads):
    root, cache = fill(tmp_path / "data"), tmp_path / "cache"
    (root / "1.flac").write_bytes(b"no sound")
    for _ in range(2):
        frames, rates = read_lengths(audio_folder(root).files, cache)
        assert frames.tolist() == [4000, -1, 24000] and rates[1] == 1
    assert sorted(reads) == ["0.wav", "1.flac", "1.flac", "2.ogg"]


def test_a_cache_that_cannot_be_written_to_is_told_of(tmp_path):
    root = fill(tmp_path / "data")
    (tmp_path / "file").write_text("")
    with pytest.warns(LengthsNotKeptWarning, match="lengths of 3 sound files could not be kept"):
        frames, _ = read_lengths(audio_folder(root).files, tmp_path / "file")
    assert frames.tolist() == [4000, 12000, 24000]
