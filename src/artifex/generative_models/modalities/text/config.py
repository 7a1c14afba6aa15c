"""Settings of the text modality."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from artifex.data.checks import LARGEST_INT32, check_bool, check_integer
from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.registry import unknown
from artifex.data.tokenizers import SpecialTokens
from artifex.generative_models.core.configuration import BaseModalityConfig, ModalityConfiguration


@dataclass(frozen=True, kw_only=True)
class TextParams(BaseModalityConfig):
    """How texts become sequences: what stands in `metadata["text_params"]`.

    Attributes:
        vocab_size: ids are 0 to vocab_size - 1; None takes as many as the tokenizer has.
        max_length: tokens in a sequence, BOS, EOS and padding included, >= 3.
        pad_token_id: fills sequences up.
        unk_token_id: stands for what a closed vocabulary does not have.
        bos_token_id: begins a sequence; None for none.
        eos_token_id: ends a sequence; None for none.
        mask_token_id: hides a token that is to be guessed.
        sentinel_token_ids: stand for spans that were taken out.
        fim_prefix_token_id: with the next two for filling in the middle.
        fim_middle_token_id: before what fills the hole.
        fim_suffix_token_id: before the part behind the hole.
        case_sensitive: whether "Hello" and "hello" differ; else texts are lower-cased before they are tokenized.
    """

    vocab_size: int | None = None
    max_length: int = 512
    pad_token_id: int = 0
    unk_token_id: int | None = 1
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3
    mask_token_id: int | None = None
    sentinel_token_ids: tuple[int, ...] = ()
    fim_prefix_token_id: int | None = None
    fim_middle_token_id: int | None = None
    fim_suffix_token_id: int | None = None
    case_sensitive: bool = False

    def __post_init__(self) -> None:
        check_integer("max_length", self.max_length, 3, LARGEST_INT32)
        check_bool("case_sensitive", self.case_sensitive)
        if isinstance(self.sentinel_token_ids, list):  # as JSON has it
            object.__setattr__(self, "sentinel_token_ids", tuple(self.sentinel_token_ids))
        special = self.special
        if self.vocab_size is not None:
            check_integer("vocab_size", self.vocab_size, 1, LARGEST_INT32)
            for name, token in special.named():
                if token >= self.vocab_size:
                    raise ConfigError(
                        f"`{name}` {token} must be below `vocab_size` {self.vocab_size}: ids are 0 to "
                        f"{self.vocab_size - 1}"
                    )

    @property
    def special(self) -> SpecialTokens:
        """The special ids."""
        return SpecialTokens(
            pad=self.pad_token_id,
            unk=self.unk_token_id,
            bos=self.bos_token_id,
            eos=self.eos_token_id,
            mask=self.mask_token_id,
            sentinels=self.sentinel_token_ids,
            fim_prefix=self.fim_prefix_token_id,
            fim_middle=self.fim_middle_token_id,
            fim_suffix=self.fim_suffix_token_id,
        )

    @classmethod
    def of(cls, config: BaseModalityConfig | None) -> "TextParams":
        """What a configuration says of texts: itself, or its `metadata["text_params"]`; None has the defaults.

        Raises:
            ConfigTypeError: it is neither.
            UnknownNameError: a key is no field of `TextParams`.
        """
        if config is None:
            return cls()
        if isinstance(config, cls):
            return config
        if not isinstance(config, ModalityConfiguration):
            raise ConfigTypeError(
                f"`config` must be a ModalityConfiguration with `metadata={{'text_params': {{...}}}}`, or a "
                f"TextParams, got {type(config).__name__}"
            )
        params = config.metadata.get("text_params", {})
        if not isinstance(params, Mapping):
            raise ConfigTypeError(f"`text_params` must be a mapping, got {type(params).__name__}")
        known = [f.name for f in fields(cls)]
        for name in params:
            if name not in known:
                raise UnknownNameError(unknown("key of `text_params`", name, known))
        return cls(**_lists_as_tuples(params))


def _lists_as_tuples(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}
