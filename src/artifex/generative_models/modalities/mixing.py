"""What mixes the samples of a batch, whatever they are: each with the next one, the last with the first.

Labels are weights, one row per sample, such as one-hot rows.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.settings import Number


def beta_share(key: Key[Array, ""], alpha: Number) -> Float[Array, ""]:
    """A share in [0, 1] ~ Beta(alpha, alpha)."""
    both = jnp.asarray(alpha, jnp.float32)
    return jax.random.beta(key, both, both, dtype=jnp.float32)


def next_ones(batch: Float[Array, "b *s"]) -> Float[Array, "b *s"]:
    """What each sample is mixed with."""
    return jnp.roll(batch, -1, axis=0)


def mix(batch: Float[Array, "b *s"], shares: Float[Array, " b"]) -> Float[Array, "b *s"]:
    """Makes share * x + (1 - share) * x', in float32 at least; the dtype stays.

    Raises:
        ShapeError: the batch is not of floats.
    """
    if not jnp.issubdtype(batch.dtype, jnp.floating):
        raise ShapeError(f"what is mixed must be float, got {batch.dtype}; convert it first")
    x = batch.astype(jnp.float32) if batch.dtype.itemsize < 4 else batch
    share = shares.astype(x.dtype).reshape(-1, *[1] * (batch.ndim - 1))
    return (share * x + (1 - share) * next_ones(x)).astype(batch.dtype)


def mix_labels(
    batch: Array, labels: Array | None, shares: Float[Array, " b"], *, sample: str
) -> Array | None:
    """The rows of `labels` mixed by the same shares, or None if there are none.

    Raises:
        ShapeError: `labels` are not floats of shape (b, n), a row for each `sample` of the batch.
    """
    if labels is None:
        return None
    if not jnp.issubdtype(labels.dtype, jnp.floating) or labels.shape[:-1] != batch.shape[:1]:
        raise ShapeError(
            f"`labels` must be floats of shape ({len(batch)}, n), one row of weights for each {sample}, got "
            f"{labels.dtype}{list(labels.shape)}; class numbers become rows with `jax.nn.one_hot`"
        )
    return mix(labels, shares)
