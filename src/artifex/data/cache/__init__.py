"""What is the same every time is computed once: records kept in memory, or on disk for the next run."""

from artifex.data.cache.entries import CacheEntry as CacheEntry
from artifex.data.cache.entries import cache_info as cache_info
from artifex.data.cache.entries import clear_cache as clear_cache
from artifex.data.cache.folders import CacheWarning as CacheWarning
from artifex.data.cache.reader import CachedReader as CachedReader
from artifex.data.cache.reader import CacheKind as CacheKind
from artifex.data.cache.reader import cached_reader as cached_reader
