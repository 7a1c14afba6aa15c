"""Several datasets as one stream, in exact proportions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.buckets import refuse_buckets
from artifex.data.checks import LARGEST_INT32, check_integer
from artifex.data.device import Step
from artifex.data.errors import ConfigError, ConfigTypeError, RecordError, ShapeError
from artifex.data.fingerprint import Fingerprint, digest, stamp_of
from artifex.data.pipeline import Prepares
from artifex.data.plan import Arranged, Arrangement, Listed, Mixed
from artifex.data.plan.arrangement import whole_weights
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, unchanged
from artifex.data.samples import Sample, reader_of
from artifex.data.types import Arrays, Indices, Spec, Split
from artifex.generative_models.modalities.dataset import DerivedDataset, MappedDataset

_WITHIN = 0x6E6573746564  # sets the orders within a mixture apart from those beside it


class JoinedReader:
    """Several readers of the same fields, one after another: record numbers run through all of them."""

    def __init__(self, readers: Sequence[Reader], augmented: Sequence[bool] | None = None) -> None:
        self._readers = tuple(readers)
        # Which of them may draw at random while training; all where that is left out.
        self._augmented = tuple([True] * len(readers) if augmented is None else augmented)
        self.spec: Spec = self._readers[0].spec
        for number, reader in enumerate(self._readers):
            refuse_buckets(reader, "a mixture")
            if dict(reader.spec) != dict(self.spec):
                ours, theirs = (
                    {name: str(f) for name, f in spec.items()} for spec in (self.spec, reader.spec)
                )
                raise ShapeError(
                    f"datasets that are mixed must have the same fields: dataset {number} has {theirs}, dataset 0 "
                    f"has {ours}; bring them to one form, e.g. with `map`"
                )
        self._edges = np.cumsum([0, *map(len, self._readers)])

    @property
    def in_memory(self) -> bool:
        return all(reader.in_memory for reader in self._readers)

    @property
    def is_random(self) -> bool:
        return any(r.is_random and a for r, a in zip(self._readers, self._augmented, strict=True))

    @property
    def offsets(self) -> tuple[int, ...]:
        """The number of each reader's first record."""
        return tuple(int(edge) for edge in self._edges[:-1])

    def __len__(self) -> int:
        return int(self._edges[-1])

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        owners = np.searchsorted(self._edges, indices, side="right") - 1
        for owner in np.unique(owners):
            rows = np.flatnonzero(owners == owner)
            part = {name: np.empty((len(rows), *a.shape[1:]), a.dtype) for name, a in out.items()}
            numbers = indices[rows] - self._edges[owner]
            try:
                own = random.chosen(rows) if random and self._augmented[owner] else None
                self._readers[owner].read_into(numbers, part, own)
            except RecordError as error:
                if error.record is not None:
                    error.record += int(self._edges[owner])
                raise
            for name, values in part.items():
                out[name][rows] = values

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        owners = np.searchsorted(self._edges, indices, side="right") - 1
        result = np.ones(len(indices), bool)
        for owner in np.unique(owners):
            mine = owners == owner
            result[mine] = unchanged(self._readers[owner], indices[mine] - self._edges[owner])
        return result

    def fingerprint(self) -> Fingerprint:
        return {"kind": "joined", "of": [reader.fingerprint() for reader in self._readers]}

    def stamp(self) -> str:
        return digest([stamp_of(reader) for reader in self._readers])


