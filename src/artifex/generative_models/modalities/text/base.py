"""The text modality."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int32, Key

from artifex.data.checks import LARGEST_INT32, check_integer
from artifex.data.errors import ConfigError, ConfigTypeError, RangeError, ShapeError
from artifex.data.sequences import Frame
from artifex.data.text_reader import fold_case
from artifex.data.tokenizers import Tokenizer
from artifex.data.tokenizers.byte import ByteTokenizer
from artifex.data.tokenizers.load import load_tokenizer
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.base import (
    BaseModalityImplementation,
    RngStreams,
    check_key,
    draw_key,
)
from artifex.generative_models.modalities.text import masks
from artifex.generative_models.modalities.text.config import TextParams as TextParams
from artifex.generative_models.modalities.text.losses import next_token_loss
from artifex.generative_models.modalities.text.sampling import LogitsFn, generate


class TextModality(BaseModalityImplementation):
    """Makes texts into token sequences of one length, and a model's tokens into texts again.

    Args:
        config: a `ModalityConfiguration` with fields of `TextParams` in `metadata["text_params"]`, or a `TextParams`.
        rngs: where keys come from when a method gets none.
        tokenizer: text to ids; a path reads one from a file; None takes the bytes of UTF-8, which needs no training
            and loses nothing.

    Attributes:
        params: the settings, with their defaults.
        tokenizer: text to ids.

    Raises:
        ConfigError: `vocab_size` is too small for the tokenizer, or a special id stands for text there.
    """

    name = "text"

    def __init__(
        self,
        config: BaseModalityConfig | None = None,
        *,
        rngs: RngStreams,
        tokenizer: Tokenizer | str | Path | None = None,
    ) -> None:
        self.params = TextParams.of(config)
        super().__init__(TextParams() if config is None else config, rngs=rngs)
        self.tokenizer = tokenizer_of(tokenizer, self.params)
        self._frame = Frame(self.params.max_length, self.params.special)

    @property
    def vocab_size(self) -> int:
        """Ids are 0 to vocab_size - 1."""
        return vocab_size_of(self.tokenizer, self.params)

    @property
    def max_length(self) -> int:
        """Tokens in a sequence, padding included."""
        return self.params.max_length

    @property
    def output_shape(self) -> tuple[int]:
        """The shape of what `process` makes of one text."""
        return (self.max_length,)

    def tokenize(self, text: str | Sequence[str]) -> Int32[Array, "*n length"]:
        """BOS, the text's ids, EOS, padding: (length,) of a text, (n, length) of a list of n texts.

        A text that is too long is cut; its EOS stays.
        """
        single = isinstance(text, str)
        texts = [text] if isinstance(text, str) else list(text)
        for number, one in enumerate(texts):
            if not isinstance(one, str):
                raise ConfigTypeError(
                    f"`text` must be a str or a list of them, got {type(one).__name__} at {number}"
                )
        if not self.params.case_sensitive:
            texts = [fold_case(one) for one in texts]
        tokens = np.empty((len(texts), self.max_length), np.int32)
        for row, ids in zip(tokens, self.tokenizer.encode_many(texts), strict=True):
            self._frame.write(ids, row)
        return jnp.asarray(tokens[0] if single else tokens)

    def detokenize(self, tokens: Any) -> Any:
        """The text of a sequence (length,), or the texts of several, (n, length), as a list.

        Special tokens are left out, ids that the tokenizer has not, and whatever comes behind the first EOS.

        Raises:
            ShapeError: the tokens are no integers, or of another rank.
            RangeError: an id is not in the vocabulary.
        """
        ids = self._checked(tokens)
        return self._text(ids) if ids.ndim == 1 else [self._text(row) for row in ids]

    def process(self, data: str | Sequence[str], /) -> Int32[Array, "*n length"]:
        """The same as `tokenize`."""
        return self.tokenize(data)

    def preprocess(self, data: str | Sequence[str], /) -> Int32[Array, "*n length"]:
        """The same as `tokenize`."""
        return self.tokenize(data)

    def postprocess(self, data: Any, /) -> Any:
        """The same as `detokenize`."""
        return self.detokenize(data)

    def attention_mask(self, tokens: Int32[Array, "*n length"]) -> Bool[Array, "*n length"]:
        """True for what is no padding."""
        return masks.attention_mask(tokens, pad_id=self.params.pad_token_id)

    def causal_mask(self, length: int | None = None) -> Bool[Array, "length length"]:
        """[i, j] is True where i may attend to j: j <= i; of `max_length` tokens where `length` is left out."""
        return masks.causal_mask(self.max_length if length is None else length)

    def loss_fn(self, batch: Any, outputs: Float[Array, "b length vocab"]) -> dict[str, Array]:
        """Mean cross entropy of predicting each token from those before it, in nats; padding does not count.

        Args:
            batch: tokens (b, length), or a batch that has them as `text_tokens`; of packed rows also `segment_ids`:
                across documents nothing is predicted.
            outputs: logits; those at place i are for token i + 1.

        Returns:
            {"loss": a scalar, "perplexity": its exponential}.
        """
        fields = batch if isinstance(batch, dict) else {"text_tokens": batch}
        if "text_tokens" not in fields:
            raise ShapeError(f"a batch of texts must have the key 'text_tokens', got {sorted(fields)}")
        segments = fields.get("segment_ids")
        loss = next_token_loss(
            outputs,
            fields["text_tokens"],
            # In packed rows padding is a segment of its own.
            pad_id=self.params.pad_token_id if segments is None else None,
            segment_ids=segments,
        )
        return {"loss": loss, "perplexity": jnp.exp(loss)}

    def generate(
        self,
        n_samples: int = 1,
        *,
        sampler: LogitsFn,
        prompt: str = "",
        max_length: int | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        key: Key[Array, ""] | None = None,
    ) -> list[str]:
        """Texts that go on where a prompt ends, drawn token by token from a model's logits.

        Args:
            n_samples: how many, > 0.
            sampler: `logits_fn(tokens, length)`, as for `sampling.generate`.
            prompt: how each begins.
            max_length: tokens in the longest, prompt included; the modality's own where it is left out.
            temperature: divides the logits; 0 takes the likeliest token.
            top_k: draws from so many of the likeliest only.
            top_p: draws from the fewest that have this probability together.
            key: drawn from `rngs` where it is left out.
        """
        n_samples = check_integer("n_samples", n_samples, 1, LARGEST_INT32)
        length = self.max_length if max_length is None else max_length
        text = prompt if self.params.case_sensitive else fold_case(prompt)
        begin = [] if self.params.bos_token_id is None else [self.params.bos_token_id]
        ids = np.concatenate([np.array(begin, np.int32), self.tokenizer.encode(text)])
        if not 0 < len(ids) < length:
            raise ConfigError(
                f"`prompt` has {len(ids)} tokens, and must have from 1 to {length - 1}: below `max_length` {length}"
            )
        tokens = generate(
            draw_key(self.rngs) if key is None else check_key(key),
            sampler,
            jnp.asarray(np.tile(ids, (n_samples, 1))),
            max_length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            eos_id=self.params.eos_token_id,
            pad_id=self.params.pad_token_id,
        )
        return self.detokenize(tokens.tokens)

    def validate_data_shape(self, data: Any) -> None:
        """Raises ShapeError unless `data` are integers (length,) or (n, length)."""
        self._checked(data)

    def _checked(self, tokens: Any) -> np.ndarray:
        if isinstance(tokens, Tracer):
            raise ShapeError(
                "`tokens` are being traced by `jax.jit`: texts can be made of concrete numbers only"
            )
        ids = np.asarray(tokens)
        if ids.dtype.kind not in "iu" or ids.ndim not in (1, 2):
            raise ShapeError(
                f"`tokens` must be integers of shape (length,) or (n, length), got {ids.dtype}{list(ids.shape)}"
            )
        if ids.size and not 0 <= ids.min() <= ids.max() < self.vocab_size:
            raise RangeError(
                f"`tokens` must be ids from 0 to {self.vocab_size - 1}, got {ids.min()} to {ids.max()}"
            )
        return ids

    def _text(self, ids: np.ndarray) -> str:
        eos = self.params.eos_token_id
        if eos is not None:
            ids = ids[: int(np.argmax(ids == eos))] if (ids == eos).any() else ids
        return self.tokenizer.decode(ids[ids < self.tokenizer.vocab_size])


def vocab_size_of(tokenizer: Tokenizer, params: TextParams) -> int:
    """How many ids there are: as the settings say, or as the tokenizer and the special ids need."""
    if params.vocab_size is not None:
        return params.vocab_size
    return max(tokenizer.vocab_size, params.special.ids[-1] + 1)


def tokenizer_of(tokenizer: Tokenizer | str | Path | None, params: TextParams) -> Tokenizer:
    """The tokenizer that a user names, checked against the settings.

    Raises:
        ConfigError: it has more ids than `vocab_size`, or other special ids.
        ConfigTypeError: it is none.
    """
    if tokenizer is None:
        return ByteTokenizer(params.special, params.vocab_size)
    if isinstance(tokenizer, (str, Path)):
        tokenizer = load_tokenizer(tokenizer, special=params.special)
    if not isinstance(tokenizer, Tokenizer):
        raise ConfigTypeError(
            f"`tokenizer` must be a tokenizer, a path of one, or None for bytes, got {type(tokenizer).__name__}"
        )
    if params.vocab_size is not None and tokenizer.vocab_size > params.vocab_size:
        raise ConfigError(
            f"`vocab_size` {params.vocab_size} is less than the {tokenizer.vocab_size} ids of the tokenizer"
        )
    known = dict(tokenizer.special.named())
    for name, token in params.special.named():
        if name != "unk" and known.get(name, token) != token:
            raise ConfigError(
                f"`{name}_token_id` is {token} in `text_params`, and {known[name]} in the tokenizer; make them one"
            )
        # Not the first, whose space some leave out.
        if token < tokenizer.vocab_size and (text := tokenizer.decode([token, token])):
            raise ConfigError(
                f"`{name}_token_id` is {token} in `text_params`, which stands for text in the tokenizer "
                f"({text[: len(text) // 2]!r}); its special ids are {known}, and None is for what it has not"
            )
    return tokenizer
