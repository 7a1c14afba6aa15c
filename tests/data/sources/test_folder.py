import os
import pickle
import socket
import subprocess
import sys

import numpy as np
import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, ReadError, UnknownNameError
from artifex.data.sources.folder import FolderSource, SkippedFilesWarning
from artifex.testing import SourceContract

PNG = (".png",)


def fill(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


class TestFolder(SourceContract):
    @pytest.fixture(autouse=True)
    def _files(self, tmp_path):
        self.root = fill(tmp_path, "cat/a.png", "cat/b.png", "dog/a.png")

    def source(self):
        return FolderSource(self.root, PNG)


def test_a_record_is_bytes_path_and_label(tmp_path):
    fill(tmp_path, "dog/1.png", "cat/2.PNG", "cat/deep/er/3.png", "notes.txt")
    source = FolderSource(tmp_path, PNG)
    assert source.names == ["cat/2.PNG", "cat/deep/er/3.png", "dog/1.png"]
    assert source[0] == {"data": b"cat/2.PNG", "path": str(tmp_path / "cat" / "2.PNG"), "label": 0}
    assert source[-1]["label"] == 1
    assert source.classes == ("cat", "dog")
    assert source.class_to_idx == {"cat": 0, "dog": 1}
    assert source.labels.dtype == np.int32
    assert source.labels.tolist() == [0, 0, 1]
    assert source.skipped == ()


def test_the_path_begins_as_the_root_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path, "in/a.png"))
    assert FolderSource("in", PNG)[0]["path"] == os.path.join("in", "a.png")


def test_order_is_that_of_code_points(tmp_path):
    names = ["Z.png", "a-b/1.png", "a/1.png", "a.png", "ä.png", "z.png", "é.png", "10.png", "9.png"]
    source = FolderSource(fill(tmp_path, *names), PNG, labels=None)
    assert source.names == [
        "10.png",
        "9.png",
        "Z.png",
        "a-b/1.png",
        "a.png",
        "a/1.png",
        "z.png",
        "ä.png",
        "é.png",
    ]


def test_order_does_not_depend_on_the_locale(tmp_path):
    fill(tmp_path, "B.png", "a.png", "é.png", "z.png")
    code = (
        "import sys; from artifex.data.sources.folder import FolderSource as F;"
        "s = F(sys.argv[1], ('.png',)); print(ascii(s.names), s.fingerprint())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for locale, seed in (("C", "0"), ("C.UTF-8", "1"))
    }
    assert seen == {f"['B.png', 'a.png', 'z.png', '\\xe9.png'] {FolderSource(tmp_path, PNG).fingerprint()}\n"}


def test_what_begins_with_a_dot_is_passed_over(tmp_path):
    source = FolderSource(fill(tmp_path, "a.png", ".b.png", ".git/c.png", ".png"), PNG)
    assert source.names == ["a.png"]
    assert source.labels is None
    assert source.classes == ()


def test_suffixes_of_two_parts(tmp_path):
    assert FolderSource(fill(tmp_path, "a.seg.png", "a.png"), (".seg.png",)).names == ["a.seg.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes and sockets in folders")
def test_what_is_no_file_is_left_out_and_told_once(tmp_path):
    fill(tmp_path, "a/good.png", "b/x.png/inside.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "a" / "loop.png").symlink_to("loop.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "null.png").symlink_to("/dev/null")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path / "b")  # the paths of sockets must be short
    try:
        server.bind("s.png")
    finally:
        os.chdir(here)
        server.close()
    with pytest.warns(SkippedFilesWarning, match="left out, since they cannot be read") as told:
        source = FolderSource(tmp_path, PNG)
    assert len(told) == 1
    assert source.names == ["a/good.png"]
    reasons = {os.path.relpath(path, tmp_path): reason for path, reason in source.skipped}
    assert set(reasons) == {
        "a/pipe.png", "a/dangling.png", "a/loop.png", "a/again", "a/null.png", "b/x.png", "b/s.png"
    }  # fmt: skip
    assert reasons["a/pipe.png"] == "a named pipe"
    assert reasons["a/dangling.png"] == "a link to nothing"
    assert reasons["a/again"] == "a link to a folder that it is in"
    assert reasons["a/null.png"] == "a device"
    assert reasons["b/x.png"] == "a folder"
    assert reasons["b/s.png"] == "a socket"


