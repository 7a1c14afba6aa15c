"""Attention masks of one sequence: True = may attend. Rows are queries, columns are keys.

They are combined by `&`, e.g. `causal_mask(n) & attention_mask(tokens, pad_id=0)[None, :]`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from artifex.data.checks import check_size


def attention_mask(tokens: Int[Array, "*b n"], *, pad_id: int) -> Bool[Array, "*b n"]:
    """True for each token that is no padding."""
    return tokens != pad_id


def causal_mask(length: int) -> Bool[Array, "{length} {length}"]:
    """Each position attends to itself and those before it."""
    check_size("length", length)
    position = jnp.arange(length, dtype=jnp.int32)
    return position[None, :] <= position[:, None]


def segment_mask(segment_ids: Int[Array, " n"]) -> Bool[Array, "n n"]:
    """Each position attends to itself and those before it in its own segment, for several documents in a row.

    Args:
        segment_ids: one number per document. That of padding, 0 by custom, counts as a segment like any other:
            a softmax over no key at all would be NaN, and no document attends to padding either way.
    """
    same = segment_ids[None, :] == segment_ids[:, None]
    return same & causal_mask(segment_ids.shape[0])


def prefix_mask(prefix: Bool[Array, " n"]) -> Bool[Array, "n n"]:
    """Every position attends to the whole prefix, and else to itself and those before it (prefix LM).

    Args:
        prefix: True for the prefix, as `augment.prefix_lm_split` gives it; all False makes it causal.
    """
    return causal_mask(prefix.shape[0]) | prefix[None, :]
