"""Tokens drawn from logits: one at a time, and whole sequences."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from artifex.data.checks import check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.settings import Number, check_number

LogitsFn: TypeAlias = Callable[[Array, Array], Array]
"""`(tokens (b, n), length ()) -> logits`: (b, v) behind the first `length` tokens, or (b, n, v) behind each."""


class Generated(NamedTuple):
    """Rows of tokens, prompts included, and how many of each row are no padding."""

    tokens: Int[Array, "b n"]
    lengths: Int[Array, " b"]


def sample_logits(
    key: Key[Array, ""],
    logits: Float[Array, "*b v"],
    *,
    temperature: Number = 1.0,
    top_k: int | Int[Array, ""] | None = None,
    top_p: Number | None = None,
) -> Int[Array, "*b"]:
    """Int32 ids drawn from softmax(logits / temperature), of the likeliest tokens only.

    The distribution is first cut to `top_k`, then, divided by what is left, to `top_p`. What is cut off does not
    change what the key draws: with limits that keep all tokens the result is that without limits.

    Args:
        key: used up.
        logits: at least one of each row finite; -inf is never drawn.
        temperature: 0 takes the likeliest token, the first of equals.
        top_k: keeps so many of the likeliest, at least 1 (Fan et al., 2018).
        top_p: keeps the smallest set of the likeliest whose probability is `top_p` or more, above 0 to 1
            (nucleus sampling: Holtzman et al., 2020). Of equally likely tokens, here and in `top_k`, that of the
            lower id comes first.

    Raises:
        ConfigError: a setting is out of range.
    """
    check_number("temperature", temperature, low=0)
    scores = logits.astype(jnp.float32) if logits.dtype.itemsize < 4 else logits
    greedy = jnp.argmax(scores, axis=-1).astype(jnp.int32)
    if not isinstance(temperature, jax.Array) and temperature == 0:
        return greedy
    warm = jnp.asarray(temperature, scores.dtype)
    # From the largest on down, so that a small temperature makes zeros of probabilities, not infinities of logits.
    scores = scores - scores.max(axis=-1, keepdims=True)
    scores = scores / jnp.where(warm > 0, warm, 1)
    allowed = allowed_tokens(scores, top_k=top_k, top_p=top_p)
    drawn = jax.random.categorical(key, jnp.where(allowed, scores, -jnp.inf), axis=-1)
    return jnp.where(warm > 0, drawn.astype(jnp.int32), greedy)


def allowed_tokens(
    logits: Float[Array, "*b v"],
    *,
    top_k: int | Int[Array, ""] | None = None,
    top_p: Number | None = None,
) -> Bool[Array, "*b v"]:
    """Which tokens `sample_logits` draws from, given logits that are divided by the temperature already."""
    if top_k is not None and not isinstance(top_k, jax.Array):
        check_size("top_k", top_k)
    if top_p is not None:
        check_number("top_p", top_p, low=0, high=1, above=True)
    if top_k is None and top_p is None:
        return jnp.ones(logits.shape, bool)
    in_order = -jnp.sort(-logits, axis=-1)
    number = jnp.arange(logits.shape[-1], dtype=jnp.int32)
    kept = jnp.ones(logits.shape, bool)
    if top_k is not None:
        kept &= jnp.broadcast_to(number < top_k, kept.shape)
    if top_p is not None:
        share = jax.nn.softmax(jnp.where(kept, in_order, -jnp.inf), axis=-1)
        p = jnp.asarray(top_p, share.dtype)
        # The sum of shares may be rounded to 1 before its end, hence the exception for all.
        kept &= (jnp.cumsum(share, axis=-1) - share < p) | (p >= 1)
    count = jnp.maximum(kept.sum(axis=-1, keepdims=True, dtype=jnp.int32), 1)
    # A sort of values and a threshold: ranks, which would tell equals apart too, take several times as long.
    last = jnp.take_along_axis(in_order, count - 1, axis=-1)
    above, equal = logits > last, logits == last
    room = count - above.sum(axis=-1, keepdims=True, dtype=jnp.int32)
    return above | (equal & (jnp.cumsum(equal, axis=-1, dtype=jnp.int32) <= room))


def generate(
    key: Key[Array, ""],
    logits_fn: LogitsFn,
    prompt: Int[Array, "b m"],
    *,
    max_length: int,
    pad_id: int,
    eos_id: int | None = None,
    prompt_lengths: Int[Array, " b"] | None = None,
    temperature: Number = 1.0,
    top_k: int | Int[Array, ""] | None = None,
    top_p: Number | None = None,
) -> Generated:
    """Writes on from prompts, token by token, until each row has its EOS or `max_length` tokens.

    One position of all rows at a time, from the end of the shortest prompt on; where a prompt is longer, its own
    token is taken. Each row and position has a key of its own: what a row becomes depends on its number and its
    prompt, not on the other rows, as long as `logits_fn` keeps rows apart. An EOS within a prompt ends nothing.

    The loop is a `jax.lax.while_loop`, compiled anew at each call from outside `jax.jit`. To compile once, call it
    in a function of the parameters that is compiled:

        @jax.jit
        def write(params, key, prompt):
            return generate(key, partial(apply, params), prompt, max_length=64, pad_id=0)

    Args:
        key: used up.
        logits_fn: `(tokens, length) -> logits`, with the tokens so far, int32 (b, max_length), padding behind the
            first `length` columns, an int32 scalar of 1 or more that is traced. It gives (b, v) for column
            `length`, or (b, max_length, v), where those at `length - 1` are taken: what a causal model gives.
        prompt: padding behind; each row has at least one token, e.g. BOS (an empty one counts its first `pad_id`).
        max_length: tokens per row, prompt included; not less than m.
        pad_id: stands behind a row's end.
        eos_id: ends a row, and is kept; None: no row ends early.
        prompt_lengths: tokens per prompt; None: up to the last that is not `pad_id`.
        temperature: as for `sample_logits`.
        top_k: likewise.
        top_p: likewise.

    Raises:
        ConfigError: `max_length` is less than m, or a setting is out of range.
        ShapeError: `logits_fn` gives another shape.
    """
    b, m = prompt.shape
    check_size("max_length", max_length)
    if not 1 <= m <= max_length:
        raise ConfigError(f"`max_length` must be at least the prompt's {m} columns, got {max_length}")
    lengths = _lengths(prompt, pad_id) if prompt_lengths is None else prompt_lengths.astype(jnp.int32)
    lengths = jnp.clip(lengths, 1, m)
    given = jnp.full((b, max_length), pad_id, jnp.int32).at[:, :m].set(prompt.astype(jnp.int32))
    given = jnp.where(jnp.arange(max_length, dtype=jnp.int32)[None, :] < lengths[:, None], given, pad_id)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(b))

    def draw(row_key: Array, row: Array, position: Array) -> Array:
        now = jax.random.fold_in(row_key, position)
        return sample_logits(now, row, temperature=temperature, top_k=top_k, top_p=top_p)

    def goes_on(state: tuple[Array, Array, Array, Array]) -> Array:
        position, _, _, done = state
        return (position < max_length) & ~done.all()

    def write(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        position, tokens, ends, done = state
        logits = _next_logits(logits_fn(tokens, position), position, tokens.shape)
        drawn = jax.vmap(draw, in_axes=(0, 0, None))(keys, logits, position)
        is_given = position < lengths
        free = ~is_given & ~done
        token = jnp.where(free, drawn, jnp.where(is_given, given[:, position], pad_id))
        ended = free & (token == eos_id) if eos_id is not None else jnp.zeros(b, bool)
        ends = jnp.where(free, position + 1, ends)
        return position + 1, tokens.at[:, position].set(token), ends, done | ended

    first = lengths.min()
    before = jnp.arange(max_length, dtype=jnp.int32)[None, :] < first
    start = jnp.where(before, given, pad_id)
    _, tokens, ends, _ = jax.lax.while_loop(goes_on, write, (first, start, lengths, jnp.zeros(b, bool)))
    return Generated(tokens, ends)


def _lengths(prompt: Int[Array, "b m"], pad_id: int) -> Int[Array, " b"]:
    position = jnp.arange(1, prompt.shape[1] + 1, dtype=jnp.int32)
    return jnp.where(prompt != pad_id, position[None, :], 0).max(axis=1)


def _next_logits(logits: Array, position: Array, shape: tuple[int, ...]) -> Float[Array, "b v"]:
    if logits.ndim == 3 and logits.shape[:2] == shape:
        return jax.lax.dynamic_index_in_dim(logits, position - 1, axis=1, keepdims=False)
    if logits.ndim == 2 and logits.shape[0] == shape[0]:
        return logits
    raise ShapeError(
        f"`logits_fn` must give logits ({shape[0]}, v), or ({shape[0]}, {shape[1]}, v), got {logits.shape}"
    )
