"""Datasets that are read by number: everything a dataset offers, from a reader and the steps on the device."""

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import jax
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Int32, Key, UInt32

from artifex.data.buckets import BucketReader, subset_reader
from artifex.data.checks import check_choice, check_integer
from artifex.data.cipher import own_keys
from artifex.data.device import Crossing, Step
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.fingerprint import Fingerprint, digest
from artifex.data.loader import HostBatches
from artifex.data.pipeline import Prepares
from artifex.data.plan import Rows
from artifex.data.plan.order import MAX_SEED, permute
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader
from artifex.data.samples import MappedReader, Sample, reader_of
from artifex.data.types import Arrays, ArraySpec, Indices, Spec, Split
from artifex.data.workers import worker_count
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.base import BaseDataset, RngStreams, draw_key

# A field of strings has a plural name in a batch and this one in a sample.
SAMPLE_NAMES = {"paths": "path", "texts": "text", "speakers": "speaker"}
_BATCH_NAMES = {sample: batch for batch, sample in SAMPLE_NAMES.items()}

# Samples that plain iteration makes at a time.
_CHUNK = 64


class RecordDataset(BaseDataset):
    """A dataset whose samples are made by number, from a reader on the host and steps on the device.

    One root key is drawn from `rngs` when it is made; sample i is a function of (root key, split, i) alone.
    A subclass gives `reader` and `device_steps`, and calls `super().__init__`.
    """

    def __init__(
        self,
        config: BaseModalityConfig,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        root_key: Key[Array, ""] | None = None,
    ) -> None:
        super().__init__(config, split, rngs=rngs)
        self.root_key = draw_key(rngs) if root_key is None else root_key
        self._walk_seed = sum(word << (32 * i) for i, word in enumerate(key_words(self.root_key)))
        self._lock = threading.Lock()
        self._given_out = 0
        self._crossing: Crossing | None = None

    @abstractmethod
    def reader(self) -> Reader:
        """What a loader reads from: the host's side of the samples."""

    @abstractmethod
    def device_steps(self, *, training: bool) -> Sequence[Step]:
        """What the device does with a sample, in order; with `training`, what is random too."""

    @property
    def sample_root(self) -> tuple[int, int]:
        """The root key with the split folded in, as two words: what the samples of synthetic data follow from."""
        return key_words(jax.random.fold_in(self.root_key, list(Split).index(self.split)))

    @property
    def is_augmented(self) -> bool:
        """Whether a loader augments the samples: the split is "train" and the config says so."""
        return self.split is Split.TRAIN and bool(getattr(self.config, "augmentation", False))

    @property
    def spec(self) -> Spec:
        """Shape and dtype of each field of a sample; of the largest, where they come in buckets."""
        return self._device().spec(self.reader().spec)

    def __len__(self) -> int:
        return len(self.reader())

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> "Subset": ...
    def __getitem__(self, index: int | slice) -> "dict[str, Any] | Subset":
        """Sample i, never augmented; negative numbers count from the end. A slice is a `Subset`."""
        if isinstance(index, slice):
            return Subset(self, range(len(self))[index])
        return self._samples(np.array([_resolve(index, len(self))], np.int64))[0]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self), _CHUNK):
            yield from self._samples(np.arange(start, min(start + _CHUNK, len(self)), dtype=np.int64))

    def take(self, indices: npt.ArrayLike) -> dict[str, Any]:
        """The samples with these numbers as a batch, never augmented.

        Args:
            indices: (n,) integers; negative ones count from the end.

        Returns:
            `jax.Array`s (n, ...) and lists of n strings, and the numbers themselves as `index`, int32.
        """
        numbers = np.asarray(indices)
        if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
            raise ConfigTypeError(
                f"`indices` must be a list of at least one integer, got {numbers.dtype}{list(numbers.shape)}"
            )
        return self._take(np.array([_resolve(int(number), len(self)) for number in numbers], np.int64))

    def get_batch(self, batch_size: int) -> dict[str, Any]:
        """The next `batch_size` samples of a walk through the dataset, never augmented.

        Train walks through one shuffled epoch after another, val and test walk in order, around and
        around: so each record comes once before one comes again. A loader does it faster, and resumes.
        """
        check_integer("batch_size", batch_size, 1, 2**31 - 1)
        with self._lock:
            start, self._given_out = self._given_out, self._given_out + batch_size
        return self._take(self._walk(start, start + batch_size))

    def map(
        self, function: Callable[..., Sample], *, version: str | None = None, random: bool = False
    ) -> "MappedDataset":
        """The same samples after a function of the user's, which runs on the host, before batching.

        Args:
            function: `function(sample) -> sample`, from a dict of NumPy arrays, numbers and strings to another;
                every result has the keys, shapes and dtypes of the first. It runs in threads.
            version: a string that changes when the function does; it stands in a loader's saved state, and a
                loader's `cache="disk"` needs it.
            random: the function is called as `function(sample, rng)`: with the record's own
                `np.random.Generator` by a loader on the train split, and with None elsewhere.
        """
        return MappedDataset(self, function, version=version, random=random)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"_lock": None, "_crossing": None, "root_key": key_words(self.root_key)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._lock = threading.Lock()
        self.root_key = jax.random.wrap_key_data(jax.numpy.asarray(state["root_key"], "uint32"))

    def host_reader(self) -> Reader:
        """A reader that has the samples' fields as arrays, for functions on the host."""
        return self.reader()

    def _walk(self, start: int, stop: int) -> Indices:
        size = len(self)
        pieces: list[Indices] = []
        while start < stop:
            epoch, place = divmod(start, size)
            places = np.arange(place, min(size, place + stop - start), dtype=np.int64)
            shuffled = self.split is Split.TRAIN
            pieces.append(permute(places, size, self._walk_seed, epoch) if shuffled else places)
            start += len(places)
        return np.concatenate(pieces)

    def _device(self) -> Crossing:
        if self._crossing is None:
            self._crossing = Crossing(self.device_steps(training=False), "float32", seed=0)
        return self._crossing

    def _take(self, numbers: Indices) -> dict[str, Any]:
        reader = self.reader()
        workers = min(worker_count(None, reader.in_memory), len(numbers) - 1)
        turns = np.zeros_like(numbers)
        rows = Rows(0, 0, numbers, turns, len(numbers))
        host = HostBatches(reader, [rows], len(numbers), num_workers=workers, prefetch=1)
        try:
            batch = next(host)
        finally:
            host.close()
        return {
            **self._device()(turns, numbers.astype(np.int32), batch.arrays),
            **batch.texts,
        }

    def _samples(self, numbers: Indices) -> list[dict[str, Any]]:
        reader = self.reader()
        if not isinstance(reader, BucketReader):
            return self._samples_of_one_shape(numbers)
        samples: list[dict[str, Any]] = [{} for _ in numbers]
        buckets = reader.of[numbers]
        for bucket in np.unique(buckets):
            places = np.flatnonzero(buckets == bucket)
            for place, sample in zip(places, self._samples_of_one_shape(numbers[places]), strict=True):
                samples[place] = sample
        return samples

    def _samples_of_one_shape(self, numbers: Indices) -> list[dict[str, Any]]:
        batch = self._take(numbers)
        columns = [list(values) for values in batch.values()]
        names = [SAMPLE_NAMES.get(name, name) for name in batch]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


