"""What can go wrong, as a tree.

* ArtifexError
  + ConfigError          (also ValueError)             a setting is out of range or contradicts another
  + ConfigTypeError      (also TypeError)              a setting is of the wrong type
  + UnknownNameError     (also KeyError, ValueError)   nothing is known under that name
  + ShapeError           (also ValueError)             an array's rank, shape or dtype is not what was declared
  + RangeError           (also ValueError)             an array's values are out of their declared range
  + KeyRequiredError     (also ValueError)             something random was asked for without a key
  + StateError           (also ValueError)             a saved state does not belong to this loader
  + StalledError         (also TimeoutError)           something takes longer than a loader was told to wait
  + TooManyBadRecordsError                             more records are bad than a loader was told to leave out
  + MissingPackageError  (also ImportError)            an optional package is needed; the message says which
  + RecordError                                        one record cannot be had; `record`, `path`, `offset` say which
    - NoRecordError      (also LookupError)            the dataset gives None for it
    - ReadError          (also OSError)                its bytes cannot be read
    - DecodeError        (also ValueError)             its bytes are not what its codec expects
    - TransformError     (also ValueError)             a user's function failed on it
    - MismatchError      (also ShapeError)             it is not of the shape, dtype or keys of the first
    - WorkerDiedError                                  processes died while they read it
"""

from typing import Self


class ArtifexError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(ArtifexError, ValueError):
    """A setting is out of range or contradicts another."""


class ConfigTypeError(ArtifexError, TypeError):
    """A setting is of the wrong type."""


class UnknownNameError(ArtifexError, KeyError, ValueError):
    """Nothing is known under that name."""

    def __str__(self) -> str:  # KeyError would show the message quoted
        return str(self.args[0])


class ShapeError(ArtifexError, ValueError):
    """An array's rank, shape or dtype is not what was declared."""


class RangeError(ArtifexError, ValueError):
    """An array's values are out of their declared range."""


class KeyRequiredError(ArtifexError, ValueError):
    """Something random was asked for without a key."""


class StateError(ArtifexError, ValueError):
    """A saved state does not belong to this loader."""


class StalledError(ArtifexError, TimeoutError):
    """Something takes longer than a loader was told to wait."""


class TooManyBadRecordsError(ArtifexError):
    """More records are bad than a loader was told to leave out."""


class MissingPackageError(ArtifexError, ImportError):
    """An optional package is needed; the message says what to install."""


class RecordError(ArtifexError):
    """One record cannot be had.

    `reason` says why, `path` names the file, `offset` the byte in it where the record or the fault begins, and
    `record` the record's number in its dataset, each None as long as it is not known: a codec knows none of
    them, and its caller adds them with `at`.
    """

    def __init__(
        self, reason: str, *, path: str | None = None, record: int | None = None, offset: int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.path, self.record, self.offset = reason, path, record, offset

    def at(self, *, path: str | None = None, record: int | None = None) -> Self:
        """The same error, with what was not known yet filled in."""
        self.path = path if self.path is None else self.path
        self.record = record if self.record is None else self.record
        return self

    def __str__(self) -> str:
        where = [] if self.record is None else [f"record {self.record}"]
        where += [] if self.path is None else [self.path]
        return ": ".join((*where, self.reason))

    def __reduce__(self) -> tuple[object, ...]:  # so that it crosses a process boundary whole
        notes = {name: self.__dict__[name] for name in ("__notes__",) if name in self.__dict__}
        return _restore, (type(self), self.reason, self.path, self.record, self.offset), notes


class NoRecordError(RecordError, LookupError):
    """The dataset gives None for a record."""


class ReadError(RecordError, OSError):
    """A record's bytes cannot be read."""


class DecodeError(RecordError, ValueError):
    """A record's bytes are not what its codec expects."""


class TransformError(RecordError, ValueError):
    """A user's function failed on a record."""


class MismatchError(RecordError, ShapeError):
    """A record is not of the shape, dtype or keys of the first."""


class WorkerDiedError(RecordError):
    """Processes died while they read a record."""


def _restore(
    kind: type[RecordError], reason: str, path: str | None, record: int | None, offset: int | None
) -> RecordError:
    return kind(reason, path=path, record=record, offset=offset)
