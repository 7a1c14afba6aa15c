import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import artifex
from artifex import cli
from artifex.data.errors import ConfigError
from artifex.examples.photographs import cut_photographs

# Where the tests run in the background, Ctrl-C is ignored, and programs inherit that.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from artifex.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    list(cut_photographs(out / "photos-128", 128))
    return out


def started(*arguments):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"artifex {artifex.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "command"),
        (["dmeo"], "dmeo"),
        (["demo", "--seconds", "long"], "long"),
        (["demo", "photos"], "photos"),
        (["demo", "--modality", "smell"], "choose from"),
    ],
)
def test_wrong_arguments_end_with_2_and_the_usage(arguments, told, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: artifex")
    assert told in error


def test_help_names_every_option_and_loads_no_jax():
    code = "import sys; from artifex.cli import main\ntry: main(['demo', '-h'])\nfinally: print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    options = {"--modality", "--out", "--seconds", "--seed", "--images", "--documents"}
    assert options <= set(re.findall(r"--\w+", done.stdout))
    assert done.stdout.endswith("False\n")


def told(capsys, *arguments):
    """The one line about an error."""
    assert cli.main(["demo", *map(str, arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.err


def test_errors_are_one_line(tmp_path, capsys):
    assert told(capsys, "--images", 3).startswith("artifex: error: `images` must be")
    file = tmp_path / "file"
    file.touch()
    assert str(file) in told(capsys, "--out", file)


@pytest.mark.parametrize(
    ("modality", "option", "other"),
    [("text", "images", "image"), ("image", "documents", "text"), ("audio", "images", "image")],
)
def test_an_option_of_another_demo_is_refused(modality, option, other, tmp_path, capsys):
    error = told(capsys, "--modality", modality, f"--{option}", 500, "--out", tmp_path)
    assert error == f"artifex: error: `--{option}` is for `--modality {other}`, got `--modality {modality}`\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "module", "passed"),
    [
        ([], "image_demo", {"out": Path("demo", "image"), "seconds": 60, "seed": 0, "images": 3000}),
        (["--images", 200], "image_demo", {"images": 200}),
        (["--modality", "text"], "text_demo", {"out": Path("demo", "text"), "documents": None}),
        (
            ["--modality", "text", "--documents", 100, "--out", "x", "--seconds", 2, "--seed", 3],
            "text_demo",
            {"out": Path("x"), "seconds": 2, "seed": 3, "documents": 100},
        ),
        (["--modality", "audio"], "audio_demo", {"out": Path("demo", "audio"), "seconds": 60}),
    ],
)
def test_each_demo_gets_what_is_its_own(arguments, module, passed, monkeypatch):
    calls = []
    monkeypatch.setattr(
        f"artifex.examples.{module}.demo", lambda out, **rest: calls.append({"out": out} | rest)
    )
    assert cli.main(["demo", *map(str, arguments)]) == 0
    (call,) = calls
    assert passed.items() <= call.items()
    own = {"image_demo": {"images"}, "text_demo": {"documents"}, "audio_demo": set()}
    assert set(call) == {"out", "seconds", "seed", "console"} | own[module]


def test_every_demo_can_be_asked_for():
    assert set(cli._DEMOS) == set(cli.DemoModality)


def lacking(name):
    def import_module(_):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return import_module


@pytest.mark.parametrize("modality", list(cli.DemoModality))
def test_a_demo_without_a_package_that_it_imports_is_one_line_too(modality, capsys, monkeypatch):
    monkeypatch.setattr(cli, "import_module", lacking("optax"))
    error = told(capsys, "--modality", modality)
    assert error == 'artifex: error: the demo needs the package `optax`: pip install "artifex-data[demo]"\n'


def test_a_module_of_ours_that_is_gone_is_no_missing_package(monkeypatch):
    monkeypatch.setattr(cli, "import_module", lacking("artifex.examples.image_demo"))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["demo"])


@pytest.mark.parametrize("package", ["skimage", "PIL"])
def test_a_missing_package_is_one_line_too(package, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert 'pip install "artifex-data[demo]"' in told(capsys, "--out", tmp_path)


def test_an_error_that_nobody_foresaw_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "_demo", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("line", ["Files", "Device"])  # before JAX is at work, and while it compiles
def test_ctrl_c_ends_it_at_once(line, out):
    process = started("demo", "--out", out, "--images", 128, "--seconds", 600)
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith(line):
            break
    process.send_signal(signal.SIGINT)
    rest, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert error == "artifex: interrupted\n"
    assert "Picture" not in rest


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_who_reads_no_more_gets_no_traceback(out):
    process = started("demo", "--out", out, "--images", 128, "--seconds", 600)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_the_handler_of_ctrl_c_is_put_back(monkeypatch):
    seen = []

    def look(_):
        seen.append(signal.getsignal(signal.SIGINT))
        raise ConfigError("no")

    monkeypatch.setattr(cli, "_demo", look)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli.main(["demo"]) == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell has it for what runs in the background
        cli.main(["demo"])
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=cli.main, args=(["demo"],))  # where no handler can be set
    thread.start()
    thread.join()
    assert seen == [cli._end, signal.SIG_IGN, before]


def test_the_examples_are_found_at_the_root():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    assert os.path.samefile(os.path.join(root, "examples"), os.path.dirname(artifex.__file__) + "/examples")
