"""Token store: a corpus tokenized once, in files that are mapped into memory.

While it is made, a folder has a pair of files for every few thousand documents: their tokens one after the other, and
their lengths. Each pair is written by itself and renamed into its place, the lengths last, with a checksum of the
tokens: so a build that was killed goes on where it was, and two builds at once do the same work twice, no more. At
the end the pairs become one file of tokens and one of offsets, and the manifest says that they are all there.
"""

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias
from uuid import uuid4
from zlib import crc32

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, RecordError
from artifex.data.fingerprint import Fingerprint, digest
from artifex.data.types import Indices

# Documents in a pair of files: seconds of work, which is what a kill costs.
_DOCUMENTS = 4096
# Texts in memory at a time, for each thread: so many, or about so many tokens.
_AT_ONCE, _TOKENS_AT_ONCE = 64, 2**20
_BYTES_AT_ONCE = 2**22
_VERSION = 1
_MANIFEST, _TOKENS, _OFFSETS = "manifest.json", "tokens", "offsets"

Ids: TypeAlias = npt.NDArray[np.int32]


class Encodes(Protocol):
    """What is stored: documents as ids, by number. Thread-safe."""

    def __len__(self) -> int: ...

    def encode(self, indices: Indices) -> list[Ids]:
        """The ids (n,) of these documents, with all that is to be stored."""
        ...


class OnBadDocument(StrEnum):
    """What becomes of a document that cannot be had while a store is made."""

    RAISE = "raise"
    """Its error ends the build; what was done stays done."""
    SKIP = "skip"
    """It is stored as empty, and told in the manifest."""


@dataclass(frozen=True)
class BadDocument:
    """A document that could not be had."""

    record: int
    path: str | None
    offset: int | None
    error: str
    reason: str


@dataclass(frozen=True)
class StoredTokens:
    """An opened store.

    Attributes:
        folder: where it lies.
        tokens: of all documents, one after the other: uint16 or int32 (m,), mapped.
        offsets: where each document begins, and the last ends: int64 (n + 1,), mapped.
        bad: documents that were left empty.
    """

    folder: Path
    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    bad: tuple[BadDocument, ...]


def store_tokens(
    documents: Encodes,
    identity: Fingerprint,
    folder: Path,
    *,
    vocab_size: int,
    num_workers: int,
    on_error: OnBadDocument = OnBadDocument.RAISE,
    progress: Callable[[int, int], None] | None = None,
) -> StoredTokens:
    """The store of these documents in a folder, which is made, or finished, where it is not there yet.

    Args:
        documents: what is stored.
        identity: what tells them, and their ids, from others: it stands in the folder's name.
        folder: the store is a folder below this one.
        vocab_size: ids below 65,536 take two bytes, others four.
        num_workers: threads that encode, 0 for none.
        on_error: what becomes of documents that cannot be had.
        progress: is called with (documents done, all), from several threads, one at a time.

    Raises:
        RecordError: a document cannot be had.
        ConfigError: the folder cannot be written, or what is in it is damaged.
    """
    name = json.dumps({"version": _VERSION, "vocab_size": vocab_size, **identity}, sort_keys=True)
    home = folder / f"tokens-{digest([name])}"
    dtype = np.dtype(np.uint16 if vocab_size <= 2**16 else np.int32)
    with _told(folder):
        if (stored := _opened(home, len(documents))) is not None:
            _tidy(home)
            return stored
        home.mkdir(parents=True, exist_ok=True)
    _make_parts(documents, home, dtype, num_workers, on_error, progress)
    with _told(folder):
        _join(home, len(documents), dtype)
    stored = _opened(home, len(documents))
    assert stored is not None
    return stored


def open_store(home: Path) -> StoredTokens:
    """The store that lies in a folder: `StoredTokens.folder` of whoever made it.

    Raises:
        ConfigError: there is none, it is not finished, or it is damaged.
    """
    try:
        manifest = _manifest(home)
    except OSError as error:
        raise ConfigError(f"`folder` {str(home)!r} cannot be read: {error.strerror or error}") from error
    if manifest is None:
        raise ConfigError(
            f"`folder` {str(home)!r} has no {_MANIFEST}: it is no token store, or one that is not finished"
        )
    return _checked(home, manifest, manifest.get("num_documents"))


