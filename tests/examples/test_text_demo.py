import io
import json
import platform
import re
import sys

import jax
import pytest
from rich.console import Console

from artifex.data import ArtifexError, ConfigError
from artifex.data.errors import MissingPackageError
from artifex.data.tokenizers.load import load_tokenizer
from artifex.examples import demo as shared
from artifex.examples import text_demo, text_transformer
from artifex.examples.text_demo import MIN_DOCUMENTS, demo
from artifex.examples.training import restore

CORPUS = f"python-{platform.python_version()}-{MIN_DOCUMENTS}"


@pytest.fixture(scope="module", autouse=True)
def small():
    """Quick to compile, and to sample from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_demo, "_SAMPLE_LENGTH", 24)
        patch.setattr(text_demo, "VOCABULARY", 400)
        patch.setattr(text_transformer, "LAYERS", 1)
        yield


def run(out, **changes):
    console = Console(file=io.StringIO(), width=100)
    arguments = {"seconds": 1e-3, "seed": 0, "documents": MIN_DOCUMENTS} | changes
    # optax's Adam raises a float to the power of an integer, which the tests' strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        samples = demo(out, console=console, **arguments)
    return samples, console.file.getvalue()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo[1]")  # brackets are markup to rich


@pytest.fixture(scope="module")
def finished(out):
    return run(out, seconds=1)


def test_it_says_what_happens(finished, out):
    lines = finished[1].splitlines()
    said = {line[:8].strip(): line[10:] for line in lines if re.match(r"[A-Z]\w+ +  ", line)}
    names = ["Corpus", "Tokens", "Data", "Device", "Stopped", "Resumed", "Loss", "Speed", "Sample", "Samples"]
    assert list(said) == names
    assert said["Corpus"].endswith(str(out / CORPUS))
    assert said["Data"].startswith(
        f"{MIN_DOCUMENTS - MIN_DOCUMENTS // 16} documents to train on, 6 held out;"
    )
    waste = re.search(r"padding is (\d\.\d\d)% \(one document to a row, cut: (\d+)%\)", said["Data"])
    assert float(waste[1]) < 2 < float(waste[2])
    assert re.match(r"after batch [1-9]\d* of \d+ of epoch 1, saved in", said["Stopped"])
    assert re.search(r"the next [1-9]\d* batches are identical", said["Resumed"])
    before, after = (float(x) for x in re.findall(r"\d+\.\d", said["Loss"])[:2])
    assert after < before
    assert before == pytest.approx(400, rel=0.1)  # as many as there are tokens
    per_byte = re.search(r"(\d\.\d\d) and (\d\.\d\d) bits per byte", said["Loss"])
    assert 0.5 < float(per_byte[2]) < float(per_byte[1]) < 8
    assert re.match(r"\d+ tokens/s; \d+\.\d% of the time", said["Speed"])
    assert said["Samples"].startswith(str(out / "samples.txt"))


def test_output_that_is_no_terminal_gets_no_control_characters(finished):
    assert "\x1b" not in finished[1]
    assert finished[1].startswith("Corpus")


def test_the_file_has_all_samples(finished, out):
    assert finished[0] == out / "samples.txt"
    texts = finished[0].read_text(encoding="utf-8").removesuffix("\n").split("\n\n----\n\n")
    assert len(texts) == len(set(texts)) == 6
    assert max(texts, key=len) in finished[1]


def test_what_lies_in_the_folder(finished, out):
    state = (out / "checkpoint" / "loader.json").read_text()
    assert len(state) < 4096
    assert json.loads(state)["step"] > 0
    assert load_tokenizer(out / "tokenizer.json").vocab_size == 400
    names = {"checkpoint", CORPUS, "tokenizer.json", "cache", "samples.txt"}
    assert {path.name for path in out.iterdir()} == names


def test_a_second_run_makes_nothing_anew_and_fails_where_the_stream_is_another_one(
    finished, out, monkeypatch
):
    def forgets_the_loader(folder, model, optimizer, loader):
        state = loader.state()
        restore(folder, model, optimizer, loader)
        loader.restore(state)

    monkeypatch.setattr(shared, "restore", forgets_the_loader)
    kept = [
        out / CORPUS / "train.jsonl",
        *(path for path in (out / "cache" / "tokens").rglob("*") if path.is_file()),
    ]
    times = {file: file.stat().st_mtime_ns for file in kept}
    with pytest.raises(ArtifexError, match="the first after 0 that were the same"):
        run(out)
    assert {file: file.stat().st_mtime_ns for file in kept} == times


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"documents": MIN_DOCUMENTS - 1}, "`documents`.*99"),
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


def test_a_missing_package_is_named(finished, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingPackageError, match=r'tokenizers.*pip install "artifex-data\[text\]"'):
        run(out)
