"""Environments of the contenders: made when one is needed, found again as long as its requirements are the same."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "environments"


class CannotMakeError(Exception):
    """An environment cannot be made; the message says why."""


def requirements(name: str) -> list[Path]:
    """The files of an environment: `NAME.txt`, and where there is one `NAME-alone.txt`.

    What stands in the second is installed without the packages that it asks for.
    """
    paths = [REQUIREMENTS / f"{name}.txt", REQUIREMENTS / f"{name}-alone.txt"]
    return [path for path in paths if path.exists()]


def pins(name: str) -> list[str]:
    """What is installed by name, "package==version"."""
    lines = [line.strip() for path in requirements(name) for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def python_of(name: str | None, home: Path) -> Path:
    """The interpreter of an environment, which is made if need be; of None, the one that runs this.

    Raises:
        CannotMakeError: pip or venv failed.
    """
    if name is None:
        return Path(sys.executable)
    folder = home.absolute() / "environments" / name
    python, stamp = folder / "bin" / "python", folder / "made-from"
    texts = "".join(path.read_text() for path in requirements(name))
    made_from = f"{hashlib.sha256(texts.encode()).hexdigest()} {_interpreter(name)}"
    if stamp.exists() and stamp.read_text() == made_from:
        return python
    print(f"making the environment {name} ({', '.join(pins(name)[:2])} ...)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(name, [_interpreter(name), "-m", "venv", str(folder)])
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    for path in requirements(name):
        _run(name, [*pip, *(["--no-deps"] if path.stem.endswith("-alone") else []), "-r", str(path)])
    stamp.write_text(made_from)
    return python


def _interpreter(name: str) -> str:
    """The Python that the first line of the requirements asks for, "# python 3.12"; else the one that runs this."""
    first = requirements(name)[0].read_text().splitlines()[0].split()
    if first[:2] != ["#", "python"]:
        return sys.executable
    wanted = first[2]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [f"python{wanted}", *map(str, sorted(pyenv.glob(f"{wanted}.*/bin/python")))]
    for candidate in candidates:
        # A stand-in for a version that is not active exists without running.
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    raise CannotMakeError(f"{name} needs Python {wanted}, and no `python{wanted}` runs here")


def _run(name: str, command: list[str]) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, env=clean)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        raise CannotMakeError(f"the environment {name} cannot be made: {' '.join(errors[-2:])[:300]}")
