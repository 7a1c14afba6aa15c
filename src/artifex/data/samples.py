"""Users' own samples: what some object gives one by one, or a function makes of others."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from sys import getsizeof
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.buckets import refuse_buckets
from artifex.data.clock import MAP, READ, current_clock
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    MismatchError,
    NoRecordError,
    RecordError,
    ShapeError,
    TransformError,
)
from artifex.data.fields import HasArray, Names, as_array, fields_of
from artifex.data.fingerprint import ROWS, Fingerprint, Stamped, digest, stamp_of
from artifex.data.randomness import RecordRandom
from artifex.data.reader import ArrayReader, Reader, fits_dtype, narrow, slots, unchanged
from artifex.data.types import TEXT, Arrays, ArraySpec, Indices, Spec
from artifex.data.warn import warn

Sample: TypeAlias = dict[str, Any]
"""One sample on the host: arrays, numbers and strings by field."""

_LARGEST_COPY = 2**30

# Records that are tried for the shape of a sample. Where none of them can be had it is not a matter of one record.
_MOST_TRIED = 16

# So many records in front may be missing (filtered out) before the search for one with a shape is given up.
_MOST_MISSING = 1000

# Records of a list that tell it from others, evenly spread.
_SAMPLED_ITEMS = 8

# The length that grain says of a dataset that goes on for ever.
_ENDLESS = 2**62


class IteratedDatasetWarning(UserWarning):
    """A dataset without `__getitem__` was read into memory."""


@runtime_checkable
class HasItems(Protocol):
    """A dataset with random access, e.g. a list of dicts."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def reader_of(dataset: Any) -> Reader:
    """How the loader reads a dataset: a reader as it is, its own reader, else its items, else its iteration.

    Raises:
        ConfigTypeError: it offers none of them, or is a class.
    """
    refuse_class(dataset)
    if (own := own_reader(dataset)) is not None:
        return own
    if isinstance(dataset, Mapping):
        return ArrayReader(cast("Mapping[str, npt.ArrayLike]", dataset))
    return ItemReader(items_of(dataset))


def refuse_class(dataset: Any) -> None:
    """Raises ConfigTypeError for a class of datasets where one of its datasets is needed."""
    if isinstance(dataset, type):
        raise ConfigTypeError(
            f"`dataset` must be a dataset, got the class {dataset.__qualname__} itself: make one of it, "
            f"`{dataset.__name__}(...)`"
        )


def items_of(dataset: Any, names: Names | None = None) -> HasItems:
    """A dataset itself, if it has items, else a list of what its iteration gives.

    Raises:
        ConfigTypeError: it offers neither, or is an array or a string.
    """
    # Arrays and tensors have items too; they are fields, not records.
    if not isinstance(dataset, (str, bytes, Iterator, HasArray)):
        if isinstance(dataset, HasItems):
            return dataset
        if isinstance(dataset, Iterable):
            return _read_all(cast("Iterable[Any]", dataset), names)
    raise ConfigTypeError(
        f"a dataset needs `__len__` and `__getitem__` (or `__iter__`) that give its samples, got "
        f"{type(dataset).__name__}; arrays go in as a dict, e.g. {{'images': x, 'labels': y}}"
    )


class MappedReader:
    """Another reader, with a user's function on each sample.

    `function(sample)`, or `function(sample, rng)` with `random=True`, gets and gives a dict of arrays,
    numbers and strings. What it makes of the first record is the spec that all others must keep to.
    """

    in_memory = False

    def __init__(
        self, reader: Reader, function: Callable[..., Sample], *, random: bool, version: str | None
    ) -> None:
        refuse_buckets(reader, "`map`")
        if not callable(function):
            raise ConfigTypeError(f"`function` must be callable, got {function!r}")
        if version is not None and not isinstance(version, str):
            raise ConfigTypeError(f"`version` must be a string or None, got {version!r}")
        self._reader, self._function, self._random, self._version = reader, function, random, version
        self.spec: Spec = _first_spec(self._sample_alone, len(reader))

    @property
    def is_random(self) -> bool:
        return self._random or self._reader.is_random

    def __len__(self) -> int:
        return len(self._reader)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        rows = self._rows(indices, random)
        for row, number in enumerate(indices):
            rng = self._generator(random, row)
            write_sample(self._sample(int(number), rows, row, rng), out, row, self.spec, int(number))

    def unchanged(self, indices: Indices) -> npt.NDArray[np.bool_]:
        return unchanged(self._reader, indices)

    def fingerprint(self) -> Fingerprint:
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        return {
            "kind": "map",
            "function": name,
            "version": self._version,
            "of": self._reader.fingerprint(),
        }

    def stamp(self) -> str:
        if self._version is None:
            raise ConfigError(
                f"what {self._function!r} makes cannot be kept on disk without a `version=` by which a later run "
                f'sees whether the function is still the same: pass one to `map`, e.g. `version="1"`, and '
                f'change it with the function; or use `cache="memory"`'
            )
        return digest([self._version, stamp_of(self._reader)])

    def _sample_alone(self, number: int) -> Sample:
        rows = self._rows(np.array([number], np.int64), None)
        return self._sample(number, rows, 0, np.random.default_rng(0))

    def _rows(self, indices: Indices, random: RecordRandom | None) -> Arrays:
        rows = slots(self._reader.spec, len(indices))
        self._reader.read_into(indices, rows, random.next_consumer() if random else None)
        return rows

    def _generator(self, random: RecordRandom | None, row: int) -> np.random.Generator | None:
        return random.generator(row) if random and self._random else None

    def _sample(self, number: int, rows: Arrays, row: int, rng: np.random.Generator | None) -> Sample:
        sample = {name: array[row] for name, array in rows.items()}
        clock = current_clock()
        before = clock.switch(MAP)
        try:
            made = self._function(sample, rng) if self._random else self._function(sample)
        except (Exception, SystemExit) as error:  # who is asked for a sample is not asked to end the program
            raise TransformError(
                f"{self._function!r} failed on this sample: {type(error).__name__}: {error}",
                path=next((sample[name] for name in ("paths", "path") if name in sample), None),
                record=number,
            ) from error
        clock.switch(before)
        return made


