"""A reader that remembers what another one gave."""

import errno
import warnings
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from artifex.data.buckets import BucketReader
from artifex.data.cache.disk import open_disk_store
from artifex.data.cache.folders import CacheWarning, Identity, root_in
from artifex.data.cache.memory import MemoryStore, bytes_of_record, capacity
from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint, stamp_of
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, slots, unchanged
from artifex.data.types import Arrays, Indices, Spec

_MEMORY_BYTES = 4 * 2**30
_DISK_BYTES = 16 * 2**30
_LARGEST = 2**62

# No fault of the caller's: the run can do without the cache.
_PASSING = {
    errno.ENOENT,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.EBUSY,
    errno.ESTALE,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


class CacheKind(StrEnum):
    """Where decoded records are kept: with this process, or on disk, for other processes and runs too."""

    MEMORY = "memory"
    DISK = "disk"


class Store(Protocol):
    """Keeps records by their number. Thread-safe."""

    def opener(self) -> "Callable[[], Store]":
        """What opens it in another process: picklable."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether every record is there, so that reading is a mere gather."""
        ...

    def read_into(self, indices: Indices, out: Arrays) -> Indices:
        """Writes the records that are there into their rows of `out`; returns the rows of the others."""
        ...

    def write(self, indices: Indices, arrays: Arrays) -> None:
        """Keeps these records, of which `arrays` has a row each; it may also leave it."""
        ...


class CachedReader:
    """Another reader's records, bit by bit, each of them read once where the store has room for it.

    The fingerprint is the other reader's own: with and without a cache there is one plan, and either
    resumes the other. A read that is random passes the store by.
    """

    def __init__(self, reader: Reader, store: Store) -> None:
        self._reader, self._store = reader, store
        self.spec: Spec = reader.spec

    @property
    def in_memory(self) -> bool:
        return self._store.is_complete

    @property
    def is_random(self) -> bool:
        return self._reader.is_random

    def __len__(self) -> int:
        return len(self._reader)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        if random is not None and self._reader.is_random:
            self._reader.read_into(indices, out, random)
            return
        missing = self._store.read_into(indices, out)
        if len(missing) == 0:
            return
        if len(missing) == len(indices):
            self._reader.read_into(indices, out)
            self._keep(indices, out)
            return
        numbers, rows = indices[missing], slots(self.spec, len(missing))
        self._reader.read_into(numbers, rows)
        for name, array in rows.items():
            out[name][missing] = array
        self._keep(numbers, rows)

    def _keep(self, indices: Indices, arrays: Arrays) -> None:
        """Keeps what was just read, but nothing that changed since the stamp was taken."""
        same = unchanged(self._reader, indices)
        if same.all():
            self._store.write(indices, arrays)
        elif same.any():
            self._store.write(indices[same], {name: array[same] for name, array in arrays.items()})

    def fingerprint(self) -> Fingerprint:
        return self._reader.fingerprint()

    def stamp(self) -> str:
        return stamp_of(self._reader)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (self._reader, self._store.opener())


def cached_reader(
    reader: Reader,
    cache: str | CacheKind | None,
    *,
    cache_dir: str | Path | None = None,
    cache_bytes: int | None = None,
    training: bool = False,
) -> Reader:
    """The reader with a cache, or as it is: without `cache`, or if its data are in memory already.

    A disk that has no room, or fails, is a `CacheWarning`, and the reader comes back as it is.

    Args:
        reader: what is read where the cache has nothing.
        cache: "memory", "disk" or None.
        cache_dir: folder of the caches on disk, which lie in its `records`; None for the user's cache folder.
        cache_bytes: bound of all that is kept; None for 4 GiB in memory, 16 GiB on disk.
        training: whether the reader will be given random numbers.

    Raises:
        ConfigError: the reader is random while training, nothing tells its records from others (for
            "disk"), or an argument contradicts another.
    """
    if cache is None:
        _refuse(cache_dir=cache_dir, cache_bytes=cache_bytes)
        return reader
    kind = check_choice(CacheKind, "cache", cache)
    if kind is CacheKind.MEMORY:
        _refuse(cache_dir=cache_dir)
    if cache_bytes is None:
        cache_bytes = _MEMORY_BYTES if kind is CacheKind.MEMORY else _DISK_BYTES
    check_size("cache_bytes", cache_bytes, largest=_LARGEST)
    if reader.is_random and training:
        raise ConfigError(
            f"`cache` {kind.value!r} would repeat in every epoch what was drawn in the first: these records are "
            f"read at random (a random crop, or a function with `random=True`). Augment on the device instead "
            f"(`augment=`, `transform=`), or leave `cache` out"
        )
    if reader.in_memory:
        return reader
    root = root_in(cache_dir)
    if isinstance(reader, BucketReader):
        bound = cache_bytes
        capacity(len(reader), bytes_of_record(reader.spec), bound)  # raises where not one record fits
        return reader.each(lambda part, share: _with_store(part, kind, root, bound, share))
    return _with_store(reader, kind, root, cache_bytes)


def _with_store(reader: Reader, kind: CacheKind, root: Path, cache_bytes: int, share: float = 1.0) -> Reader:
    """The reader with a store of its own. In memory it has its `share` of the bytes; a disk has one bound for all."""
    if kind is CacheKind.MEMORY:
        limit = int(cache_bytes * share)
        if share < 1 and limit < bytes_of_record(reader.spec):
            return reader
        return CachedReader(reader, MemoryStore(reader.spec, len(reader), limit))
    identity = Identity.of(reader.fingerprint(), stamp_of(reader), reader.spec, len(reader))
    return _opened(reader, partial(open_disk_store, root, identity, reader.spec, len(reader), cache_bytes))


def _opened(reader: Reader, open_store: Callable[[], Store]) -> Reader:
    """The reader with the store, or without, if the disk fails."""
    try:
        return CachedReader(reader, open_store())
    except OSError as error:
        if error.errno not in _PASSING:
            raise ConfigError(
                f"`cache_dir` cannot be used: {error.strerror or error} ({error.filename}); give another folder"
            ) from error
        warnings.warn(
            f"no cache on disk: {error.strerror}; the run goes on without it", CacheWarning, stacklevel=4
        )
        return reader


def _refuse(**arguments: Any) -> None:
    for name, value in arguments.items():
        if value is not None:
            wanted = "disk" if name == "cache_dir" else "memory' or 'disk"
            raise ConfigError(f"`{name}` is {value!r}, which means something with `cache` '{wanted}' only")