class DerivedDataset(RecordDataset):
    """Another dataset's samples, through another reader; made by `Subset` and by `map`."""

    def __init__(self, dataset: Any, reader: Reader, split: str | Split | None) -> None:
        known = isinstance(dataset, BaseDataset)
        own_split = dataset.split if known else Split.TRAIN
        super().__init__(
            dataset.config if known else BaseModalityConfig(),
            own_split if split is None else split,
            rngs=dataset.rngs if known else NoStreams(),
            root_key=dataset.root_key if isinstance(dataset, RecordDataset) else jax.random.key(0),
        )
        self.dataset = dataset
        self._reader = reader

    def reader(self) -> Reader:
        return self._reader

    @property
    def is_augmented(self) -> bool:
        return self.split is Split.TRAIN and isinstance(self.dataset, Prepares) and self.dataset.is_augmented

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        if not isinstance(self.dataset, Prepares):
            return ()
        return self.dataset.device_steps(training=training and self.dataset.is_augmented)


class Subset(DerivedDataset):
    """Some records of a dataset, in a given order; they are numbered from 0 again.

    Args:
        dataset: any dataset that a loader takes.
        indices: (n,) record numbers of `dataset`, in range; a `range` costs no memory.
        split: what the part is; that of `dataset` where it is left out. A part that is not "train" is
            never augmented.

    The walk of `get_batch` through the records of a dataset of another kind is that of the seed 0.

    Raises:
        IndexError: a number is out of range.
    """

    def __init__(
        self, dataset: Any, indices: npt.ArrayLike | range, split: str | Split | None = None
    ) -> None:
        reader = reader_of(dataset)
        numbers, identity = _numbers(indices, len(reader))
        count = len(indices) if isinstance(indices, range) else len(np.asarray(indices))
        super().__init__(dataset, subset_reader(reader, count, numbers, identity), split)
        self._host_parts = (dataset, count, numbers, identity)

    def host_reader(self) -> Reader:
        dataset, count, numbers, identity = self._host_parts
        if not isinstance(dataset, RecordDataset):
            return self.reader()
        return subset_reader(dataset.host_reader(), count, numbers, identity)


