"""Batch buffers that are used again, but never while anything still looks at them.

On the CPU back end a JAX array may share the memory of the NumPy array that it was made from, and a
transfer to an accelerator may still be reading from it. In both cases JAX holds a reference to the
memory; so does every view that a user kept. A buffer is free, therefore, when nobody but the pool
refers to it.
"""

import sys
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.types import ArraySpec, Spec

# XLA's CPU back end takes memory over without a copy when it is aligned like this.
_ALIGNMENT = 64

# Below this a fresh array costs less than the search for a free one. Each field has buffers of its own,
# so that a label which somebody keeps does not keep its batch's images too.
_SMALL_BYTES = 16 * 1024


class BufferPool:
    """Buffers for batches of up to `batch_size` samples. `take` is for one thread, the arrays for any.

    Args:
        spec: the fields; of samples in several shapes, that of the largest.
        batch_size: most rows.
    """

    def __init__(self, spec: Spec, batch_size: int) -> None:
        self._fields = {name: _FieldBuffers(field, batch_size) for name, field in spec.items()}

    def __len__(self) -> int:
        """How many buffers were made, over all fields."""
        return sum(len(field) for field in self._fields.values())

    def take(self, rows: int, spec: Spec | None = None) -> dict[str, npt.NDArray[Any]]:
        """Arrays `(rows, *shape)` for every field, with whatever they held before; None for strings.

        `spec` has the shapes where they are others than those of the pool, and no larger.
        """
        if spec is None:
            return {name: field.take(rows) for name, field in self._fields.items()}
        return {name: field.take(rows, spec[name].shape) for name, field in self._fields.items()}


class _FieldBuffers:
    def __init__(self, spec: ArraySpec, batch_size: int) -> None:
        self._shape, self._dtype, self._is_text = spec.shape, spec.dtype, spec.is_text
        self._bytes = batch_size * spec.nbytes
        self._memory: list[npt.NDArray[np.uint8]] = []
        self._starts: list[int] = []

    def __len__(self) -> int:
        return len(self._memory)

    def take(self, rows: int, shape: tuple[int, ...] | None = None) -> npt.NDArray[Any]:
        shape = (rows, *(self._shape if shape is None else shape))
        if self._is_text:
            return np.full(shape, None, object)
        if self._bytes < _SMALL_BYTES:
            return np.empty(shape, self._dtype)
        memory, start = self._idle()
        return memory[start : start + prod(shape) * self._dtype.itemsize].view(self._dtype).reshape(shape)

    def _idle(self) -> tuple[npt.NDArray[np.uint8], int]:
        """A buffer that is free, and where in it an aligned address comes first."""
        for i in range(len(self._memory)):
            if sys.getrefcount(self._memory[i]) == _IDLE_REFERENCES:
                return self._memory[i], self._starts[i]
        # NumPy makes the owner of the memory the base of every view, so the owner's count tells all.
        memory = np.empty(self._bytes + _ALIGNMENT, np.uint8)
        self._memory.append(memory)
        self._starts.append(-memory.ctypes.data % _ALIGNMENT)
        return memory, self._starts[-1]


def _count_idle_references() -> int:
    """What `sys.getrefcount` says of a buffer that only the pool's list knows, on this Python."""
    memory = [np.empty(1, np.uint8)]
    return sys.getrefcount(memory[0])


_IDLE_REFERENCES = _count_idle_references()
