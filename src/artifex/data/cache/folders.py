"""The folders of the disk cache: one for each set of records, under one root, bounded together.

    cache_dir/records/          the root; a folder of its own, since backups leave out what is tagged
      CACHEDIR.TAG              by which backup programs and `clear_cache` know what this is
      lock                      held by who looks what others take and then makes room
      3f..../                   named by a hash of the identity of its records
        manifest.json           that identity in full: what does not match it is not served
        lock                    held, shared, by all who use the folder (flock: it ends with its process)
        sums, field-0, ...      see disk.py

A folder is deleted only by a process that holds its lock alone. It is renamed first, so that others find a
whole folder or none; whoever opened it in between sees that its lock file is another one, and starts again.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from artifex import __version__
from artifex.data.cache.files import open_file
from artifex.data.cache_dir import cache_folder
from artifex.data.errors import ConfigError
from artifex.data.fingerprint import Fingerprint
from artifex.data.types import Spec

FORMAT = 1
SUMS = "sums"

TAG = "CACHEDIR.TAG"
# The first line is given by the convention (bford.info/cachedir).
_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Decoded records of artifex: clear_cache() deletes them.\n"
)
_NAME = re.compile(r"[0-9a-f]{32}")
_DELETED = re.compile(r"deleted-[0-9a-f]{32}")
_UNFINISHED_TAG = re.compile(rf"\.{TAG}-[0-9a-f]{{32}}")
# What file systems and desktops leave wherever they come by.
_LITTER = r"\.DS_Store|\._.*|\.nfs[0-9a-f]+|Thumbs\.db|desktop\.ini"
_FILES = re.compile(rf"manifest\.json|manifest-[0-9a-f]{{32}}|lock|{SUMS}|field-\d+|{_LITTER}")
_IN_ROOT = re.compile(rf"{TAG}|lock|{_UNFINISHED_TAG.pattern}|{_NAME.pattern}|{_DELETED.pattern}|{_LITTER}")
_TRIES = 100

# Seconds that one waits to be the only one who makes room: it takes as long as to delete some folders.
_PATIENCE = 10.0

# Seconds after which nobody is still writing a tag.
_OLD = 60.0

# So much more than its records may a folder take: of each file the last block is not full.
_BLOCKS_BYTES = 2**16


class CacheWarning(UserWarning):
    """A cache lost something, or stopped: the data are right, and take longer."""


@dataclass(frozen=True)
class Identity:
    """What tells the records in a folder from all others: text for the manifest, and its hash."""

    text: str

    @classmethod
    def of(cls, fingerprint: Fingerprint, stamp: str, spec: Spec, num_records: int) -> "Identity":
        """The identity of what a reader gives, with this release and this format."""
        described = {
            "format": FORMAT,
            "release": __version__,
            "byteorder": sys.byteorder,
            "fingerprint": fingerprint,
            "stamp": stamp,
            "spec": [[name, str(field)] for name, field in spec.items()],
            "records": num_records,
        }
        return cls(json.dumps(described, sort_keys=True))

    @property
    def hash(self) -> bytes:
        """16 bytes."""
        return hashlib.blake2b(self.text.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class OpenFolder:
    """A folder in use: nobody deletes it as long as `lock`, a file descriptor, is open."""

    path: Path
    lock: int


def root_in(cache_dir: str | Path | None) -> Path:
    """The root in a cache folder; None for the user's."""
    return cache_folder(cache_dir) / "records"


def open_folder(root: Path, identity: Identity, limit: int) -> OpenFolder:
    """The folder for these records, made if it is not there, made anew if it is damaged or over `limit` bytes.

    Raises:
        ConfigError: the root is a folder with other things.
        OSError: the disk is full, refuses, or a damaged folder is held by other processes (EBUSY).
    """
    _make_root(root)
    path = root / identity.hash.hex()
    if size_of(path) > limit + _BLOCKS_BYTES:
        delete(path)
    for trial in range(_TRIES):
        if trial:
            time.sleep(0.01 + os.getpid() % 16 / 1000)  # several processes do not keep in step
        # Not `exist_ok`, which raises if a folder that was there goes meanwhile.
        with suppress(FileExistsError):
            path.mkdir()
        lock = _lock(path, fcntl.LOCK_SH)
        if lock is None:
            continue
        try:
            if _has(path, identity):
                os.utime(lock)
                return OpenFolder(path, lock)
        except FileNotFoundError:  # somebody deletes by hand
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        if not delete(path) and (others := _others(path)):
            raise OSError(errno.EBUSY, f"{path} is damaged, and has what is none of the cache's: {others[0]}")
    raise OSError(errno.EBUSY, f"{path.name} is damaged, and other processes have it open")