@dataclass(frozen=True)
class _OnSample:
    """A user's function, which sees the names of a sample where the reader has those of a batch."""

    function: Callable[..., Sample]

    def __post_init__(self) -> None:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        object.__setattr__(self, "__qualname__", name)  # what a saved state says of it

    def __repr__(self) -> str:
        return repr(self.function)

    def __call__(self, sample: Sample, *rng: np.random.Generator | None) -> Sample:
        result = self.function({SAMPLE_NAMES.get(name, name): value for name, value in sample.items()}, *rng)
        if not isinstance(result, Mapping):
            return result
        return {_BATCH_NAMES.get(name, name): value for name, value in result.items()}


class MappedDataset(DerivedDataset):
    """A dataset with a function of the user's on each sample; see `RecordDataset.map`."""

    def __init__(
        self, dataset: RecordDataset, function: Callable[..., Sample], *, version: str | None, random: bool
    ) -> None:
        if not callable(function):
            raise ConfigTypeError(f"`function` must be callable, got {function!r}")
        named = _OnSample(function)
        super().__init__(
            dataset, MappedReader(dataset.host_reader(), named, random=random, version=version), None
        )
        self._random = random

    @property
    def is_augmented(self) -> bool:
        return super().is_augmented or (self._random and self.split is Split.TRAIN)


