"""Reconstruction losses of one image: means over all pixels and channels.

Each takes a prediction and a target of the same shape and gives a scalar, float32 (float64 for float64
images): a mean of thousands of pixels is not kept in 16 bits. `jax.vmap` gives one per image.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.modalities.image.scalars import Number, check_number, working


def mse(prediction: Float[Array, "h w c"], target: Float[Array, "h w c"]) -> Float[Array, ""]:
    """Mean squared error."""
    return jnp.mean(jnp.square(working(prediction) - working(target)))


def l1(prediction: Float[Array, "h w c"], target: Float[Array, "h w c"]) -> Float[Array, ""]:
    """Mean absolute error."""
    return jnp.mean(jnp.abs(working(prediction) - working(target)))


def huber(
    prediction: Float[Array, "h w c"], target: Float[Array, "h w c"], *, delta: Number = 1.0
) -> Float[Array, ""]:
    """Mean of e^2 / 2 where |e| <= delta, and of delta (|e| - delta / 2) beyond (Huber, 1964).

    With images in [0, 1] no error exceeds 1, so that the default `delta` gives half of `mse`.
    """
    check_number("delta", delta, low=0, above=True)
    error = jnp.abs(working(prediction) - working(target))
    bend = jnp.asarray(delta, error.dtype)
    small = jnp.minimum(error, bend)
    return jnp.mean(small * (error - small / 2))


def bce(prediction: Float[Array, "h w c"], target: Float[Array, "h w c"]) -> Float[Array, ""]:
    """Mean binary cross-entropy, in nats; both images in [0, 1], the prediction a probability, no logit.

    The prediction is clipped to [1e-7, 1 - 1e-7], so that a certain mistake costs about 16, not infinity.
    Least where both are equal, where it is the target's entropy and not 0.
    """
    p, t = jnp.clip(working(prediction), 1e-7, 1 - 1e-7), working(target)
    return -jnp.mean(t * jnp.log(p) + (1 - t) * jnp.log1p(-p))


def bce_with_logits(logits: Float[Array, "h w c"], target: Float[Array, "h w c"]) -> Float[Array, ""]:
    """The same of a prediction that is given as logits, log(p / (1 - p)), with no need to clip."""
    z, t = working(logits), working(target)
    return jnp.mean(jax.nn.softplus(z) - t * z)


class LossKind(StrEnum):
    """The losses, by name."""

    MSE = "mse"
    L1 = "l1"
    HUBER = "huber"
    BCE = "bce"
    BCE_WITH_LOGITS = "bce_with_logits"


LOSSES: Mapping[LossKind, Callable[[Array, Array], Array]] = {
    LossKind.MSE: mse,
    LossKind.L1: l1,
    LossKind.HUBER: huber,
    LossKind.BCE: bce,
    LossKind.BCE_WITH_LOGITS: bce_with_logits,
}
"""Each loss, `f(prediction, target)` of one image."""
