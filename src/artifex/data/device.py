"""The one crossing from host to device, and what happens right behind it, in one compiled call.

All arrays of a batch enter that call as NumPy arrays, integers as integers: transferring, casting,
normalising and augmenting cost one dispatch together, not one each.
"""

import gc
import sys
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial, update_wrapper
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Int32, PyTree, Shaped, UInt32

from artifex.data.cipher import own_keys
from artifex.data.errors import ArtifexError, ConfigTypeError, ShapeError, TransformError
from artifex.data.placement import Placement
from artifex.data.randomness import record_words
from artifex.data.reuse import SpareBatches, large_results
from artifex.data.types import ArraySpec, Indices, Spec

DeviceArrays: TypeAlias = dict[str, Array]

Step: TypeAlias = Callable[[Array, DeviceArrays], DeviceArrays]
"""`step(key, sample) -> sample`: a pure function of one sample, which is vmapped; or, decorated with
`batch_level`, of `(keys, batch)`."""

# One generator on all machines, whatever `jax_default_prng_impl` says: two words, the same numbers everywhere.
_IMPL = "threefry2x32"

_BATCH_LEVEL = "is_batch_level"


def batch_level(step: Step) -> Step:
    """Marks a step that takes a whole batch: `step(keys, batch)`, with keys of shape (b,).

    For what mixes samples, like mixup. What it makes of a record depends on its batch.
    """

    def whole_batch(keys: Array, batch: DeviceArrays) -> DeviceArrays:
        return step(keys, batch)

    update_wrapper(whole_batch, step)
    setattr(whole_batch, _BATCH_LEVEL, True)
    return whole_batch


def describe_step(step: Callable[..., Any]) -> str:
    """What a state says of a step: its name, and the plain values that it is bound to."""
    if isinstance(step, partial):
        bound = [*map(_plain, step.args), *(f"{name}={_plain(v)}" for name, v in step.keywords.items())]
        return f"{describe_step(step.func)}({', '.join(bound)})"
    described = getattr(step, "description", None)
    return described if isinstance(described, str) else getattr(step, "__qualname__", type(step).__qualname__)


def is_own(step: Callable[..., Any]) -> bool:
    """Whether a step is of this package alone, so that no function of the user sees what it is given."""
    if isinstance(step, partial):
        return is_own(step.func) and not any(map(callable, (*step.args, *step.keywords.values())))
    if hasattr(step, "__wrapped__") and not _is_what_its_names_say(step):
        return False
    said = getattr(step, "is_own", None)
    return getattr(step, "__module__", "").startswith("artifex.") if said is None else bool(said)


def _is_what_its_names_say(step: Callable[..., Any]) -> bool:
    """False for what wraps a function of a module: it has that one's names. Of local functions nothing is known."""
    name = step.__qualname__
    return "<locals>" in name or getattr(sys.modules.get(step.__module__), name, None) is step


def _plain(value: Any) -> str:
    return (
        repr(value) if isinstance(value, (str, int, float, bool, tuple, type(None))) else type(value).__name__
    )


