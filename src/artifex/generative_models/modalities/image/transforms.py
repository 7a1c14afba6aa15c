"""Deterministic image functions: ranges, sizes, channels.

Conventions, here and in `adjust`, `warp` and `augment`:

* A function takes ONE image, float, of shape (h, w, c), channels last, c = 1 (grey), 3 (RGB) or
  4 (RGBA), with values in [0, 1]. For a batch, `jax.vmap` it.
* It is pure, and safe under `jax.jit` and `jax.vmap`. Arguments that give a size or name a method are static.
* Its result has the dtype of the image. 16-bit floats are worked on in float32.
* It does not clip its result, unless its docstring says so: a composition (`compose`) clips once, at its end.
* Functions of colour leave alpha as it is. Functions of place (pad, crop, flip, warp, blur) and of range
  treat all channels alike.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped, UInt8

from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.image.scalars import (
    Number,
    check_channels,
    check_count,
    check_fits,
    check_number,
    working,
)

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey value (ITU-R BT.601)."""

PerChannel: TypeAlias = int | float | Sequence[float] | Float[Array, " c"]
"""One number for all channels, or one for each."""


class ResizeMethod(StrEnum):
    """How pixels are interpolated. Bicubic (a = -0.5) and Lanczos (a = 3) overshoot [0, 1] at edges."""

    BILINEAR = "bilinear"
    NEAREST = "nearest"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class FillMode(StrEnum):
    """What lies outside: a value, the last pixels again, or the mirror image (`d c b | a b c d | c b a`)."""

    CONSTANT = "constant"
    EDGE = "edge"
    REFLECT = "reflect"


KERNELS = {ResizeMethod.BILINEAR: "linear", ResizeMethod.BICUBIC: "cubic", ResizeMethod.LANCZOS: "lanczos3"}
"""What `jax.image` calls them."""