def _manifest(home: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((home / _MANIFEST).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _damaged(home, f"its manifest is no JSON: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("version") != _VERSION:
        raise _damaged(home, f"its manifest is not one of version {_VERSION}")
    return manifest


def _opened(home: Path, num_documents: int) -> StoredTokens | None:
    manifest = _manifest(home)
    return None if manifest is None else _checked(home, manifest, num_documents)


def _checked(home: Path, manifest: dict[str, Any], num_documents: Any) -> StoredTokens:
    """The store that a manifest tells of, if its files are what that says."""
    try:
        num_documents = int(num_documents)
        size, dtype = int(manifest["num_tokens"]), np.dtype(manifest["dtype"])
        checksum, bad = manifest["offsets_crc32"], tuple(BadDocument(**bad) for bad in manifest["bad"])
    except (KeyError, TypeError) as error:
        raise _damaged(home, f"its manifest is none: {type(error).__name__}: {error}") from None
    for name, wanted in ((_OFFSETS, (num_documents + 1) * 8), (_TOKENS, size * dtype.itemsize)):
        if (there := (home / name).stat().st_size) != wanted:
            raise _damaged(home, f"its file of {name} has {there} bytes, and should have {wanted}")
    offsets = np.memmap(home / _OFFSETS, np.dtype("<i8"), "r")
    if _sum(offsets) != checksum or offsets[-1] != size:
        raise _damaged(home, "its offsets do not match their checksum")
    tokens = np.memmap(home / _TOKENS, dtype, "r") if size else np.zeros(0, dtype)
    return StoredTokens(home, tokens, offsets, bad)


def _make_parts(
    documents: Encodes,
    home: Path,
    dtype: np.dtype[Any],
    num_workers: int,
    on_error: OnBadDocument,
    progress: Callable[[int, int], None] | None,
) -> None:
    size = len(documents)
    parts = [part for part in range(_num_parts(size)) if not _is_whole(home, part)]
    missing = sum(len(_numbers(part, size)) for part in parts)
    done, lock = size - missing, threading.Lock()

    def make(part: int) -> None:
        nonlocal done
        numbers = _numbers(part, size)
        _make_part(documents, numbers, home, part, dtype, on_error)
        with lock:
            done += len(numbers)
            if progress is not None:
                progress(done, size)

    if num_workers == 0:
        for part in parts:
            make(part)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        for _ in _in_order(pool, make, parts, 2 * num_workers):
            pass


def _in_order(
    pool: ThreadPoolExecutor, make: Callable[[int], None], parts: list[int], most: int
) -> Iterator[None]:
    """Few at a time: after an error what has not begun is left, and the earliest error is raised."""
    ahead: deque[Future[None]] = deque()
    left = iter(parts)
    try:
        while True:
            while len(ahead) < most and (part := next(left, None)) is not None:
                ahead.append(pool.submit(make, part))
            if not ahead:
                return
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def _make_part(
    documents: Encodes, numbers: Indices, home: Path, part: int, dtype: np.dtype[Any], on_error: OnBadDocument
) -> None:
    """Writes a part, unless another process has finished the whole store meanwhile."""
    bad: list[BadDocument] = []
    lengths: list[int] = []
    checksum = 0
    tokens_name, lengths_name = _names(home, part)
    try:
        with _whole(tokens_name) as file:
            for ids in _encoded(documents, numbers, on_error, bad):
                tokens = _narrowed(ids, dtype).tobytes()
                lengths += map(len, ids)
                checksum = crc32(tokens, checksum)
                with _told(home):
                    file.write(tokens)
        about = {"lengths": lengths, "crc32": checksum, "bad": [asdict(one) for one in bad]}
        _write(lengths_name, json.dumps(about).encode())
    except ConfigError:
        if not (home / _MANIFEST).exists():  # who has made it has deleted what it was made of
            raise


def _encoded(
    documents: Encodes, numbers: Indices, on_error: OnBadDocument, bad: list[BadDocument]
) -> Iterator[list[Ids]]:
    """The ids of a few documents at a time, in order; fewer the longer they are."""
    start, count = 0, 1
    while start < len(numbers):
        some = numbers[start : start + count]
        try:
            ids = documents.encode(some)
        except RecordError:
            if on_error is OnBadDocument.RAISE:
                raise
            ids = [_encoded_alone(documents, number, bad) for number in some]
        start += count
        is_much = sum(map(len, ids)) > _TOKENS_AT_ONCE
        count = max(count // 2, 1) if is_much else min(count * 2, _AT_ONCE)
        yield ids


def _narrowed(ids: list[Ids], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    tokens = np.concatenate(ids)
    if dtype.itemsize < tokens.itemsize and tokens.size and int(tokens.max()) > np.iinfo(dtype).max:
        raise ConfigError(
            f"`vocab_size` must be more than the id {tokens.max()}, which the tokenizer gave, and is {2**16} or less"
        )
    return tokens.astype(dtype)


def _encoded_alone(documents: Encodes, number: np.int64, bad: list[BadDocument]) -> Ids:
    try:
        return documents.encode(np.array([number]))[0]
    except RecordError as error:
        bad.append(BadDocument(int(number), error.path, error.offset, type(error).__name__, error.reason))
        return np.zeros(0, np.int32)


def _num_parts(size: int) -> int:
    return -(-size // _DOCUMENTS)


def _numbers(part: int, size: int) -> Indices:
    return np.arange(part * _DOCUMENTS, min((part + 1) * _DOCUMENTS, size), dtype=np.int64)


def _names(home: Path, part: int) -> tuple[Path, Path]:
    return home / f"part-{part:08d}.tokens", home / f"part-{part:08d}.json"


def _is_whole(home: Path, part: int) -> bool:
    try:
        for _ in _read_part(home, part, _read_about(home, part)):
            pass
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return True


def _read_about(home: Path, part: int) -> dict[str, Any]:
    return json.loads(_names(home, part)[1].read_text())


def _read_part(home: Path, part: int, about: dict[str, Any]) -> Iterator[bytes]:
    """The tokens of a part, a piece at a time.

    Raises:
        ValueError: at the end, if they are not those that `about` has the checksum of.
    """
    name, checksum = _names(home, part)[0], 0
    with open(name, "rb") as file:
        while data := file.read(_BYTES_AT_ONCE):
            checksum = crc32(data, checksum)
            yield data
    if checksum != about["crc32"]:
        raise ValueError(name)


def _tidy(home: Path) -> None:
    """Deletes what a build that was killed at its end has left beside a whole store."""
    with suppress(OSError):  # it may be another user's
        for left in home.iterdir():
            if left.name not in (_MANIFEST, _TOKENS, _OFFSETS):
                left.unlink(missing_ok=True)


def _join(home: Path, size: int, dtype: np.dtype[Any]) -> None:
    """Makes the store of the parts, unless another process is faster: then the parts go."""
    try:
        _join_parts(home, size, dtype)
    except (OSError, ValueError, KeyError):
        if not (home / _MANIFEST).exists():
            raise
    _tidy(home)


def _join_parts(home: Path, size: int, dtype: np.dtype[Any]) -> None:
    """Makes one file of tokens and one of offsets, then the manifest."""
    lengths: list[npt.NDArray[np.int64]] = []
    bad: list[dict[str, Any]] = []
    with _whole(home / _TOKENS) as file:
        for part in range(_num_parts(size)):
            about = _read_about(home, part)
            for data in _read_part(home, part, about):
                file.write(data)
            lengths.append(np.array(about["lengths"], np.int64))
            bad += about["bad"]
    offsets = np.concatenate(
        [np.zeros(1, np.int64), np.cumsum(np.concatenate([*lengths, np.zeros(0, np.int64)]))]
    )
    _write(home / _OFFSETS, offsets.astype("<i8").tobytes())
    manifest = {
        "version": _VERSION,
        "num_documents": size,
        "num_tokens": int(offsets[-1]),
        "dtype": dtype.str,
        "offsets_crc32": _sum(offsets),
        "bad": bad,
    }
    _write(home / _MANIFEST, json.dumps(manifest).encode())


def _sum(offsets: npt.NDArray[np.int64]) -> int:
    return crc32(offsets.astype("<i8").tobytes())


def _write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    with _whole(path) as file:
        file.write(data)


@contextmanager
def _whole(path: Path) -> Generator[BinaryIO]:
    """A file that gets its name when all is written and safely on disk; if that fails there is none."""
    # Not the number of the process: on another machine, or in another container, one may have the same.
    temporary = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        with _told(path.parent):
            file = open(temporary, "wb")  # noqa: SIM115  (closed below)
        with file:
            yield file
            with _told(path.parent):
                file.flush()
                os.fsync(file.fileno())
        with _told(path.parent):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def _told(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"`cache_dir` {str(folder)!r} cannot be used for the tokens: {error.strerror or error}; free some space, "
            f"or give another folder. What was done stays done"
        ) from error


def _damaged(home: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the token store {str(home)!r} is damaged: {why}; delete the folder, and it is made again"
    )
