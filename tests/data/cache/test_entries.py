import time

import numpy as np
import pytest

from artifex.data import cache_info, clear_cache
from artifex.data.cache import cached_reader
from artifex.data.cache.folders import root_in
from artifex.data.errors import ConfigError
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
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["records", "records/CACHEDIR.TAG"]


def test_only_caches_are_cleared(tmp_path):
    records = root_in(tmp_path)
    records.mkdir()
    (records / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="has a folder .*records' that is no cache .*; nothing was deleted"):
        clear_cache(tmp_path)
    filled(tmp_path)
    (records / ("0" * 32)).mkdir()
    (records / ("0" * 32) / "photo.jpg").write_text("mine")
    with pytest.raises(ConfigError, match="`names` has .*, which are no caches"):
        clear_cache(tmp_path, names=["0" * 32])
    assert len(clear_cache(tmp_path)) == 1
    assert (records / "thesis.txt").exists() and (records / ("0" * 32) / "photo.jpg").exists()


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
