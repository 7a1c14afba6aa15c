"""Buckets: records that come in a few shapes, each batch of one of them.

A reader fills slots of one shape. Records of several shapes are therefore several readers, one per bucket, behind
a table that says which record is whose; a plan makes batches within buckets.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, ShapeError
from artifex.data.fingerprint import Fingerprint, digest, stamp_of
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, SubsetReader
from artifex.data.types import Arrays, Indices, Spec, sample_bytes

BucketOf = npt.NDArray[np.int32]
"""The bucket of each record, from 0: int32 of shape (n,)."""


class BucketReader:
    """Reads each record in the shape of its bucket; one call is for records of one bucket.

    Args:
        readers: one per bucket, with the same fields; each numbers the records alike.
        of: the bucket of each record, int32 (n,).

    Attributes:
        spec: that of the bucket whose samples have the most bytes.
        specs: of each bucket.
    """

    def __init__(self, readers: Sequence[Reader], of: BucketOf) -> None:
        self.readers, self.of = tuple(readers), np.asarray(of, np.int32)
        if (
            self.of.shape != (len(self.readers[0]),)
            or self.of.min() < 0
            or self.of.max() >= len(self.readers)
        ):
            raise ConfigError(
                f"`of` must be a bucket from 0 to {len(self.readers) - 1} for each of the {len(self.readers[0])} "
                f"records, got {self.of.dtype}{list(self.of.shape)}"
            )
        self.specs: tuple[Spec, ...] = tuple(reader.spec for reader in self.readers)
        self.spec: Spec = max(self.specs, key=sample_bytes)

    @property
    def in_memory(self) -> bool:
        return all(reader.in_memory for reader in self.readers)

    @property
    def is_random(self) -> bool:
        return any(reader.is_random for reader in self.readers)

    def __len__(self) -> int:
        return len(self.of)

    def bucket(self, indices: Indices) -> int:
        """The bucket that all these records are in.

        Raises:
            ShapeError: they are in several.
        """
        buckets = self.of[indices]
        other = np.flatnonzero(buckets != buckets[0])
        if len(other):
            raise ShapeError(
                f"records {indices[0]} and {indices[other[0]]} come in different shapes (buckets {buckets[0]} and "
                f"{buckets[other[0]]}) and do not fit into one batch; take them one by one, or by a loader"
            )
        return int(buckets[0])

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        if len(indices):
            self.readers[self.bucket(indices)].read_into(indices, out, random)

    def fingerprint(self) -> Fingerprint:
        each = [reader.fingerprint() for reader in self.readers]
        identity = digest([self.of.astype("<i4").tobytes(), json.dumps(each, sort_keys=True)])
        return {"kind": "buckets", "buckets": len(each), "digest": identity, "of": each[0]}

    def stamp(self) -> str:
        return digest([self.of.astype("<i4").tobytes(), *map(stamp_of, self.readers)])

    def each(self, change: Callable[[Reader, float], Reader]) -> "BucketReader":
        """Another reader for each bucket: `change(reader, share)` of one that has that bucket's records alone.

        `share` is their part of the bytes of all records.
        """
        members = [np.flatnonzero(self.of == bucket) for bucket in range(len(self.readers))]
        places = np.empty(len(self), np.int64)
        for numbers in members:
            places[numbers] = np.arange(len(numbers))
        sizes = [len(m) * sample_bytes(spec) for m, spec in zip(members, self.specs, strict=True)]
        changed: list[Reader] = []
        for bucket, (reader, numbers) in enumerate(zip(self.readers, members, strict=True)):
            if not len(numbers):
                changed.append(reader)
                continue
            # Which records a bucket has follows from all the shapes there are: its own shape does not tell.
            identity = {"bucket": bucket, "records": digest([numbers.astype("<i8").tobytes()])}
            own = SubsetReader(reader, len(numbers), numbers.__getitem__, identity)
            made = change(own, sizes[bucket] / max(sum(sizes), 1))
            changed.append(SubsetReader(made, len(self), places.__getitem__, {"bucket": bucket}))
        return BucketReader(changed, self.of)


def subset_reader(
    reader: Reader, num_records: int, numbers: Callable[[Indices], Indices], identity: Fingerprint
) -> Reader:
    """Some records of a reader, in their buckets if it has them; see `SubsetReader`."""
    if not isinstance(reader, BucketReader):
        return SubsetReader(reader, num_records, numbers, identity)
    parts = [SubsetReader(part, num_records, numbers, identity) for part in reader.readers]
    return BucketReader(parts, reader.of[numbers(np.arange(num_records, dtype=np.int64))])


def refuse_buckets(reader: Reader, what: str) -> None:
    """Raises ConfigError for a reader with buckets, which `what` cannot take."""
    if isinstance(reader, BucketReader):
        raise ConfigError(
            f"{what} takes records of one shape, and these come in {len(reader.readers)} buckets"
        )
