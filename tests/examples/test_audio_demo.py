import io
import json
import re
import sys

import jax
import numpy as np
import pytest
import soundfile
from PIL import Image
from rich.console import Console

from artifex.data import ArtifexError, ConfigError
from artifex.data.codecs.audio import load_audio_file
from artifex.data.errors import MissingPackageError
from artifex.examples import audio_demo, speech_flow
from artifex.examples import demo as shared
from artifex.examples.audio_demo import HELD_OUT, SPEECH, TRAIN, demo
from artifex.examples.training import restore

SENTENCE = 207 * 256
"""Samples of a sound that is written."""


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", autouse=True)
def small():
    """Few windows, and quick to compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speech_flow, "STRIDE", 0.5)
        patch.setattr(speech_flow, "WIDTH", 32)
        patch.setattr(speech_flow, "_FLOW", (1,))
        patch.setattr(audio_demo, "BATCH", 4)
        yield


def run(out, **changes):
    console = Console(file=io.StringIO(), width=100)
    arguments = {"seconds": 1e-3, "seed": 0} | changes
    # optax's Adam raises a float to the power of an integer, which the tests' strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        picture = demo(out, console=console, **arguments)
    return picture, console.file.getvalue()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo[1]")  # brackets are markup to rich


@pytest.fixture(scope="module")
def finished(out):
    return run(out, seconds=1)


def test_it_says_what_happens(finished, out):
    lines = finished[1].splitlines()
    said = [(line[:8].strip(), line[10:]) for line in lines if re.match(r"[A-Z]\w+ +  ", line)]
    names = [
        "Data",
        "Device",
        "Stopped",
        "Resumed",
        "Loss",
        "Loss",
        "Speed",
        "Sound",
        "Sound",
        "Sound",
        "Picture",
    ]
    assert [name for name, _ in said] == names
    told = dict(said)
    # recordings of 7.1, 5.3 and 6.05 s, and of 2.99 and 3.29 s, a window of 2.03 s each half second
    assert told["Data"].startswith("30 windows of 2.0 s to train on, 7 of other sentences held out")
    assert re.match(r"after batch [1-6] of 7 of epoch \d+, saved in", told["Stopped"])
    assert "the next 7 batches are identical" in told["Resumed"]
    coder, flow = (text for name, text in said if name == "Loss")
    before, after, mean, learned = (float(x) for x in re.findall(r"\d+\.\d", coder))
    assert learned <= after < before
    assert 10 < mean < 14
    before, after, learned = (int(x) for x in re.findall(r"(\d+)%", flow))
    assert max(learned, after) <= before == 100
    assert re.match(r"\d+ clips/s; \d+\.\d% of the time", told["Speed"])
    files = [text.partition(": ")[0] for name, text in said if name == "Sound"]
    assert files == [str(out / f"{name}.wav") for name in ("real", "reconstructed", "sampled")]
    assert told["Picture"].startswith(str(out / "audio.png"))
    assert re.search(r"\d dB off, \d+ clips/s", finished[1])


def test_output_that_is_no_terminal_gets_no_control_characters(finished):
    assert "\x1b" not in finished[1]
    assert finished[1].startswith("Data")


def test_the_sounds(finished, out):
    sounds = {name: soundfile.read(out / f"{name}.wav") for name in ("real", "reconstructed", "sampled")}
    for samples, rate in sounds.values():
        assert rate == 16000
        assert samples.shape == (2 * SENTENCE + 8000,)
        assert not samples[SENTENCE : SENTENCE + 8000].any()  # between the two
        assert samples[:SENTENCE].std() > 1e-3 and samples[-SENTENCE:].std() > 1e-3
    real = sounds["real"][0]
    for row, place in zip(rows(HELD_OUT), (0, SENTENCE + 8000), strict=True):
        recording = load_audio_file(SPEECH / row["path"])
        np.testing.assert_allclose(real[place : place + len(recording)], recording, rtol=0, atol=2**-15)


def test_the_picture_shows_what_is_written(finished, out):
    assert finished[0] == out / "audio.png"
    with Image.open(finished[0]) as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (3 * 292, 2 * (56 + 3 * 208 + 8), 3)
    spectrograms = pixels.reshape(3, 292, 2, 688, 3)[:, 102:262, :, 56:680].sum(axis=-1)
    assert (spectrograms.std(axis=(1, 3)) > 10).all()
    for row, name in enumerate(("real", "reconstructed")):
        samples = soundfile.read(out / f"{name}.wav")[0]
        for column, clip in enumerate((samples[:SENTENCE], samples[-SENTENCE:])):
            level = np.log(clip.reshape(207, 256).std(axis=1) + 1e-3)
            brightness = spectrograms[row, :, column].mean(axis=0)[:-3:3]
            assert np.corrcoef(level, brightness)[0, 1] > 0.7, (name, column)


def test_the_state_is_small_and_of_the_middle_of_an_epoch(finished, out):
    text = (out / "checkpoint" / "loader.json").read_text()
    assert len(text) < 4096
    assert 0 < json.loads(text)["step"] < 7
    names = {"audio.png", "cache", "checkpoint", "real.wav", "reconstructed.wav", "sampled.wav"}
    assert {path.name for path in out.iterdir()} == names


def test_it_fails_where_the_stream_is_another_one(finished, out, monkeypatch):
    def forgets_the_loader(folder, model, optimizer, loader):
        state = loader.state()
        restore(folder, model, optimizer, loader)
        loader.restore(state)

    monkeypatch.setattr(shared, "restore", forgets_the_loader)
    with pytest.raises(ArtifexError, match="7 of 7, the first after 0 that were the same"):
        run(out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "`seed`.*-1"),
        ({"seed": 2**32}, "`seed`"),
        ({"seconds": 0}, "`seconds`.*> 0, got 0"),
        ({"seconds": float("nan")}, "`seconds`.*nan"),
    ],
)
def test_a_number_out_of_range_is_told_before_anything_is_written(change, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, **change)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("package", "extra"), [("PIL", "demo"), ("soundfile", "audio"), ("soxr", "audio")])
def test_a_missing_package_is_named_before_anything_is_trained(package, extra, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    name = {"PIL": "Pillow"}.get(package, package)
    with pytest.raises(MissingPackageError, match=rf'{name}.*pip install "artifex-data\[{extra}\]"'):
        run(tmp_path)
    assert not (tmp_path / "checkpoint").exists()


def test_the_lists_name_every_recording_once():
    listed = [row["path"] for file in (TRAIN, HELD_OUT) for row in rows(file)]
    assert sorted(listed) == sorted(path.name for path in SPEECH.glob("*.flac"))
    texts = [row["text"] for file in (TRAIN, HELD_OUT) for row in rows(file)]
    assert len(set(texts)) == 5
    assert all(re.fullmatch(r"[a-z ]+", text) for text in texts)


def test_the_recordings_are_speech_and_small():
    infos = [soundfile.info(path) for path in sorted(SPEECH.glob("*.flac"))]
    assert {(info.samplerate, info.channels, info.subtype) for info in infos} == {(16000, 1, "PCM_16")}
    assert [round(info.duration, 2) for info in infos] == [7.1, 2.99, 5.3, 6.05, 3.29]
    assert sum(path.stat().st_size for path in SPEECH.iterdir()) < 500_000
    # of read English: 2 to 4 words a second
    spoken = {row["path"]: len(row["text"].split()) for file in (TRAIN, HELD_OUT) for row in rows(file)}
    assert all(
        1.5 < spoken[path.name] / soundfile.info(path).duration < 4.5 for path in SPEECH.glob("*.flac")
    )


def test_the_terms_lie_beside_the_recordings():
    text = (SPEECH / "README.md").read_text(encoding="utf-8")
    assert "LibriVox" in text
    assert "public domain" in text
