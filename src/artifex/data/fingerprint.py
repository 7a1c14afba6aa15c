"""Fingerprints: what tells one set of records from another, on any machine.

A fingerprint is a small dict that JSON knows, of names, sizes, parameters and digests, never of absolute
paths or times. It stands in a saved state, so that a refusal can name what differs.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Fingerprint: TypeAlias = dict[str, Any]

_SAMPLED_ROWS = 64


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
