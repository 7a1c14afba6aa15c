import io
import json
import re

import jax
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from artifex.data import ArtifexError, ConfigError
from artifex.examples import demo as shared
from artifex.examples.image_demo import MIN_IMAGES, demo
from artifex.examples.training import restore


def run(out, **changes):
    console = Console(file=io.StringIO(), width=100)
    arguments = {"seconds": 1e-3, "images": MIN_IMAGES, "seed": 0} | changes
    # optax's Nadam raises a float to the power of an integer, which the tests' strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        picture = demo(out, console=console, **arguments)
    return picture, console.file.getvalue()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo[1]")  # brackets are markup to rich


@pytest.fixture(scope="module")
def finished(out):
    return run(out)


def test_it_says_what_happens(finished, out):
    lines = finished[1].splitlines()
    said = {line.partition("  ")[0].strip(): line[10:] for line in lines if line[:1].isalpha()}
    assert list(said) == ["Files", "Data", "Device", "Stopped", "Resumed", "Loss", "Speed", "Picture"]
    assert said["Files"].endswith(str(out / f"photos-{MIN_IMAGES}"))
    assert said["Data"] == "115 to train on, 13 held out"
    assert re.match(r"after batch [12] of 3 of epoch \d+, saved in", said["Stopped"])
    assert "the next 3 batches are identical" in said["Resumed"]
    first, last, held_out = (float(x) for x in re.findall(r"\d\.\d\d", said["Loss"]))
    assert 4 < last <= first < 9
    assert held_out == pytest.approx(last, abs=0.5)
    assert re.match(r"\d+ images/s; \d+\.\d% of the time", said["Speed"])
    assert said["Picture"].startswith(str(out / "images.png"))


def test_output_that_is_no_terminal_gets_no_control_characters(finished):
    assert "\x1b" not in finished[1]
    assert "\r" not in finished[1]
    assert finished[1].startswith("Files")


def test_the_picture_has_five_rows_of_ten(finished):
    with Image.open(finished[0]) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (5 * 160, 4 + 10 * 132, 3)
    tiles = pixels.reshape(5, 160, 1324, 3)[:, 28:156, 4:].reshape(5, 128, 10, 132, 3)[..., :128, :]
    tiles = tiles.swapaxes(1, 2).astype(np.float32)
    contrast = tiles.std(axis=(2, 3, 4))
    assert (contrast[:3] > 10).all()  # photographs
    assert (np.abs(tiles[0] - tiles[1]).mean(axis=(1, 2, 3)) > 1).any()  # augmentation shows
    colour = tiles.mean(axis=(2, 3))
    assert np.abs(colour[0] - colour[1]).mean() < 40  # and it is of the same photographs
    assert (np.abs(tiles[0] - tiles[2]).mean(axis=(1, 2, 3)) > 1).all()


def test_the_state_is_small_and_of_the_middle_of_an_epoch(finished, out):
    text = (out / "checkpoint" / "loader.json").read_text()
    assert len(text) < 4096
    assert 0 < json.loads(text)["step"] < 3


def test_a_second_run_cuts_nothing(finished, out):
    files = {file: file.stat().st_mtime_ns for file in (out / f"photos-{MIN_IMAGES}").rglob("*.jpg")}
    assert len(files) == MIN_IMAGES
    run(out, seed=1)
    assert {file: file.stat().st_mtime_ns for file in files} == files


def test_it_fails_where_the_stream_is_another_one(finished, out, monkeypatch):
    def forgets_the_loader(folder, model, optimizer, loader):
        state = loader.state()
        restore(folder, model, optimizer, loader)
        loader.restore(state)

    monkeypatch.setattr(shared, "restore", forgets_the_loader)
    with pytest.raises(ArtifexError, match="3 of 3, the first after 0 that were the same"):
        run(out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": MIN_IMAGES - 1}, "`images`.*127"),
        ({"seed": -1}, "`seed`.*-1"),
        ({"seed": 2**32}, "`seed`"),
        ({"seconds": 0}, "`seconds`.*> 0, got 0"),
        ({"seconds": float("nan")}, "`seconds`.*nan"),
        ({"seconds": float("inf")}, "`seconds`.*inf"),
    ],
)
def test_a_number_out_of_range_is_told_before_anything_is_written(change, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **change)
    assert list(tmp_path.iterdir()) == []