class MixedDataset(DerivedDataset):
    """Datasets in one stream: a loader takes of each its share, exactly, over any stretch of batches.

    Each dataset goes through epochs of its own, in orders of its own: a small one comes around more often. Record
    numbers run through all of them, one after another. What `map` makes of a mixture is mixed alike, and mixtures can
    be mixed again; a slice or a part of one is a set of records without weights, so cut the datasets first.

    Args:
        datasets: two or more that a loader takes, with the same fields, prepared alike on the device.
        weights: shares, numbers > 0, one for each; equal where they are left out.
        epoch_size: records that make an epoch of the loader, > 0; as many as there are in all where it is left out.
        split: that of the first dataset where it is left out.

    Raises:
        ShapeError: the datasets have different fields.
        ConfigError: they are prepared differently, or a weight is not > 0.
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        weights: Sequence[float] | None = None,
        *,
        epoch_size: int | None = None,
        split: str | Split | None = None,
    ) -> None:
        if weights is not None and not isinstance(weights, (Sequence, np.ndarray)):
            raise ConfigTypeError(f"`weights` must be a list of numbers > 0, got {weights!r}")
        if not isinstance(datasets, Sequence) or isinstance(datasets, (str, bytes)):
            raise ConfigTypeError(f"`datasets` must be a list of datasets, got {datasets!r}")
        if len(datasets) < 2:
            raise ConfigTypeError(f"`datasets` must be two or more, got {len(datasets)}")
        readers = [reader_of(dataset) for dataset in datasets]
        reader = JoinedReader(readers, [isinstance(d, Prepares) and d.is_augmented for d in datasets])
        super().__init__(datasets[0], reader, split)
        self.datasets = tuple(datasets)
        self._sizes, self._offsets = [len(r) for r in readers], reader.offsets
        self._weights = whole_weights([1.0] * len(datasets) if weights is None else weights)
        if len(self._weights) != len(datasets):
            raise ConfigError(
                f"`weights` must have one number for each of the {len(datasets)} datasets, got {len(self._weights)}"
            )
        size = len(reader) if epoch_size is None else epoch_size
        self._places = check_integer("epoch_size", size, 1, LARGEST_INT32)
        for training in (True, False):
            self._same_steps(training=training)

    def arrangement(self, *, shuffle: bool, seed: int) -> Arrangement:
        """The records of all datasets, interleaved by weight; those of a mixture among them by its own weights."""
        parts: list[Arrangement] = []
        for number, (dataset, size) in enumerate(zip(self.datasets, self._sizes, strict=True)):
            own_seed = (seed + number) % 2**64
            if isinstance(dataset, Arranged):
                parts.append(dataset.arrangement(shuffle=shuffle, seed=own_seed ^ _WITHIN))
            else:
                parts.append(Listed(size, shuffle, own_seed))
        return Mixed(tuple(parts), self._weights, self._offsets, self._places)

    def map(
        self, function: Callable[..., Sample], *, version: str | None = None, random: bool = False
    ) -> "MappedMixture":
        """The same stream after a function of the user's, in the same proportions; see `RecordDataset.map`."""
        return MappedMixture(self, function, version=version, random=random)

    @property
    def is_augmented(self) -> bool:
        return self.split is Split.TRAIN and any(
            isinstance(d, Prepares) and d.is_augmented for d in self.datasets
        )

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        return self._same_steps(training=training)

    def _same_steps(self, *, training: bool) -> Sequence[Step]:
        steps = [
            tuple(d.device_steps(training=training and d.is_augmented)) if isinstance(d, Prepares) else ()
            for d in self.datasets
        ]
        for number, own in enumerate(steps):
            if own != steps[0]:
                raise ConfigError(
                    f"datasets that are mixed must be prepared alike: dataset {number} has another config or "
                    f"augmentation than dataset 0"
                )
        return steps[0]


class MappedMixture(MappedDataset):
    """A mixture with a function of the user's on each sample: still a mixture."""

    def arrangement(self, *, shuffle: bool, seed: int) -> Arrangement:
        """That of the mixture."""
        assert isinstance(self.dataset, Arranged)
        return self.dataset.arrangement(shuffle=shuffle, seed=seed)

    def map(
        self, function: Callable[..., Sample], *, version: str | None = None, random: bool = False
    ) -> "MappedMixture":
        """As for a mixture."""
        return MappedMixture(self, function, version=version, random=random)
