"""The cases are whole: environments exist, functions are there, and nothing imports a peer before it is needed."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.cases import all_cases
from benchmarks.registry import Case, Contender, find, selected

from benchmarks import environment

CASES = all_cases()
ROOT = Path(__file__).parents[2]
PAIRS = [(case, contender) for case in CASES for contender in case.contenders]
PEERS = ("grain", "torch", "tensorflow", "datasets", "jax_dataloader", "datarax", "spdl", "cv2", "jax")
PEERS += ("pyarrow", "tokenizers", "tiktoken", "soundfile", "soxr")

WITHOUT_US = {"text-packed"}
"""Cases that this package cannot take part in."""


def test_names_are_unique():
    assert len({c.name for c in CASES}) == len(CASES)
    for case in CASES:
        names = [c.name for c in case.contenders]
        assert len(set(names)) == len(names), case.name


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_each_case_has_us_and_a_loop_by_hand(case: Case):
    kinds = {c.kind for c in case.contenders}
    assert "hand" in kinds
    assert ("artifex" in kinds) == (case.name not in WITHOUT_US)


@pytest.mark.parametrize("name", sorted({c.environment for _, c in PAIRS if c.environment} | {"chart"}))
def test_each_environment_is_pinned(name: str):
    assert environment.requirements(name), f"environments/{name}.txt is missing"
    pins = environment.pins(name)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+", pin) for pin in pins), pins
    names = [pin.split("==")[0] for pin in pins]
    # What the process of a contender needs.
    assert name == "chart" or {"jax", "jaxlib", "numpy", "psutil"} <= set(names)


def test_no_environment_is_left_over():
    used = {c.environment for _, c in PAIRS if c.environment} | {"chart"}
    assert {p.stem.removesuffix("-alone") for p in environment.REQUIREMENTS.glob("*.txt")} == used


def test_everyone_has_the_same_jax():
    versions = {p for c in {c.environment for _, c in PAIRS if c.environment} for p in environment.pins(c)}
    assert len({v for v in versions if v.startswith("jax==")}) == 1


def test_contenders_are_found_and_load_no_peer():
    functions = sorted({c.function for case, c in PAIRS if not case.is_import})
    code = (
        "import sys\n"
        "from benchmarks.registry import find\n"
        "from benchmarks.cases import all_cases\n"
        f"for function in {functions!r}: assert callable(find(function)), function\n"
        f"print(*[p for p in {PEERS!r} if p in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("case", "contender"),
    [p for p in PAIRS if not p[0].is_import],
    ids=[f"{a.name}-{b.name}" for a, b in PAIRS if not a.is_import],
)
def test_options_are_parameters(case: Case, contender: Contender):
    import inspect

    inspect.signature(find(contender.function)).bind(None, **contender.options)


def test_each_function_of_a_contender_is_used():
    used = {name for _, c in PAIRS for name in (c.function, c.before)}
    for path in (ROOT / "benchmarks" / "contenders").glob("[!_]*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert f"benchmarks.contenders.{path.stem}:{node.name}" in used


def test_selection():
    def names(*groups: str, only: tuple[str, ...] = (), with_peers: bool = True) -> dict[str, list[str]]:
        chosen = selected(CASES, list(groups), list(only), with_peers=with_peers)
        return {c.name: [x.name for x in c.contenders] for c in chosen}

    assert list(names("jpeg")) == ["jpeg-224", "jpeg-64"]
    assert list(names("jpeg-64")) == ["jpeg-64"]
    assert names("resume-50", only=("artifex", "torch")) == {"resume-50": ["artifex", "torch"]}
    assert "cached-64" not in names(only=("torch",))
    alone = selected(CASES, [], [], with_peers=False)
    assert {x.environment for c in alone for x in c.contenders} == {None}
    assert {c.name for c in alone} == {c.name for c in CASES}
    with pytest.raises(SystemExit, match="no case is called 'arays'"):
        names("arays")


def test_an_environment_is_made_once_and_anew_when_its_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "one.txt").write_text("thing==1.0\n")
    (requirements / "one-alone.txt").write_text("other==2.0\n")
    monkeypatch.setattr(environment, "REQUIREMENTS", requirements)
    ran: list[list[str]] = []
    monkeypatch.setattr(environment, "_run", lambda name, command: ran.append(command) or _make(command))
    python = environment.python_of("one", tmp_path)
    assert python == tmp_path / "environments" / "one" / "bin" / "python"
    assert ["--no-deps" in command for command in ran] == [False, False, True]
    assert environment.python_of("one", tmp_path) == python
    assert len(ran) == 3
    (requirements / "one-alone.txt").write_text("other==2.1\n")
    environment.python_of("one", tmp_path)
    assert len(ran) == 6
    assert environment.python_of(None, tmp_path) == Path(sys.executable)


def _make(command: list[str]) -> None:
    if "venv" in command:
        Path(command[-1]).mkdir(parents=True)


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "REQUIREMENTS", tmp_path)
    (tmp_path / "one.txt").write_text("# python 3.99\nthing==1.0\n")
    with pytest.raises(environment.CannotMakeError, match=r"one needs Python 3\.99"):
        environment.python_of("one", tmp_path)
    with pytest.raises(environment.CannotMakeError, match="cannot be made: ERROR no such"):
        environment._run("one", [sys.executable, "-c", "import sys; sys.exit('noise\\nERROR no such thing')"])
