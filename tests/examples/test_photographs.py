import sys

import numpy as np
import pytest
from PIL import Image

from artifex.data.codecs.image import RandomResizedCrop
from artifex.data.errors import ConfigError, MissingPackageError
from artifex.examples import photographs
from artifex.examples.photographs import PHOTOGRAPHS, cut_photographs, find_photographs

COUNT = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    assert list(cut_photographs(folder, COUNT))[-1] == COUNT
    return folder


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_parts_are_rgb_jpeg_files_of_different_sizes(folder):
    files = sorted(folder.rglob("*.jpg"))
    sizes = set()
    for file in files:
        with Image.open(file) as part:
            assert (part.format, part.mode) == ("JPEG", "RGB")
            assert 72 <= max(part.size) <= 200
            sizes.add(part.size)
    assert len(sizes) > COUNT // 2
    assert len(files) == len(content(folder)) == COUNT


def test_each_photograph_has_its_folder_and_as_many_parts(folder):
    stems = [path.stem for path in find_photographs()]
    assert {file.name for file in folder.iterdir()} == set(stems)
    counts = [len(list((folder / stem).iterdir())) for stem in stems]
    assert sum(counts) == COUNT
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1


def test_what_is_there_stays_and_what_is_missing_comes_back_the_same(folder):
    before = content(folder)
    times = {file: file.stat().st_mtime_ns for file in folder.rglob("*.jpg")}
    assert list(cut_photographs(folder, COUNT))[-1] == COUNT
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*.jpg")} == times

    lost = [file for file in times if file.name == "0001.jpg"]
    for file in lost:
        file.unlink()
    progress = list(cut_photographs(folder, COUNT))
    assert content(folder) == before
    assert progress == sorted(progress)
    assert {f for f, time in times.items() if f.stat().st_mtime_ns != time} == set(lost)


def test_an_interrupted_write_leaves_no_part(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        list(cut_photographs(tmp_path, COUNT))
    assert list(tmp_path.rglob("[!.]*.jpg")) == []


def test_a_part_shows_the_photograph(tmp_path, monkeypatch):
    path = find_photographs()[0]
    with Image.open(path) as image:
        photograph = image.convert("RGB")
    ratio = photograph.width / photograph.height
    monkeypatch.setattr(photographs, "_PART", RandomResizedCrop(scale=(1, 1), ratio=(ratio, ratio)))
    list(cut_photographs(tmp_path, 1))
    with Image.open(tmp_path / path.stem / "0000.jpg") as part:
        expected = np.asarray(photograph.resize(part.size), np.int16)
        assert (
            np.abs(np.asarray(part, np.int16) - expected).mean() < 6
        )  # JPEG at 90 changes 4, another place some 50


def test_photographs_are_in_colour():
    for path in find_photographs():
        assert path.name in PHOTOGRAPHS
        with Image.open(path) as photograph:
            assert photograph.mode == "RGB"
            assert np.ptp(np.asarray(photograph), axis=-1).mean() > 10


@pytest.mark.parametrize(("package", "name"), [("skimage", "scikit-image"), ("PIL", "Pillow")])
def test_a_missing_package_is_named(package, name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf'{name}.*pip install "artifex-data\[demo\]"'):
        list(cut_photographs(tmp_path, COUNT))


def test_a_release_without_photographs_is_told(monkeypatch):
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", ("nobody.png",))
    with pytest.raises(ConfigError, match=r"none of nobody\.png"):
        find_photographs()
