"""Buckets: records that come in a few shapes, each batch of one of them.

A reader fills slots of one shape. Records of several shapes are therefore several readers, one per bucket, behind
a table that says which record is whose. Either a plan makes batches within buckets, or, where a bucket's reader can
read the records of those before it too, a batch of any records comes in the shape of the greatest of them.
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
        mixed: whether a batch may have records of several buckets, and comes in the shape of the last of them. The
            readers stand from the least shape to the greatest then, each shape another, and each reads the records
            of those before it too.

    Attributes:
        spec: that of the bucket whose samples have the most bytes.
        specs: of each bucket.
    """

    def __init__(self, readers: Sequence[Reader], of: BucketOf, *, mixed: bool = False) -> None:
        self.readers, self.of, self.mixed = tuple(readers), np.asarray(of, np.int32), mixed
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
    def groups(self) -> BucketOf | None:
        """The bucket of each record, if a batch must be of one bucket."""
        return None if self.mixed else self.of

    @property
    def in_memory(self) -> bool:
        return all(reader.in_memory for reader in self.readers)

    @property
    def is_random(self) -> bool:
        return any(reader.is_random for reader in self.readers)

    def __len__(self) -> int:
        return len(self.of)

    def bucket(self, indices: Indices) -> int:
        """The bucket that all these records are in; or the last that one of them is in, if they may be mixed.

        Raises:
            ShapeError: they are in several, and may not be mixed.
        """
        buckets = self.of[indices]
        if self.mixed:
            return int(buckets.max())
        other = np.flatnonzero(buckets != buckets[0])
        if len(other):
            raise ShapeError(
                f"records {indices[0]} and {indices[other[0]]} come in different shapes (buckets {buckets[0]} and "
                f"{buckets[other[0]]}) and do not fit into one batch; take them one by one, or by a loader"
            )
        return int(buckets[0])

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        if len(indices):
            bucket = self._in_shape_of(out) if self.mixed else self.bucket(indices)
            self.readers[bucket].read_into(indices, out, random)

    def _in_shape_of(self, out: Arrays) -> int:
        """The bucket whose records fit these slots: a part of a batch has the shape of the whole."""
        for bucket, spec in enumerate(self.specs):
            if all(out[name].shape[1:] == field.shape for name, field in spec.items()):
                return bucket
        raise ShapeError(f"no bucket has records of { ({name: a.shape[1:] for name, a in out.items()}) }")

    def fingerprint(self) -> Fingerprint:
        each = [reader.fingerprint() for reader in self.readers]
        identity = digest([self.of.astype("<i4").tobytes(), json.dumps(each, sort_keys=True)])
        mixed = {"mixed": True} if self.mixed else {}
        return {"kind": "buckets", **mixed, "buckets": len(each), "digest": identity, "of": each[0]}

    def stamp(self) -> str:
        return digest([self.of.astype("<i4").tobytes(), *map(stamp_of, self.readers)])

    def each(self, change: Callable[[Reader, float], Reader]) -> "BucketReader":
        """Another reader for each bucket: `change(reader, share)` of one that has that bucket's records alone.

        `share` is their part of the bytes of all records.

        Raises:
            ConfigError: the buckets may be mixed, so that a bucket's reader reads the records of others too.
        """
        if self.mixed:
            raise ConfigError(
                "a cache keeps records in one shape each, and here the shape depends on the batch"
            )
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
    own = reader.of[numbers(np.arange(num_records, dtype=np.int64))]
    return BucketReader(parts, own, mixed=reader.mixed)


def spec_of(reader: Reader, numbers: Indices) -> Spec:
    """The fields of these records, in the shape of their bucket if the reader has buckets."""
    return reader.specs[reader.bucket(numbers)] if isinstance(reader, BucketReader) else reader.spec


def refuse_buckets(reader: Reader, what: str) -> None:
    """Raises ConfigError for a reader with buckets, which `what` cannot take."""
    if isinstance(reader, BucketReader):
        raise ConfigError(
            f"{what} takes records of one shape, and these come in {len(reader.readers)} buckets"
        )
