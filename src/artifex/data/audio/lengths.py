"""How long sound files are: read from their headers once, and kept in the cache folder.

    bytes 0-7       magic
    8-15            a CRC-32 of what follows, and the number of entries, uint32
    from 16 on      40 bytes a file: `ENTRY`

An entry holds for a file of its name, size and time of modification; others are read again, and added.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from artifex.data.cache_dir import cache_folder
from artifex.data.codecs.audio import AudioInfo, read_audio_info
from artifex.data.errors import RecordError
from artifex.data.fingerprint import digest
from artifex.data.sources.audio.source import Files
from artifex.data.sources.text.claim import draft
from artifex.data.warn import warn

ENTRY = np.dtype(
    [
        ("name", "<u8"),
        ("size", "<i8"),
        ("time", "<i8"),
        ("frames", "<i8"),
        ("rate", "<u4"),
        ("channels", "<u4"),
    ]
)
_MAGIC = b"artifexA"
_HEADER = struct.Struct("<8sII")
_THREADS = 8


class LengthsNotKeptWarning(UserWarning):
    """The lengths of files were read and could not be written down: they will be read again."""


def read_lengths(
    files: Files, cache_dir: str | Path | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Frames and sample rates of files, int64 (number of files,) each; -1 and 1 of those that cannot be read.

    Args:
        files: the files.
        cache_dir: where the lengths are kept, in its folder `audio`; None: `~/.cache/artifex`.
    """
    wanted = np.zeros(len(files.names), ENTRY)
    wanted["name"] = [int(digest([name]), 16) for name in files.names]
    wanted["size"], wanted["time"] = files.sizes, files.times
    path = _place(files.root, cache_dir)
    known = _open(path)
    frames, rates = _look_up(known, wanted)
    missing = np.flatnonzero(frames < 0)
    if len(missing):
        found = _read(files, missing)
        for place, info in found.items():
            frames[place], rates[place] = info.frames, info.sample_rate
            wanted["frames"][place], wanted["rate"][place] = info.frames, info.sample_rate
            wanted["channels"][place] = info.channels
        if found:
            _keep(path, wanted[sorted(found)])
    return frames, rates


def _read(files: Files, missing: npt.NDArray[np.int64]) -> dict[int, AudioInfo]:
    def facts(place: int) -> AudioInfo | None:
        try:
            return read_audio_info(files.path(place))
        except RecordError:
            return None  # who reads it is told

    with ThreadPoolExecutor(_THREADS) as pool:
        infos = list(pool.map(facts, missing.tolist(), chunksize=64))
    return {int(place): info for place, info in zip(missing, infos, strict=True) if info is not None}


def _place(root: str, cache_dir: str | Path | None) -> str:
    return os.path.join(
        cache_folder(cache_dir), "audio", f"{digest([os.path.realpath(root)])}.artifex-lengths"
    )


def _look_up(
    known: npt.NDArray[np.void], wanted: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    frames, rates = np.full(len(wanted), -1, np.int64), np.ones(len(wanted), np.int64)
    if len(known):
        known = known[np.argsort(known["name"], kind="stable")]
        rows = known[np.minimum(np.searchsorted(known["name"], wanted["name"]), len(known) - 1)]
        holds = np.logical_and.reduce([rows[key] == wanted[key] for key in ("name", "size", "time")])
        frames[holds], rates[holds] = rows["frames"][holds], rows["rate"][holds]
    return frames, rates


def _open(path: str) -> npt.NDArray[np.void]:
    """The entries of the file at `path`; none if there is none, or it is damaged."""
    nothing = np.empty(0, ENTRY)
    try:
        data = Path(path).read_bytes()
    except OSError:
        return nothing
    if len(data) < _HEADER.size:
        return nothing
    magic, crc, count = _HEADER.unpack_from(data)
    entries = data[_HEADER.size :]
    if magic != _MAGIC or len(entries) != count * ENTRY.itemsize or zlib.crc32(entries) != crc:
        return nothing
    return np.frombuffer(entries, ENTRY)


def _keep(path: str, new: npt.NDArray[np.void]) -> None:
    """Adds entries to those that are kept; of a file that changed, the new one replaces the old one."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with draft(path) as made:
            kept = _open(path)  # another process may have added some
            kept = kept[~np.isin(kept["name"], new["name"])]
            entries = np.concatenate([kept, new]).tobytes()
            for piece in _pieces(entries):
                made.write(piece)
            made.publish(shows_damage=True)
    except OSError as error:
        warn(
            f"the lengths of {len(new)} sound files could not be kept in {path!r} ({error.strerror or error}): they "
            f"will be read again; name a `cache_dir` that can be written to",
            LengthsNotKeptWarning,
        )


def _pieces(entries: bytes) -> Iterable[bytes]:
    yield _HEADER.pack(_MAGIC, zlib.crc32(entries), len(entries) // ENTRY.itemsize)
    yield entries