def test_links_to_files_and_folders_are_followed(tmp_path):
    fill(tmp_path, "data/cat/a.png", "elsewhere/b.png")
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "cat" / "c.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    source = FolderSource(tmp_path / "data", PNG)
    assert source.names == ["cat/a.png", "cat/c.png", "dog/b.png"]
    assert source[1]["data"] == source[2]["data"] == b"elsewhere/b.png"


def test_two_links_into_each_other_end(tmp_path):
    fill(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    with pytest.warns(SkippedFilesWarning):
        source = FolderSource(tmp_path, PNG)
    assert source.names == ["a/1.png", "a/to_b/2.png", "b/2.png", "b/to_a/1.png"]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch):
    fill(tmp_path, "a/1.png", "b/2.png")
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)  # root may list everything
    with pytest.warns(SkippedFilesWarning, match="Permission denied"):
        source = FolderSource(tmp_path, PNG)
    assert source.skipped == ((str(tmp_path / "b"), "Permission denied"),)


def test_a_file_that_vanished_is_a_read_error(tmp_path):
    source = FolderSource(fill(tmp_path, "a.png", "b.png"), PNG)
    (tmp_path / "a.png").unlink()
    with pytest.raises(ReadError, match="No such file") as caught:
        source[0]
    assert caught.value.path == str(tmp_path / "a.png")
    assert source[1]["data"] == b"b.png"


def test_a_file_without_permission_is_listed_and_a_read_error(tmp_path, monkeypatch):
    source = FolderSource(fill(tmp_path, "a.png"), PNG)

    def denied(path, flags, *args, **kwargs):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", denied)  # root may open everything
    with pytest.raises(ReadError, match="Permission denied"):
        source[0]


@pytest.mark.skipif(sys.platform == "win32", reason="has no pipes in folders")
def test_a_file_that_became_a_pipe_does_not_block(tmp_path):
    source = FolderSource(fill(tmp_path, "a.png"), PNG)
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ReadError, match="a named pipe"):
        source[0]


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(2**40)  # a hole: a terabyte that takes no room
    with pytest.raises(ReadError, match=r"1099511627776 bytes are over `max_bytes` 67108864"):
        FolderSource(tmp_path, PNG)[0]
    fill(tmp_path, "b.png")
    assert FolderSource(tmp_path, PNG, max_bytes=5)[1]["data"] == b"b.png"
    with pytest.raises(ReadError, match="`max_bytes` 4"):
        FolderSource(tmp_path, PNG, max_bytes=4)[1]


def test_files_with_and_without_a_folder_have_no_labels(tmp_path):
    fill(tmp_path, "cat/a.png", "stray.png")
    with pytest.raises(ConfigError, match=r"'stray\.png' lies directly in `root`.*labels=None"):
        FolderSource(tmp_path, PNG)
    source = FolderSource(tmp_path, PNG, labels=None)
    assert source.labels is None
    assert set(source[0]) == {"data", "path"}


def test_labels_by_name(tmp_path):
    fill(tmp_path, "a.png", "sub/b.png")
    source = FolderSource(tmp_path, PNG, labels={"a.png": "zebra", "sub/b.png": "ant", "unused.png": "bee"})
    assert source.classes == ("ant", "bee", "zebra")
    assert source.labels.tolist() == [2, 0]