def split_dataset(dataset: Any, fractions: Mapping[str, float], *, seed: int = 0) -> dict[str, Subset]:
    """Cuts a dataset into parts at random: disjoint, together the whole, the same for the same seed.

    Args:
        dataset: any dataset that a loader takes.
        fractions: share by split name, e.g. {"train": 0.9, "val": 0.1}; each > 0, together 1.
        seed: 0 to 2**64 - 1.

    Returns:
        A `Subset` by name, each with at least one record, which knows its split.

    Raises:
        ConfigError: a fraction is not > 0, they do not add up to 1, or a part would be empty.
    """
    if not isinstance(fractions, Mapping):
        raise ConfigTypeError(
            f'`fractions` must be a mapping, e.g. {{"train": 0.9, "val": 0.1}}, got {fractions!r}'
        )
    splits = [check_choice(Split, "fractions", name) for name in fractions]
    if len(set(splits)) < len(splits):
        raise ConfigError(f"`fractions` names a split twice: {list(fractions)}")
    seed = check_integer("seed", seed, 0, MAX_SEED)
    shares = list(fractions.values())
    if (
        not all(isinstance(share, (int, float)) and share > 0 for share in shares)
        or abs(sum(shares) - 1) > 1e-6
    ):
        raise ConfigError(f"`fractions` must each be > 0 and add up to 1, got {dict(fractions)}")
    size = len(reader_of(dataset))
    edges = [round(size * sum(shares[:i])) for i in range(len(shares))] + [size]
    parts: dict[str, Subset] = {}
    for split, start, stop in zip(splits, edges[:-1], edges[1:], strict=True):
        if start == stop:
            raise ConfigError(f"`fractions` {dict(fractions)} leave no record of {size} for {split.value!r}")
        numbers = permute(np.arange(start, stop, dtype=np.int64), size, seed, 0)
        parts[split.value] = Subset(dataset, numbers, split)
    return parts


class MaterialisedReader:
    """The samples of a dataset that the device makes, as arrays on the host: for functions that run there."""

    in_memory = True
    is_random = False

    def __init__(self, dataset: RecordDataset) -> None:
        self._dataset = dataset
        self.spec: Spec = {
            name: field if field.is_text else ArraySpec(field.shape, field.dtype)
            for name, field in dataset.spec.items()
            if name != "index"
        }

    def __len__(self) -> int:
        return len(self._dataset)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        batch = self._dataset.take(indices)
        for name in self.spec:
            out[name][...] = np.asarray(batch[name])

    def fingerprint(self) -> Fingerprint:
        return self._dataset.reader().fingerprint()


def key_words(key: Key[Array, ""]) -> tuple[int, int]:
    """The last two words of a key's data, 32 bits each: all of a threefry key."""
    first, second = np.asarray(jax.random.key_data(key)).ravel()[-2:]
    return int(first), int(second)


def sample_key(root: UInt32[Array, "2"], record: Int32[Array, ""]) -> Key[Array, ""]:
    """The key of a sample that the device makes: a function of the fields of a `NumberReader` alone."""
    return jax.random.fold_in(own_keys(root), record)


@dataclass(frozen=True)
class _Range:
    start: int
    step: int

    def __call__(self, places: Indices) -> Indices:
        return self.start + self.step * places


class NoStreams:
    """Streams for a dataset that has none; nothing ever draws from them."""

    def __contains__(self, name: Any, /) -> bool:
        return False

    def sample(self) -> Any:
        raise ConfigError("this dataset was made without `rngs`")


def _resolve(index: int, size: int) -> int:
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)):
        raise ConfigTypeError(f"a sample's number must be an integer, got {index!r}")
    if not -size <= index < size:
        raise IndexError(f"sample {index} of a dataset of {size}")
    return int(index) % size


def _numbers(indices: Any, size: int) -> tuple[Callable[[Indices], Indices], Fingerprint]:
    if isinstance(indices, range):
        if len(indices) == 0:
            raise ConfigError("a subset needs at least one record, got an empty range")
        for end in (indices[0], indices[-1]):
            _resolve(end, size)
        return _Range(indices.start, indices.step), {"range": [indices.start, indices.stop, indices.step]}
    numbers = np.asarray(indices)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
        raise ConfigTypeError(f"`indices` must be a list of at least one integer, got {numbers!r}")
    if numbers.min() < 0 or numbers.max() >= size:
        raise IndexError(f"`indices` from {numbers.min()} to {numbers.max()}, of a dataset of {size}")
    kept = numbers.astype(np.int64)
    return kept.__getitem__, {"records": len(kept), "digest": digest([kept.tobytes()])}
