"""Tokenizers that are trained on texts, by the `tokenizers` library."""

import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import partial
from typing import Any

from artifex.data.checks import LARGEST_INT32, check_choice, check_integer
from artifex.data.errors import ConfigError, ConfigTypeError, MissingPackageError
from artifex.data.tokenizers import SpecialTokens
from artifex.data.tokenizers.ids import checked_text
from artifex.data.tokenizers.library import LibraryTokenizer
from artifex.data.tokenizers.names import name_of

# Copies of a word that are counted at a time.
_WORDS_AT_ONCE = 1000

_NEVER = -1e6
"""The score of a piece of a Unigram model that no text is cut into."""


class TokenizerKind(StrEnum):
    """What a trained tokenizer's tokens are."""

    BPE = "bpe"
    """Byte-level byte-pair encoding: loses nothing, knows every text."""
    WORD = "word"
    """Words and runs of punctuation; others than the most frequent are UNK; spaces are lost."""
    CHARACTER = "character"
    """Characters; others than the most frequent are UNK."""
    WORDPIECE = "wordpiece"
    """Pieces of words as in BERT; characters that were never seen make their word UNK; spaces are lost."""
    UNIGRAM = "unigram"
    """The likeliest pieces as in SentencePiece; characters that were never seen are UNK; runs of spaces stay."""


def train_tokenizer(
    texts: Iterable[str],
    kind: str | TokenizerKind = TokenizerKind.BPE,
    *,
    vocab_size: int,
    special: SpecialTokens | None = None,
    progress: bool = True,
) -> LibraryTokenizer:
    """Trains a tokenizer: the same texts give the same one, on every machine.

    Args:
        texts: any number of strings; they are gone through once, and need not fit into memory.
        kind: "bpe", "word", "character", "wordpiece" or "unigram".
        vocab_size: ids are 0 to vocab_size - 1, special ones included; texts with too little in them give fewer.
        special: ids that stand for no text; they stay where they are in the vocabulary.
        progress: whether a bar shows how far it is, if the standard error is a terminal.

    Raises:
        MissingPackageError: `tokenizers` is not installed, or for "unigram" `sentencepiece`.
        ConfigError: there is no text, `vocab_size` is too small, or a special id is not below it.
    """
    kind = check_choice(TokenizerKind, "kind", kind)
    special = SpecialTokens() if special is None else special
    least = len(special.ids) + (256 if kind is TokenizerKind.BPE else 1)
    check_integer("vocab_size", vocab_size, least, LARGEST_INT32)
    if special.ids[-1] >= vocab_size:
        raise ConfigError(f"special ids must be below `vocab_size` {vocab_size}, got {list(special.ids)}")
    if kind is not TokenizerKind.BPE and special.unk is None:
        raise ConfigError(
            f"a tokenizer of the kind {kind.value!r} does not know every text: `special` needs an `unk`"
        )
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise ConfigTypeError(f"`texts` must be several texts, got one {type(texts).__name__}")
    names = {name_of(name): token for name, token in special.named()}
    checked = _Checked(texts)
    train = {TokenizerKind.UNIGRAM: _unigram, TokenizerKind.WORDPIECE: _wordpiece}.get(
        kind, partial(_by_library, kind)
    )
    parsed = train(checked, vocab_size, list(names), progress and sys.stderr.isatty())
    return LibraryTokenizer(_placed(parsed, names), special)


