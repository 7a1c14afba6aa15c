from pathlib import Path

import pytest

from artifex.data.cache_dir import cache_folder, default_cache_dir
from artifex.data.errors import ConfigError, ConfigTypeError


def test_a_folder_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cache_folder("a") == cache_folder(Path("a")) == tmp_path / "a"
    assert cache_folder(tmp_path) == tmp_path and cache_folder(None) == default_cache_dir()


@pytest.mark.parametrize("value", [5, b"a", ["a"], True])
def test_what_is_no_path(value):
    with pytest.raises(ConfigTypeError, match=r"`cache_dir` must be a path \(str or Path\) or None, got"):
        cache_folder(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "`cache_dir` is empty"),
        ("a\0b", r"'a\\x00b' has a null"),
        ("\ud800", r"'\\ud800' is no name of a folder"),
    ],
)
def test_what_no_folder_is_called(value, message):
    with pytest.raises(ConfigError, match=message):
        cache_folder(value)


def test_a_current_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError, match="'a' is below the current folder, which is gone"):
        cache_folder("a")
