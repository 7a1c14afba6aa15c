"""`.ci/environment`: it makes the environment once, notices changes, and leaves no stamp when it fails.

A stand-in for uv notes how it was called and makes an environment without packages.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = f"""#!/bin/sh
echo "$*" >> calls
case "$1 $2 $3" in
    "venv "*) for folder; do :; done; {sys.executable} -m venv --without-pip "$folder" ;;
    "pip install "*) [ ! -e broken ] ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a check out"  # a blank in the path is no obstacle
    for name in (".ci/environment", "requirements/dev.lock", "pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    return folder


def set_up(checkout: Path, **variables: str) -> list[str]:
    """Calls the script; the calls of uv that it made, the first words of each."""
    calls = checkout / "calls"
    calls.unlink(missing_ok=True)
    environment = os.environ | {"UV": str(checkout.parent / "uv"), "PYTHON": sys.executable} | variables
    command = [checkout / ".ci" / "environment", ".venv"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    lines = calls.read_text().splitlines() if calls.exists() else []
    return ["package" if line.endswith("-e .") else line.split()[0] for line in lines if line != "--version"]


MADE = ["venv", "pip", "package"]


def test_it_is_made_once(checkout: Path):
    assert set_up(checkout) == MADE
    assert set_up(checkout) == []


def test_a_changed_lock_makes_it_anew(checkout: Path):
    set_up(checkout)
    left = checkout / ".venv" / "left"
    left.touch()
    with (checkout / "requirements" / "dev.lock").open("a") as f:
        f.write("# changed\n")
    assert set_up(checkout) == MADE
    assert not left.exists()
    assert set_up(checkout) == []


def test_a_changed_project_installs_the_package_alone(checkout: Path):
    set_up(checkout)
    with (checkout / "pyproject.toml").open("a") as f:
        f.write("# changed\n")
    assert set_up(checkout) == ["package"]
    assert set_up(checkout) == []


def test_a_moved_checkout_makes_it_anew(checkout: Path):
    set_up(checkout)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert set_up(moved) == MADE


def test_a_python_that_is_gone_makes_it_anew(checkout: Path):
    set_up(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    assert set_up(checkout) == MADE


def test_what_failed_is_made_anew(checkout: Path):
    (checkout / "broken").touch()
    with pytest.raises(RuntimeError):
        set_up(checkout)
    (checkout / "broken").unlink()
    assert set_up(checkout) == MADE


def test_a_failed_installation_of_the_package_is_repeated(checkout: Path):
    set_up(checkout)
    with (checkout / "pyproject.toml").open("a") as f:
        f.write("# changed\n")
    (checkout / "broken").touch()
    with pytest.raises(RuntimeError):
        set_up(checkout)
    (checkout / "broken").unlink()
    assert set_up(checkout)[-1] == "package"


def test_a_python_that_cannot_serve_is_refused_by_name_and_harms_nothing(checkout: Path):
    set_up(checkout)
    with pytest.raises(RuntimeError, match="PYTHON=/bin/false"):
        set_up(checkout, PYTHON="/bin/false")
    assert set_up(checkout) == []
