"""The folder for what can be made again from the data."""

import os
import sys
from pathlib import Path
from typing import Any

from artifex.data.errors import ConfigError, ConfigTypeError


def default_cache_dir() -> Path:
    """Where caches lie unless told otherwise."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "artifex"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "artifex"


def cache_folder(cache_dir: Any) -> Path:
    """The folder of an argument `cache_dir`, absolute, so that it stays the same; for None the default one.

    Raises:
        ConfigTypeError: it is no path.
        ConfigError: it is empty, or a name that no folder can have.
    """
    if cache_dir is None:
        return default_cache_dir()
    name = os.fspath(cache_dir) if isinstance(cache_dir, os.PathLike) else cache_dir
    if not isinstance(name, str):
        raise ConfigTypeError(f"`cache_dir` must be a path (str or Path) or None, got {cache_dir!r}")
    if not name:
        raise ConfigError("`cache_dir` is empty; name a folder ('.' is the current one)")
    try:
        if b"\0" in os.fsencode(name):
            raise ConfigError(f"`cache_dir` {name!r} has a null character, which no folder can have")
        return Path(name).absolute()
    except UnicodeEncodeError as error:
        raise ConfigError(f"`cache_dir` {name!r} is no name of a folder: {error}") from None
    except OSError as error:
        raise ConfigError(
            f"`cache_dir` {name!r} is below the current folder, which is gone ({error.strerror}); give "
            f"an absolute path"
        ) from error
