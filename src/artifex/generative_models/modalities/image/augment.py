"""Random image functions: `f(key, image, *, setting=...)`; conventions as in `transforms`.

The key comes first and is used up: the same key gives the same result, whatever the dtype of the image,
since all numbers are drawn in float32. "Drawn from `lower` to `upper`" means uniformly. Nothing here
clips: `compose.compose` does, at its end. Gradients flow through the image, not through what was drawn.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.data.checks import check_size
from artifex.generative_models.modalities.image import adjust
from artifex.generative_models.modalities.image.draws import (
    box,
    chance,
    crop_box,
    log_uniform,
    place,
    symmetric,
    uniform,
)
from artifex.generative_models.modalities.image.scalars import (
    Number,
    check_bounds,
    check_count,
    check_fits,
    check_number,
    on_colour,
)
from artifex.generative_models.modalities.image.transforms import FillMode, ResizeMethod, pad
from artifex.generative_models.modalities.image.warp import crop_and_resize, warp


def random_flip_horizontal(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, probability: Number = 0.5
) -> Float[Array, "h w c"]:
    """Mirrors left and right with the given probability."""
    return jnp.where(chance(key, probability), image[:, ::-1], image)


def random_flip_vertical(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, probability: Number = 0.5
) -> Float[Array, "h w c"]:
    """Mirrors top and bottom with the given probability."""
    return jnp.where(chance(key, probability), image[::-1], image)


def random_rotation(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    max_degrees: Number = 15.0,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Turns about the centre by an angle drawn from -max_degrees to max_degrees."""
    return random_affine(key, image, max_degrees=max_degrees, fill_mode=fill_mode, fill=fill)


