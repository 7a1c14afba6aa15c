"""Augmentations of a batch: here, and only here, a function takes all images, of shape (b, h, w, c).

Every image is mixed with the next one of the batch (the last with the first), by a share that belongs to
the record, drawn from its own key. In a shuffled batch the next one is as random as any. Labels are
weights, one row per image, such as one-hot rows; they are mixed by the same share. The rest as in `augment`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.generative_models.modalities.image.draws import box, place
from artifex.generative_models.modalities.mixing import beta_share, mix, mix_labels, next_ones
from artifex.generative_models.modalities.settings import Number, check_number


def mixup(
    keys: Key[Array, " b"],
    images: Float[Array, "b h w c"],
    *,
    labels: Float[Array, "b n"] | None = None,
    alpha: Number = 0.2,
) -> tuple[Float[Array, "b h w c"], Float[Array, "b n"] | None]:
    """Makes s x + (1 - s) x' of x, with the share s ~ Beta(alpha, alpha) (Zhang et al., 2018).

    Args:
        keys: one for each image.
        images: the batch.
        labels: weights of n classes, or None.
        alpha: > 0. Small: one of the two images prevails; 1: every share is equally likely.

    Returns:
        The mixed images, and the mixed labels, or None if there were none.

    Raises:
        ShapeError: `labels` are not floats of shape (b, n).
    """
    check_number("alpha", alpha, low=0, above=True)
    shares = jax.vmap(lambda key: beta_share(key, alpha))(keys)
    return mix(images, shares), mix_labels(images, labels, shares, sample="image")


def cutmix(
    keys: Key[Array, " b"],
    images: Float[Array, "b h w c"],
    *,
    labels: Float[Array, "b n"] | None = None,
    alpha: Number = 1.0,
) -> tuple[Float[Array, "b h w c"], Float[Array, "b n"] | None]:
    """Puts a box of x' on x (Yun et al., 2019).

    With s ~ Beta(alpha, alpha) the sides of the box are floor(sqrt(1 - s) h) and floor(sqrt(1 - s) w);
    its centre may be any pixel, and what lies outside is cut off. The share of x in the labels is that of
    the pixels that are left of it. Arguments, results and errors as in `mixup`.
    """
    check_number("alpha", alpha, low=0, above=True)
    _, h, w, _ = images.shape

    def cut(key: Array) -> Bool[Array, "h w"]:
        for_share, for_place = jax.random.split(key)
        side = jnp.sqrt(1 - beta_share(for_share, alpha))
        return box(
            place(for_place, h, w),
            (h, w),
            jnp.floor(side * h).astype(jnp.int32),
            jnp.floor(side * w).astype(jnp.int32),
        )

    boxes = jax.vmap(cut)(keys)
    mixed = jnp.where(boxes[..., None], next_ones(images), images)
    shares = 1 - boxes.mean(axis=(1, 2), dtype=jnp.float32)
    return mixed, mix_labels(images, labels, shares, sample="image")
