"""Bad records: whether one ends the run, or is left out, counted and written down.

A bad record keeps its row in the batch, masked: so a batch stays a function of the plan and the step, whatever
else is bad, on every host and for any number of workers, and what a resumed run leaves out is what the first one
would have left out.
"""

import hashlib
import json
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from operator import eq
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_choice, is_real
from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    RecordError,
    TooManyBadRecordsError,
    TransformError,
)
from artifex.data.fingerprint import ROWS, Fingerprint, digest
from artifex.data.randomness import RecordRandom
from artifex.data.reader import Reader, Records, one_by_one
from artifex.data.samples import reader_of
from artifex.data.types import Arrays, Indices
from artifex.data.warn import warn

# Shares of bad records mean nothing before so many were read (or an epoch, if that has fewer).
_LEAST_SAMPLES = 1000
_MOST_HASHED = 2**28
_EXAMPLES = 5


class OnError(StrEnum):
    """What becomes of a record that cannot be had."""

    RAISE = "raise"
    """Its error ends the iteration."""
    SKIP = "skip"
    """Its row is masked."""
    QUARANTINE = "quarantine"
    """Its row is masked, and it is written down in a file."""


class BadRows(StrEnum):
    """What becomes of the rows of bad records."""

    MASK = "mask"
    """They are zero, and False in `valid`."""
    COMPACT = "compact"
    """They are taken out: the batch is shorter."""


class QuarantineWarning(UserWarning):
    """A quarantine has records, and none of the dataset that it is asked about."""


class BadRecordWarning(UserWarning):
    """The first record of a loader that was left out."""


@dataclass(frozen=True)
class BadRecord:
    """A record that could not be had.

    Attributes:
        source: a digest of the fingerprint of the data that it belongs to.
        record: its number.
        path: its file, where it has one.
        offset: where in the file it begins, in bytes, where that is known.
        error: the kind of error, e.g. "DecodeError".
        reason: what the error says.
        digest: SHA-256 of the file, as hexadecimal digits; None without one, or if it could not be read.
    """

    source: str
    record: int
    path: str | None
    offset: int | None
    error: str
    reason: str
    digest: str | None

    def __str__(self) -> str:
        where = f"record {self.record}" + ("" if self.path is None else f": {self.path}")
        return f"{where}: {self.error}: {self.reason}"


class Faults:
    """What happens to bad records, and which there were in all iterations of a loader.

    Args:
        max_errors: how many bad samples an epoch may have: a count, or a share (a float below 1) of its samples.
        source: a digest of the data's fingerprint.
        epoch_size: samples in an epoch.
        quarantine: the file that bad records are written down in; None for "skip".
    """

    def __init__(
        self, max_errors: int | float, source: str, epoch_size: int, quarantine: str | Path | None
    ) -> None:
        self._max, self._source, self._epoch_size = max_errors, source, epoch_size
        self._file = None if quarantine is None else QuarantineFile(quarantine, source)
        self._records: dict[int, BadRecord] = {}
        self._lock = threading.Lock()

    @property
    def records(self) -> tuple[BadRecord, ...]:
        """Each bad record once, in the order in which they came."""
        return tuple(self._records.values())

    def check(self, samples: int, errors: int, new: list[RecordError]) -> None:
        """Takes note of `new` bad records, after which an epoch has so many samples, and bad ones among them.

        Raises:
            TooManyBadRecordsError: these are more than there may be.
        """
        with self._lock:
            for error in new:
                self._note(error)
            if new and self._is_too_much(samples, errors):
                raise TooManyBadRecordsError(self._summary(samples, errors))

    def _note(self, error: RecordError) -> None:
        assert error.record is not None
        if error.record in self._records:
            return
        bad = bad_record(error, self._source)
        if not self._records:
            done = "left out" if self._file is None else f"left out and written down in {self._file.path}"
            warn(f"{bad}; {done}, as further ones will be: see `loader.bad_records`", BadRecordWarning)
        self._records[error.record] = bad
        if self._file is not None:
            self._file.add(bad)

    def _is_too_much(self, samples: int, errors: int) -> bool:
        if isinstance(self._max, int):
            return errors > self._max
        # All that are read of a small set, or an epoch of it, may turn out well yet.
        return errors > self._max * max(samples, min(_LEAST_SAMPLES, self._epoch_size))

    def _summary(self, samples: int, errors: int) -> str:
        kinds = Counter(bad.error for bad in self._records.values())
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        examples = "\n".join(f"  {bad}" for bad in list(self._records.values())[:_EXAMPLES])
        more = len(self._records) - _EXAMPLES
        rest = f"\n  and {more} more" if more > 0 else ""
        return (
            f"{errors} of {samples} samples of this epoch are bad, more than `max_errors` {self._max} allows "
            f"({len(self._records)} records: {counts}):\n{examples}{rest}\nMend the data, leave these records out "
            f"with `keep`, or allow more"
        )


