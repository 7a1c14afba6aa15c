"""Cross entropy over a vocabulary of v tokens, in nats, and what is made of it.

Logits of any float dtype are worked on in float32 (float64 stays). Leading axes are free: `*b n` is one sequence
or a batch of them. A mean is over all tokens that count, of all sequences alike; where none counts it is 0.
"""

from enum import StrEnum

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from artifex.data.checks import check_choice
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.settings import Number, check_number


class Reduction(StrEnum):
    """What becomes of the losses of all tokens."""

    MEAN = "mean"
    SUM = "sum"
    NONE = "none"


def cross_entropy(
    logits: Float[Array, "*b v"],
    targets: Int[Array, "*b"],
    *,
    mask: Bool[Array, "*b"] | None = None,
    ignore: int | None = -100,
    label_smoothing: Number = 0.0,
    z_loss: Number = 0.0,
    reduction: Reduction | str = "mean",
) -> Float[Array, "..."]:
    """-log softmax(logits)[target], of the tokens that count.

    Where a token does not count, whatever its logits hold, its loss and gradient are 0. A target that counts and is
    no id from 0 to v - 1 makes the loss NaN: compiled code cannot raise, and any number would pass for a loss.

    Args:
        logits: finite, or -inf for what is impossible (which label smoothing makes infinite).
        targets: the right ids.
        mask: True where a target counts; None: everywhere.
        ignore: a target that does not count either, as `augment.mask_tokens` has it; None: no such.
        label_smoothing: share e from 0 to 1 of the target that is spread evenly over all v tokens (Szegedy et al.,
            2016): (1 - e) times the target's term and e times the mean of all terms.
        z_loss: factor of log(sum(exp(logits)))^2, which is added and keeps logits from drifting; 1e-4 in PaLM
            (Chowdhery et al., 2022, section 5).
        reduction: "mean" or "sum" over the tokens that count, or "none": the loss of each, 0 where it does not.

    Raises:
        ShapeError: there are not v logits for each target, or not one `mask` for each.
        ConfigError: `label_smoothing` or `z_loss` is out of range.
        UnknownNameError: `reduction` is none of the three.
    """
    check_number("label_smoothing", label_smoothing, low=0, high=1)
    check_number("z_loss", z_loss, low=0)
    how = check_choice(Reduction, "reduction", reduction)
    _check_shapes(logits, targets, mask)
    counts = jnp.ones(targets.shape, bool) if mask is None else mask
    if ignore is not None:
        counts &= targets != ignore
    # Before anything is computed: the gradient of a NaN that is left out afterwards would be NaN.
    x = jnp.where(counts[..., None], _wide(logits), 0)
    total = jax.nn.logsumexp(x, axis=-1)
    losses = total - _smoothed(_picked(x, targets), x, label_smoothing)
    if isinstance(z_loss, jax.Array) or z_loss:
        losses += jnp.asarray(z_loss, x.dtype) * jnp.square(total)
    return _reduced(jnp.where(counts, losses, 0), counts, how)


def next_token_loss(
    logits: Float[Array, "*b n v"],
    tokens: Int[Array, "*b n"],
    *,
    pad_id: int | None = None,
    mask: Bool[Array, "*b n"] | None = None,
    segment_ids: Int[Array, "*b n"] | None = None,
    label_smoothing: Number = 0.0,
    z_loss: Number = 0.0,
    reduction: Reduction | str = "mean",
) -> Float[Array, "..."]:
    """`cross_entropy` of a causal model: logits at position i predict token i + 1.

    Args:
        logits: of every position; the last predict nothing.
        tokens: what went in.
        pad_id: neither predicted nor predicted from. Where EOS has the same id, use `mask` instead.
        mask: True for the tokens that are to be predicted, e.g. those of an answer; token 0 never is.
        segment_ids: the document of each token; no prediction goes from one to the next, and 0 is padding.
        label_smoothing: as for `cross_entropy`.
        z_loss: likewise.
        reduction: likewise; "none" gives (*b, n), at i the loss of token i + 1, 0 at the end.

    Raises:
        ShapeError: there are not v logits for each token.
        ConfigError: there is but one token, or a setting is out of range.
    """
    _check_shapes(logits, tokens, mask)
    if tokens.shape[-1] < 2:
        raise ConfigError(f"`tokens` must be at least 2 long to predict one, got {tokens.shape[-1]}")
    counts = jnp.ones((*tokens.shape[:-1], tokens.shape[-1] - 1), bool)
    if pad_id is not None:
        counts &= (tokens[..., 1:] != pad_id) & (tokens[..., :-1] != pad_id)
    if mask is not None:
        counts &= mask[..., 1:]
    if segment_ids is not None:
        counts &= (segment_ids[..., 1:] == segment_ids[..., :-1]) & (segment_ids[..., 1:] != 0)
    # The logits are used whole: a slice of all but one position would be copied.
    last = [(0, 0)] * (tokens.ndim - 1) + [(0, 1)]
    return cross_entropy(
        logits,
        jnp.roll(tokens, -1, axis=-1),
        mask=jnp.pad(counts, last),
        ignore=None,
        label_smoothing=label_smoothing,
        z_loss=z_loss,
        reduction=reduction,
    )


def perplexity(
    logits: Float[Array, "*b n v"],
    tokens: Int[Array, "*b n"],
    *,
    pad_id: int | None = None,
    mask: Bool[Array, "*b n"] | None = None,
    segment_ids: Int[Array, "*b n"] | None = None,
) -> Float[Array, ""]:
    """The exponential of the mean `next_token_loss`, with its arguments; v for a model that knows nothing.

    For a data set sum losses and counts over all batches first: perplexities have no mean.
    """
    return jnp.exp(next_token_loss(logits, tokens, pad_id=pad_id, mask=mask, segment_ids=segment_ids))


def _check_shapes(logits: Array, targets: Array, mask: Array | None) -> None:
    """Arrays that only broadcast together would give a loss of other tokens than are meant."""
    if logits.shape[:-1] != targets.shape or not logits.ndim:
        raise ShapeError(
            f"`logits` must be {(*targets.shape, 'v')} for ids of shape {targets.shape}, got {logits.shape}"
        )
    if mask is not None and mask.shape != targets.shape:
        raise ShapeError(f"`mask` must have the shape of the ids, {targets.shape}, got {mask.shape}")


def _wide(logits: Array) -> Array:
    return logits.astype(jnp.float32) if logits.dtype.itemsize < 4 else logits


def _picked(x: Array, targets: Array) -> Array:
    """The logit of each target; NaN for a target that is no id."""
    v = x.shape[-1]
    inside = jnp.clip(targets, 0, v - 1)
    picked = jnp.take_along_axis(x, inside[..., None], axis=-1)[..., 0]
    return jnp.where(inside == targets, picked, jnp.nan)


def _smoothed(picked: Array, x: Array, label_smoothing: Number) -> Array:
    if not isinstance(label_smoothing, jax.Array) and label_smoothing == 0:
        return picked
    share = jnp.asarray(label_smoothing, x.dtype)
    return (1 - share) * picked + share * x.mean(axis=-1)


def _reduced(losses: Array, counts: Array, reduction: Reduction) -> Array:
    if reduction is Reduction.NONE:
        return losses
    if reduction is Reduction.SUM:
        return losses.sum()
    return losses.sum() / jnp.maximum(counts.sum(dtype=jnp.int32), 1).astype(losses.dtype)
