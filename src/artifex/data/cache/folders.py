"""The folders of the disk cache: one for each set of records, under one root, bounded together.

    cache_dir/records/          the root; a folder of its own, since backups leave out what is tagged
      CACHEDIR.TAG              by which backup programs and `clear_cache` know what this is
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
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from artifex import __version__
from artifex.data.cache_dir import default_cache_dir
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
_FILES = re.compile(rf"manifest\.json|manifest-[0-9a-f]{{32}}|lock|{SUMS}|field-\d+")
_TRIES = 100


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
    return (default_cache_dir() if cache_dir is None else Path(cache_dir)) / "records"


def open_folder(root: Path, identity: Identity) -> OpenFolder:
    """The folder for these records, made if it is not there, made anew if it is damaged.

    Raises:
        OSError: the disk is full, refuses, or a damaged folder is held by other processes (EBUSY).
    """
    _make_root(root)
    path = root / identity.hash.hex()
    for trial in range(_TRIES):
        if trial:
            time.sleep(0.01 + os.getpid() % 16 / 1000)  # several processes do not keep in step
        with suppress(
            FileExistsError
        ):  # not `exist_ok`, which raises if a folder that was there goes meanwhile
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
        delete(path)
    raise OSError(errno.EBUSY, f"{path.name} is damaged, and other processes have it open")


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
    root.mkdir(parents=True, exist_ok=True)
    if not is_tagged(root):
        _write_whole(root / TAG, root / f".{TAG}-{uuid4().hex}", _TAG_TEXT)
    for left in root.iterdir():  # by a process that was killed while it deleted
        if _DELETED.fullmatch(left.name) and _is_ours(left):
            shutil.rmtree(left, ignore_errors=True)


def is_tagged(root: Path) -> bool:
    """Whether this is the root of a cache."""
    try:
        return (root / TAG).read_bytes()[:43] == _TAG_TEXT.encode()[:43]
    except OSError:
        return False


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
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


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
    if is_tagged(root):
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
