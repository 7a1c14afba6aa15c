"""Conditions that are left out at times, for classifier-free guidance (Ho and Salimans, 2022).

A model that has seen the empty condition can be asked for both, and guided by the difference.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key, Shaped

from artifex.data.checks import check_size
from artifex.data.device import DeviceArrays
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.data.fingerprint import digest
from artifex.data.tokenizers.special import SpecialTokens
from artifex.generative_models.modalities.settings import Number, check_number


def empty_condition(special: SpecialTokens, length: int) -> Int32[Array, "{length}"]:
    """The caption without text: BOS and EOS, as far as `special` has them, and padding.

    Raises:
        ConfigError: `length` is less than that takes.
    """
    check_size("length", length)
    tokens = [token for token in (special.bos, special.eos) if token is not None]
    if len(tokens) > length:
        raise ConfigError(f"`length` must be at least {len(tokens)}, for BOS and EOS, got {length}")
    return jnp.array(tokens + [special.pad] * (length - len(tokens)), jnp.int32)


def drop_condition(
    key: Key[Array, ""],
    tokens: Shaped[Array, "*shape"],
    empty_tokens: Shaped[Array, "*shape"],
    *,
    probability: Number = 0.1,
) -> Shaped[Array, "*shape"]:
    """`empty_tokens` with that probability, else `tokens`; ids (n,), or any other array, like embeddings (n, d).

    A condition that is empty already is among those that may become it.

    Raises:
        ShapeError: the two differ in shape or dtype.
    """
    check_number("probability", probability, low=0, high=1)
    if tokens.shape != empty_tokens.shape or tokens.dtype != empty_tokens.dtype:
        raise ShapeError(
            f"`empty_tokens` must be {tokens.dtype}{list(tokens.shape)} like `tokens`, got "
            f"{empty_tokens.dtype}{list(empty_tokens.shape)}"
        )
    dropped = jax.random.bernoulli(key, jnp.asarray(probability, jnp.float32))
    return jnp.where(dropped, empty_tokens, tokens)


class DropCondition:
    """`drop_condition` as a step of a loader, `transform=DropCondition({"tokens": empty}, probability=0.1)`.

    Args:
        empty: what each field becomes, as an array of one sample. All of them, say ids and their attention mask,
            are dropped together.
        probability: from 0 to 1, a plain number.

    Raises:
        ConfigError: `empty` names no field.
        ConfigTypeError: it is no mapping.

    Its call raises ShapeError where a field is missing or of another shape or dtype than in `empty`.
    """

    def __init__(self, empty: Mapping[str, Any], *, probability: float = 0.1) -> None:
        if not isinstance(empty, Mapping):
            raise ConfigTypeError(f"`empty` must map fields to arrays, got {type(empty).__name__}")
        if not empty:
            raise ConfigError('`empty` must name a field, got none, e.g. {"tokens": empty_condition(...)}')
        check_number("probability", probability, low=0, high=1)
        self._empty = {name: np.asarray(value) for name, value in empty.items()}
        self._probability = probability

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        marks = {n: digest([str(v.dtype), str(v.shape), v.tobytes()]) for n, v in self._empty.items()}
        return f"DropCondition({marks}, probability={self._probability})"

    def __call__(self, key: Key[Array, ""], sample: DeviceArrays) -> DeviceArrays:
        missing = [name for name in self._empty if name not in sample]
        if missing:
            raise ShapeError(f"`empty` names {missing}, but the sample has {sorted(sample)}")
        dropped = {
            name: drop_condition(key, sample[name], jnp.asarray(value), probability=self._probability)
            for name, value in self._empty.items()
        }
        return {**sample, **dropped}
