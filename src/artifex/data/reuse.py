"""Memory of large batches on the CPU back end, used again once nobody holds them.

Memory that comes from the system costs a page fault for every 4 kB: for a batch of 64 float images of 224x224 it is
six times as long as computing them. So the compiled call is given ("donates") the arrays of an earlier batch
that nobody refers to any more, and writes its results there. JAX itself waits for whatever still reads from
them. Accelerators have allocators of their own that do this.
"""

import sys
from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array

LEAST_BYTES = 2**25
"""Smaller blocks come from the heap, where they are used again anyway: 32 MiB is the most that glibc keeps there."""

# A batch in the user's hands, one that is about to be dropped, and two that are on their way.
_MOST = 4

# Until a first batch has come back there is none to be written over: for so many, memory is made beforehand, so that
# there is one compiled call and not two.
_MOST_MADE = 3

# After so many batches in a row for which there was none, none is looked for any more in this iteration.
_MOST_MISSES = 8

# Arrays by their ids, while a `SpareBatches` holds them: they are known not to share memory with others.
_held: set[int] = set()

Shapes: TypeAlias = Sequence[jax.ShapeDtypeStruct]


class SpareBatches:
    """The large arrays of the last few batches. For one thread.

    Args:
        device: where they lie; None leaves it to JAX.

    Attributes:
        is_needed: False once a batch had no large arrays: where all come in one shape, none will.
    """

    def __init__(self, device: Any = None) -> None:
        self._device = device
        self.is_needed = True
        self._batches: list[list[Array]] = []
        self._new: list[list[Array]] = []
        self._made = self._misses = 0

    def take(self, shapes: Shapes) -> list[Array] | None:
        """Arrays of these shapes to be donated, with whatever is in them: idle ones, at the beginning also new ones.

        None where there are none, which costs what it cost without this class.
        """
        if (
            self._misses >= _MOST_MISSES
        ):  # the user holds them, or others of their shape: it would go on like this
            return None
        if (idle := self._idle(shapes)) is not None:
            self._misses = 0
            return idle
        self._misses += 1
        if self._new and _fits(self._new[-1], shapes):
            return self._new.pop()
        if self._made == _MOST_MADE:
            return None
        self.make(shapes)
        return self._new.pop()

    def make(self, shapes: Shapes) -> None:
        """Makes arrays that a later `take` of these shapes gives; they are filled in the background."""
        self._made += 1
        # A copy: an array that lies in NumPy's memory cannot be donated.
        zeros = (np.zeros(shape.shape, shape.dtype) for shape in shapes)
        self._new.append([jax.device_put(one, self._device, may_alias=False) for one in zeros])

    def _idle(self, shapes: Shapes) -> list[Array] | None:
        for i, batch in enumerate(self._batches):
            if _fits(batch, shapes) and all(_is_idle(batch, n) for n in range(len(batch))):
                del self._batches[i]
                _held.difference_update(map(id, batch))
                if not any(array.is_deleted() for array in batch) and not _may_be_shared(batch):
                    return batch
                break
        return None

    def keep(self, batch: list[Array]) -> None:
        """Holds the arrays of a batch that is handed out. Of too many the oldest are left to their owner."""
        if self._misses >= _MOST_MISSES:
            self._let_go()
            return
        if len(self._batches) == _MOST:
            _held.difference_update(map(id, self._batches.pop(0)))
        _held.update(map(id, batch))
        self._batches.append(batch)

    def __len__(self) -> int:
        return len(self._batches)

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        for batch in self._batches:
            _held.difference_update(map(id, batch))
        self._batches.clear()


def large_results(run: Any, *arguments: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Those results of a jitted function that are worth it: large, and not merely passed on."""
    traced = run.trace(*arguments)
    inputs = set(map(id, traced.jaxpr.jaxpr.invars))
    names, shapes = zip(*sorted(traced.out_info.items()), strict=True)
    made = (id(variable) not in inputs for variable in traced.jaxpr.jaxpr.outvars)
    return {
        name: jax.ShapeDtypeStruct(shape.shape, shape.dtype)
        for name, shape, is_made in zip(names, shapes, made, strict=True)
        if is_made and prod(shape.shape) * shape.dtype.itemsize >= LEAST_BYTES
    }


def _fits(batch: list[Array], shapes: Shapes) -> bool:
    return len(batch) == len(shapes) and all(
        array.shape == shape.shape and array.dtype == shape.dtype
        for array, shape in zip(batch, shapes, strict=True)
    )


def _is_idle(batch: list[Array], number: int) -> bool:
    return sys.getrefcount(batch[number]) == _IDLE_REFERENCES


def _may_be_shared(batch: list[Array]) -> bool:
    """Whether another array may lie in the same memory, as `jax.device_put` to the same device makes it.

    Nobody counts who shares a buffer. Such an array has the same shape, or is a global one that has this as a part.
    """
    known = _held.union(map(id, batch))
    kinds = {(array.shape, array.dtype) for array in batch}
    return any(
        id(other) not in known and any(_could_hold(other, *kind) for kind in kinds)
        for other in jax.live_arrays("cpu")
    )


def _could_hold(other: Array, shape: tuple[int, ...], dtype: Any) -> bool:
    whole = other.shape
    if len(whole) != len(shape) or any(n % m for n, m in zip(whole, shape, strict=True)):
        return False
    return other.dtype == dtype and (whole == shape or len(other.sharding.device_set) > 1)


def _count_idle_references() -> int:
    """What `sys.getrefcount` says of an array that one list alone refers to, on this Python."""
    batch = [object()]
    return sys.getrefcount(batch[0])


_IDLE_REFERENCES = _count_idle_references()
