"""What lies in the disk cache: to look at, and to clear away."""

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artifex.data.cache.folders import (
    SUMS,
    TAG,
    delete,
    folders,
    in_use,
    is_root,
    last_use,
    root_in,
    size_of,
)
from artifex.data.errors import ConfigError, ConfigTypeError


@dataclass(frozen=True)
class CacheEntry:
    """What `cache_info` tells of one folder.

    Attributes:
        name: of the folder.
        kind: of the dataset, as its fingerprint says; "damaged" if the manifest cannot be read.
        records: how many are kept.
        num_records: how many the dataset has; 0 if the manifest cannot be read.
        bytes: on disk.
        last_use: when it was last opened, in seconds since 1970.
        in_use: whether a live process has it open, or may have: its lock is another user's.
    """

    name: str
    kind: str
    records: int
    num_records: int
    bytes: int
    last_use: float
    in_use: bool


def cache_info(cache_dir: str | Path | None = None) -> list[CacheEntry]:
    """What lies in the disk cache, the last used first.

    Args:
        cache_dir: as for a loader; None for the user's cache folder.
    """
    root = root_in(cache_dir)
    return sorted(map(_entry, folders(root)), key=lambda entry: -entry.last_use)


def clear_cache(
    cache_dir: str | Path | None = None, *, names: Collection[str] | None = None
) -> list[CacheEntry]:
    """Deletes caches from disk, except those that a live process has open.

    Args:
        cache_dir: as for a loader; None for the user's cache folder. Nothing is deleted but folders in its `records`
            that hold what this package wrote and nothing else.
        names: of the folders, as `cache_info` has them; None for all.

    Returns:
        What was deleted.

    Raises:
        ConfigTypeError: `cache_dir` is no path, or `names` no list.
        ConfigError: `cache_dir` has another program's `records`, or there is no folder of such a name in there.
    """
    root = root_in(cache_dir)
    if names is not None and (isinstance(names, str) or not isinstance(names, Collection)):
        raise ConfigTypeError(
            f"`names` must be a list of names, as `cache_info` has them, or None, got {names!r}"
        )
    if not os.path.exists(root):
        found: list[Path] = []
    elif not is_root(root):
        raise ConfigError(
            f"`cache_dir` has a folder {str(root)!r} that is no cache (it has no {TAG}); nothing was deleted"
        )
    else:
        found = list(folders(root))
    unknown = set(names or ()) - {folder.name for folder in found}
    if unknown:
        raise ConfigError(f"`names` has {sorted(unknown)}, which are no caches in {str(root)!r}")
    chosen = [folder for folder in found if names is None or folder.name in names]
    return [entry for folder in chosen for entry in [_entry(folder)] if delete(folder)]


def _entry(folder: Path) -> CacheEntry:
    used = last_use(folder)
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        kind, num_records = str(manifest["fingerprint"].get("kind", "")), int(manifest["records"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kind, num_records = "damaged", 0
    return CacheEntry(
        folder.name, kind, _count(folder / SUMS), num_records, size_of(folder), used, in_use(folder)
    )


def _count(sums: Path) -> int:
    """How many of the sums are not zero."""
    try:
        data = sums.read_bytes()
    except OSError:
        return 0
    return int(np.count_nonzero(np.frombuffer(data, np.uint64, len(data) // 8)))