class Tally:
    """How many samples of one epoch were bad, in the batches that were handed out.

    Args:
        faults: are told of each bad one; None for a loader that raises their errors.
        samples: that came before, in the same epoch.
        errors: bad ones among them.
    """

    def __init__(self, faults: Faults | None, samples: int = 0, errors: int = 0) -> None:
        self.samples, self.errors = samples, errors
        self._faults = faults
        self._ahead: deque[tuple[int, int]] = deque()

    def count(self, samples: int, errors: list[RecordError]) -> None:
        """Takes note of a batch that will be handed out.

        Raises:
            TooManyBadRecordsError: with it these are more than there may be.
        """
        if self._faults is not None:
            self._ahead.append((samples, len(errors)))
            all_samples, all_errors = map(sum, zip((self.samples, self.errors), *self._ahead, strict=True))
            self._faults.check(all_samples, all_errors, errors)

    def handed_out(self) -> None:
        """The first of those that were counted is handed out."""
        if self._ahead:
            samples, errors = self._ahead.popleft()
            self.samples, self.errors = self.samples + samples, self.errors + errors


Bad: TypeAlias = tuple[int, RecordError]
"""The row of a record that cannot be had, and why."""


def read_all(reader: Records, numbers: Indices, out: Arrays, random: RecordRandom | None) -> list[Bad]:
    """Reads records into their rows of `out`. The error of one that cannot be had is raised: none is bad."""
    try:
        reader.read_into(numbers, out, random)
    except (SystemExit, StopIteration) as error:  # which would end the program, or the epoch, without a word
        record = int(numbers[0]) if len(numbers) == 1 else None
        raise TransformError(f"what reads it has raised {error!r}", record=record) from error
    return []


def read_what_is_good(
    reader: Records, numbers: Indices, out: Arrays, random: RecordRandom | None
) -> list[Bad]:
    """Reads records into their rows of `out`; of those that cannot be had the row is zero.

    Returns:
        (row, error) of the bad ones, in order.
    """
    try:
        return read_all(reader, numbers, out, random)
    except RecordError:
        pass  # which rows are good is not known: each is read by itself
    bad: list[Bad] = []
    for row, one in enumerate(one_by_one(numbers, out, random)):
        try:
            read_all(reader, *one)
        except RecordError as error:
            bad.append((row, error.at(record=int(numbers[row]))))
            for array in out.values():
                array[row] = "" if array.dtype == object else 0
    return bad


def make_faults(
    on_error: str | OnError,
    max_errors: float,
    quarantine: str | Path | None,
    reader: Reader,
    epoch_size: int,
) -> Faults | None:
    """What a loader needs for these settings; None where errors are raised.

    Raises:
        ConfigError: a setting is out of range, or the file cannot be written.
    """
    on_error = check_choice(OnError, "on_error", on_error)
    if not is_real(max_errors):
        raise ConfigTypeError(f"`max_errors` must be a count or a share, got {max_errors!r}")
    most = int(max_errors) if isinstance(max_errors, (int, np.integer)) else float(max_errors)
    if not (most >= 0 and (isinstance(most, int) or most < 1)):
        raise ConfigError(
            f"`max_errors` must be a count (an int, 0 or more) or a share of the samples (a float from 0 to "
            f"below 1), got {max_errors!r}"
        )
    if on_error is OnError.RAISE:
        return None
    if on_error is OnError.SKIP:
        return Faults(most, source_digest(reader), epoch_size, None)
    if not isinstance(quarantine, (str, Path)) or not str(quarantine):
        raise ConfigTypeError(
            f'`quarantine` must be the path of a file, got {quarantine!r}; without a file pass `on_error="skip"`'
        )
    return Faults(most, source_digest(reader), epoch_size, quarantine)


def bad_record(error: RecordError, source: str) -> BadRecord:
    """What is written down of an error."""
    assert error.record is not None
    return BadRecord(
        source,
        error.record,
        error.path,
        error.offset,
        type(error).__name__,
        error.reason,
        None if error.path is None else _digest_of(error.path),
    )


