"""What a modality, a processor and a dataset are."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from artifex.data.checks import check_choice
from artifex.data.errors import ConfigTypeError, ShapeError
from artifex.data.types import Split
from artifex.generative_models.core.configuration import BaseModalityConfig as BaseModalityConfig


class RngStreams(Protocol):
    """Named streams of keys: `flax.nnx.Rngs`, or anything else with `sample()` and `in`.

    `sample()` gives the next key of the stream `sample`, or of the default stream where there is none. It is
    not declared here, since nnx makes its streams on demand, which no type checker sees; see `draw_key`.
    """

    def __contains__(self, name: Any, /) -> bool: ...


@runtime_checkable
class Modality(Protocol):
    """A kind of data: what it is called, and how it is made ready for a model and read back."""

    name: str

    def process(self, data: Any, /) -> Any: ...

    def preprocess(self, data: Any, /) -> Any: ...

    def postprocess(self, data: Any, /) -> Any: ...


class BaseProcessor(ABC):
    """Makes raw data ready for a model, and a model's output readable."""

    @abstractmethod
    def process(self, data: Any, /) -> Any:
        """Raw data in the form that a model eats; augmented, where that is asked for."""

    @abstractmethod
    def preprocess(self, data: Any, /) -> Any:
        """The same, and never random."""

    @abstractmethod
    def postprocess(self, data: Any, /) -> Any:
        """The way back: a model's output in the form of raw data."""


class BaseModalityImplementation(BaseProcessor):
    """What the modalities of this package share.

    Attributes:
        config: what it was made with.
        rngs: where random numbers come from when a method gets no key.
    """

    name: str

    def __init__(self, config: BaseModalityConfig, *, rngs: RngStreams) -> None:
        check_rngs(rngs)
        self.config, self.rngs = config, rngs

    @abstractmethod
    def validate_data_shape(self, data: Any) -> None:
        """Raises ShapeError unless `data` has the rank, channels and dtype of this modality."""

    def create_batch_from_samples(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The samples, stacked field by field; see `collate`."""
        return collate(samples)


class BaseDataset(ABC):
    """Samples of one split. A subclass gives `__len__`, `__iter__` and `get_batch`.

    With `__getitem__` as well, a loader reads records when it needs them; without, it has to read all of
    them into memory once.

    Attributes:
        config: the modality's configuration.
        split: train, val or test. Only train is ever augmented.
        rngs: the streams of keys that the dataset was made with.
    """

    def __init__(
        self, config: BaseModalityConfig, split: str | Split = Split.TRAIN, *, rngs: RngStreams
    ) -> None:
        check_rngs(rngs)
        self.config, self.split, self.rngs = config, check_choice(Split, "split", split), rngs

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All samples, one by one, in order."""

    @abstractmethod
    def get_batch(self, batch_size: int) -> dict[str, Any]:
        """The next `batch_size` samples, stacked: arrays (b, ...) and lists of strings by field."""

    def next_key(self) -> Key[Array, ""]:
        """A key that was not given out before: of the stream `sample` if there is one, else the default."""
        return draw_key(self.rngs)


def draw_key(rngs: Any) -> Key[Array, ""]:
    """The next key of a stream, as `jax.random.key` makes it, also where the stream gives raw ones of uint32."""
    key = rngs.sample()
    return key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


def check_key(key: Any) -> Key[Array, ""]:
    """`key`, if it is one key of `jax.random`.

    Raises:
        ConfigTypeError: it is something else, or several keys.
    """
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise ConfigTypeError(f"`key` must be one key, e.g. jax.random.key(0), got {key!r}")
    return key


def check_rngs(rngs: Any) -> None:
    """Raises unless `rngs` gives keys by streams, as `flax.nnx.Rngs` does."""
    # Not `isinstance`: the streams of nnx.Rngs are attributes made on demand, which that does not see.
    if isinstance(rngs, type) or not (
        callable(getattr(rngs, "sample", None)) and hasattr(rngs, "__contains__")
    ):
        raise ConfigTypeError(f"`rngs` must be a flax.nnx.Rngs, e.g. nnx.Rngs(0), got {type(rngs).__name__}")


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Samples as a batch: arrays and numbers are stacked into `jax.Array`s, strings become lists.

    Raises:
        ShapeError: there are no samples, or they differ in keys or in the shape of a field.
    """
    if not samples:
        raise ShapeError("`samples` is empty: a batch needs at least one sample")
    first = samples[0]
    for number, sample in enumerate(samples):
        if sample.keys() != first.keys():
            raise ShapeError(
                f"sample {number} has the keys {sorted(sample)}, but sample 0 has {sorted(first)}"
            )
    return {name: _stack(name, [sample[name] for sample in samples]) for name in first}


def _stack(name: str, values: list[Any]) -> Any:
    if isinstance(values[0], str):
        if not all(isinstance(value, str) for value in values):
            raise ShapeError(f"`{name}` is a string in sample 0, but not in all of them")
        return values
    shapes = [np.shape(value) for value in values]
    for number, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ShapeError(f"`{name}` has shape {shape} in sample {number}, but {shapes[0]} in sample 0")
    if all(isinstance(value, jax.Array) for value in values):
        return jnp.stack(values)
    return jnp.asarray(np.stack([np.asarray(value) for value in values]))