class Crossing:
    """Takes host batches to the device and through `steps`, compiled once per batch shape.

    A step's key is a function of (seed, turn, record number, number of the step): what a record becomes does
    not depend on the batch, host or place it comes with.

    Args:
        steps: applied in order. One with an attribute `is_random` of False gets no key of its own.
        dtype: what floats leave as: float32, bfloat16 or float16.
        seed: the loader's.
        device: where the batches are committed to; None leaves the placement to JAX.
        placement: of a batch over the devices of all processes, instead of `device`.
        fill_to: rows that a shorter batch is filled up to on the way; the result is cut again, so that a
            transform is not compiled anew for the end of an epoch.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        dtype: npt.DTypeLike,
        seed: int,
        device: Any = None,
        placement: Placement | None = None,
        fill_to: int = 0,
    ) -> None:
        for step in steps:
            if not callable(step):
                raise ConfigTypeError(f"a transform must be a function of (key, sample), got {step!r}")
        if device is not None and not isinstance(device, (jax.Device, jax.sharding.Sharding)):
            raise ConfigTypeError(f"`device` must be a jax.Device, e.g. jax.devices()[0], got {device!r}")
        self._seed, self._device, self._placement = seed, device, placement
        self._steps, self._dtype = tuple(steps), jnp.dtype(dtype).name
        out = None if placement is None else placement.sharding
        self._is_random = any(getattr(step, "is_random", True) for step in steps)
        # Steps that are known to hold nothing of the user's are compiled once for all datasets and loaders.
        shared = all(getattr(step, "is_shared", False) for step in steps)
        self._run = (_compiled if shared else _Program)(self._steps, self._dtype, out)
        # What mixes samples must not see rows that are none.
        mixes = any(_is_batch_level(step) for step in steps)
        self._fill_to = 0 if mixes or placement is not None else fill_to

    def __call__(
        self,
        turns: Indices,
        index: npt.NDArray[np.int32],
        arrays: Mapping[str, Any],
        table: DeviceArrays | None = None,
        spares: SpareBatches | None = None,
    ) -> DeviceArrays:
        """The batch on the device: what the steps make of `arrays`, and `index`.

        With a `table` of all records, which is on the device already, the batch is gathered from it. With
        `spares` it is written over an earlier batch that went through them, if nobody holds that any more.
        """
        size, words = len(index), self.words(turns, index)
        missing = self._fill_to - size
        if missing <= 0 and self._placement is None and self._device is None:
            return self._run(words, index, arrays, table, spares)
        inputs: tuple[Any, Any, Any] = words, index, dict(arrays)
        if missing > 0:
            inputs = jax.tree.map(partial(_filled, size=self._fill_to), inputs)
        if self._placement is not None:
            inputs = jax.tree.map(self._placement.to_global, inputs)
        elif self._device is not None:
            inputs = jax.device_put(inputs, self._device)
        batch = self._run(*inputs, table, spares)
        return {name: array[:size] for name, array in batch.items()} if missing > 0 else batch

    def compile(self, spec: Spec, size: int, arrays: Mapping[str, Any], spares: SpareBatches | None) -> None:
        """Compiles for whole batches with these fields, while the first one is being read.

        Not for those that are spread over several devices.

        Args:
            spec: the fields of a sample on the host.
            size: of a whole batch.
            arrays: what else comes with a batch (b, ...).
            spares: as for a call.
        """
        if self._placement is not None:
            return
        of = partial(jax.ShapeDtypeStruct, sharding=_sharding(self._device))
        fields = {name: of((size, *f.shape), f.dtype) for name, f in spec.items() if not f.is_text}
        fields |= {name: of(array.shape, array.dtype) for name, array in arrays.items()}
        words = of((size, 2), np.uint32) if self._is_random else None
        with _no_collection():
            self._run.compile(words, of((size,), np.int32), fields, spares)

    def spares(self) -> SpareBatches | None:
        """For the batches of one iteration; None where there is nothing to be gained."""
        if self._placement is not None:
            return None
        platform = jax.default_backend() if self._device is None else _platform(self._device)
        return SpareBatches(self._device) if platform == "cpu" else None

    def place(self, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        """Arrays of a batch, once they are on the device; a call takes them as it takes those of the host.

        Those of a batch that is to be filled up are left where they are.
        """
        if self._fill_to > len(next(iter(arrays.values()), ())):
            return arrays
        if self._placement is not None:
            placed = {name: self._placement.to_global(array) for name, array in arrays.items()}
        else:
            placed = jax.device_put(dict(arrays), self._device)
        return jax.block_until_ready(placed)

    def wait_for_earlier(self, index: npt.NDArray[np.int32]) -> None:
        """Returns when the devices have done what they were given so far, by whomever.

        They do one thing after the other, so it is known from one more; but for the CPU back end.
        """
        if jax.default_backend() != "cpu":
            place = partial(jax.device_put, device=self._device)
            placed = place(index) if self._placement is None else self._placement.to_global(index)
            jax.block_until_ready(_one_more(placed))

    def words(self, turns: Indices, index: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32] | None:
        """The keys of records as words, (b, 2); None where no step draws."""
        return record_words(self._seed, turns, index) if self._is_random else None

    def traced(
        self, words: Array | None, index: Array, arrays: DeviceArrays, table: DeviceArrays
    ) -> DeviceArrays:
        """The same, inside of a function that is being compiled."""
        return _prepare(self._steps, self._dtype, words, index, arrays, table)

    def spec(self, host: Spec) -> Spec:
        """What one sample looks like on the device, given what it looks like on the host."""
        batch = {
            name: jax.ShapeDtypeStruct((1, *field.shape), field.dtype)
            for name, field in host.items()
            if not field.is_text
        }
        run = partial(_prepare, self._steps, self._dtype)
        words, index = jax.ShapeDtypeStruct((1, 2), jnp.uint32), jax.ShapeDtypeStruct((1,), jnp.int32)
        result = jax.eval_shape(run, words, index, batch, None)
        arrays = {name: ArraySpec(array.shape[1:], np.dtype(array.dtype)) for name, array in result.items()}
        return arrays | {name: field for name, field in host.items() if field.is_text}


class _Program:
    """The compiled call, once for each shape of its inputs."""

    def __init__(self, steps: tuple[Step, ...], dtype: str, sharding: Any) -> None:
        self._run = jax.jit(partial(_prepare, steps, dtype), out_shardings=sharding)
        self._run_into = jax.jit(self._into, donate_argnums=0, keep_unused=True)
        self._large: dict[Hashable, dict[str, jax.ShapeDtypeStruct]] = {}
        self._ready: set[Hashable] = set()

    def __call__(
        self,
        words: Any,
        index: Any,
        arrays: Mapping[str, Any],
        table: DeviceArrays | None,
        spares: SpareBatches | None,
    ) -> DeviceArrays:
        if spares is None:
            return self._run(words, index, arrays, table)
        large = self._large_of(words, index, arrays, table)
        if not large:
            spares.is_needed = False
            return self._run(words, index, arrays, table)
        memory = spares.take(list(large.values()))
        if memory is None:
            batch = self._run(words, index, arrays, table)
        else:
            batch = self._run_into(memory, words, index, arrays, table)
        spares.keep([batch[name] for name in large])
        return batch

    def compile(
        self,
        words: jax.ShapeDtypeStruct | None,
        index: jax.ShapeDtypeStruct,
        arrays: Mapping[str, jax.ShapeDtypeStruct],
        spares: SpareBatches | None,
    ) -> None:
        """Compiles what a call with arguments of these shapes will run, unless that was done before."""
        key = (len(index), _kinds(arrays), index.sharding, spares is None)
        if key in self._ready:
            return
        large = {} if spares is None else self._large_of(words, index, arrays, None)
        if spares is not None and large:
            spares.make(list(large.values()))  # it takes as long as a batch
            memory = [
                jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=index.sharding) for one in large.values()
            ]
            self._run_into.lower(memory, words, index, arrays, None).compile()
        else:
            self._run.lower(words, index, arrays, None).compile()
        self._ready.add(key)

    def _large_of(
        self, words: Any, index: Any, arrays: Mapping[str, Any], table: DeviceArrays | None
    ) -> dict[str, jax.ShapeDtypeStruct]:
        key = (len(index), _kinds(arrays), None if table is None else _kinds(table))
        if key not in self._large:
            self._large[key] = large_results(self._run, words, index, arrays, table)
        return self._large[key]

    def _into(self, memory: list[Array], *inputs: Any) -> DeviceArrays:
        return self._run(*inputs)


_compiled = lru_cache(maxsize=64)(_Program)


@contextmanager
def _no_collection() -> Generator[None]:
    """Without Python's search for garbage: compiling makes so many objects that it would go through all of JAX's."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@jax.jit
