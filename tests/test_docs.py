"""README and documentation: every Python block runs, prints what it says, and every command named is there.

The blocks of a page are one program, in one namespace, in a folder of its own that holds `photos/` (two
classes of small JPEG and PNG files). A comment in the line before a block changes that:

    <!-- fresh -->             it starts with an empty namespace
    <!-- not run: reason -->   it is only compiled

Lines `# > ...` after a `print` are what it must print.
"""

import contextlib
import io
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"^(?:<!-- *(?P<mark>.*?) *-->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its code, the line where that begins, counted from 1, and the comment before it."""

    language: str
    code: str
    line: int
    mark: str


def blocks_of(text: str) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(text):
        indent = len(match["indent"])
        code = "".join(line[indent:] or "\n" for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(match["language"], code, line, match["mark"] or ""))
    return found


def run_page(text: str, name: str) -> int:
    """Runs the Python blocks of a page; the number that ran."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    count = 0
    for block in blocks_of(text):
        if block.language != "python":
            assert not block.mark.startswith("not run"), f"line {block.line}: only Python blocks are run"
            continue
        # Empty lines before it, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + block.code, name, "exec")
        if block.mark.startswith("not run"):
            assert re.match(r"not run: \w+ \w+", block.mark), f"line {block.line}: say why it is not run"
            continue
        if block.mark == "fresh":
            namespace = {"__name__": "__main__"}
        else:
            assert block.mark == "", f"line {block.line}: unknown mark {block.mark!r}"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        promised = [match[1].rstrip() for match in re.finditer(r"^ *# ?> (.*)$", block.code, re.M)]
        if promised:
            assert [line.rstrip() for line in printed.getvalue().splitlines()] == promised, (
                f"line {block.line}"
            )
        count += 1
    return count


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photographs, which is also the current one."""
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for number in range(48):
        path = (
            tmp_path
            / "photos"
            / ("cats", "dogs")[number % 2]
            / f"{number:02}.{('jpg', 'png')[number % 3 == 0]}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        size = (96, 72) if number % 4 else (72, 100)
        image.fromarray(coarse).resize(size, image.Resampling.BICUBIC).save(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in p.read_text()], ids=lambda p: p.name)
def test_every_block_runs(page: Path, folder: Path):
    # The tests refuse promotions that a user's code may rely on.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        assert run_page(page.read_text(), str(page)) > 0


def test_the_readme_has_an_example():
    assert any(b.language == "python" and not b.mark for b in blocks_of((ROOT / "README.md").read_text()))


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```python\nraise ValueError('the block ran')\n```\n", "the block ran"),
        ("```python\nx = 1\nprint(x)\n#> 2\n```\n", "line 2"),
        ("```python\nx = 1\nprint(x)\n# > 2\n```\n", "line 2"),
        ("```python\nx = 1\n```\n\n<!-- fresh -->\n```python\nx\n```\n", "name 'x'"),
        ("<!-- not run: slow -->\n```python\nx = 1\n```\n", "say why"),
        ("<!-- skipped -->\n```python\nx = 1\n```\n", "unknown mark"),
        ("1. first\n\n    ```python\n    raise ValueError('indented')\n    ```\n", "indented"),
    ],
)
def test_the_runner_can_fail(page: str, message: str):
    with pytest.raises((ValueError, AssertionError, NameError), match=message):
        run_page(page, "page.md")


def test_the_runner_shares_a_namespace_and_names_the_line():
    assert run_page("```python\nx = 1\n```\ntext\n```python\nassert x == 1\n```\n", "page.md") == 2
    with pytest.raises(ZeroDivisionError) as error:
        run_page("# Title\n\n```python\nx = 1\n1 / 0\n```\n", "page.md")
    assert error.traceback[-1].lineno + 1 == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_make_target_named_is_there(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = page.read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text))
    named |= {
        t for b in blocks_of(text) for t in re.findall(r"^make ([a-z-]+)", b.code, re.M) if b.language == "sh"
    }
    assert named <= targets, named - targets


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_first_two_commands_are_demo_and_test():
    first = next(b for b in blocks_of((ROOT / "README.md").read_text()) if b.language == "sh")
    assert [line.split("#")[0].strip() for line in first.code.splitlines()] == ["make demo", "make test"]


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(PAGES) - 2  # all of docs/, and a page for what is not found
    loads = re.compile(
        r"""<(?:script|img|iframe)[^>]*\ssrc=["'](?:https?:)?//|<link[^>]*\shref=["'](?:https?:)?//"""
    )
    assert not [p.name for p in pages if loads.search(p.read_text())]
    sheets = [
        p
        for p in (tmp_path / "site").rglob("*.css")
        if re.search(r"url\([\"']?(?:https?:)?//", p.read_text())
    ]
    assert not sheets