class QuarantineFile:
    """A file with a line of JSON for each bad record, written at once, each record once.

    Several processes may write to one file: a line is one system call, at the end.

    Args:
        path: the file.
        source: of the records that will be added.
    """

    def __init__(self, path: str | Path, source: str) -> None:
        self.path = Path(path)
        self.add_line("")  # a file that cannot be written is told now
        self._known = {bad.record for bad in read_quarantine(path) if is_same_source(bad.source, source)}

    def add(self, bad: BadRecord) -> None:
        if bad.record not in self._known:
            self._known.add(bad.record)
            self.add_line(quarantine_line(bad))

    def add_line(self, line: str) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                size = os.fstat(file).st_size if line and hasattr(os, "pread") else 0
                if size and os.pread(file, 1, size - 1) != b"\n":  # it was torn, or edited by hand
                    line = "\n" + line
                os.write(file, line.encode())
            finally:
                os.close(file)
        except OSError as error:
            raise ConfigError(
                f"`quarantine` {str(self.path)!r} cannot be written: {error.strerror}; name another file"
            ) from error


def read_quarantine(path: str | Path) -> list[BadRecord]:
    """The bad records that a file names, each once, in its order.

    Raises:
        ConfigError: there is no such file, or a line is none of a quarantine's.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"`path` {str(path)!r} is no quarantine that can be read: {error}") from error
    found: dict[tuple[str, int], BadRecord] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            bad = _read_line(line)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"line {number} of `path` {str(path)!r} is no bad record: {error}") from error
        found.setdefault((bad.source, bad.record), bad)
    return list(found.values())


def _read_line(line: str) -> BadRecord:
    fields = json.loads(line)
    # A later release may say more.
    known = {name: fields[name] for name in BadRecord.__dataclass_fields__ if name in fields}
    bad = BadRecord(**known)
    if isinstance(bad.record, bool) or not isinstance(bad.record, int) or bad.record < 0:
        raise TypeError(f"`record` must be a number of 0 or more, got {bad.record!r}")
    if not isinstance(bad.source, str):
        raise TypeError(f"`source` must be a string, got {bad.source!r}")
    return bad


def known_good(path: str | Path, dataset: Any) -> npt.NDArray[np.bool_]:
    """A filter for a loader's `keep`: False for the records of a dataset that a quarantine names.

    Without them there are no masked rows. It is another plan, which no saved state of the old one fits.

    Raises:
        ConfigError: there is no such file.
    """
    reader = reader_of(dataset)
    source = source_digest(reader)
    keep = np.ones(len(reader), bool)
    named = read_quarantine(path)
    own = [bad.record for bad in named if is_same_source(bad.source, source) and bad.record < len(reader)]
    if named and not own:
        warn(
            f"none of the {len(named)} records in {path} is of this dataset: they came from another, or from this "
            f"one before it was changed (by `map`, or by other files); all of it is kept",
            QuarantineWarning,
        )
    keep[own] = False
    return keep


def source_digest(reader: Reader) -> str:
    """What tells the records of one dataset from another's: the same wherever it lies, and when files were mended.

    Of a list it has the digests of some records besides: see `is_same_source`.
    """
    rows: list[str] = []
    structure = _structure(reader.fingerprint(), rows)
    return ".".join([digest([json.dumps(structure, sort_keys=True, default=str)]), *rows])


def is_same_source(one: str, other: str) -> bool:
    """Whether two of `source_digest` are of the same dataset, though some of its records were mended between them."""
    (structure, *rows), (other_structure, *other_rows) = one.split("."), other.split(".")
    if structure != other_structure or len(rows) != len(other_rows):
        return False
    return 2 * sum(map(eq, rows, other_rows)) >= len(rows)


# Kinds whose digest has the sizes of files in it; a file that was mended may also be of another bucket.
_WITH_SIZES = ("buckets", "audio", "audio_windows")


def _structure(fingerprint: Fingerprint, rows: list[str]) -> Fingerprint:
    """A fingerprint without sizes of files, what becomes of them, and digests of records, which go into `rows`."""
    if "files" in fingerprint:
        return {name: fingerprint.get(name) for name in ("kind", "files")}
    rows += fingerprint.get(ROWS, ())
    left_out = {ROWS, "digest"} if fingerprint.get("kind") in _WITH_SIZES else {ROWS}
    return {name: _part(value, rows) for name, value in fingerprint.items() if name not in left_out}


def _part(value: Any, rows: list[str]) -> Any:
    if isinstance(value, list):
        return [_part(one, rows) for one in value]
    return _structure(value, rows) if isinstance(value, dict) else value


def quarantine_line(bad: BadRecord) -> str:
    """The line of a bad record in a file."""
    return json.dumps(asdict(bad)) + "\n"


def _digest_of(path: str) -> str | None:
    hashed = hashlib.sha256()
    try:
        for chunk in _chunks(path):
            hashed.update(chunk)
    except OSError:
        return None
    return hashed.hexdigest()


def _chunks(path: str) -> Iterator[bytes]:
    if not os.path.isfile(path) or os.path.getsize(path) > _MOST_HASHED:
        raise OSError("not to be read")
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            yield chunk
