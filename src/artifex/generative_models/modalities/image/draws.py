"""The random numbers, places and boxes that image functions draw, checked at the door."""

from math import log

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from artifex.generative_models.modalities.draws import chance as chance
from artifex.generative_models.modalities.draws import log_uniform as log_uniform
from artifex.generative_models.modalities.draws import symmetric as symmetric
from artifex.generative_models.modalities.draws import uniform as uniform


def place(key: Key[Array, ""], rows: int, columns: int) -> Int[Array, "2"]:
    """A row and a column, each equally likely."""
    return jax.random.randint(key, (2,), 0, jnp.array([rows, columns], jnp.int32), jnp.int32)


def box(
    centre: Int[Array, "2"],
    shape: tuple[int, int],
    height: int | Int[Array, ""],
    width: int | Int[Array, ""],
) -> Bool[Array, "h w"]:
    """Where a box around that pixel is, of `height` x `width` pixels; what would lie outside is left out."""
    top, left = centre[0] - height // 2, centre[1] - width // 2
    y, x = jnp.arange(shape[0], dtype=jnp.int32)[:, None], jnp.arange(shape[1], dtype=jnp.int32)[None, :]
    return (y >= top) & (y < top + height) & (x >= left) & (x < left + width)


def crop_box(
    key: Key[Array, ""], h: int, w: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Top, left, height and width, whole numbers, of the box that `random_resized_crop` takes."""
    for_area, for_ratio, for_place = jax.random.split(key, 3)
    tries = (10,)
    area = jax.random.uniform(for_area, tries, jnp.float32, scale[0], scale[1]) * (h * w)
    aspect = jnp.exp(jax.random.uniform(for_ratio, tries, jnp.float32, log(ratio[0]), log(ratio[1])))
    widths, heights = jnp.round(jnp.sqrt(area * aspect)), jnp.round(jnp.sqrt(area / aspect))
    fits = (widths >= 1) & (widths <= w) & (heights >= 1) & (heights <= h)
    first = jnp.argmax(fits)
    found = fits[first]
    whole_h, whole_w = _largest(h, w, ratio)
    height = jnp.where(found, heights[first], whole_h)
    width = jnp.where(found, widths[first], whole_w)
    share = jax.random.uniform(for_place, (2,), jnp.float32)
    # A share of float32 below 1 may round up to the whole number of places: hence the minimum.
    top = jnp.minimum(jnp.floor(share[0] * (h - height + 1)), h - height)
    left = jnp.minimum(jnp.floor(share[1] * (w - width + 1)), w - width)
    middle_top, middle_left = jnp.floor((h - height) / 2), jnp.floor((w - width) / 2)
    return jnp.where(found, top, middle_top), jnp.where(found, left, middle_left), height, width


def _largest(h: int, w: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Height and width of the largest part whose width / height is within `ratio`."""
    if w / h < ratio[0]:
        return min(h, max(1, round(w / ratio[0]))), w
    if w / h > ratio[1]:
        return h, min(w, max(1, round(h * ratio[1])))
    return h, w
