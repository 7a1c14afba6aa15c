"""Tokenizers of the `tokenizers` library: word, character, byte-level BPE, WordPiece, Unigram, Hugging Face's."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, MissingPackageError
from artifex.data.fingerprint import digest
from artifex.data.tokenizers import Ids, SpecialTokens
from artifex.data.tokenizers.fast import fast_encoder
from artifex.data.tokenizers.ids import checked_ids, checked_text
from artifex.data.tokenizers.names import special_of, spelled_out


class LibraryTokenizer:
    """A tokenizer of the `tokenizers` library, from its JSON.

    A byte-level BPE runs through `tiktoken`, which takes a fifth of the time, where both give the same ids for some
    hundred texts that are tried when it is made. Text that looks like a special token is ordinary text.

    Args:
        text: the JSON, as `tokenizers.Tokenizer.to_str` gives it.
        special: the special ids. None recognises them by their usual names, as "<pad>" or "[MASK]".

    Attributes:
        engine: "tiktoken" or "tokenizers".
        special: ids that stand for no text.
        vocab_size: ids are 0 to vocab_size - 1.

    Raises:
        MissingPackageError: `tokenizers` is not installed.
        ConfigError: the JSON is no tokenizer's, or a special id stands for text.
    """

    def __init__(self, text: str, special: SpecialTokens | None = None) -> None:
        self._tokenizer = _parsed(text)
        parsed = json.loads(text)
        added: list[dict[str, Any]] = parsed.get("added_tokens", [])
        self.special = special_of(parsed, special)
        looked_for = [token for token in added if token["id"] in self.special.ids and not token["special"]]
        for token in looked_for:  # in every text; with this mark in none
            token["special"] = True
        self._text = json.dumps(parsed, ensure_ascii=False)  # the same, however it was written down
        if looked_for:
            self._tokenizer = _parsed(self._text)
        vocabulary: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocab_size = max(max(vocabulary.values(), default=-1), *self.special.ids, -1) + 1
        _check_added(added, vocabulary)
        self._is_special = np.zeros(self.vocab_size, bool)
        self._is_special[[*self.special.ids, *(t["id"] for t in added if t.get("special"))]] = True
        self._is_known = np.zeros(self.vocab_size, bool)
        self._is_known[list(vocabulary.values())] = True
        self._spelled = spelled_out(parsed, set(np.flatnonzero(self._is_special).tolist()))
        self._is_name = np.zeros(self.vocab_size, bool)
        self._is_name[list(self._spelled)] = True
        self._fast = fast_encoder(parsed, self._encode_by_library)

    @property
    def engine(self) -> str:
        return "tokenizers" if self._fast is None else "tiktoken"

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 (n,)."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """The ids of each text, int32 (n,); other threads go on meanwhile."""
        for text in texts:
            checked_text(text)
        found = self._encode_by_library(texts) if self._fast is None else self._fast(texts)
        return [self._without_names(ids) for ids in found] if self._spelled else found

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids (n,), without special ones.

        Raises:
            RangeError: an id is not in the vocabulary.
        """
        numbers = checked_ids(ids, self.vocab_size)
        ordinary = numbers[~self._is_special[numbers] & self._is_known[numbers]]
        return self._tokenizer.decode(ordinary.tolist(), skip_special_tokens=True)

    def stamp(self) -> str:
        """A digest of its JSON and its special ids."""
        return digest([self._text, repr(self.special.named())])

    def describe(self) -> dict[str, Any]:
        """What `save_tokenizer` writes down."""
        return {"kind": "tokenizers", "tokenizer": json.loads(self._text)}

    def __reduce__(self) -> tuple[Any, ...]:
        return LibraryTokenizer, (self._text, self.special)

    def _without_names(self, ids: Ids) -> Ids:
        """The same with the names of special tokens as ordinary text, which some models take for the tokens."""
        if not self._is_name[ids].any():
            return ids
        written = [self._spelled.get(token, [token]) for token in ids.tolist()]
        return np.array([token for tokens in written for token in tokens], np.int32)

    def _encode_by_library(self, texts: Sequence[str]) -> list[Ids]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.int32) for encoding in encodings]


def _check_added(added: list[dict[str, Any]], vocabulary: dict[str, int]) -> None:
    """Raises ConfigError where the library numbers an added token otherwise than its JSON does."""
    for token in added:
        if (known := vocabulary.get(token["content"])) != token["id"]:
            raise ConfigError(
                f"this JSON of a tokenizer gives the added token {token['content']!r} the id {token['id']}, and "
                f"the library `tokenizers` numbers it {known}: added tokens follow the vocabulary without a gap"
            )


def _parsed(text: str) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingPackageError(
            'this tokenizer needs the package `tokenizers`: pip install "artifex-data[text]"'
        ) from error
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain `Exception`
        raise ConfigError(f"this is no JSON of a tokenizer: {error}") from error
    # What a text says is content: it must not be able to forge a special token, nor to cut or to pad itself.
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