@contextmanager
def alone(root: Path) -> Generator[None, None, None]:
    """While this lasts, others who want the same in this root wait: some seconds, then they go on."""
    lock = _open_shared(root / "lock")
    try:
        end = time.monotonic() + _PATIENCE
        while lock is not None and not _holds(lock, fcntl.LOCK_EX) and time.monotonic() < end:
            time.sleep(0.005)
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _open_shared(path: Path) -> int | None:
    """A descriptor of a file that may be another user's, under a root that several share; None if that is closed."""
    with suppress(PermissionError):
        return open_file(path)
    with suppress(PermissionError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return None


def make_room(root: Path, folder: OpenFolder, wanted: int, limit: int) -> int:
    """Deletes other folders, the longest unused first, until `wanted` more bytes stay within `limit`.

    Returns:
        How many bytes `folder` may have: `wanted`, or less if others are in use, which count as the size
        that they may grow to.
    """
    busy, idle = 0, list[tuple[float, int, Path]]()
    for other in folders(root):
        if other == folder.path:
            continue
        if in_use(other):
            busy += size_of(other, planned=True)
        else:
            idle.append((last_use(other), size_of(other), other))
    idle.sort()
    while idle and busy + sum(size for _, size, _ in idle) + wanted > limit:
        _, size, other = idle.pop(0)
        if not delete(other):  # somebody opened it meanwhile
            busy += size
    return max(0, min(wanted, limit - busy - sum(size for _, size, _ in idle)))


def delete(folder: Path) -> bool:
    """Deletes a folder that nobody has open and that holds nothing else; whether it did."""
    try:
        lock = _lock(folder, fcntl.LOCK_EX) if _is_ours(folder) else None
    except OSError:  # another user's, or a read-only disk's
        return False
    if lock is None:
        return False
    try:
        gone = folder.with_name(f"deleted-{uuid4().hex}")
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _make_root(root: Path) -> None:
    with suppress(FileExistsError):
        root.mkdir(parents=True)
    if not _is_tagged(root):
        if others := _others(root, _IN_ROOT):
            raise ConfigError(
                f"`cache_dir` has a folder {str(root)!r} with other things in it ({others[0]}), and a cache on disk "
                f"would need it for itself; give another `cache_dir`"
            )
        _write_whole(root / TAG, root / f".{TAG}-{uuid4().hex}", _TAG_TEXT)
    for left in root.iterdir():  # by a process that was killed
        if _DELETED.fullmatch(left.name) and _is_ours(left):
            shutil.rmtree(left, ignore_errors=True)
        elif _UNFINISHED_TAG.fullmatch(left.name):
            with suppress(FileNotFoundError):
                if left.lstat().st_mtime < time.time() - _OLD:
                    left.unlink()


def _is_tagged(root: Path) -> bool:
    try:
        return (root / TAG).read_bytes()[:43] == _TAG_TEXT.encode()[:43]
    except OSError:
        return False


def is_root(root: Path) -> bool:
    """Whether this is the root of a cache: it is tagged, or will be, for there is nothing else in it."""
    try:
        return _is_tagged(root) or not _others(root, _IN_ROOT)
    except OSError:
        return False


def _others(folder: Path, known: re.Pattern[str] = _FILES) -> list[str]:
    """The names in a folder that are not known."""
    return sorted(name for name in os.listdir(folder) if not known.fullmatch(name))


def _has(path: Path, identity: Identity) -> bool:
    """Whether the folder's manifest is this identity's; an empty folder gets one."""
    # In this order, for a manifest is written before the first record.
    is_new = not (path / SUMS).exists()
    manifest = path / "manifest.json"
    try:
        return manifest.read_text("utf-8") == identity.text
    except FileNotFoundError:
        if is_new:
            _write_whole(manifest, path / f"manifest-{uuid4().hex}", identity.text)
        return is_new
    except UnicodeDecodeError:
        return False


def _write_whole(path: Path, temporary: Path, text: str) -> None:
    """Writes a file that is there as a whole or not at all, whenever the power goes."""
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock(folder: Path, mode: int) -> int | None:
    """The descriptor of the folder's lock, held; None if others are in the way or the folder just went."""
    path = folder / "lock"
    try:
        lock = open_file(path)
    except FileNotFoundError:
        return None
    try:
        if _holds(lock, mode) and os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _holds(lock: int, mode: int) -> bool:
    """Locks a file, and says whether it could."""
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_use(folder: Path) -> bool:
    """Whether a live process has the folder open; True where there is no telling, since its lock is refused."""
    try:
        lock = _lock(folder, fcntl.LOCK_EX)
    except OSError:
        return True
    if lock is None:
        return True
    os.close(lock)
    return False


def folders(root: Path) -> Iterator[Path]:
    """All folders under a root that hold what is written here and nothing else."""
    if is_root(root):
        yield from (path for path in sorted(root.iterdir()) if _NAME.fullmatch(path.name) and _is_ours(path))


def _is_ours(path: Path) -> bool:
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            return False
        return all(_FILES.fullmatch(inside.name) and not inside.is_dir() for inside in path.iterdir())
    except OSError:
        return False


def size_of(folder: Path, *, planned: bool = False) -> int:
    """Bytes that a folder takes on disk, or that it is planned to take when all its records are there."""
    total = 0
    try:
        inside = list(folder.iterdir())
    except FileNotFoundError:  # another process deleted it meanwhile
        return 0
    for path in inside:
        try:
            info = path.stat()
        except FileNotFoundError:
            continue
        total += info.st_size if planned else info.st_blocks * 512
    return total


def last_use(folder: Path) -> float:
    """When a folder was last opened, in seconds since 1970; 0 if it never was."""
    try:
        return (folder / "lock").stat().st_mtime
    except FileNotFoundError:
        return 0.0