class ItemReader:
    """Anything with `__len__` and `__getitem__`, with the shapes of its first sample.

    Samples are read by several threads, unless the loader is told otherwise (`num_workers=0`).

    Args:
        items: gives dicts, tuples, arrays or numbers; see `fields.py` for the names of what has none.
        names: of the fields, for items that are no dicts.
    """

    in_memory = False
    is_random = False

    def __init__(self, items: HasItems, names: Names | None = None) -> None:
        self._items, self._names = items, names
        if len(items) == 0:
            raise ConfigError(
                f"the dataset ({type(items).__name__}) is empty: a loader needs at least one record"
            )
        if len(items) >= _ENDLESS:
            raise ConfigError(
                f"the dataset ({type(items).__name__}) has no end; leave grain's `repeat()` out, or give it a "
                f"number: a loader goes through epochs by itself"
            )
        self.spec: Spec = _first_spec(self._sample, len(items))

    def __len__(self) -> int:
        return len(self._items)

    def read_into(self, indices: Indices, out: Arrays, random: RecordRandom | None = None) -> None:
        for row, number in enumerate(indices):
            write_sample(self._sample(int(number)), out, row, self.spec, int(number))

    def fingerprint(self) -> Fingerprint:
        fields = {name: str(field) for name, field in self.spec.items()}
        identity = {"kind": type(self._items).__name__, "records": len(self), "fields": fields}
        # Others, and those made of these, may give other samples each time, or take long.
        if type(self._items) not in (list, tuple):
            return identity
        numbers = sorted({len(self) * part // _SAMPLED_ITEMS for part in range(_SAMPLED_ITEMS)})
        return identity | {ROWS: [_item_digest(self._items[number], self._names) for number in numbers]}

    def stamp(self) -> str:
        if isinstance(self._items, Stamped):
            return self._items.stamp()
        raise ConfigError(
            f"records of a {type(self._items).__name__} cannot be kept on disk: nothing tells whether they are "
            f"still the same. Give it a method `stamp() -> str` that changes with its content (a version, a "
            f'digest), or use `cache="memory"`'
        )

    def _sample(self, number: int) -> Mapping[str, Any]:
        clock = current_clock()
        before = clock.switch(READ)
        try:
            sample = self._items[number]
        except RecordError as error:
            raise error.at(record=number) from error.__cause__
        except (Exception, SystemExit) as error:
            raise TransformError(
                f"{type(self._items).__name__}[{number}] failed: {type(error).__name__}: {error}",
                record=number,
            ) from error
        clock.switch(before)
        try:
            return fields_of(sample, self._names)
        except RecordError as error:
            raise error.at(record=number) from None


def _first_spec(sample_of: Callable[[int], Mapping[str, Any]], count: int) -> Spec:
    """The spec of the first record that can be had, of the first few: a bad one is told when it is read."""
    bad: list[RecordError] = []
    looked_at = min(count, _MOST_MISSING)
    for number in range(looked_at):
        try:
            return spec_of(sample_of(number))
        except NoRecordError:
            continue
        except RecordError as error:
            bad.append(error)
            if len(bad) == _MOST_TRIED:
                break
    if bad:
        raise bad[0]
    raise ConfigError(
        f"the first {looked_at} records of the dataset are all None; a filter may leave none over, or filter before "
        f"the dataset is made"
    )


def spec_of(sample: Mapping[str, Any]) -> Spec:
    """The spec that one sample implies. 64-bit numbers count as 32-bit ones, as in JAX.

    Raises:
        ShapeError: it is no dict of arrays, numbers and strings.
    """
    if not isinstance(sample, Mapping):
        raise ShapeError(
            f"a sample must be a dict of arrays, numbers and strings, got {type(sample).__name__}"
        )
    for name in sample:
        if not isinstance(name, str):
            raise ShapeError(f"the keys of a sample must be strings, got {name!r}")
    return {name: _field_spec(name, value) for name, value in sample.items()}


def write_sample(sample: Mapping[str, Any], out: Arrays, row: int, spec: Spec, number: int) -> None:
    """Writes a sample into row `row` of `out`, after checking it against `spec`.

    Raises:
        MismatchError: a key is missing or new, or a value has another shape or dtype, or does not fit it.
    """
    if sample.keys() != spec.keys():
        raise MismatchError(
            f"it has the keys {sorted(map(str, sample))}, but the first record has {sorted(spec)}; all samples of "
            f"a dataset must have the same keys",
            record=number,
        )
    for name, field in spec.items():
        value = sample[name]
        if field.is_text:
            if not isinstance(value, str):
                raise MismatchError(f"`{name}` must be a string, got {type(value).__name__}", record=number)
            out[name][row] = value
            continue
        try:
            array = as_array(name, value)
        except ShapeError as error:
            raise MismatchError(str(error), record=number) from error.__cause__
        if array.shape != field.shape or narrow(array.dtype) != field.dtype:
            raise MismatchError(
                f"`{name}` is {array.dtype}{list(array.shape)}, but {field} in the first record; all samples must "
                f"have one shape and dtype: resize, pad or crop them (e.g. with `map`)",
                record=number,
            )
        if not fits_dtype(array, field.dtype):
            raise MismatchError(
                f"`{name}` has numbers that do not fit {field.dtype}, which is what 64-bit numbers come as",
                record=number,
            )
        out[name][row, ...] = array


def own_reader(dataset: Any) -> Reader | None:
    """A reader itself, or what a dataset's method `reader` gives, if that is one; others may call other things so."""
    # First by one method: `isinstance` reads all that a reader has, and `spec` of a dataset traces what it does.
    if hasattr(dataset, "read_into") and isinstance(dataset, Reader):
        return dataset
    method = getattr(type(dataset), "reader", None)
    if isinstance(dataset, type) or not callable(method):
        return None
    try:
        signature(method).bind(dataset)
    except (TypeError, ValueError):
        return None
    reader = dataset.reader()
    return reader if isinstance(reader, Reader) else None


def _read_all(
    dataset: Iterable[Any], names: Names | None = None, *, largest: int = _LARGEST_COPY
) -> list[Any]:
    """All samples of a dataset that can only be iterated, with their arrays as NumPy arrays.

    With `names` they are tuples yet: `names` are for whoever reads them.
    """
    samples: list[Any] = []
    size = 0
    for item in dataset:
        try:
            fields = fields_of(item, names)
        except RecordError as error:
            raise error.at(record=len(samples)) from None
        sample = {k: v if isinstance(v, str) else as_array(k, v) for k, v in fields.items()}
        size += getsizeof(sample) + sum(map(_bytes_of, sample.values()))
        samples.append(sample if names is None else tuple(sample.values()))
        if size > largest:
            raise ConfigError(
                f"{type(dataset).__name__} has no `__getitem__`, so it would have to be read into memory, and "
                f"its first {len(samples)} samples are more than {largest} bytes; add `__getitem__`"
            )
    warn(
        f"{type(dataset).__name__} has no `__getitem__`: its {len(samples)} samples ({size} bytes) were read "
        f"into memory once; add `__getitem__` to have them read when they are needed",
        IteratedDatasetWarning,
    )
    return samples


def _item_digest(item: Any, names: Names | None) -> str:
    """Of what is in an item, as far as it can be told; of one that is no sample, that it is none."""
    parts: list[bytes | str] = []
    try:
        for name, value in fields_of(item, names).items():
            array = as_array(name, value)
            parts += [
                str(name),
                f"{array.dtype}{list(array.shape)}",
                "" if array.dtype == object else array.tobytes(),
            ]
    except (RecordError, ShapeError):
        parts = []
    return digest(parts)[:8]


def _bytes_of(value: Any) -> int:
    """What a string or an array takes in memory, also if it is a view of another one's, which it keeps."""
    return getsizeof(value) + (
        value.nbytes if isinstance(value, np.ndarray) and value.base is not None else 0
    )


def _field_spec(name: str, value: Any) -> ArraySpec:
    if isinstance(value, str):
        return TEXT
    array = as_array(name, value)
    if array.dtype.kind not in "biufc" and array.dtype.name != "bfloat16":
        way = "; decode it first, e.g. with `map` of a grain.MapDataset" if isinstance(value, bytes) else ""
        raise ShapeError(f"`{name}` must be an array, a number or a string, got {type(value).__name__}{way}")
    return ArraySpec(array.shape, narrow(array.dtype))
