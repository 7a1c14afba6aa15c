"""Tokenizers of SentencePiece, from their `.model` files."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, MissingPackageError
from artifex.data.fingerprint import digest
from artifex.data.tokenizers import Ids, SpecialTokens
from artifex.data.tokenizers.ids import checked_ids, checked_text


class SentencePieceTokenizer:
    """A SentencePiece model. Control pieces that stand in a text are ordinary text.

    Args:
        model: the bytes of the file.
        special: the special ids; None takes the model's own.

    Attributes:
        special: ids that stand for no text.
        vocab_size: ids are 0 to vocab_size - 1.

    Raises:
        MissingPackageError: `sentencepiece` is not installed.
        ConfigError: the bytes are no model, or a special id stands for text in it.
    """

    def __init__(self, model: bytes, special: SpecialTokens | None = None) -> None:
        self._model, self._processor = model, _loaded(model)
        size = int(self._processor.get_piece_size())
        control = [bool(self._processor.is_control(i)) for i in range(size)]
        self.special = self._own_special(size) if special is None else special
        unknown = int(self._processor.unk_id())
        for name, token in self.special.named():
            if token < size and not control[token] and token != unknown:
                raise ConfigError(
                    f"`{name}` is {token}, which is {self._processor.id_to_piece(token)!r} in this model: give the "
                    f"id of a control piece, or one that it has not (from {size} on)"
                )
        self.vocab_size = max(size, *(token + 1 for token in self.special.ids))
        self._is_special = np.zeros(self.vocab_size, bool)
        self._is_special[:size] = control
        self._is_special[list(self.special.ids)] = True
        self._is_special[size:] = True

    def encode(self, text: str) -> Ids:
        """The ids of a text, int32 (n,)."""
        checked_text(text)
        return np.array(self._processor.encode_as_ids(text), np.int32)

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """`[self.encode(text) for text in texts]`."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: npt.ArrayLike) -> str:
        """The text of ids (n,), without special ones.

        Raises:
            RangeError: an id is not in the vocabulary.
        """
        numbers = checked_ids(ids, self.vocab_size)
        return self._processor.decode_ids(numbers[~self._is_special[numbers]].tolist())

    def stamp(self) -> str:
        """A digest of the model and the special ids."""
        return digest([self._model, repr(self.special.named())])

    def describe(self) -> dict[str, Any]:
        """What `save_tokenizer` writes down."""
        return {"kind": "sentencepiece", "model": b64encode(self._model).decode()}

    def __reduce__(self) -> tuple[Any, ...]:
        return SentencePieceTokenizer, (self._model, self.special)

    def _own_special(self, size: int) -> SpecialTokens:
        names = {"pad": "pad_id", "unk": "unk_id", "bos": "bos_id", "eos": "eos_id"}
        found = {name: int(getattr(self._processor, method)()) for name, method in names.items()}
        ids: dict[str, Any] = {name: token if token >= 0 else None for name, token in found.items()}
        if ids["pad"] is None:  # padding is masked anyway: an id of its own, behind all others
            ids["pad"] = size
        return SpecialTokens(**ids)


def _loaded(model: bytes) -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise MissingPackageError(
            'a SentencePiece model needs the package `sentencepiece`: pip install "artifex-data[sentencepiece]"'
        ) from error
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.load_from_serialized_proto(model)
    except Exception as error:  # of whatever kind the library raises
        raise ConfigError(f"this is no model of SentencePiece: {error}") from error
    if processor.get_piece_size() == 0:
        raise ConfigError("this is no model of SentencePiece: it has no pieces")
    return processor
