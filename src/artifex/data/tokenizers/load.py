"""Tokenizers in files: written, and read again; also those of Hugging Face and SentencePiece."""

import binascii
import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from artifex.data.errors import ConfigError
from artifex.data.tokenizers import SpecialTokens, Tokenizer
from artifex.data.tokenizers.byte import ByteTokenizer
from artifex.data.tokenizers.library import LibraryTokenizer
from artifex.data.tokenizers.sentencepiece import SentencePieceTokenizer

_FORMAT, _VERSION = "artifex-tokenizer", 1
_LARGEST = 2**30


@runtime_checkable
class Describes(Protocol):
    """A tokenizer that can be written down."""

    def describe(self) -> dict[str, Any]:
        """Its kind and all that it is made of, for JSON."""
        ...


def save_tokenizer(tokenizer: Tokenizer, path: str | Path) -> None:
    """Writes a tokenizer into a file of JSON, whole or not at all.

    Raises:
        ConfigError: it is of no kind that can be written, or the file cannot be.
    """
    if not isinstance(tokenizer, Describes):
        raise ConfigError(f"a {type(tokenizer).__name__} has no `describe`, so it cannot be written down")
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        **tokenizer.describe(),
        "special": dict_of(tokenizer.special),
    }
    temporary = Path(f"{path}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"`path` {str(path)!r} cannot be written: {error.strerror}") from error


def load_tokenizer(path: str | Path, special: SpecialTokens | None = None) -> Tokenizer:
    """Reads a tokenizer: from `save_tokenizer`, a `tokenizer.json` of Hugging Face, or a SentencePiece `.model`.

    Args:
        path: the file; or the folder of a `tokenizer.json`.
        special: the special ids; None takes those in the file, or recognises them by their usual names.

    Raises:
        ConfigError: there is no such file, or it is no tokenizer's, or a special id stands for text in it.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "tokenizer.json"
    try:
        if file.stat().st_size > _LARGEST:
            raise ConfigError(f"`path` {str(file)!r} has more than {_LARGEST} bytes, which no tokenizer has")
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"`path` {str(path)!r} cannot be read: {error.strerror}") from error
    if file.suffix == ".model":
        return SentencePieceTokenizer(data, special)
    try:
        text = data.decode("utf-8-sig")
        about = json.loads(text)
        if not isinstance(about, dict):
            raise ValueError("it is no object")  # noqa: TRY004  (what the file says is wrong, not an argument's type)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"`path` {str(file)!r} is no tokenizer: {error}") from error
    if about.get("format") != _FORMAT:
        return LibraryTokenizer(text, special)
    if about.get("version") != _VERSION:
        raise ConfigError(
            f"`path` {str(file)!r} is of version {about.get('version')!r}, and this release reads {_VERSION}"
        )
    return _described(about, special, file)


def _described(about: dict[str, Any], special: SpecialTokens | None, file: Path) -> Tokenizer:
    try:
        own: dict[str, Any] = {**about["special"], "sentinels": tuple(about["special"].get("sentinels", ()))}
        known = SpecialTokens(**own) if special is None else special
        if about["kind"] == "bytes":
            return ByteTokenizer(known, about["vocab_size"])
        if about["kind"] == "tokenizers":
            return LibraryTokenizer(json.dumps(about["tokenizer"], ensure_ascii=False), known)
        if about["kind"] == "sentencepiece":
            return SentencePieceTokenizer(b64decode(about["model"], validate=True), known)
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ConfigError(f"`path` {str(file)!r} is damaged: {type(error).__name__}: {error}") from error
    raise ConfigError(
        f"`path` {str(file)!r} has a tokenizer of a kind that this release does not know: {about['kind']!r}"
    )


def dict_of(special: SpecialTokens) -> dict[str, Any]:
    """The special ids for JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(special).items()}
