"""A dataset of ours, or any that a loader takes, as a source for grain: decoded samples by number, on the host."""

import json
import operator
from typing import Any, SupportsIndex

import numpy as np

from artifex.data.buckets import spec_of
from artifex.data.errors import ConfigError, RecordError
from artifex.data.fingerprint import digest
from artifex.data.reader import NumberReader, Reader, SubsetReader, slots
from artifex.data.samples import reader_of


class GrainSource:
    """Samples as dicts of NumPy arrays, NumPy scalars and strings; made by `as_grain_source`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        """The sample of record `index`, from -len to len - 1.

        Raises:
            IndexError: there is no such record.
            RecordError: it cannot be read or decoded.
        """
        number, size = operator.index(index), len(self)
        if not -size <= number < size:
            raise IndexError(f"`index` must be from {-size} to {size - 1}, got {number}")
        numbers = np.array([number % size], np.int64)
        rows = slots(spec_of(self._reader, numbers), 1)
        try:
            self._reader.read_into(numbers, rows)
        except RecordError as error:
            raise error.at(record=int(numbers[0])) from error.__cause__
        return {name: array[0] for name, array in rows.items()}

    def __repr__(self) -> str:
        # grain compares it when a checkpoint is restored: it must be the same in every process.
        identity = digest([json.dumps(self._reader.fingerprint(), sort_keys=True)])
        return f"GrainSource({len(self)} records, {identity})"


def as_grain_source(dataset: Any) -> GrainSource:
    """A dataset as a source for `grain.MapDataset.source`, `grain.DataLoader`, or whatever takes a sequence.

    A sample is what a loader has of the record before anything takes place on the device: a dict of NumPy arrays of
    shape (...), NumPy scalars and strings, under the names of a batch (`images`, not `image`), integers as integers.
    What is random on the host (a random crop, `map(..., random=True)`) is left out, as with `training=False`: grain
    draws by itself, with `random_map`. The source is picklable where the dataset is, and its processes need no JAX.

    Args:
        dataset: as for `create_data_loader`.

    Raises:
        ConfigTypeError: no loader takes it.
        ConfigError: its samples are made on the device, so there are none on the host.
    """
    reader = reader_of(dataset)
    inner = reader
    while isinstance(inner, SubsetReader):
        inner = inner.reader
    if isinstance(inner, NumberReader):
        raise ConfigError(
            f"the samples of this {type(dataset).__name__} are made on the device, and a source has them on the "
            f"host: iterate a loader instead, e.g. with `as_numpy_iterator`"
        )
    return GrainSource(reader)
