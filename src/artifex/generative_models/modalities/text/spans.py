"""Where T5 hides spans: `random_spans_noise_mask` of Raffel et al. (2020), for a length that may be traced."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from artifex.data.checks import check_size
from artifex.generative_models.modalities.settings import Number, check_number


def check_spans(noise_density: Number, mean_span_length: Number) -> None:
    """Raises unless the density is within 0 and 1, the ends left out, and the length 1 or more."""
    check_number("noise_density", noise_density, low=0, high=1, above=True)
    check_number("mean_span_length", mean_span_length, low=1)


def span_counts(
    num_tokens: int | Int[Array, ""], noise_density: Number, mean_span_length: Number
) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """How many of `num_tokens` tokens are hidden, and in how many spans.

    The first is num_tokens * noise_density, rounded (halves to even), but at least 1 and at most all but one; the
    second is that by mean_span_length, rounded, at least 1 and at most the number of tokens that stay. Computed
    in float32. Both are 0 for fewer than two tokens, of which none can be hidden and one stay.
    """
    total = jnp.asarray(num_tokens, jnp.int32)
    density, mean = (jnp.asarray(x, jnp.float32) for x in (noise_density, mean_span_length))
    hidden = jnp.round(total.astype(jnp.float32) * density).astype(jnp.int32)
    hidden = jnp.clip(hidden, 1, jnp.maximum(total - 1, 1))
    spans = jnp.round(hidden.astype(jnp.float32) / mean).astype(jnp.int32)
    spans = jnp.clip(spans, 1, jnp.maximum(jnp.minimum(hidden, total - hidden), 1))
    enough = total >= 2
    return jnp.where(enough, hidden, 0), jnp.where(enough, spans, 0)


def span_corruption_lengths(
    num_tokens: int, *, noise_density: float = 0.15, mean_span_length: float = 3.0
) -> tuple[int, int]:
    """Lengths of the inputs and targets that `augment.corrupt_spans` makes of `num_tokens` ordinary tokens.

    Special tokens that the sequence has come on top of the first; an end-of-sequence token, where there is one, is
    in the second.
    """
    check_size("num_tokens", num_tokens)
    check_spans(noise_density, mean_span_length)
    with jax.ensure_compile_time_eval():
        hidden, spans = map(int, span_counts(num_tokens, noise_density, mean_span_length))
    return num_tokens - hidden + spans, hidden + spans + 1


def noise_mask(
    key: Key[Array, ""],
    size: int,
    *,
    num_tokens: Int[Array, ""],
    num_hidden: Int[Array, ""],
    num_spans: Int[Array, ""],
    max_spans: int,
) -> Bool[Array, "{size}"]:
    """True for the hidden ones of `num_tokens` tokens, in an array of `size`.

    What stays and what is hidden alternate, beginning with what stays and ending with what is hidden. Every way to
    cut either into that many parts, none empty, is equally likely.
    """
    for_stay, for_hidden = jax.random.split(key)
    stay = _parts(for_stay, size, num_tokens - num_hidden, num_spans, max_spans)
    hidden = _parts(for_hidden, size, num_hidden, num_spans, max_spans)
    ends = jnp.cumsum(jnp.stack([stay, hidden], axis=1).reshape(-1))
    # Beyond the last part all ends are num_tokens: they turn the parity of what is no token any more.
    crossings = jnp.zeros(size + 1, jnp.int32).at[ends].add(1)[:size]
    position = jnp.arange(size, dtype=jnp.int32)
    return (jnp.cumsum(crossings) % 2 == 1) & (position < num_tokens)


def _parts(
    key: Array, size: int, total: Int[Array, ""], num_parts: Int[Array, ""], max_parts: int
) -> Int[Array, "{max_parts}"]:
    """Lengths of the parts of `total` that num_parts - 1 of its total - 1 inner borders make."""
    border = jnp.arange(size, dtype=jnp.int32)
    inner = (border >= 1) & (border < total)
    # The borders of the lowest scores. Their last bits are the position, so that no two are equal.
    low = (size - 1).bit_length()
    bits = jax.random.bits(key, (size,), jnp.uint32) >> (low + 1) << low
    largest = jnp.uint32(2**32 - 1)
    score = jnp.where(inner, bits | border.astype(jnp.uint32), largest)
    limit = jnp.sort(score)[jnp.maximum(num_parts - 1, 0)]
    part = jnp.cumsum((score < limit).astype(jnp.int32))
    used = (border < total) & (num_parts > 0)
    return jnp.zeros(max_parts, jnp.int32).at[part].add(used.astype(jnp.int32), mode="drop")
