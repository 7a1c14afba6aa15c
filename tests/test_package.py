"""What is installed and published: versions, the lock file, the wheel and the source distribution."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from package_modules import ROOT, SRC

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_versions_agree():
    """The supported Pythons are said in several places."""
    minors = [int(c.rpartition(".")[2]) for c in PYPROJECT["project"]["classifiers"] if ":: 3." in c]
    assert PYPROJECT["project"]["requires-python"] == f">=3.{minors[0]},<3.{minors[-1] + 1}"
    assert PYPROJECT["tool"]["basedpyright"]["pythonVersion"] == f"3.{minors[0]}"
    script = (ROOT / ".ci" / "environment").read_text()
    assert f"(3, {minors[0]}) <= sys.version_info[:2] <= (3, {minors[-1]})" in script
    assert all(f"python3.{m}" in script for m in minors)


def test_the_lock_holds_every_declared_dependency():
    project = PYPROJECT["project"]
    declared = [*project["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
    declared += [d for extra in ("demo", "image-plus") for d in project["optional-dependencies"][extra]]
    names = {re.split(r"[\[<>=; ]", d)[0].lower() for d in declared} - {project["name"]}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "dev.lock").read_text(), re.M))
    assert names <= locked, names - locked


def built(target: str, folder: Path) -> Path:
    """The one file that the builder makes."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.iterdir()
    return file


def files_of_the_package() -> set[str]:
    files = (path for path in (SRC / "artifex").rglob("*") if path.is_file())
    return {path.relative_to(SRC).as_posix() for path in files if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_whole_package_and_nothing_else(tmp_path: Path):
    with zipfile.ZipFile(built("wheel", tmp_path)) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == files_of_the_package()
    assert "artifex/py.typed" in held
    speech = {name.rpartition("/")[2] for name in held if name.startswith("artifex/examples/speech/")}
    assert {"README.md", "train.jsonl", "val.jsonl"} < speech
    assert sum(name.endswith(".flac") for name in speech) == 5


def test_the_source_distribution_holds_the_whole_package(tmp_path: Path):
    with tarfile.open(built("sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in files_of_the_package()} <= held
    assert "LICENSE" in held
