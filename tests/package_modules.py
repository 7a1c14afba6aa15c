"""The modules of the package, as their source has them."""

import ast
import pkgutil
from functools import cache
from pathlib import Path

import artifex

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
MODULES = ["artifex", *sorted(m.name for m in pkgutil.walk_packages(artifex.__path__, "artifex."))]


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(path_of(name).read_text())


def path_of(name: str) -> Path:
    path = SRC.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def defined_in(name: str) -> list[ast.FunctionDef | ast.ClassDef]:
    """The functions and classes at the top of a module."""
    return [n for n in tree(name).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]


def public(name: str) -> bool:
    return not name.startswith("_")
