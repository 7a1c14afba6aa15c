"""Which ids of a vocabulary are ordinary tokens, and draws among those.

Ordinary is every id that `SpecialTokens` gives no meaning of its own; its `unk` is special too. An augmentation
moves, hides and replaces ordinary tokens only.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from artifex.data.checks import check_size
from artifex.data.errors import ConfigError
from artifex.data.tokenizers.special import SpecialTokens


def is_ordinary(tokens: Int[Array, " n"], special: SpecialTokens) -> Bool[Array, " n"]:
    """Where a sequence has ordinary tokens, rather than special ones and padding."""
    ordinary = jnp.ones(tokens.shape, bool)
    for low, high in _runs(special.ids):
        ordinary &= (tokens < low) | (tokens > high)
    return ordinary


def draw_ordinary(
    key: Key[Array, ""], shape: tuple[int, ...], *, special: SpecialTokens, vocab_size: int
) -> Int[Array, "..."]:
    """Int32 ids from 0 to vocab_size - 1 without the special ones, all equally likely.

    Raises:
        ConfigError: there are none.
    """
    check_size("vocab_size", vocab_size)
    inside = [token for token in special.ids if token < vocab_size]
    count = vocab_size - len(inside)
    if count == 0:
        raise ConfigError(
            f"`vocab_size` must be more than the {len(inside)} special ids below it, got {vocab_size}; "
            f"give the size of the whole vocabulary"
        )
    drawn = jax.random.randint(key, shape, 0, count, jnp.int32)
    # The id of ordinary token r: every special id up to it moves it on by one.
    result = drawn
    for i, token in enumerate(inside):
        result += (drawn >= token - i).astype(jnp.int32)
    return result


def _runs(ids: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last of each stretch of consecutive ids: a hundred sentinels are two comparisons."""
    if not ids:
        return []
    breaks = [(a, b) for a, b in pairwise(ids) if b != a + 1]
    firsts, lasts = [ids[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), ids[-1]]
    return list(zip(firsts, lasts, strict=True))