def test_labels_by_number(tmp_path):
    source = FolderSource(fill(tmp_path, "a.png", "b.png"), PNG, labels={"a.png": 7, "b.png": -1})
    assert source.classes == ()
    assert [source[i]["label"] for i in range(2)] == [7, -1]


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (
            {"a.png": 1},
            ConfigError,
            r"no entry for 1 of 2 files.*'b\.png'.*relative to the root, like 'a\.png'",
        ),
        ({}, ConfigError, "no entry for 2 of 2"),
        ({"a.png": 1, "b.png": "x"}, ConfigTypeError, r"all ints or all names, got 'x' for 'b\.png'"),
        ({"a.png": 1, "b.png": 2**31}, ConfigError, "int32"),
        ("folders", UnknownNameError, "did you mean 'folder'"),
    ],
)
def test_labels_that_are_wrong(tmp_path, labels, kind, message):
    with pytest.raises(kind, match=message):
        FolderSource(fill(tmp_path, "a.png", "b.png"), PNG, labels=labels)


def test_nothing_found_says_what_there_is(tmp_path):
    fill(tmp_path, "a.txt", "sub/b.TXT", "c.jpeg", "README")
    with pytest.raises(ConfigError, match=r"ends in '\.png', '\.jpg'; files there are: 2 in \.txt, 1 in"):
        FolderSource(tmp_path, (".png", ".jpg"))


def test_nothing_but_folders_named_like_files(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(ConfigError, match=r"left out .*x\.png' \(a folder\)"):
        FolderSource(tmp_path, PNG)


def test_empty_missing_or_a_file(tmp_path):
    with pytest.raises(ConfigError, match="files there are: none"):
        FolderSource(tmp_path, PNG)
    with pytest.raises(ConfigError, match=r"missing' does not exist"):
        FolderSource(tmp_path / "missing", PNG)
    fill(tmp_path, "a.png")
    with pytest.raises(ConfigError, match=r"a\.png' is no folder; give the folder it is in"):
        FolderSource(tmp_path / "a.png", PNG)


@pytest.mark.parametrize("suffixes", [(), ("png",), (".",), (".png", "")])
def test_suffixes_that_are_none(tmp_path, suffixes):
    with pytest.raises(ConfigError, match="`suffixes`"):
        FolderSource(tmp_path, suffixes)


def test_one_suffix_as_a_string_is_refused(tmp_path):
    with pytest.raises(ConfigTypeError, match=r"\('\.png',\)"):
        FolderSource(tmp_path, ".png")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode there")
def test_names_in_any_bytes(tmp_path):
    names = ["日本.png", "e\u0301.png", "new\nline.png", os.fsdecode(b"\xff\xfe.png"), "sp ace/ü.png"]
    source = FolderSource(fill(tmp_path, *names), PNG, labels=None)
    assert source.names == sorted(names)
    for i, name in enumerate(sorted(names)):
        assert source[i]["data"] == os.fsencode(name)
    assert len(source.fingerprint()) == 16
    assert pickle.loads(pickle.dumps(source)).names == source.names


def test_fingerprint_is_of_names_and_sizes_alone(tmp_path):
    one, two = (fill(tmp_path / name, "a/1.png", "b/2.png") for name in ("one", "two"))
    os.utime(one / "a/1.png", (1, 1))
    print_of = FolderSource(one, PNG).fingerprint()
    assert print_of == FolderSource(two, PNG).fingerprint()
    assert print_of != FolderSource(two, PNG, labels=None).fingerprint()
    (two / "b/2.png").write_bytes(b"longer than before")
    assert print_of != FolderSource(two, PNG).fingerprint()
    (one / "b/2.png").rename(one / "b/3.png")
    assert print_of != FolderSource(one, PNG).fingerprint()


def test_each_file_is_asked_about_once(tmp_path, monkeypatch):
    """Listing costs one `scandir` per folder and one `stat` per folder, besides that of each entry."""
    fill(tmp_path, *(f"{c}/{i}.png" for c in "abc" for i in range(50)))
    calls = []
    real_stat, real_scandir = os.stat, os.scandir
    monkeypatch.setattr(os, "stat", lambda p, **k: calls.append("stat") or real_stat(p, **k))
    monkeypatch.setattr(os, "scandir", lambda p: calls.append("scandir") or real_scandir(p))
    assert len(FolderSource(tmp_path, PNG)) == 150
    # isdir may or may not go through os.stat, by version
    assert calls.count("scandir") == 4
    assert calls.count("stat") <= 5
