"""Payloads: how one field of a record becomes an array. One file per family of formats."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.types import ArraySpec


@runtime_checkable
class Codec(Protocol):
    """Turns one value into an array whose shape is known in advance.

    Picklable, thread-safe, and free of state that decoding changes.
    """

    @property
    def spec(self) -> ArraySpec:
        """Shape and dtype of what `decode` writes."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether `decode` draws from the generator that it is given."""
        ...

    def decode(self, value: Any, out: npt.NDArray[Any], *, rng: np.random.Generator | None = None) -> None:
        """Writes the decoded value into `out`, a slot of the batch: no sample is copied twice.

        `rng` is the record's own generator while training, None otherwise: a codec that decodes at
        random (a random crop) draws from it, and does the plain thing without it.

        Raises:
            DecodeError: `value` is not what this codec expects; the message says why.
        """
        ...
