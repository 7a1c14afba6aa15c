"""Deterministic functions of colour and sharpness; conventions as in `transforms`.

Their results are what the random functions of `augment` give for a drawn number.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.image.scalars import (
    Number,
    check_count,
    check_number,
    on_colour,
    working,
)
from artifex.generative_models.modalities.image.transforms import luma


def adjust_brightness(image: Float[Array, "h w c"], delta: Number) -> Float[Array, "h w c"]:
    """Adds `delta`, in units of the full range (0.1 is 25.5 grey levels)."""
    check_number("delta", delta)
    return on_colour(image, lambda x: x + jnp.asarray(delta, x.dtype))


def adjust_contrast(image: Float[Array, "h w c"], factor: Number) -> Float[Array, "h w c"]:
    """Moves every value away from the image's mean grey value: mean + factor (x - mean).

    0 gives a grey plane, 1 the image. The mean is that of the grey image (ITU-R BT.601), one number for
    all channels, as in Pillow's `ImageEnhance.Contrast`.
    """
    check_number("factor", factor, low=0)
    return on_colour(image, lambda x: _blend(luma(x).mean(keepdims=True), x, factor))


def adjust_saturation(image: Float[Array, "h w c"], factor: Number) -> Float[Array, "h w c"]:
    """Moves every colour away from its grey value: grey + factor (x - grey).

    0 gives a grey image, 1 the image; as Pillow's `ImageEnhance.Color`. Grey images stay as they are.
    """
    check_number("factor", factor, low=0)
    return on_colour(image, lambda x: x if x.shape[-1] == 1 else _blend(luma(x), x, factor))


def adjust_hue(image: Float[Array, "h w c"], delta: Number) -> Float[Array, "h w c"]:
    """Turns the hue of HSV by `delta` turns (1/3 makes red green). Grey images stay as they are."""
    check_number("delta", delta)

    def turn(colour: Array) -> Array:
        if colour.shape[-1] == 1:
            return colour
        hue, chroma, value = _hue_chroma_value(colour)
        return _from_hue(hue + 6 * jnp.asarray(delta, colour.dtype), chroma, value)

    return on_colour(image, turn)


def adjust_gamma(image: Float[Array, "h w c"], gamma: Number) -> Float[Array, "h w c"]:
    """Raises to the power `gamma` > 0: above 1 darkens. Values below 0 count as 0."""
    check_number("gamma", gamma, low=0, above=True)
    return on_colour(image, lambda x: jnp.maximum(x, 0) ** jnp.asarray(gamma, x.dtype))


def grayscale(image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """The grey image (ITU-R BT.601), in as many channels as before."""
    return on_colour(image, lambda x: jnp.broadcast_to(luma(x), x.shape))


def solarize(image: Float[Array, "h w c"], threshold: Number) -> Float[Array, "h w c"]:
    """Inverts the values from `threshold` on: x becomes 1 - x."""
    check_number("threshold", threshold)
    return on_colour(image, lambda x: jnp.where(x >= jnp.asarray(threshold, x.dtype), 1 - x, x))


def posterize(image: Float[Array, "h w c"], bits: int) -> Float[Array, "h w c"]:
    """Keeps the `bits` (1 to 8) highest bits of the 8-bit grey level that is nearest to each value."""
    check_count("bits", bits)
    if not 1 <= bits <= 8:
        raise ConfigError(f"`bits` must be from 1 to 8, got {bits}")
    step = 2 ** (8 - bits)
    return on_colour(image, lambda x: jnp.floor(jnp.round(x * 255) / step) * (step / 255))


def gaussian_blur(
    image: Float[Array, "h w c"], sigma: Number, *, radius: int | None = None
) -> Float[Array, "h w c"]:
    """Convolves with a Gaussian, in all channels, alpha too.

    The kernel is sampled at whole pixels, cut at `radius`, and sums to 1. The border pixels are doubled
    (`b a | a b`), as in `scipy.ndimage.gaussian_filter`.

    Args:
        image: the image.
        sigma: standard deviation in pixels, > 0.
        radius: half width of the kernel in pixels, static; None means 4 sigma, rounded.

    Raises:
        ConfigError: `sigma` is not > 0, or is traced and `radius` is None.
    """
    check_number("sigma", sigma, low=0, above=True)
    if radius is None:
        if isinstance(sigma, jax.Array):
            raise ConfigError(
                "`radius` is needed, because `sigma` is an array: about 4 times its largest value"
            )
        radius = int(4 * sigma + 0.5)
    check_count("radius", radius)
    pixels = working(image)
    offsets = jnp.arange(-radius, radius + 1, dtype=pixels.dtype)
    kernel = jnp.exp(-0.5 * (offsets / jnp.asarray(sigma, pixels.dtype)) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pixels = _convolve(pixels, kernel, axis)
    return pixels.astype(image.dtype)


def _convolve(pixels: Array, kernel: Array, axis: int) -> Array:
    """Along one axis, borders doubled, as a sum of shifted images.

    XLA's CPU convolution with a kernel for each image is 50 times slower. Padding anew for each axis,
    and the barrier, keep XLA from fusing both passes into one of radius x radius terms.
    """
    radius, size = len(kernel) // 2, pixels.shape[axis]
    margins = [(0, 0)] * 3
    margins[axis] = (radius, radius)
    padded = jax.lax.optimization_barrier(jnp.pad(pixels, margins, mode="symmetric"))
    total = jnp.zeros_like(pixels)
    for i, weight in enumerate(kernel):
        total += weight * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
    return total


def rgb_to_hsv(image: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
    """Hue (in turns, [0, 1), 0 for grey), saturation and value, of an RGB image (Smith, 1978)."""
    hue, chroma, value = _hue_chroma_value(working(image))
    saturation = jnp.where(value > 0, chroma / jnp.where(value > 0, value, 1), 0)
    return jnp.stack([hue / 6, saturation, value], axis=-1).astype(image.dtype)


def hsv_to_rgb(image: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
    """The inverse of `rgb_to_hsv`. Hue is taken modulo 1."""
    hue, saturation, value = (working(image)[..., i] for i in range(3))
    return _from_hue(6 * hue, value * saturation, value).astype(image.dtype)


def _blend(base: Array, image: Array, factor: Number) -> Array:
    return base + jnp.asarray(factor, image.dtype) * (image - base)


def _hue_chroma_value(colour: Float[Array, "h w 3"]) -> tuple[Array, Array, Array]:
    """Hue in sixths of a turn, [0, 6); chroma = max - min; value = max. Not limited to colours in [0, 1]."""
    red, green, blue = (colour[..., i] for i in range(3))
    value = colour.max(axis=-1)
    chroma = value - colour.min(axis=-1)
    divisor = jnp.where(chroma > 0, chroma, 1)
    from_red = _modulo_6((green - blue) / divisor)
    from_red = jnp.where(from_red < 6, from_red, 0)
    from_green = (blue - red) / divisor + 2
    from_blue = (red - green) / divisor + 4
    hue = jnp.where(value == red, from_red, jnp.where(value == green, from_green, from_blue))
    return hue, chroma, value


def _from_hue(hue: Array, chroma: Array, value: Array) -> Float[Array, "h w 3"]:
    """The colour, by one ramp that red, green and blue run through a third of a turn apart."""
    starts = jnp.array([5, 3, 1], hue.dtype)[None, None]
    k = _modulo_6(hue[..., None] + starts)
    return value[..., None] - chroma[..., None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)


def _modulo_6(x: Array) -> Array:
    """[0, 6], where 6 may come of a tiny negative number; `jnp.mod` is ten times slower on CPU."""
    return x - 6 * jnp.floor(x / 6)
