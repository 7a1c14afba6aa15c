"""A corpus tokenized once: its documents as token ids, in files that are mapped into memory."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from artifex.data import errors
from artifex.data.cache_dir import cache_folder
from artifex.data.checks import check_bool
from artifex.data.errors import ConfigError, ReadError, RecordError
from artifex.data.faults import BadRecord, BadRecordWarning, OnError, make_faults
from artifex.data.fingerprint import Fingerprint
from artifex.data.progress import Progress
from artifex.data.text_reader import FramedTexts, TextReader
from artifex.data.token_arrays import TokenArrays
from artifex.data.token_store import BadDocument, OnBadDocument, StoredTokens, open_store, store_tokens
from artifex.data.tokenizers import SpecialTokens
from artifex.data.warn import warn
from artifex.data.workers import worker_count


class Tokenized(NamedTuple):
    """A tokenized corpus.

    Attributes:
        documents: the token ids of the documents that could be had, in their order.
        folder: where they lie.
        bad: the records that could not be had.
    """

    documents: TokenArrays
    folder: Path
    bad: tuple[BadRecord, ...]


def tokenize_corpus(
    texts: TextReader,
    special: SpecialTokens,
    *,
    vocab_size: int,
    cache_dir: str | os.PathLike[str] | None = None,
    num_workers: int | str | None = "auto",
    on_error: str | OnError = OnError.RAISE,
    max_errors: float = 0.1,
    quarantine: str | Path = "quarantine.jsonl",
    progress: bool = True,
) -> Tokenized:
    """The token ids of all texts, BOS and EOS included; made where they are not there yet.

    Args:
        texts: what is tokenized.
        special: for BOS and EOS.
        vocab_size: ids below 65,536 take two bytes, others four.
        cache_dir: the folder they lie in, below `tokens/`; None for the user's cache folder.
        num_workers: threads; 0 for none.
        on_error: what becomes of texts that cannot be had, as for `create_data_loader`: they are left out.
        max_errors: how many of those are too many: a count or a share.
        quarantine: the file for "quarantine".
        progress: whether a bar shows how far it is, if the standard error is a terminal.

    Raises:
        RecordError: a text cannot be read or encoded.
        TooManyBadRecordsError: more than `max_errors` are left out.
        ConfigError: the folder cannot be written, what is in it is damaged, or a setting is out of range.
    """
    check_bool("progress", progress)
    corpus = FramedTexts(texts, special)
    faults = make_faults(on_error, max_errors, quarantine, texts, len(texts))
    folder = cache_folder(cache_dir) / "tokens"
    identity = corpus.fingerprint()
    with Progress("tokenizing", len(corpus)) as bar:
        stored = store_tokens(
            corpus,
            {**identity, "stamp": corpus.stamp()},
            folder,
            vocab_size=vocab_size,
            num_workers=worker_count(num_workers, in_memory=False),
            on_error=OnBadDocument.RAISE if faults is None else OnBadDocument.SKIP,
            progress=_advance(bar) if progress else None,
        )
    bad = [_error_of(one) for one in stored.bad]
    if faults is not None:
        _tell_of_readable(corpus, stored)
        faults.check(len(corpus), len(bad), bad)
    elif bad:  # it was made by who skipped them
        first = bad[0]
        reason = (
            f"{first.reason}; it was left out when these texts were tokenized: if it can be had now, delete "
            f"{str(stored.folder)!r}, and they are tokenized anew"
        )
        raise type(first)(reason, path=first.path, record=first.record, offset=first.offset)
    return Tokenized(_good(stored, identity), stored.folder, () if faults is None else faults.records)


def open_tokens(folder: str | os.PathLike[str]) -> TokenArrays:
    """The documents of a corpus that was tokenized before, for a program that does not have the texts.

        documents = open_tokens(tokens.folder)  # of what `dataset.tokenized()` gave

    Args:
        folder: where they lie.

    Raises:
        ConfigError: there are none, or they are damaged.
    """
    stored = open_store(Path(folder))
    return _good(stored, {"kind": "tokens", "store": stored.folder.name})


def _tell_of_readable(corpus: FramedTexts, stored: StoredTokens) -> None:
    """Warns of texts that could not be read when they were tokenized, and now can: they are left out for ever."""
    readable: list[int] = []
    for one in stored.bad:
        if one.error == ReadError.__name__:  # what is wrong with a text itself stays wrong
            with suppress(RecordError):
                corpus.encode(np.array([one.record]))
                readable.append(one.record)
    if readable:
        warn(
            f"{len(readable)} texts, the first of them record {readable[0]}, were left out when the others were "
            f"tokenized, since they could not be read, and now they can: delete {str(stored.folder)!r}, and all are "
            f"tokenized anew",
            BadRecordWarning,
        )


def _good(stored: StoredTokens, identity: Fingerprint) -> TokenArrays:
    """The documents that could be had."""
    left_out = [one.record for one in stored.bad]
    if not len(stored.tokens):
        raise ConfigError(
            f"there is no token in the {len(stored.offsets) - 1} texts, of which {len(left_out)} are bad"
        )
    # A bad document has no tokens: it begins where the next one does.
    offsets = np.delete(stored.offsets, left_out) if left_out else stored.offsets
    return TokenArrays(stored.tokens, offsets, identity)


def _advance(bar: Progress) -> Callable[[int, int], None]:
    done = 0

    def advance(now: int, _total: int) -> None:
        nonlocal done
        bar.advance(now - done)
        done = now

    return advance


def _error_of(bad: BadDocument) -> RecordError:
    kind = getattr(errors, bad.error, RecordError)
    if not (isinstance(kind, type) and issubclass(kind, RecordError)):  # of another release
        kind = RecordError
    return kind(bad.reason, path=bad.path, record=bad.record, offset=bad.offset)
