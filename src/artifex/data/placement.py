"""Where the rows of a batch lie on a mesh of devices, and which of them this process reads."""

from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError


class Placement:
    """Where the rows of a global batch lie: over the devices of a mesh, and so over processes.

    Args:
        sharding: its first axis says how rows are split; over the mesh's other axes they are replicated. Or the
            mesh and the `PartitionSpec` of one, as a tuple.
        batch_size: rows of the global batch.

    Attributes:
        local_rows: which rows of a global batch this process reads, ascending, int64.
    """

    def __init__(self, sharding: Any, batch_size: int) -> None:
        sharding = _checked(sharding)
        rows = PartitionSpec(*sharding.spec[:1])
        self.sharding = NamedSharding(sharding.mesh, rows, memory_kind=sharding.memory_kind)
        self._batch_size = batch_size
        count = sharding.mesh.size // self._copies()
        if batch_size % count:
            raise ShapeError(
                f"`batch_size` {batch_size} must be divisible by the {count} parts of {sharding}"
            )
        parts = [
            part for part in self.sharding.addressable_devices_indices_map((batch_size,)).values() if part
        ]
        if not parts:
            raise ConfigError(
                f"`sharding` has no device of this process ({jax.process_index()} of {jax.process_count()}), so no "
                f"row of a batch is for it: make the mesh of devices of all processes, or the loader only where it "
                f"has some"
            )
        spans = {part[0].indices(batch_size)[:2] for part in parts}
        self.local_rows = np.concatenate([np.arange(*span, dtype=np.int64) for span in sorted(spans)])
        self._contiguous = len(self.local_rows) == self.local_rows[-1] - self.local_rows[0] + 1

    def to_global(self, local: npt.NDArray[Any] | Array) -> Array:
        """A global array (batch_size, ...) of this process's rows of it, in the order of `local_rows`."""
        shape = (self._batch_size, *local.shape[1:])
        if isinstance(local, jax.Array):  # it is placed already
            return local
        if self._contiguous:
            return jax.make_array_from_process_local_data(self.sharding, local, shape)

        def part(index: tuple[slice, ...] | None) -> npt.NDArray[Any]:
            assert index is not None
            start, stop, _ = index[0].indices(self._batch_size)
            first = int(np.searchsorted(self.local_rows, start))
            return local[first : first + stop - start]

        return jax.make_array_from_callback(shape, self.sharding, part)

    @property
    def is_whole(self) -> bool:
        """Whether all of a batch lies on this process."""
        return self.sharding.is_fully_addressable

    def _copies(self) -> int:
        """On how many devices each row lies."""
        axes = self.sharding.spec[0] if self.sharding.spec else None
        names = () if axes is None else (axes,) if isinstance(axes, str) else axes
        return self.sharding.mesh.size // int(np.prod([self.sharding.mesh.shape[name] for name in names]))


def _checked(sharding: Any) -> NamedSharding:
    """What a user gave, as a sharding of rows over devices."""
    if isinstance(sharding, tuple) and [type(part) for part in sharding] == [Mesh, PartitionSpec]:
        try:
            sharding = NamedSharding(*sharding)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"`sharding` {sharding[1]} does not go with its mesh: {error}") from error
    if not isinstance(sharding, NamedSharding):
        raise ConfigTypeError(
            f"`sharding` must be a jax.sharding.NamedSharding over a mesh, or (mesh, PartitionSpec), got "
            f"{type(sharding).__name__}; for one device pass `device=`"
        )
    if not isinstance(sharding.mesh, Mesh):
        raise ConfigTypeError(
            f"`sharding` needs a mesh of devices, got {type(sharding.mesh).__name__}: make one, e.g. by "
            f"`jax.make_mesh`"
        )
    if AxisType.Manual in sharding.mesh.axis_types:
        raise ConfigError(
            f"`sharding` has a mesh with manual axes, which are for `shard_map`: {sharding.mesh}"
        )
    if PartitionSpec.UNCONSTRAINED in sharding.spec:
        raise ShapeError(f"`sharding` must say over which axes rows are split, got {sharding.spec}")
    if any(axis is not None for axis in sharding.spec[1:]):
        raise ShapeError(
            f"`sharding` may split the rows of a batch alone, its first axis, got {sharding.spec}; what lies "
            f"within a sample is the model's to split"
        )
    return sharding
