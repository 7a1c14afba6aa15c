"""Datasets of texts."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from artifex.data.checks import LARGEST_INT32, check_choice, check_integer
from artifex.data.device import Step
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.faults import OnError
from artifex.data.fingerprint import Fingerprint, digest
from artifex.data.reader import Reader
from artifex.data.sequences import Frame
from artifex.data.sources import Source
from artifex.data.sources.synthetic_text import SyntheticTexts, TextPattern
from artifex.data.sources.text import TextFormat, Unit, open_text
from artifex.data.sources.text.listing import Paths
from artifex.data.text_reader import TextReader
from artifex.data.tokenized import tokenize_corpus
from artifex.data.tokenizers import Tokenizer
from artifex.data.types import Record, Split
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.base import RngStreams
from artifex.generative_models.modalities.dataset import RecordDataset
from artifex.generative_models.modalities.text.base import tokenizer_of, vocab_size_of
from artifex.generative_models.modalities.text.config import TextParams
from artifex.generative_models.modalities.text.token_datasets import TokenDataset as TokenDataset

# Texts that `get_vocab_stats` reads at a time.
_CHUNK = 1024

_Made: TypeAlias = tuple[Source, Fingerprint]


class TextDataset(RecordDataset):
    """Texts of a source as token sequences.

    Fields of a batch: `text_tokens` int32 (b, max_length), `length` int32 (b,), `texts`, a list of b strings (`text`
    in a sample), and `index`.

    Args:
        config: as for `TextModality`.
        source: gives the texts: its records have a str `text`, and may have a `path`; with what tells its texts from
            others, for a saved state.
        split: what part of the data it is.
        rngs: one key is drawn from it.
        tokenizer: as for `TextModality`.

    Attributes:
        params: the settings of the sequences.
        source: the texts.
        tokenizer: text to ids.
    """

    def __init__(
        self,
        config: BaseModalityConfig | None,
        source: _Made | Callable[[RecordDataset], _Made],
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        tokenizer: Tokenizer | str | Path | None = None,
    ) -> None:
        self.params = TextParams.of(config)
        super().__init__(TextParams() if config is None else config, split, rngs=rngs)
        self.tokenizer = tokenizer_of(tokenizer, self.params)
        self.source, identity = source(self) if callable(source) else source
        self._reader = TextReader(
            self.source,
            self.tokenizer,
            Frame(self.params.max_length, self.params.special),
            fold_case=not self.params.case_sensitive,
            identity=identity,
        )

    def reader(self) -> Reader:
        return self._reader

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        return ()

    def tokenized(
        self,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        num_workers: int | str | None = "auto",
        on_error: str | OnError = OnError.RAISE,
        max_errors: float = 0.1,
        quarantine: str | Path = "quarantine.jsonl",
        progress: bool = True,
    ) -> TokenDataset:
        """The same texts, tokenized once: ids in a file that is mapped into memory, to be padded, bucketed or packed.

        They are there for ever, and for every process: the next call with the same texts and the same tokenizer opens
        the file. One that was killed goes on where it was. The documents are not cut, so `max_length` may change.

        Args:
            cache_dir: the folder the file lies in, below `tokens/`; None for the user's cache folder.
            num_workers: threads that encode; "auto" takes one for each core.
            on_error: what becomes of a text that cannot be read or encoded: "raise", "skip" (it is left out, and told
                in `bad_records`) or "quarantine" (and written down); see `create_data_loader`.
            max_errors: how many of those are too many: a count or a share.
            quarantine: the file for "quarantine".
            progress: whether a bar shows how far it is, if the standard error is a terminal.

        Raises:
            RecordError: a text cannot be read or encoded.
            TooManyBadRecordsError: more than `max_errors` are left out.
            ConfigError: the folder cannot be written, or a setting is out of range.
        """
        made = tokenize_corpus(
            self._reader,
            self.params.special,
            vocab_size=vocab_size_of(self.tokenizer, self.params),
            cache_dir=cache_dir,
            num_workers=num_workers,
            on_error=on_error,
            max_errors=max_errors,
            quarantine=quarantine,
            progress=progress,
        )
        return TokenDataset(
            self.config,
            made.documents,
            self.split,
            rngs=self.rngs,
            root_key=self.root_key,
            bad_records=made.bad,
            folder=made.folder,
        )

    def get_sample_text(self, index: int) -> str:
        """The text of a record, as it is in the source; negative numbers count from the end.

        Raises:
            IndexError: there is no such record.
        """
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"`index` must be from {-size} to {size - 1}, got {index}")
        return str(self.source[index % size]["text"])

    def get_vocab_stats(self, most: int | None = 10_000) -> dict[str, Any]:
        """What the tokens of the texts are like.

        Args:
            most: texts that are looked at, from the first; None looks at all.

        Returns:
            `vocab_size`; `unique_tokens`, the ids that occur; `total_tokens`, without BOS, EOS and padding, of uncut
            texts; `mean_length` and `max_length` of a text in tokens; `unknown_tokens`, a share; `most_common`, the
            ten most frequent (id, count).
        """
        size = len(self) if most is None else min(len(self), check_integer("most", most, 1, LARGEST_INT32))
        counts: Counter[int] = Counter()
        lengths: list[int] = []
        for start in range(0, size, _CHUNK):
            for ids in self._reader.encode(np.arange(start, min(start + _CHUNK, size), dtype=np.int64)):
                lengths.append(len(ids))
                tokens, times = np.unique(ids, return_counts=True)
                counts.update(dict(zip(tokens.tolist(), times.tolist(), strict=True)))
        total = sum(lengths)
        unknown = 0 if self.params.unk_token_id is None else counts[self.params.unk_token_id]
        return {
            "vocab_size": vocab_size_of(self.tokenizer, self.params),
            "unique_tokens": len(counts),
            "total_tokens": total,
            "mean_length": total / size,
            "max_length": max(lengths),
            "unknown_tokens": unknown / max(total, 1),
            "most_common": counts.most_common(10),
        }


class SyntheticTextDataset(TextDataset):
    """Made-up texts, each made when it is asked for.

    Args:
        config: as for `TextModality`.
        dataset_size: how many there are, > 0; they cost nothing until asked for.
        pattern_type: "random_sentences", "repeated_phrases", "sequences" (of numbers) or "palindromes".
        split: folded into every text's key: val shows other texts than train.
        rngs: one key is drawn from it.
        tokenizer: as for `TextModality`.
    """

    def __init__(
        self,
        config: BaseModalityConfig | None = None,
        dataset_size: int = 1000,
        pattern_type: str | TextPattern = TextPattern.RANDOM_SENTENCES,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        tokenizer: Tokenizer | str | Path | None = None,
    ) -> None:
        check_integer("dataset_size", dataset_size, 1, LARGEST_INT32)
        self.pattern_type = check_choice(TextPattern, "pattern_type", pattern_type)
        source = partial(_synthetic, self.pattern_type, dataset_size)
        super().__init__(config, source, split, rngs=rngs, tokenizer=tokenizer)


class SimpleTextDataset(TextDataset):
    """Texts that are in memory.

    Args:
        config: as for `TextModality`.
        texts: a list of strings, not empty.
        split: what part of the data it is.
        rngs: one key is drawn from it.
        tokenizer: as for `TextModality`.

    Raises:
        ConfigTypeError: `texts` is a single string, or one of them is none.
        ConfigError: there are none.
    """

    def __init__(
        self,
        config: BaseModalityConfig | None = None,
        texts: Sequence[str] = (),
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        tokenizer: Tokenizer | str | Path | None = None,
    ) -> None:
        super().__init__(config, _listed(texts), split, rngs=rngs, tokenizer=tokenizer)


class TextFileDataset(TextDataset):
    """Documents of text files, read at random and tokenized when they are asked for.

    Where the documents begin is found once and kept in an index; none is held in memory. See `open_text` for what a
    document is, for compressed files and for tables.

    Args:
        config: as for `TextModality`.
        paths: a file, a folder, a pattern, or a list of these.
        split: what part of the data it is.
        rngs: one key is drawn from it.
        tokenizer: as for `TextModality`.
        format: "text", "jsonl", "csv", "tsv", "parquet" or "arrow"; None: by the ending.
        unit: of plain text, "line", "file" or "block"; None: "line".
        field: of JSONL and tables, the name of the text; None: "text".
        encoding: of all files but tables.
        errors: "strict", or "replace" for bytes that are no text.
        cache_dir: where unpacked files and indexes lie; None: see `open_text`.
        max_document_bytes: a longer document is bad, and never read.
        max_unpacked_bytes: bytes that one file may unpack to.

    Raises:
        ConfigError: a setting is wrong, or there is no such file, column or document.
        ReadError: a file cannot be read.
        MissingPackageError: a file needs a package that is not installed.
    """

    def __init__(
        self,
        config: BaseModalityConfig | None,
        paths: Paths,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        tokenizer: Tokenizer | str | Path | None = None,
        format: str | TextFormat | None = None,
        unit: str | Unit | None = None,
        field: str | None = None,
        encoding: str = "utf-8",
        errors: str = "strict",
        cache_dir: str | os.PathLike[str] | None = None,
        max_document_bytes: int = 2**26,
        max_unpacked_bytes: int = 2**36,
    ) -> None:
        source = open_text(
            paths,
            format=format,
            unit=unit,
            field=field,
            encoding=encoding,
            errors=errors,
            cache_dir=cache_dir,
            max_document_bytes=max_document_bytes,
            max_unpacked_bytes=max_unpacked_bytes,
        )
        identity = {"kind": "text_files", "files": source.names(), "content": source.fingerprint()}
        super().__init__(config, (source, identity), split, rngs=rngs, tokenizer=tokenizer)


class _Listed:
    """A list of texts as a source."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> Record:
        return {"text": self._texts[index]}


def _synthetic(pattern: TextPattern, size: int, dataset: RecordDataset) -> _Made:
    root = dataset.sample_root
    identity = {"kind": "synthetic_text", "pattern": pattern.value, "records": size, "root": list(root)}
    return SyntheticTexts(pattern, size, root), identity


def _listed(texts: Any) -> _Made:
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Sequence):
        raise ConfigTypeError(f"`texts` must be a list of strings, got {type(texts).__name__}")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigTypeError(f"`texts` must be a list of strings, got {type(text).__name__} at {number}")
    if not texts:
        raise ConfigError("`texts` is empty: a dataset needs at least one text")
    # Half of a surrogate pair is a bad text, told when it is read; not all of them.
    content = (text.encode("utf-8", "surrogatepass") for text in texts)
    return _Listed(tuple(texts)), {"kind": "texts", "records": len(texts), "digest": digest(content)}