def _one_more(index: Int32[Array, " b"]) -> Int32[Array, " b"]:
    return index + 1


def _kinds(arrays: Mapping[str, Any]) -> Hashable:
    return tuple([(name, array.shape, array.dtype) for name, array in arrays.items()])


def _filled(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """An array with `size` rows: its own, and the first one again and again, or zeros where it has none."""
    missing = size - len(array)
    first = array[:1] if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)
    return np.concatenate([array, np.repeat(first, missing, axis=0)])


def _sharding(device: Any) -> Any:
    return jax.sharding.SingleDeviceSharding(device) if isinstance(device, jax.Device) else device


def _platform(device: Any) -> str:
    devices = device.device_set if isinstance(device, jax.sharding.Sharding) else {device}
    return next(iter(devices)).platform if len(devices) == 1 else "several"


def _prepare(
    steps: tuple[Step, ...],
    dtype: str,
    words: UInt32[Array, "b 2"] | None,
    index: Int32[Array, " b"],
    arrays: PyTree[Shaped[Array, "b ..."]],
    table: PyTree[Shaped[Array, "n ..."]],
) -> DeviceArrays:
    rows: DeviceArrays = {}
    if table is not None:  # the numbers come from a plan: they are in range, and need not be looked at
        rows = {name: array.at[index].get(mode="promise_in_bounds") for name, array in table.items()}
    batch: DeviceArrays = {**arrays, **rows, "index": index}
    if words is None:
        words = jnp.stack(2 * [jnp.zeros_like(index, jnp.uint32)], axis=1)  # with the sharding of `index`
    for number, step in enumerate(steps):
        # Threefry is a block cipher: what comes of keys that differ in one bit has nothing in common.
        step_words = words + np.array([[number, 0]], np.uint32)
        step_keys = own_keys(step_words) if is_own(step) else jax.random.wrap_key_data(step_words, impl=_IMPL)
        run = step if _is_batch_level(step) else jax.vmap(step)
        try:
            batch = run(step_keys, batch)
        except ArtifexError:
            raise
        except (Exception, SystemExit) as error:
            raise TransformError(
                f"the transform {describe_step(step)} failed: {type(error).__name__}: {error}; it is called as "
                f"`transform(key, sample)` with a dict of the fields {sorted(batch)} of one sample, or of a whole "
                f"batch with `batch_level`, and compiled by JAX"
            ) from error
        if not isinstance(batch, dict):
            raise ShapeError(f"{step!r} must return a dict of arrays, got {type(batch).__name__}")
        for name, array in batch.items():
            if jnp.shape(array)[:1] != index.shape:
                raise ShapeError(
                    f"{step!r} made `{name}` {jnp.shape(array)} of a batch of {len(index)}: the first axis counts "
                    f"the samples, and must stay"
                )
    batch["index"] = index
    return {name: _cast(array, dtype) for name, array in batch.items()}


def _cast(array: Array, dtype: str) -> Array:
    return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _is_batch_level(step: Step) -> bool:
    return bool(getattr(step, _BATCH_LEVEL, False))