def random_shift(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    max_fraction: Number = 0.125,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Shifts along each axis by up to that fraction of its size, not only by whole pixels."""
    return random_affine(key, image, max_fraction=max_fraction, fill_mode=fill_mode, fill=fill)


def random_zoom(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    lower: Number = 0.8,
    upper: Number = 1.25,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Zooms about the centre by a factor whose logarithm is drawn uniformly; above 1 enlarges."""
    check_bounds(lower, upper, names=("lower", "upper"), low=0, above=True)
    return random_affine(key, image, lower_zoom=lower, upper_zoom=upper, fill_mode=fill_mode, fill=fill)


def random_shear(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    max_degrees: Number = 10.0,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Leans upright lines by an angle drawn from -max_degrees to max_degrees."""
    return random_affine(key, image, max_shear_degrees=max_degrees, fill_mode=fill_mode, fill=fill)


def random_affine(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    max_degrees: Number = 0.0,
    max_shear_degrees: Number = 0.0,
    max_fraction: Number = 0.0,
    lower_zoom: Number = 1.0,
    upper_zoom: Number = 1.0,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Shears, zooms, turns and shifts in one warp, so that the image is interpolated once.

    The settings are those of `random_rotation`, `random_shear`, `random_shift` and `random_zoom`, which
    draw the same numbers from the same key.
    """
    check_number("max_degrees", max_degrees, low=0)
    check_number("max_shear_degrees", max_shear_degrees, low=0, high=89)
    check_number("max_fraction", max_fraction, low=0)
    check_bounds(lower_zoom, upper_zoom, names=("lower_zoom", "upper_zoom"), low=0, above=True)
    h, w, _ = image.shape
    degrees, lean, zoom, down, right = jax.random.split(key, 5)
    return warp(
        image,
        degrees=symmetric(degrees, max_degrees),
        shear_degrees=symmetric(lean, max_shear_degrees),
        zoom=log_uniform(zoom, lower_zoom, upper_zoom),
        shift_y=symmetric(down, max_fraction) * h,
        shift_x=symmetric(right, max_fraction) * w,
        fill_mode=fill_mode,
        fill=fill,
    )


def random_crop(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, height: int, width: int
) -> Float[Array, "{height} {width} c"]:
    """A part of that size; every place is equally likely.

    Raises:
        ShapeError: the image is smaller than that.
    """
    check_size("height", height)
    check_size("width", width)
    h, w, c = image.shape
    check_fits("height", height, h)
    check_fits("width", width, w)
    top, left = place(key, h - height + 1, w - width + 1)
    return jax.lax.dynamic_slice(image, (top, left, jnp.zeros_like(top)), (height, width, c))


def random_resized_crop(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    height: int,
    width: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    method: ResizeMethod | str = "bilinear",
    antialias: bool = True,
) -> Float[Array, "{height} {width} c"]:
    """A part of random area and shape, resized to that size ("Inception crop", Szegedy et al., 2014).

    As torchvision's `RandomResizedCrop`: the area is drawn from `scale`, as fractions of the image's, the
    logarithm of width / height from the logarithms of `ratio`, both sides are rounded, and the place is
    drawn. The first of ten such boxes that fits is taken; if none does, the largest middle part with a
    shape in `ratio`. The pixels are those of `crop_and_resize`.
    """
    check_bounds(*scale, names=("scale[0]", "scale[1]"), low=0, above=True)
    check_number("scale[1]", scale[1], high=1)
    check_bounds(*ratio, names=("ratio[0]", "ratio[1]"), low=0, above=True)
    top, left, crop_height, crop_width = crop_box(key, image.shape[0], image.shape[1], scale, ratio)
    return crop_and_resize(
        image,
        top=top,
        left=left,
        crop_height=crop_height,
        crop_width=crop_width,
        height=height,
        width=width,
        method=method,
        antialias=antialias,
    )


def random_pad_and_crop(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    padding: int | None = None,
    fill_mode: FillMode | str = "constant",
    fill: Number = 0.0,
) -> Float[Array, "h w c"]:
    """Pads every side and crops back to the old size: a shift by whole pixels.

    `padding` is in pixels; None means an eighth of each side (4 of 32, as is the custom on CIFAR-10).
    """
    h, w, _ = image.shape
    if padding is not None:
        check_count("padding", padding)
    y, x = (h // 8, w // 8) if padding is None else (padding, padding)
    padded = pad(image, top=y, bottom=y, left=x, right=x, fill_mode=fill_mode, fill=fill)
    return random_crop(key, padded, height=h, width=w)


def random_brightness(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, max_delta: Number = 0.2
) -> Float[Array, "h w c"]:
    """Adds one number, drawn from -max_delta to max_delta, to all colours."""
    check_number("max_delta", max_delta, low=0)
    return adjust.adjust_brightness(image, symmetric(key, max_delta))


def random_contrast(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, lower: Number = 0.8, upper: Number = 1.2
) -> Float[Array, "h w c"]:
    """`adjust_contrast` by a factor drawn from `lower` to `upper`."""
    check_bounds(lower, upper, low=0)
    return adjust.adjust_contrast(image, uniform(key, lower, upper))


def random_saturation(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, lower: Number = 0.8, upper: Number = 1.2
) -> Float[Array, "h w c"]:
    """`adjust_saturation` by a factor drawn from `lower` to `upper`."""
    check_bounds(lower, upper, low=0)
    return adjust.adjust_saturation(image, uniform(key, lower, upper))


def random_hue(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, max_delta: Number = 0.1
) -> Float[Array, "h w c"]:
    """`adjust_hue` by -max_delta to max_delta turns; 0.5 reaches every hue."""
    check_number("max_delta", max_delta, low=0, high=0.5)
    return adjust.adjust_hue(image, symmetric(key, max_delta))


def random_gamma(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, lower: Number = 0.8, upper: Number = 1.25
) -> Float[Array, "h w c"]:
    """`adjust_gamma` by an exponent whose logarithm is drawn uniformly."""
    check_bounds(lower, upper, low=0, above=True)
    return adjust.adjust_gamma(image, log_uniform(key, lower, upper))


def random_grayscale(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, probability: Number = 0.1
) -> Float[Array, "h w c"]:
    """Takes the colour away with the given probability; the number of channels stays."""
    return jnp.where(chance(key, probability), adjust.grayscale(image), image)


def random_solarize(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, threshold: Number = 0.5, probability: Number = 0.5
) -> Float[Array, "h w c"]:
    """`solarize` with the given probability."""
    return jnp.where(chance(key, probability), adjust.solarize(image, threshold), image)


def random_posterize(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, bits: int = 4, probability: Number = 0.5
) -> Float[Array, "h w c"]:
    """`posterize` with the given probability."""
    return jnp.where(chance(key, probability), adjust.posterize(image, bits), image)


def random_gaussian_blur(
    key: Key[Array, ""],
    image: Float[Array, "h w c"],
    *,
    lower: Number = 0.1,
    upper: Number = 2.0,
    radius: int = 6,
) -> Float[Array, "h w c"]:
    """`gaussian_blur` with a sigma drawn from `lower` to `upper` pixels, cut at `radius`: some 3 `upper`."""
    check_bounds(lower, upper, low=0, above=True)
    return adjust.gaussian_blur(image, uniform(key, lower, upper), radius=radius)


def random_cutout(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, size: int, fill: Number = 0.0
) -> Float[Array, "h w c"]:
    """Puts `fill`, in all channels, on a square of `size` pixels (DeVries and Taylor, 2017).

    Its centre may be any pixel, so that near the border a part of the square lies outside.
    """
    check_size("size", size)
    check_number("fill", fill)
    h, w, _ = image.shape
    hole = box(place(key, h, w), (h, w), size, size)
    return jnp.where(hole[..., None], jnp.asarray(fill, image.dtype), image)


def random_gaussian_noise(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, std: Number = 0.05
) -> Float[Array, "h w c"]:
    """Adds independent normal numbers of that standard deviation to all colour values."""
    check_number("std", std, low=0)
    return on_colour(image, lambda x: x + _normal(key, x, std))


def random_speckle(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, std: Number = 0.1
) -> Float[Array, "h w c"]:
    """Multiplies all colour values by 1 plus independent normal numbers of that standard deviation."""
    check_number("std", std, low=0)
    return on_colour(image, lambda x: x * (1 + _normal(key, x, std)))


def random_salt_and_pepper(
    key: Key[Array, ""], image: Float[Array, "h w c"], *, amount: Number = 0.05
) -> Float[Array, "h w c"]:
    """Makes each pixel white or black, all its colours alike, with probability `amount` / 2 each."""
    check_number("amount", amount, low=0, high=1)
    level = jax.random.uniform(key, (*image.shape[:2], 1), jnp.float32)
    half = jnp.asarray(amount, jnp.float32) / 2
    return on_colour(image, lambda x: jnp.where(level < half, 0, jnp.where(level >= 1 - half, 1, x)))


def _normal(key: Array, like: Array, std: Number) -> Array:
    return jax.random.normal(key, like.shape, jnp.float32).astype(like.dtype) * jnp.asarray(std, like.dtype)
