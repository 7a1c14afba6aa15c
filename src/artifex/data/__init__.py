"""From files and arrays to batches of device arrays.

A sample's journey:

    a source gives record i        (sources/: bytes and labels by number)
    a codec decodes it             (codecs/: straight into its row of the batch, in a thread)
    a cache may keep it            (cache/: decoded once, in memory or on disk)
    a plan says which come when    (plan/: any step of any epoch, computed by itself)
    the loader reads ahead         (loader.py: host batches of NumPy arrays, in order)
    the crossing takes them over   (device.py: one compiled call casts, normalises, augments)

What needs JAX (`device.py`, `pipeline.py` and their own) or Orbax (`checkpoint.py`) loads on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from artifex.data import errors as errors
from artifex.data.errors import ArtifexError as ArtifexError
from artifex.data.errors import ConfigError as ConfigError
from artifex.data.errors import DecodeError as DecodeError
from artifex.data.errors import ReadError as ReadError
from artifex.data.errors import RecordError as RecordError
from artifex.data.errors import ShapeError as ShapeError
from artifex.data.errors import StateError as StateError
from artifex.data.registry import Registry as Registry
from artifex.data.types import ArraySpec as ArraySpec
from artifex.data.types import Split as Split

if TYPE_CHECKING:
    from artifex.data.cache import CacheEntry as CacheEntry
    from artifex.data.cache import CacheKind as CacheKind
    from artifex.data.cache import CacheWarning as CacheWarning
    from artifex.data.cache import cache_info as cache_info
    from artifex.data.cache import clear_cache as clear_cache
    from artifex.data.checkpoint import LoaderCheckpointHandler as LoaderCheckpointHandler
    from artifex.data.checkpoint import LoaderRestore as LoaderRestore
    from artifex.data.checkpoint import LoaderSave as LoaderSave
    from artifex.data.device import batch_level as batch_level
    from artifex.data.faults import BadRecord as BadRecord
    from artifex.data.faults import BadRecordWarning as BadRecordWarning
    from artifex.data.faults import known_good as known_good
    from artifex.data.faults import read_quarantine as read_quarantine
    from artifex.data.grain_source import as_grain_source as as_grain_source
    from artifex.data.iteration import DataLoader as DataLoader
    from artifex.data.naming import with_names as with_names
    from artifex.data.packed import PackedReader as PackedReader
    from artifex.data.padded import PaddedReader as PaddedReader
    from artifex.data.padded import bucket_edges as bucket_edges
    from artifex.data.padded import length_buckets as length_buckets
    from artifex.data.padded import padded_to_longest as padded_to_longest
    from artifex.data.pipeline import create_data_loader as create_data_loader
    from artifex.data.plan.packing import Packing as Packing
    from artifex.data.plan.packing import pack_best_fit as pack_best_fit
    from artifex.data.plan.packing import pack_concat as pack_concat
    from artifex.data.retry import retry_quarantine as retry_quarantine
    from artifex.data.sources.text import open_text as open_text
    from artifex.data.stats import LoaderStats as LoaderStats
    from artifex.data.token_arrays import TokenArrays as TokenArrays
    from artifex.data.tokenized import open_tokens as open_tokens
    from artifex.data.windows import WindowReader as WindowReader

_ON_FIRST_USE = {
    "BadRecord": "artifex.data.faults",
    "BadRecordWarning": "artifex.data.faults",
    "CacheEntry": "artifex.data.cache",
    "CacheKind": "artifex.data.cache",
    "CacheWarning": "artifex.data.cache",
    "DataLoader": "artifex.data.iteration",
    "LoaderCheckpointHandler": "artifex.data.checkpoint",
    "LoaderRestore": "artifex.data.checkpoint",
    "LoaderSave": "artifex.data.checkpoint",
    "as_grain_source": "artifex.data.grain_source",
    "LoaderStats": "artifex.data.stats",
    "batch_level": "artifex.data.device",
    "cache_info": "artifex.data.cache",
    "clear_cache": "artifex.data.cache",
    "create_data_loader": "artifex.data.pipeline",
    "known_good": "artifex.data.faults",
    "open_text": "artifex.data.sources.text",
    "read_quarantine": "artifex.data.faults",
    "retry_quarantine": "artifex.data.retry",
    "with_names": "artifex.data.naming",
    "PackedReader": "artifex.data.packed",
    "PaddedReader": "artifex.data.padded",
    "WindowReader": "artifex.data.windows",
    "TokenArrays": "artifex.data.token_arrays",
    "open_tokens": "artifex.data.tokenized",
    "Packing": "artifex.data.plan.packing",
    "pack_best_fit": "artifex.data.plan.packing",
    "pack_concat": "artifex.data.plan.packing",
    "length_buckets": "artifex.data.padded",
    "bucket_edges": "artifex.data.padded",
    "padded_to_longest": "artifex.data.padded",
}


def __getattr__(name: str) -> Any:
    if name in _ON_FIRST_USE:
        return getattr(import_module(_ON_FIRST_USE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ON_FIRST_USE])
