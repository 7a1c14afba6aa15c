"""From record numbers to the arrays of samples, written into slots that the caller owns."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from time import perf_counter_ns
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.clock import DECODE, READ, current_clock
from artifex.data.codecs import Codec
from artifex.data.errors import ConfigError, ConfigTypeError, MissingPackageError, RecordError, ShapeError
from artifex.data.fingerprint import Fingerprint, Stamped, digest, of_arrays, stamp_of, stamp_of_arrays
from artifex.data.randomness import RecordRandom
from artifex.data.sources import BatchSource, Source
from artifex.data.types import TEXT, Arrays, ArraySpec, Indices, Record, Spec


class Records(Protocol):
    """Writes records into arrays. Thread-safe."""

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        """As `Reader.read_into`."""
        ...


@runtime_checkable
class Reader(Protocol):
    """What the loader needs of a dataset. Thread-safe, picklable, no JAX."""

    @property
    def spec(self) -> Spec:
        """The fields of a sample, by the names they have in a batch."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether reading is a mere gather, for which threads would cost more than they bring."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether `read_into` draws from the generators that it is given."""
        ...

    def __len__(self) -> int: ...

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        """Writes the records `indices` (n,) into the arrays `out` (n, *shape) of every field.

        `random` has the generators of the rows while training, and is None otherwise.
        """
        ...

    def fingerprint(self) -> Fingerprint:
        """What tells these records from others: the same on every machine, small, ready for JSON.

        A reader whose fingerprint may overlook a change is also `Stamped`.
        """
        ...


def slots(spec: Spec, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Fresh arrays `(rows, *shape)` for every field."""
    return {name: np.empty((rows, *field.shape), field.dtype) for name, field in spec.items()}


@dataclass(frozen=True)
class RecordReader:
    """A source of records, and for each field of a sample the record's key and the codec it goes through.

    `codecs` maps a field to (key of the record, codec); `numbers` and `texts` map a field to the key of an
    int or str that is taken as it is. A record's `path`, if it has one, is named in errors.
    """

    source: Source
    codecs: Mapping[str, tuple[str, Codec]]
    numbers: Mapping[str, str]
    texts: Mapping[str, str]
    identity: Fingerprint

    in_memory = False

    @property
    def is_random(self) -> bool:
        return any(codec.is_random for _, codec in self.codecs.values())

    @property
    def spec(self) -> Spec:
        return {
            **{name: codec.spec for name, (_, codec) in self.codecs.items()},
            **dict.fromkeys(self.numbers, ArraySpec((), np.dtype(np.int32))),
            **dict.fromkeys(self.texts, TEXT),
        }

    def __len__(self) -> int:
        return len(self.source)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        begun = since = perf_counter_ns()
        reading = 0
        for row, (number, record) in enumerate(zip(indices, records_of(self.source, indices), strict=True)):
            reading += perf_counter_ns() - since
            rng = random.generator(row) if random else None
            try:
                for name, (key, codec) in self.codecs.items():
                    codec.decode(record[key], out[name][row, ...], rng=rng)
            except RecordError as error:
                raise error.at(path=record.get("path"), record=int(number)) from error.__cause__
            except MissingPackageError as error:
                where = f"record {number}: {record['path']}" if "path" in record else f"record {number}"
                raise MissingPackageError(f"{where}: {error}") from error
            for name, key in (*self.numbers.items(), *self.texts.items()):
                out[name][row] = record[key]
            since = perf_counter_ns()
        clock = current_clock()
        clock.credit(READ, reading)
        clock.credit(DECODE, since - begun - reading)

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self.source, indices)

    def fingerprint(self) -> Fingerprint:
        return self.identity

    def stamp(self) -> str:
        codecs = [f"{name} {key} {_stamp_of_codec(codec)}" for name, (key, codec) in self.codecs.items()]
        return digest([stamp_of(self.source), *codecs, repr((dict(self.numbers), dict(self.texts)))])