def to_unit(image: Shaped[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Scales to [0, 1] by dtype: uint8 by 1/255, uint16 by 1/65535, both to float32; floats stay as they are.

    Raises:
        ShapeError: the dtype is another one, and so says nothing about the range.
    """
    if image.dtype in (jnp.uint8, jnp.uint16):
        return image.astype(jnp.float32) / jnp.iinfo(image.dtype).max
    if jnp.issubdtype(image.dtype, jnp.floating):
        return image
    raise ShapeError(
        f"`image` must be uint8, uint16 or float, got {image.dtype}; scale it to [0, 1] yourself"
    )


def to_uint8(image: Float[Array, "h w c"]) -> UInt8[Array, "h w c"]:
    """Scales [0, 1] to 0..255 and rounds to the nearest. Clips what lies outside."""
    return jnp.round(jnp.clip(working(image), 0, 1) * 255).astype(jnp.uint8)


def unit_to_symmetric(image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Maps [0, 1] onto [-1, 1], alpha too."""
    return image * 2 - 1


def symmetric_to_unit(image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    """Maps [-1, 1] onto [0, 1], alpha too: the inverse of `unit_to_symmetric`."""
    return (image + 1) / 2


def standardize(image: Float[Array, "h w c"], *, mean: PerChannel, std: PerChannel) -> Float[Array, "h w c"]:
    """Subtracts `mean` and divides by `std`, which are numbers or hold one for each channel (alpha too).

    Raises:
        ConfigError: a number in `std` is not > 0.
        ShapeError: there are not as many numbers as channels.
    """
    mean, std = _moments(image, mean, std)
    return ((working(image) - mean) / std).astype(image.dtype)


def unstandardize(
    image: Float[Array, "h w c"], *, mean: PerChannel, std: PerChannel
) -> Float[Array, "h w c"]:
    """The inverse of `standardize`."""
    mean, std = _moments(image, mean, std)
    return (working(image) * std + mean).astype(image.dtype)


def resize(
    image: Float[Array, "h w c"], height: int, width: int, *, method: ResizeMethod | str = "bilinear"
) -> Float[Array, "{height} {width} c"]:
    """Resizes, with anti-aliasing where that makes the image smaller (all methods but "nearest").

    Pixel centres are at halves, so that the result is what Pillow's `Image.resize` gives, without
    its rounding to whole grey levels between the two passes.
    """
    method = check_choice(ResizeMethod, "method", method)
    check_size("height", height)
    check_size("width", width)
    h, w, c = image.shape
    if (h, w) == (height, width):
        return image
    if method is ResizeMethod.NEAREST:
        return image[_nearest(h, height)][:, _nearest(w, width)]
    resized = jax.image.resize(working(image), (height, width, c), KERNELS[method], antialias=True)
    return resized.astype(image.dtype)


def convert_channels(
    image: Float[Array, "h w c"], channels: int, *, background: Number = 0.0
) -> Float[Array, "h w {channels}"]:
    """Converts between grey (1), RGB (3) and RGBA (4).

    Colour becomes grey by `LUMA`, grey becomes colour by repetition. Alpha that is missing is 1. Alpha
    that is not wanted is used up: the image is laid over a `background` of that grey value (0, black, by
    default), as Pillow's `alpha_composite` does and its `convert`, which drops alpha, does not.

    Raises:
        ShapeError: `image` has not 1, 3 or 4 channels.
        ConfigError: `channels` is not 1, 3 or 4.
    """
    present = image.shape[-1]
    check_channels(present)
    if channels not in (1, 3, 4):
        raise ConfigError(f"`channels` must be 1 (grey), 3 (RGB) or 4 (RGBA), got {channels!r}")
    check_number("background", background, low=0, high=1)
    if channels == present:
        return image
    colour = working(image)
    if present == 4:
        alpha = colour[..., 3:]
        colour = colour[..., :3] * alpha + jnp.asarray(background, colour.dtype) * (1 - alpha)
    if channels == 1:
        colour = luma(colour)
    elif present == 1:
        colour = jnp.repeat(colour, 3, axis=-1)
    if channels == 4:
        colour = jnp.concatenate([colour, jnp.ones_like(colour[..., :1])], axis=-1)
    return colour.astype(image.dtype)


def luma(colour: Float[Array, "h w c"]) -> Float[Array, "h w 1"]:
    """The grey image of an RGB image, by `LUMA`; a grey image is its own."""
    if colour.shape[-1] == 1:
        return colour
    # As a product, because XLA fuses three channel slices badly on CPU (six times slower). Without
    # "highest", accelerators would round its operands to fewer bits.
    weights = jnp.asarray(LUMA, colour.dtype)
    return jnp.matmul(colour, weights, precision="highest")[..., None]


def center_crop(image: Float[Array, "h w c"], height: int, width: int) -> Float[Array, "{height} {width} c"]:
    """The middle of the image. Where the margin is odd, the bottom and the right lose the extra pixel.

    Raises:
        ShapeError: the image is smaller than that.
    """
    check_size("height", height)
    check_size("width", width)
    h, w, _ = image.shape
    check_fits("height", height, h)
    check_fits("width", width, w)
    top, left = (h - height) // 2, (w - width) // 2
    return image[top : top + height, left : left + width]


def pad(
    image: Float[Array, "h w c"],
    *,
    top: int = 0,
    bottom: int = 0,
    left: int = 0,
    right: int = 0,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h2 w2 c"]:
    """Adds so many pixels on each side: of value `fill`, in all channels, if `fill_mode` is "constant"."""
    for name, value in (("top", top), ("bottom", bottom), ("left", left), ("right", right)):
        check_count(name, value)
    mode = check_choice(FillMode, "fill_mode", fill_mode)
    margins = ((top, bottom), (left, right), (0, 0))
    if mode is FillMode.CONSTANT:
        check_number("fill", fill)
        return jnp.pad(image, margins, constant_values=jnp.asarray(fill, image.dtype))
    return jnp.pad(image, margins, mode=mode.value)


def _nearest(size: int, new_size: int) -> np.ndarray:
    """For each new pixel the old one under its centre: floor((i + 1/2) size / new_size), exactly."""
    return (2 * np.arange(new_size) + 1) * size // (2 * new_size)


def _moments(image: Array, mean: PerChannel, std: PerChannel) -> tuple[Array, Array]:
    for value in np.ravel(std) if not isinstance(std, jax.Array) else ():
        check_number("std", float(value), low=0, above=True)
    return _per_channel("mean", mean, image), _per_channel("std", std, image)


def _per_channel(name: str, values: PerChannel, image: Array) -> Array:
    array = jnp.atleast_1d(jnp.asarray(values, working(image[:0]).dtype))
    if array.shape not in ((1,), image.shape[-1:]):
        raise ShapeError(
            f"`{name}` must be one number or {image.shape[-1]}, one a channel, got shape {array.shape}"
        )
    return array[None, None]
