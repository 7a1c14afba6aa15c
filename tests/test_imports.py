"""Who imports whom: the host side no JAX, nobody what is above him, and nothing before it is needed."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from package_modules import MODULES, ROOT, SRC

CONTRACTS = {
    c["id"]: c
    for c in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

# What a new file on the side of JAX must be added to.
JAX_SIDE_OF_DATA = {
    "artifex.data.checkpoint",
    "artifex.data.cipher",
    "artifex.data.device",
    "artifex.data.feed",
    "artifex.data.iteration",
    "artifex.data.pipeline",
    "artifex.data.placement",
    "artifex.data.reuse",
}
HOST_SIDE = [m for m in MODULES if m.startswith("artifex.data.") and m not in JAX_SIDE_OF_DATA]


def run(code: str) -> str:
    """What a fresh interpreter prints; it fails if that one does."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str, *packages: str) -> set[str]:
    """Which of the packages a fresh interpreter has loaded after this statement."""
    code = f"{statement}\nimport sys\nprint(*(p for p in {packages!r} if p in sys.modules))"
    return set(run(code).split())


def test_importing_the_package_loads_no_jax():
    assert loaded_by("import artifex, artifex.data", "jax", "flax", "optax") == set()


def test_the_host_side_loads_no_jax():
    assert loaded_by(f"import {', '.join(HOST_SIDE)}", "jax", "jaxlib", "flax", "optax") == set()


def test_the_two_tests_above_can_fail():
    assert loaded_by("import artifex.data, jax", "jax", "flax", "optax") == {"jax"}


def test_no_other_framework_is_loaded():
    everything = ", ".join(m for m in MODULES if m.split(".")[1:2] != ["testing"])
    assert loaded_by(f"import {everything}", "torch", "tensorflow") == set()


def test_modalities_load_nothing_before_it_is_needed():
    heavy = ("flax", "optax", "orbax", "PIL", "rich", "simplejpeg", "imagecodecs", "cv2", "skimage")
    assert loaded_by("import artifex.generative_models.modalities", *heavy) == set()


def lint_imports(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", *arguments]
    environment = os.environ | {"PYTHONPATH": str(where / "src")}
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree, to break."""
    shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


# Contract -> a file and the import that breaks it.
VIOLATIONS = [
    ("package", "data/types.py", "import artifex.generative_models.core"),
    (
        "generative-models",
        "generative_models/core/configuration.py",
        "import artifex.generative_models.modalities",
    ),
    (
        "modalities",
        "generative_models/modalities/base.py",
        "import artifex.generative_models.modalities.image",
    ),
    ("data", "data/registry.py", "import artifex.data.loader"),
    ("data", "data/unplaced.py", '"""A module that has no layer."""'),
    ("host", "data/loader.py", "def late():\n    import jax.numpy"),
    ("host", "data/codecs/__init__.py", "import artifex.data.pipeline"),
    ("formats", "generative_models/modalities/base.py", "def late():\n    from PIL import Image"),
    ("acyclic", "data/plan/order.py", "import artifex.data.plan.plan"),
]


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS, ids=[f"{c}-{f}" for c, f, _ in VIOLATIONS])
def test_import_contracts_can_fail(copy: Path, contract: str, file: str, line: str):
    before = lint_imports(copy, "--contract", contract)
    assert before.returncode == 0, before.stdout + before.stderr
    with (copy / "src" / "artifex" / file).open("a") as f:
        f.write(f"\n{line}\n")
    after = lint_imports(copy, "--contract", contract)
    assert after.returncode != 0
    # Broken, rather than refused because the contract itself could not be read.
    assert "BROKEN" in after.stdout or "undeclared" in (after.stdout + after.stderr).lower()


def test_every_contract_is_proven_able_to_fail():
    assert {c for c, _, _ in VIOLATIONS} == set(CONTRACTS)


def test_the_host_contract_names_every_module_of_the_host():
    top = {".".join(m.split(".")[:3]) for m in HOST_SIDE}
    assert set(CONTRACTS["host"]["source_modules"]) == top