class ArrayReader:
    """Arrays in memory (or memory-mapped), all of one length: a batch is one gather per field.

    64-bit numbers become 32-bit ones here, once, as JAX would make them later.

    Raises:
        ConfigTypeError: a name is no string.
        ShapeError: the arrays differ in length, or an array has no rows or no numbers.
    """

    in_memory = True
    is_random = False

    def __init__(self, arrays: Mapping[str, npt.ArrayLike], *, identity: Fingerprint | None = None) -> None:
        if not arrays:
            raise ConfigError("`arrays` is empty; give at least one array by its name, e.g. {'images': x}")
        if wrong := [name for name in arrays if not isinstance(name, str)]:
            raise ConfigTypeError(
                f"`arrays` must be arrays by their names, strings, got the name {wrong[0]!r}"
            )
        self._arrays = {name: _checked(name, np.asarray(array)) for name, array in arrays.items()}
        lengths = {name: len(array) for name, array in self._arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ShapeError(f"arrays of one dataset must have the same length, got {lengths}")
        self._length = next(iter(lengths.values()))
        self._identity = identity or {}
        self.spec: Spec = {n: ArraySpec(array.shape[1:], array.dtype) for n, array in self._arrays.items()}

    def __len__(self) -> int:
        return self._length

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        for name, array in self._arrays.items():
            if array.flags.c_contiguous:
                # "clip" spares NumPy a buffered copy; the numbers come from a plan and are in range.
                array.take(indices, axis=0, out=out[name], mode="clip")
            else:  # `take` would copy the whole array first
                out[name][...] = array[indices]

    def fingerprint(self) -> Fingerprint:
        return of_arrays(self._arrays) | self._identity

    def stamp(self) -> str:
        return stamp_of_arrays(self._arrays)


@dataclass(frozen=True)
class NumberReader:
    """Only what the device needs to make the data itself: the record's number, and a root key.

    The fields are `record`, int32, and `root`, the two words of a threefry key, uint32 (2,); and those of `cycles`,
    strings that come in turn: record i has string i % k of k.
    """

    num_records: int
    root: tuple[int, int]
    identity: Fingerprint
    cycles: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    in_memory = True
    is_random = False

    @property
    def spec(self) -> Spec:
        return {
            "record": ArraySpec((), np.dtype(np.int32)),
            "root": ArraySpec((2,), np.dtype(np.uint32)),
            **dict.fromkeys(self.cycles, TEXT),
        }

    def __len__(self) -> int:
        return self.num_records

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        out["record"][...] = indices
        out["root"][...] = self.root
        for name, strings in self.cycles.items():
            out[name][...] = [strings[index % len(strings)] for index in indices.tolist()]

    def fingerprint(self) -> Fingerprint:
        return self.identity


@dataclass(frozen=True)
class SubsetReader:
    """Some records of another reader: `numbers(places)` gives the other's record numbers."""

    reader: Reader
    num_records: int
    numbers: Callable[[Indices], Indices]
    identity: Fingerprint

    @property
    def in_memory(self) -> bool:
        return self.reader.in_memory

    @property
    def is_random(self) -> bool:
        return self.reader.is_random

    @property
    def spec(self) -> Spec:
        return self.reader.spec

    def __len__(self) -> int:
        return self.num_records

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        numbers = self.numbers(indices)
        try:
            self.reader.read_into(numbers, out, random)
        except RecordError as error:
            # The number that the user knows the record by is the one in this subset.
            if error.record is not None:
                error.record = int(indices[int(np.argmax(numbers == error.record))])
            raise

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self.reader, self.numbers(indices))

    def fingerprint(self) -> Fingerprint:
        return {"kind": "subset", **self.identity, "of": self.reader.fingerprint()}

    def stamp(self) -> str:
        return stamp_of(self.reader)


@runtime_checkable
class Watched(Protocol):
    """Records that may change after their stamp was taken, like files in a folder."""

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        """For each of these records whether it is still the one of the stamp, bool (n,)."""
        ...


def records_of(source: Source, indices: Indices) -> Iterator[Record]:
    """The records with these numbers, in this order; all at once where the source can do that."""
    if _reads_many(type(source)):
        yield from cast(BatchSource, source).read_many(indices)
        return
    for number in indices:
        try:
            record = source[int(number)]
        except RecordError as error:
            raise error.at(record=int(number)) from error.__cause__
        yield record


@cache
def _reads_many(kind: type[Source]) -> bool:
    # Asked once for a kind: looking at a protocol takes as long as reading some records.
    return callable(getattr(kind, "read_many", None))


def one_by_one(
    numbers: Indices, out: Arrays, random: RecordRandom | None
) -> Iterator[tuple[Indices, Arrays, RecordRandom | None]]:
    """The arguments of `read_into` for each record by itself, in order: views of one row each."""
    for row in range(len(numbers)):
        one = slice(row, row + 1)
        own = None if random is None else random.rows(row, row + 1)
        yield numbers[one], {name: array[one] for name, array in out.items()}, own


def unchanged(records: object, indices: Indices) -> npt.NDArray[np.bool_]:
    """The same for records of any kind; what cannot be watched counts as unchanged."""
    return records.unchanged(indices) if isinstance(records, Watched) else np.ones(len(indices), bool)


def narrow(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The 32-bit counterpart of a 64-bit dtype, any other as it is; in this machine's byte order."""
    return {"int64": np.dtype(np.int32), "uint64": np.dtype(np.uint32), "float64": np.dtype(np.float32)}.get(
        dtype.name, dtype.newbyteorder("=")
    )


def fits_dtype(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether the array's own dtype is `dtype`, or narrows to it without losing a number.

    Digits of a float may go, but none may become infinite.
    """
    if narrow(array.dtype) != dtype:
        return False
    if array.dtype.itemsize <= dtype.itemsize or dtype.kind not in "iuf" or not array.size:
        return True
    limits: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(cast("Any", dtype))
    low, high = array.min(), array.max()
    if dtype.kind == "f" and not (np.isfinite(low) and np.isfinite(high)):  # infinite already, or no number
        finite = array[np.isfinite(array)]
        low, high = finite.min(initial=0), finite.max(initial=0)
    return bool(low >= limits.min and high <= limits.max)


def _stamp_of_codec(codec: Codec) -> str:
    if isinstance(codec, Stamped):
        return codec.stamp()
    with np.printoptions(threshold=sys.maxsize, floatmode="unique"):  # all of an array, to the last digit
        text = repr(codec)
    if " at 0x" in text:
        raise ConfigError(
            f"{text} does not say what it decodes to, so nothing it makes can be kept on disk: make it a "
            f"dataclass, or give it a method `stamp() -> str`"
        )
    return text


def _checked(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim == 0 or len(array) == 0:
        raise ShapeError(f"`{name}` must have at least one row, got an array of shape {array.shape}")
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype == object and not (array.ndim == 1 and all(isinstance(item, str) for item in array)):
        raise ShapeError(f"`{name}` must be an array of numbers or a list of strings, not of objects")
    if array.dtype.kind not in "biufcO" and array.dtype.name != "bfloat16":
        raise ShapeError(f"`{name}` must be an array of numbers, got dtype {array.dtype}")
    small = narrow(array.dtype)
    if not fits_dtype(array, small):
        raise ShapeError(
            f"`{name}` has numbers that do not fit {small}, which is what 64-bit numbers come as"
        )
    return array.astype(small, copy=False)
