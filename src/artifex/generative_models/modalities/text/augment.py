"""Random functions of one sequence of token ids: `f(key, tokens, *, setting=...)`, integers of shape (n,).

The key comes first and is used up: the same key gives the same result. Special tokens and padding, as `special`
names them, stay what they are, and are not counted where tokens are; `vocabulary` says which those are. Lengths
are fixed: what is left over is filled up with `special.pad`. Probabilities may be traced. `jax.vmap` makes a batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from artifex.data.checks import check_size
from artifex.data.errors import ConfigError
from artifex.data.tokenizers.special import SpecialTokens
from artifex.generative_models.modalities.settings import Number, check_number
from artifex.generative_models.modalities.text.spans import (
    check_spans,
    noise_mask,
    span_corruption_lengths,
    span_counts,
)
from artifex.generative_models.modalities.text.vocabulary import draw_ordinary, is_ordinary

IGNORE = -100
"""The label of a position that no loss counts."""


class Masked(NamedTuple):
    """What a masked language model sees, and what it is to guess."""

    inputs: Int[Array, " n"]
    labels: Int[Array, " n"]


class Corrupted(NamedTuple):
    """What an encoder sees, and what a decoder is to write."""

    inputs: Int[Array, " n_inputs"]
    targets: Int[Array, " n_targets"]


class PrefixSplit(NamedTuple):
    """Where a prefix is, for `masks.prefix_mask`, and where the tokens are that a loss counts."""

    prefix: Bool[Array, " n"]
    loss_mask: Bool[Array, " n"]


def mask_tokens(
    key: Key[Array, ""],
    tokens: Int[Array, " n"],
    *,
    special: SpecialTokens,
    vocab_size: int,
    probability: Number = 0.15,
    mask_share: Number = 0.8,
    random_share: Number = 0.1,
    ignore: int = IGNORE,
) -> Masked:
    """Chooses tokens to be guessed, each by itself, and hides most of them (BERT: Devlin et al., 2019).

    A chosen token becomes `special.mask` in `mask_share` of the cases, any ordinary token (itself among them) in
    `random_share`, and stays in the rest. Without an ordinary token nothing is chosen; of a short sequence that
    may also happen by chance.

    Args:
        key: used up.
        tokens: the sequence.
        special: needs `mask`.
        vocab_size: ids below it are drawn.
        probability: with which a token is chosen.
        mask_share: of the chosen ones.
        random_share: of the chosen ones; with `mask_share` at most 1.
        ignore: the label where nothing was chosen.

    Returns:
        `inputs`, and `labels`: the token that was there where it was chosen, else `ignore`.

    Raises:
        ConfigError: `special` has no mask, or a share is out of range.
    """
    mask = _needed(special.mask, "mask")
    for name, value in (
        ("probability", probability),
        ("mask_share", mask_share),
        ("random_share", random_share),
    ):
        check_number(name, value, low=0, high=1)
    if not isinstance(mask_share, jax.Array) and not isinstance(random_share, jax.Array):
        check_number("mask_share + random_share", mask_share + random_share, high=1 + 1e-6)
    for_choice, for_token = jax.random.split(key)
    share = jax.random.uniform(for_choice, tokens.shape, jnp.float32)
    # One draw decides both: given that it is below `probability`, it is uniform there.
    p, masked, random = (jnp.asarray(x, jnp.float32) for x in (probability, mask_share, random_share))
    chosen = is_ordinary(tokens, special) & (share < p)
    drawn = draw_ordinary(for_token, tokens.shape, special=special, vocab_size=vocab_size)
    hidden = jnp.where(share < p * (masked + random), drawn.astype(tokens.dtype), tokens)
    hidden = jnp.where(share < p * masked, jnp.asarray(mask, tokens.dtype), hidden)
    labels = jnp.where(chosen, tokens, jnp.asarray(ignore, tokens.dtype))
    return Masked(jnp.where(chosen, hidden, tokens), labels)


def replace_tokens(
    key: Key[Array, ""],
    tokens: Int[Array, " n"],
    *,
    special: SpecialTokens,
    vocab_size: int,
    probability: Number = 0.1,
) -> Int[Array, " n"]:
    """Replaces each ordinary token with that probability by any ordinary one, itself among them.

    A sequence without ordinary tokens stays as it is.
    """
    for_choice, for_token = jax.random.split(key)
    chosen = is_ordinary(tokens, special) & _each(for_choice, tokens.shape, probability)
    drawn = draw_ordinary(for_token, tokens.shape, special=special, vocab_size=vocab_size)
    return jnp.where(chosen, drawn.astype(tokens.dtype), tokens)


def drop_tokens(
    key: Key[Array, ""], tokens: Int[Array, " n"], *, special: SpecialTokens, probability: Number = 0.1
) -> Int[Array, " n"]:
    """Leaves out each ordinary token with that probability; the rest closes up to the left.

    All may go by chance, which leaves special tokens alone. A sequence without ordinary tokens stays as it is.
    """
    dropped = is_ordinary(tokens, special) & _each(key, tokens.shape, probability)
    slot = jnp.cumsum((~dropped).astype(jnp.int32)) - 1
    return _scatter(tokens.shape[0], tokens, jnp.where(dropped, tokens.shape[0], slot), special)


def shuffle_tokens(
    key: Key[Array, ""], tokens: Int[Array, " n"], *, special: SpecialTokens, max_distance: Number = 3
) -> Int[Array, " n"]:
    """Shuffles locally: no ordinary token moves by more than `max_distance` (>= 0) ordinary tokens.

    Token number i is put in the order of i + u, with u drawn from 0 to max_distance + 1 (Lample et al., 2018). Up
    to one ordinary token the sequence stays as it is.
    """
    check_number("max_distance", max_distance, low=0)
    ordinary = is_ordinary(tokens, special)
    number = jnp.cumsum(ordinary.astype(jnp.int32)) - 1
    reach = jnp.floor(jnp.asarray(max_distance, jnp.float32)) + 1
    noise = jax.random.uniform(key, tokens.shape, jnp.float32) * reach
    # Rounded sums are equal at worst, and equals keep their order: the bound holds for any length.
    order = jnp.argsort(jnp.where(ordinary, number.astype(jnp.float32) + noise, jnp.inf), stable=True)
    return jnp.where(ordinary, tokens[order[number]], tokens)


def corrupt_spans(
    key: Key[Array, ""],
    tokens: Int[Array, " n"],
    *,
    special: SpecialTokens,
    noise_density: Number = 0.15,
    mean_span_length: Number = 3.0,
    input_length: int | None = None,
    target_length: int | None = None,
) -> Corrupted:
    """Hides spans, each behind a sentinel, to be written out (T5: Raffel et al., 2020, section 3.1.4).

    Of m ordinary tokens m * noise_density are hidden, in that by mean_span_length spans, both rounded; the share is
    exact, the places are random. As in T5's own code the first token stays, the last is hidden, and there is no
    sentinel behind the last span. A special token within a span stays in the inputs, behind its sentinel.

        tokens   BOS a b c d e EOS      inputs   BOS a <0> d <1> EOS      targets   <0> b c <1> e EOS

    With fewer than two ordinary tokens none is hidden: the inputs are the tokens, the targets are EOS alone.

    Args:
        key: used up.
        tokens: the sequence; padding is taken out where it stands.
        special: needs `sentinels`, as many as there are spans; `eos`, if there is one, ends the targets.
        noise_density: share of tokens that are hidden, above 0.
        mean_span_length: at least 1.
        input_length: of the result; what is more is cut off at its end. None means n, which always suffices.
        target_length: likewise. None means what n ordinary tokens need; see `spans.span_corruption_lengths`.

    Raises:
        ConfigError: a setting is out of range; there are too few sentinels for n tokens; or `target_length` is
            None and has to be computed from traced numbers. With those, too few sentinels make fewer, longer spans.
    """
    check_spans(noise_density, mean_span_length)
    n = tokens.shape[0]
    target_length = _target_length(n, special, noise_density, mean_span_length, target_length)
    input_length = n if input_length is None else check_size("input_length", input_length)
    real, ordinary = tokens != special.pad, is_ordinary(tokens, special)
    number = jnp.cumsum(ordinary.astype(jnp.int32)) - 1
    total = number[-1] + 1
    num_hidden, num_spans = span_counts(total, noise_density, mean_span_length)
    num_spans = jnp.minimum(num_spans, len(special.sentinels))
    most = max(1, min(n // 2, len(special.sentinels)))
    noise = noise_mask(key, n, num_tokens=total, num_hidden=num_hidden, num_spans=num_spans, max_spans=most)
    begins = noise & ~jnp.concatenate([jnp.zeros(1, bool), noise[:-1]])
    span = (jnp.cumsum(begins.astype(jnp.int32)) - 1)[number]
    hidden, begins = noise[number] & ordinary, begins[number] & ordinary
    sentinel = jnp.asarray(special.sentinels, tokens.dtype)[span]

    kept = (real & ~hidden) | begins
    slot = jnp.where(kept, jnp.cumsum(kept.astype(jnp.int32)) - 1, input_length)
    inputs = _scatter(input_length, jnp.where(begins, sentinel, tokens), slot, special)

    place = jnp.cumsum(hidden.astype(jnp.int32)) + span
    targets = _scatter(target_length, tokens, jnp.where(hidden, place, target_length), special)
    targets = targets.at[jnp.where(begins, place - 1, target_length)].set(sentinel, mode="drop")
    if special.eos is not None:
        targets = targets.at[num_hidden + num_spans].set(special.eos, mode="drop")
    return Corrupted(inputs, targets)


def fill_in_the_middle(
    key: Key[Array, ""],
    tokens: Int[Array, " n"],
    *,
    special: SpecialTokens,
    probability: Number = 0.5,
    spm_share: Number = 0.5,
) -> Int[Array, " n"]:
    """Moves a middle part to the end, so that a causal model learns to fill it in (Bavarian et al., 2022).

    The text, from the first ordinary token to the last, is cut in two places; each of its borders, both ends among
    them, is equally likely, so that a part may be empty. PSM is the order prefix, suffix, middle, and SPM, which is
    taken in `spm_share` of the cases, the order suffix, prefix, middle, in the paper's second form:

        PSM   <prefix> prefix <suffix> suffix <middle> middle
        SPM   <prefix> <suffix> suffix <middle> prefix middle

    Special tokens in front of the text and behind it stay there. Three tokens are added: where there is less
    padding behind the text, its last tokens are left out first. In a row of several documents they are one text;
    do this before they are put in a row. A sequence without ordinary tokens, or with no room for one and the three,
    stays as it is.

    Args:
        key: used up.
        tokens: the sequence, with its padding behind.
        special: needs `fim_prefix`, `fim_middle` and `fim_suffix`.
        probability: with which anything is done.
        spm_share: of the cases in which something is.

    Raises:
        ConfigError: one of the three is missing, or a probability is out of range.
    """
    before, hole, behind = (
        _needed(getattr(special, name), name) for name in ("fim_prefix", "fim_middle", "fim_suffix")
    )
    for_doing, for_order, for_cuts = jax.random.split(key, 3)
    n = tokens.shape[0]
    position = jnp.arange(n, dtype=jnp.int32)
    ordinary = is_ordinary(tokens, special)
    start = jnp.argmax(ordinary).astype(jnp.int32)
    stop = n - jnp.argmax(ordinary[::-1]).astype(jnp.int32)
    tail = (position >= stop) & (tokens != special.pad)
    size = jnp.minimum(stop - start, n - 3 - start - tail.sum(dtype=jnp.int32))
    a, b = jnp.sort(jax.random.randint(for_cuts, (2,), 0, jnp.maximum(size, 0) + 1, jnp.int32))

    # `early` is how much of the prefix comes first: all of it in PSM, nothing in SPM.
    early = jnp.where(_once(for_order, spm_share), 0, a)
    r = position - start
    slot = jnp.where(r < early, r + 1, size - b + 3 + r)  # prefix first, or prefix and middle last
    slot = start + jnp.where(r >= b, early + 2 + r - b, slot)
    moved = jnp.where(r < size, slot, n)
    moved = jnp.where(position < start, position, moved)
    moved = jnp.where(tail, start + size + 3 + jnp.cumsum(tail.astype(jnp.int32)) - 1, moved)
    result = _scatter(n, tokens, moved, special)
    slots = start + jnp.stack([jnp.zeros_like(early), early + 1, early + 2 + size - b])
    result = result.at[slots].set(jnp.array([before, behind, hole], tokens.dtype), mode="drop")
    done = _once(for_doing, probability) & ordinary.any() & (size >= 1)
    return jnp.where(done, result, tokens)


def prefix_lm_split(key: Key[Array, ""], tokens: Int[Array, " n"], *, special: SpecialTokens) -> PrefixSplit:
    """Splits in a prefix, which is given, and a suffix, which is to be written (prefix LM: Raffel et al., 2020).

    Of m ordinary tokens 1 to m - 1 are in the prefix, each number equally likely; it ends where the next ordinary
    token begins. With fewer than two there is no prefix, and everything is to be written.

    Returns:
        `prefix`: True for what is in the prefix and no padding; with `masks.prefix_mask` it is attended to in both
        directions. `loss_mask`: True for what is in the suffix and no padding, special tokens like EOS among them;
        it says which tokens are targets, as `losses.next_token_loss` wants it.
    """
    ordinary, real = is_ordinary(tokens, special), tokens != special.pad
    number = jnp.cumsum(ordinary.astype(jnp.int32)) - 1
    total = number[-1] + 1
    cut = jax.random.randint(key, (), 1, jnp.maximum(total, 2), jnp.int32)
    begun = (number >= cut) | (total < 2)
    return PrefixSplit(real & ~begun, real & begun)


def _needed(token: int | None, name: str) -> int:
    if token is None:
        raise ConfigError(f"`special` must have an id for `{name}`, got None: SpecialTokens({name}=...)")
    return token


def _each(key: Array, shape: tuple[int, ...], probability: Number) -> Bool[Array, "..."]:
    check_number("probability", probability, low=0, high=1)
    return jax.random.uniform(key, shape, jnp.float32) < jnp.asarray(probability, jnp.float32)


def _once(key: Array, probability: Number) -> Bool[Array, ""]:
    return _each(key, (), probability)


def _scatter(length: int, tokens: Array, slots: Array, special: SpecialTokens) -> Array:
    """Each token in its slot of a sequence of padding; slots from `length` on are dropped."""
    return jnp.full(length, special.pad, tokens.dtype).at[slots].set(tokens, mode="drop")


def _target_length(
    n: int, special: SpecialTokens, noise_density: Number, mean_span_length: Number, wanted: int | None
) -> int:
    """The length of the targets, after a check that there are sentinels enough for n tokens."""
    if not special.sentinels:
        raise ConfigError("`special` must have `sentinels`, got none: SpecialTokens(sentinels=(...))")
    if isinstance(noise_density, jax.Array) or isinstance(mean_span_length, jax.Array):
        if wanted is None:
            raise ConfigError(
                "`target_length` is needed, because `noise_density` or `mean_span_length` is an array: "
                "as many as tokens are hidden at most, one per span, and one for EOS"
            )
        return check_size("target_length", wanted)
    with jax.ensure_compile_time_eval():
        spans = int(span_counts(n, noise_density, mean_span_length)[1])
    if spans > len(special.sentinels):
        raise ConfigError(
            f"`special` must have {spans} `sentinels`, one for each span of {n} tokens, got "
            f"{len(special.sentinels)}; add some, or raise `mean_span_length`"
        )
    if wanted is not None:
        return check_size("target_length", wanted)
    lengths = span_corruption_lengths(n, noise_density=noise_density, mean_span_length=mean_span_length)
    return lengths[1]