class _Checked:
    """Texts that are looked at and counted as they pass.

    Attributes:
        error: what went wrong with them, of which a library may make an error of its own.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self._count = texts, 0
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for text in self._texts:
                checked_text(text)
                self._count += 1
                yield text
            if not self._count:
                raise ConfigError("`texts` is empty: a tokenizer is trained on at least one text")
        except Exception as error:
            self.error = error
            raise


def _by_library(
    kind: TokenizerKind, texts: Iterable[str], vocab_size: int, names: list[str], progress: bool
) -> dict[str, Any]:
    """The JSON of a tokenizer of words, characters or pieces of bytes, the special tokens in front."""
    library = _library()
    common = {"vocab_size": vocab_size, "special_tokens": names, "show_progress": progress}
    splits = library.pre_tokenizers
    tokenizer: Any
    if kind is TokenizerKind.BPE:
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = splits.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(**common, initial_alphabet=sorted(splits.ByteLevel.alphabet()))
    else:
        tokenizer = library.Tokenizer(library.models.WordLevel(unk_token=name_of("unk")))
        trainer = library.trainers.WordLevelTrainer(**common)
        if kind is TokenizerKind.WORD:
            tokenizer.pre_tokenizer = splits.Whitespace()
        else:
            tokenizer.pre_tokenizer = splits.Split(library.Regex(r"[\s\S]"), "isolated")
            tokenizer.decoder = library.decoders.Fuse()
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def _wordpiece(texts: Iterable[str], vocab_size: int, names: list[str], progress: bool) -> dict[str, Any]:
    """The same for pieces of words.

    The library numbers the characters within words in an order that differs from run to run, and equally frequent
    pieces are merged in the order of numbers. Given as special tokens, in front, characters have numbers of their
    own.
    """
    library = _library()
    tokenizer: Any = library.Tokenizer(library.models.WordPiece(unk_token=name_of("unk")))
    tokenizer.pre_tokenizer = split = library.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = library.decoders.WordPiece()
    words: Counter[str] = Counter()
    for text in texts:
        words.update(word for word, _ in split.pre_tokenize_str(text))
    within = [f"##{character}" for character in sorted(set("".join(word[1:] for word in words)))]
    first = sorted(set("".join(words)))
    least = len(names) + len(within) + len(first)
    if vocab_size < least:
        raise ConfigError(
            f"`vocab_size` must be at least {least} for the {len(first)} characters of these texts, which stand "
            f"there once as beginnings and once as parts of words, got {vocab_size}; or leave rare characters out"
        )
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=names + within,
        initial_alphabet=first,
        show_progress=progress,
    )
    tokenizer.train_from_iterator(_repeated(words), trainer)
    parsed = json.loads(tokenizer.to_str())
    parsed["added_tokens"] = [token for token in parsed["added_tokens"] if token["content"] in names]
    return parsed


def _repeated(words: Counter[str]) -> Iterator[str]:
    for word, count in sorted(words.items()):
        for start in range(0, count, _WORDS_AT_ONCE):
            yield " ".join([word] * min(_WORDS_AT_ONCE, count - start))


def _unigram(texts: _Checked, vocab_size: int, names: list[str], progress: bool) -> dict[str, Any]:
    """The same for the likeliest pieces, which the trainer of SentencePiece finds: the library's own differs from
    run to run.

    Raises:
        MissingPackageError: `sentencepiece` is not installed.
    """
    library = _library()
    try:
        import sentencepiece
    except ImportError as error:
        raise MissingPackageError(
            'training a Unigram tokenizer needs `sentencepiece`: pip install "artifex-data[sentencepiece]"'
        ) from error
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.split("\n") if line),
            model_writer=model,
            model_type="unigram",
            vocab_size=vocab_size - len(names) + 1,  # it has a piece for what is unknown, and no other
            bos_id=-1,
            eos_id=-1,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            character_coverage=1.0,
            max_sentence_length=2**30,
            num_threads=1,
            minloglevel=0 if progress else 2,
        )
    except RuntimeError as error:
        if texts.error is not None:
            raise texts.error from None
        raise ConfigError(
            f"`texts` are too few to train a Unigram tokenizer on, or `vocab_size` is too small for them: {error}"
        ) from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [
        (processor.id_to_piece(i), processor.get_score(i))
        for i in range(processor.get_piece_size())
        if i != processor.unk_id()
    ]
    tokenizer: Any = library.Tokenizer(library.models.Unigram([(name, _NEVER) for name in names] + pieces, 0))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = library.decoders.Metaspace(prepend_scheme="never")
    tokenizer.add_special_tokens(names)
    return json.loads(tokenizer.to_str())


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingPackageError(
            'training a tokenizer needs the package `tokenizers`: pip install "artifex-data[text]"'
        ) from error
    return tokenizers


def _placed(parsed: dict[str, Any], names: dict[str, int]) -> str:
    """The JSON of a tokenizer with its special tokens at the ids that are wanted, the others around them in order."""
    model = parsed["model"]
    if isinstance(model["vocab"], list):
        model["vocab"] = _placed_pieces(model["vocab"], names)
        model["unk_id"] = names[name_of("unk")]
    else:
        ordinary = sorted((old, token) for token, old in model["vocab"].items() if token not in names)
        free = _free_ids(names)
        model["vocab"] = names | {token: next(free) for _, token in ordinary}
    for token in parsed["added_tokens"]:
        token["id"] = names[token["content"]]
    parsed["added_tokens"].sort(key=lambda token: token["id"])
    return json.dumps(parsed, ensure_ascii=False)


def _placed_pieces(pieces: list[Any], names: dict[str, int]) -> list[Any]:
    """The same for the pieces of a Unigram model, whose ids are their places: there can be no gap."""
    ordinary = iter([piece for piece in pieces if piece[0] not in names])
    owners = {token: name for name, token in names.items()}
    placed: list[Any] = []
    left = len(pieces) - len(names)
    while left or len(placed) <= max(owners):
        number = len(placed)
        if number in owners:
            placed.append([owners[number], _NEVER])
        elif left:
            placed.append(next(ordinary))
            left -= 1
        else:
            placed.append([f"<unused_{number}>", _NEVER])
    return placed


def _free_ids(names: dict[str, int]) -> Iterator[int]:
    taken, number = set(names.values()), 0
    while True:
        if number not in taken:
            yield number
        number += 1
