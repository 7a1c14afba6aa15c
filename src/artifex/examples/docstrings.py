"""Texts to try things on, without a download: what Python says about itself.

They are the chapters that `help()` shows and every docstring of the standard library, whose files are parsed, and not
imported.
"""

import ast
import json
import os
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

from artifex.data.errors import ConfigError

TRAIN, HELD_OUT = "train.jsonl", "val.jsonl"
"""The files of a corpus. Each line has a `text`, and the `module` that it stands in."""

_TOPICS = Path("pydoc_data", "topics.py")
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idle_test"}
_ONE_OF = 16  # texts is held out


def standard_library() -> Path:
    """The folder of the modules of the Python that runs."""
    return Path(sysconfig.get_path("stdlib"))


def find_modules(library: Path) -> list[Path]:
    """The files of a library, relative to its folder, in the order of their names, those of `help()` first.

    Tests are left out, and so is what was installed besides.

    Raises:
        ConfigError: there are none: it lies in an archive, or is compiled.
    """
    modules: list[Path] = []
    for folder, folders, files in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        modules += [Path(folder, name).relative_to(library) for name in files if name.endswith(".py")]
    if not modules:
        raise ConfigError(f"there is no source of Python's library in {library}; another Python has it")
    return sorted(modules, key=lambda module: (module != _TOPICS, module))


def texts_of(library: Path, module: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and functions; the chapters, where it is made of them.

    A file that does not parse has none: a few are there to be wrong.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of unknown escapes
            tree = ast.parse((library / module).read_bytes())
    except (SyntaxError, ValueError):
        return
    if module == _TOPICS:
        assigned = next(node.value for node in tree.body if isinstance(node, ast.Assign))
        yield from ast.literal_eval(assigned).values()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def write_corpus(folder: Path, library: Path, most: int | None = None) -> Iterator[int]:
    """Makes the files of a corpus in `folder`; yields how many modules were gone through so far.

    The same library gives the same files. Each text is there once, and every 16th is held out. What is there already
    stays.

    Args:
        folder: is made, if need be.
        library: where the modules are.
        most: how many texts to take, the first; None for all.

    Raises:
        ConfigError: the library has no source.
    """
    modules = find_modules(library)
    if (folder / TRAIN).exists() and (folder / HELD_OUT).exists():
        yield len(modules)
        return
    texts: dict[str, str] = {}
    for number, module in enumerate(modules, 1):
        for text in texts_of(library, module):
            if text.strip() and _is_unicode(text):
                texts.setdefault(text, module.as_posix())
        yield number
        if most is not None and len(texts) >= most:
            break
    _write(folder, dict(list(texts.items())[:most]))


def _is_unicode(text: str) -> bool:
    # A literal may hold half of a surrogate pair.
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    lines = [
        json.dumps({"text": text, "module": module}, ensure_ascii=False) for text, module in texts.items()
    ]
    held_out = lines[_ONE_OF - 1 :: _ONE_OF]
    del lines[_ONE_OF - 1 :: _ONE_OF]
    folder.mkdir(parents=True, exist_ok=True)
    for name, some in ((TRAIN, lines), (HELD_OUT, held_out)):
        # Whole or not at all.
        unfinished = folder / f".{name}"
        unfinished.write_text("".join(f"{line}\n" for line in some), encoding="utf-8", newline="\n")
        os.replace(unfinished, folder / name)
