"""The words that every other file uses.

A *record* is what a source holds (bytes, paths, numbers), a *sample* what a model sees of it
(arrays of known shape), a *batch* many samples, one array per field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Record: TypeAlias = Mapping[str, Any]
"""One record of a source: field name -> bytes, str, number or array."""

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Field name -> array; in a batch the first axis counts the samples."""

Indices: TypeAlias = npt.NDArray[np.int64]
"""Record numbers: int64 of shape (n,)."""


class Split(StrEnum):
    """Which part of the data a dataset holds. Only `TRAIN` is ever augmented."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of one field of one sample, known before any is read.

    Strings are fields of dtype `object` and shape `()`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def is_text(self) -> bool:
        """Whether the field holds strings, which stay on the host."""
        return self.dtype == np.dtype(object)

    @property
    def nbytes(self) -> int:
        """Bytes of one sample's array; of a string those of a reference to it."""
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


TEXT = ArraySpec((), np.dtype(object))
"""The spec of a string."""

Spec: TypeAlias = Mapping[str, ArraySpec]
"""Field name -> what its arrays look like."""


def sample_bytes(spec: Spec) -> int:
    """Bytes of one sample, over all its fields."""
    return sum(field.nbytes for field in spec.values())
