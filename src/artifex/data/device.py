"""The one crossing from host to device, and what happens right behind it, in one compiled call.

All arrays of a batch enter that call as NumPy arrays, integers as integers: transferring, casting,
normalising and augmenting cost one dispatch together, not one each.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Int32, Key, PyTree, Shaped, UInt32

from artifex.data.errors import ConfigTypeError, ShapeError
from artifex.data.types import ArraySpec, Spec

DeviceArrays: TypeAlias = dict[str, Array]

Step: TypeAlias = Callable[[Array, DeviceArrays], DeviceArrays]
"""`step(key, sample) -> sample`: a pure function of one sample, which is vmapped; or, decorated with
`batch_level`, of `(keys, batch)`."""

StepT = TypeVar("StepT", bound=Step)

# One generator on all machines, whatever `jax_default_prng_impl` says: two words, the same numbers everywhere.
_IMPL = "threefry2x32"

_BATCH_LEVEL = "__artifex_batch_level__"


def batch_level(step: StepT) -> StepT:
    """Marks a step that takes a whole batch: `step(keys, batch)`, with keys of shape (b,).

    For what mixes samples, like mixup. What it makes of a record depends on its batch.
    """
    setattr(step, _BATCH_LEVEL, True)
    return step


class Crossing:
    """Takes host batches to the device and through `steps`, compiled once per batch shape.

    Record i of epoch e gets the key fold_in(fold_in(key(seed), e), i), and step s of it
    fold_in(that, s): what a record becomes does not depend on the batch, host or step it comes with.

    Args:
        steps: applied in order.
        dtype: what floats leave as: float32, bfloat16 or float16.
        seed: the loader's.
        device: where the batches are committed to; None leaves the placement to JAX.
    """

    def __init__(self, steps: Sequence[Step], dtype: npt.DTypeLike, seed: int, device: Any = None) -> None:
        for step in steps:
            if not callable(step):
                raise ConfigTypeError(f"a transform must be a function of (key, sample), got {step!r}")
        self._seed, self._device = seed, device
        self._prepare = partial(_prepare, tuple(steps), jnp.dtype(dtype).name)
        self._run = _compiled(tuple(steps), jnp.dtype(dtype).name)

    def __call__(self, epoch: int, index: npt.NDArray[np.int32], arrays: dict[str, Any]) -> DeviceArrays:
        """The batch on the device: what the steps make of `arrays`, and `index`."""
        # As two words of NumPy, since a key array would leave the fast path of compiled calls.
        inputs = (_epoch_words(self._seed, epoch), index, arrays)
        return self._run(*(inputs if self._device is None else jax.device_put(inputs, self._device)))

    def spec(self, host: Spec) -> Spec:
        """What one sample looks like on the device, given what it looks like on the host."""
        batch = {
            name: jax.ShapeDtypeStruct((1, *field.shape), field.dtype)
            for name, field in host.items()
            if not field.is_text
        }
        index = jax.ShapeDtypeStruct((1,), jnp.int32)
        result = jax.eval_shape(self._prepare, _epoch_words(self._seed, 0), index, batch)
        arrays = {name: ArraySpec(array.shape[1:], np.dtype(array.dtype)) for name, array in result.items()}
        return arrays | {name: field for name, field in host.items() if field.is_text}


@lru_cache(maxsize=64)  # datasets and loaders with equal steps share what was compiled
def _compiled(steps: tuple[Step, ...], dtype: str) -> Callable[..., DeviceArrays]:
    return jax.jit(partial(_prepare, steps, dtype))


def _prepare(
    steps: tuple[Step, ...],
    dtype: str,
    words: UInt32[Array, "2"],
    index: Int32[Array, " b"],
    arrays: PyTree[Shaped[Array, "b ..."]],
) -> DeviceArrays:
    batch: DeviceArrays = {**arrays, "index": index}
    key = jax.random.wrap_key_data(words, impl=_IMPL)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)
    for number, step in enumerate(steps):
        step_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
        run = step if getattr(step, _BATCH_LEVEL, False) else jax.vmap(step)
        batch = run(step_keys, batch)
        if not isinstance(batch, dict):
            raise ShapeError(f"{step!r} must return a dict of arrays, got {type(batch).__name__}")
    batch["index"] = index
    return {name: _cast(array, dtype) for name, array in batch.items()}


def _cast(array: Array, dtype: str) -> Array:
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array


def epoch_key(seed: int, epoch: int) -> Key[Array, ""]:
    """The key of an epoch. `seed` may have 64 bits; `jax.random.key` takes 32 where x64 is off."""
    root = jax.random.key(np.uint32(seed & 0xFFFFFFFF), impl=_IMPL)
    return jax.random.fold_in(jax.random.fold_in(root, np.uint32(seed >> 32)), np.uint32(epoch))


@lru_cache(maxsize=64)
def _epoch_words(seed: int, epoch: int) -> npt.NDArray[np.uint32]:
    return np.asarray(jax.random.key_data(epoch_key(seed, epoch)))
