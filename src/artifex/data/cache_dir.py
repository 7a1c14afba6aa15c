"""The folder for what can be made again from the data."""

import os
import sys
from pathlib import Path


def default_cache_dir() -> Path:
    """Where caches lie unless told otherwise."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "artifex"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "artifex"
