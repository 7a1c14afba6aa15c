"""Fingerprints: what tells one set of records from another, on any machine.

A fingerprint is a small dict that JSON knows, of names, sizes, parameters and digests, never of absolute
paths or times. It stands in a saved state, so that a refusal can name what differs.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigTypeError

Fingerprint: TypeAlias = dict[str, Any]

ROWS = "rows"
"""In a fingerprint: digests of some records, for data that nothing else tells apart."""

_SAMPLED_ROWS = 64
_ROWS_AT_ONCE = 1024


def digest(parts: Iterable[bytes | str]) -> str:
    """16 hexadecimal digits of the BLAKE2b hash of the parts, each with its length."""
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Fingerprint:
    """Shape, dtype and a digest of up to 64 rows, evenly spread, of each array."""
    fields: dict[str, str] = {}
    for name, array in arrays.items():
        rows = np.unique(np.linspace(0, len(array) - 1, _SAMPLED_ROWS).astype(np.int64))
        sampled = array[rows]
        data = repr(sampled.tolist()) if array.dtype == object else np.ascontiguousarray(sampled).tobytes()
        fields[name] = f"{array.dtype}{list(array.shape)} {digest([data])}"
    return {"kind": "arrays", **fields}


@runtime_checkable
class Stamped(Protocol):
    """What can tell its present content from any earlier one.

    Fingerprints are the same on every machine and cheap, and so may overlook a change (a file that was
    edited and kept its length). A stamp may not, for bytes on disk are trusted by it. It is asked for once,
    and may mean something on this machine alone.
    """

    def stamp(self) -> str:
        """Differs whenever the content does, e.g. a digest of all of it, or of modification times.

        Raises:
            ConfigError: there is no telling; the message says what to do.
        """
        ...


def stamp_of(thing: Any) -> str:
    """Its stamp; empty if it has none, because its fingerprint says it all.

    Raises:
        ConfigTypeError: `stamp()` gave no string: one without a `return` would be the same for all content.
    """
    if not isinstance(thing, Stamped):
        return ""
    stamp = thing.stamp()
    if not isinstance(stamp, str):
        raise ConfigTypeError(
            f"`{type(thing).__name__}.stamp()` must return a string that changes with its content (a version, a "
            f"digest), got {stamp!r}"
        )
    return stamp


def stamp_of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """A digest of all that is in the arrays."""
    parts: list[bytes | str] = []
    for name, array in arrays.items():
        parts.append(f"{name} {array.dtype}{list(array.shape)}")
        for start in range(0, len(array), _ROWS_AT_ONCE):
            rows = array[start : start + _ROWS_AT_ONCE]
            parts.append(
                digest(
                    [repr(rows.tolist()) if array.dtype == object else np.ascontiguousarray(rows).tobytes()]
                )
            )
    return digest(parts)
