import time

import numpy as np
import pytest

from artifex.data import cache_info, clear_cache
from artifex.data.cache import cached_reader
from artifex.data.cache.folders import root_in
from artifex.data.errors import ConfigError, ConfigTypeError
from cache_records import SIZE, Made, read


def filled(root, version="1", count=SIZE):
    reader = cached_reader(Made(version=version), "disk", cache_dir=root)
    read(reader, np.arange(count))
    return reader


def test_what_there_is(tmp_path):
    assert cache_info(tmp_path / "none") == []
    filled(tmp_path, count=7)
    (entry,) = cache_info(tmp_path)
    assert (entry.kind, entry.records, entry.num_records, entry.in_use) == ("made", 7, SIZE, False)
    assert 7 * 20_000 < entry.bytes < 9 * 20_000 + 60_000
    assert abs(entry.last_use - time.time()) < 60
    holder = filled(tmp_path, "2")
    assert [(e.records, e.in_use) for e in cache_info(tmp_path)] == [(SIZE, True), (7, False)]
    del holder


def test_clearing(tmp_path):
    assert clear_cache(tmp_path / "none") == []
    filled(tmp_path, "1"), filled(tmp_path, "2")
    holder = filled(tmp_path, "3")
    names = [e.name for e in cache_info(tmp_path) if not e.in_use]
    assert [e.name for e in clear_cache(tmp_path, names=names[:1])] == names[:1]
    assert [e.name for e in clear_cache(tmp_path)] == names[1:]
    assert [e.in_use for e in cache_info(tmp_path)] == [True]
    del holder
    assert len(clear_cache(tmp_path)) == 1
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "records",
        "records/CACHEDIR.TAG",
        "records/lock",
    ]


def test_only_caches_are_cleared(tmp_path):
    filled(tmp_path)
    records = root_in(tmp_path)
    (records / "thesis.txt").write_text("mine")
    (records / ("0" * 32)).mkdir()
    (records / ("0" * 32) / "photo.jpg").write_text("mine")
    with pytest.raises(ConfigError, match="`names` has .*, which are no caches"):
        clear_cache(tmp_path, names=["0" * 32])
    assert len(clear_cache(tmp_path)) == 1
    assert (records / "thesis.txt").exists() and (records / ("0" * 32) / "photo.jpg").exists()


def test_a_folder_that_is_the_user_s_is_left_alone(tmp_path):
    records = root_in(tmp_path)
    records.mkdir()
    (records / "thesis.txt").write_text("mine")
    (records / "CACHEDIR.TAG").write_text("my own")
    with pytest.raises(ConfigError, match="has a folder .*records' that is no cache .*; nothing was deleted"):
        clear_cache(tmp_path)
    with pytest.raises(ConfigError, match=r"has a folder .*records' with other things in it \(thesis.txt\)"):
        filled(tmp_path)
    assert cache_info(tmp_path) == [] and (records / "CACHEDIR.TAG").read_text() == "my own"


@pytest.mark.parametrize("tag", [None, b"Signature: 8a477f597d28d172789f06886806bc54"])
def test_a_root_is_one_before_it_is_tagged_and_when_its_tag_is_damaged(tmp_path, tag):
    records = root_in(tmp_path)
    records.mkdir()
    assert clear_cache(tmp_path) == [] == cache_info(tmp_path)
    filled(tmp_path)
    (records / "CACHEDIR.TAG").write_bytes(tag) if tag else (records / "CACHEDIR.TAG").unlink()
    (records / ".DS_Store").write_bytes(b"")
    assert [entry.records for entry in cache_info(tmp_path)] == [SIZE]
    assert len(clear_cache(tmp_path)) == 1
    filled(tmp_path)
    assert (records / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")


@pytest.mark.parametrize("names", [5, "0" * 32])
def test_names_are_a_list(tmp_path, names):
    with pytest.raises(ConfigTypeError, match="`names` must be a list of names"):
        clear_cache(tmp_path, names=names)


def test_a_name_that_no_folder_can_have_has_nothing(tmp_path):
    assert cache_info(tmp_path / ("x" * 300)) == [] == clear_cache(tmp_path / ("x" * 300))


def test_the_user_s_own_folder_is_not_tagged(tmp_path):
    """Backup programs leave out what is tagged."""
    (tmp_path / "thesis.txt").write_text("mine")
    assert clear_cache(tmp_path) == []
    filled(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["records", "thesis.txt"]


def test_a_damaged_one_is_listed_and_cleared(tmp_path):
    filled(tmp_path)
    (folder,) = [p for p in root_in(tmp_path).iterdir() if p.is_dir()]
    (folder / "manifest.json").write_text("[]")
    (folder / "sums").write_bytes(b"123")
    (entry,) = cache_info(tmp_path)
    assert (entry.kind, entry.records, entry.num_records) == ("damaged", 0, 0)
    assert clear_cache(tmp_path) == [entry]
