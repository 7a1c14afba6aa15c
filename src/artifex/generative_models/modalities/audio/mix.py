"""Augmentations of a batch: here, and only here, a function takes all waveforms, of shape (b, t).

Each is mixed with the next one of the batch (the last with the first), by a share that belongs to the record,
drawn from its own key. In a shuffled batch the next one is as random as any.
"""

import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.modalities.mixing import beta_share, mix, mix_labels
from artifex.generative_models.modalities.settings import Number, check_number


def mixup(
    keys: Key[Array, " b"],
    waveforms: Float[Array, "b *s"],
    *,
    labels: Float[Array, "b n"] | None = None,
    alpha: Number = 0.2,
) -> tuple[Float[Array, "b *s"], Float[Array, "b n"] | None]:
    """Makes s x + (1 - s) x' of x, with the share s ~ Beta(alpha, alpha) (Zhang et al., 2018).

    Args:
        keys: one for each waveform.
        waveforms: the batch, (b, t); or spectrograms (b, f, t).
        labels: weights of n classes, such as one-hot rows, mixed by the same share; or None.
        alpha: > 0. Small: one of the two prevails; 1: every share is equally likely.

    Returns:
        The mixed waveforms, and the mixed labels, or None if there were none.

    Raises:
        ShapeError: `labels` are not floats of shape (b, n).
    """
    check_number("alpha", alpha, low=0, above=True)
    shares = jax.vmap(lambda key: beta_share(key, alpha))(keys)
    return mix(waveforms, shares), mix_labels(waveforms, labels, shares, sample="waveform")
