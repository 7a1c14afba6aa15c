"""Files that have no random access, unpacked once to a folder of the cache.

    text/
      3f..../           named by a hash of the file's path, its identity and what is taken of it
        data            its bytes, or the texts of its column one after another
        unpacked.json   their number, the time of `data`, and what is damaged
        .data.*         indexes

What is not whole, or not of that size and time, is made again.
"""

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from artifex.data.errors import ConfigError, ReadError
from artifex.data.fingerprint import digest
from artifex.data.sources.text.claim import Draft, draft
from artifex.data.sources.text.index import Identity
from artifex.data.sources.text.source import Damage
from artifex.data.sources.text.streams import DamagedError

_MANIFEST = "unpacked.json"


Write: TypeAlias = Callable[[Draft, Callable[[int], None]], None]


@dataclass(frozen=True)
class Unpacked:
    """Where the content of a file lies, and why the rest of it is lost, if it is."""

    data: str
    damage: Damage | None


def unpack(
    path: str,
    root: str,
    identity: Identity,
    what: str,
    write: Write,
    max_bytes: int,
) -> Unpacked:
    """Unpacks a file, unless that was done before.

    Args:
        path: the file.
        root: the folder of the cache.
        identity: of the file.
        what: what is taken of it.
        write: writes the content, and calls its second argument with the number of bytes of each piece; a
            DamagedError from it ends the content.
        max_bytes: how many bytes may come of it.

    Raises:
        ConfigError: there are more.
        ReadError: the content cannot be written.
    """
    key = digest([os.path.realpath(path), json.dumps(asdict(identity)), what])
    folder = os.path.join(root, "text", key)
    if (found := _whole(folder)) is not None:
        return found
    try:
        os.makedirs(folder, exist_ok=True)
        with draft(os.path.join(folder, "data")) as made:
            return _whole(folder) or _made(path, made, folder, identity, write, max_bytes)
    except ReadError:
        raise
    except OSError as error:
        raise ReadError(
            f"it cannot be unpacked into {folder!r}: {error.strerror or error}; make room, or name another "
            f"`cache_dir`",
            path=path,
        ) from error


def _made(
    path: str,
    made: Draft,
    folder: str,
    identity: Identity,
    write: Write,
    max_bytes: int,
) -> Unpacked:
    size, damage = 0, None

    def count(piece: int) -> None:
        nonlocal size
        size += piece
        if size > max_bytes:
            raise ConfigError(
                f"{path}: unpacks to more than `max_unpacked_bytes` {max_bytes}, over "
                f"{max_bytes // max(1, identity.size)} times its size; allow more if you trust it"
            )

    try:
        write(made, count)
    except DamagedError as error:
        damage = Damage(error.reason, error.position)
    info = os.fstat(made.file)
    content = {
        "size": info.st_size,
        "mtime_ns": info.st_mtime_ns,
        "damage": None if damage is None else [damage.reason, damage.position],
    }
    # Before the data: those who find them find this.
    with draft(os.path.join(folder, _MANIFEST)) as manifest:
        manifest.write(json.dumps(content).encode())
        manifest.publish(shows_damage=True)
    made.publish()
    return Unpacked(made.path, damage)


def forget(unpacked: Unpacked) -> None:
    """Has a file unpacked again the next time."""
    os.unlink(os.path.join(os.path.dirname(unpacked.data), _MANIFEST))


def _whole(folder: str) -> Unpacked | None:
    data = os.path.join(folder, "data")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with open(os.path.join(folder, _MANIFEST), encoding="utf-8") as file:
            content = json.load(file)
        info = os.stat(data)
        if (info.st_size, info.st_mtime_ns) == (content["size"], content["mtime_ns"]):
            damage = content["damage"]
            return Unpacked(
                data,
                None
                if damage is None
                else Damage(str(damage[0]), None if damage[1] is None else int(damage[1])),
            )
    return None
