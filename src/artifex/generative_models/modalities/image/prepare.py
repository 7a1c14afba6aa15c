"""From pixels as they are stored to pixels as a model sees them: the one path that all images take.

In this order: to [0, 1], channels, size, augmentation, the config's range. Steps that have nothing to do
are left out, so that an image which is ready already passes through bit by bit.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy.typing as npt
from jaxtyping import Array, Float, Key, Shaped

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.image import transforms
from artifex.generative_models.modalities.image.config import ImageModalityConfig, ValueRange

Augmentation: TypeAlias = Callable[[Key[Array, ""], Float[Array, "h w c"]], Float[Array, "h w c"]]
"""A random function of one image with values in [0, 1]: `f(key, image) -> image`."""


def prepare(
    image: Shaped[Array, "h w c"],
    config: ImageModalityConfig,
    *,
    key: Key[Array, ""] | None = None,
    augment: Augmentation | None = None,
    input_range: tuple[float, float] | None = None,
) -> Float[Array, "height width channels"]:
    """One image in the config's size, channels and range.

    Args:
        image: uint8 (0 to 255), uint16 (0 to 65535) or float (in the config's range already); any numbers
            with an `input_range`.
        config: what the result shall be.
        key: for `augment`; without one nothing is augmented.
        augment: a random function of an image in [0, 1].
        input_range: the numbers for black and white, where dtype and config do not tell them.

    Returns:
        Floats: of the image's own dtype where that is a float, else float32.
    """
    height, width, channels = config.shape
    same_size = image.shape == (height, width, channels)
    augmented = augment is not None and key is not None
    ready = jnp.issubdtype(image.dtype, jnp.floating) and input_range is None
    if ready and same_size and not augmented:
        return image
    unit = to_unit(image, config, input_range)
    if image.shape[-1] != channels:
        unit = transforms.convert_channels(unit, channels)
    if unit.shape[:2] != (height, width):
        unit = transforms.resize(unit, height, width, method=config.resize_method)
        unit = jnp.clip(unit, 0, 1)  # bicubic and Lanczos overshoot
    if augment is not None and key is not None:
        unit = augment(key, unit)
    return from_unit(unit, config)


def to_unit(
    image: Shaped[Array, "h w c"], config: ImageModalityConfig, input_range: tuple[float, float] | None = None
) -> Float[Array, "h w c"]:
    """An image with values in [0, 1]; see `prepare` for what they are taken to be before."""
    if input_range is None and not jnp.issubdtype(image.dtype, jnp.floating):
        return transforms.to_unit(image)
    low, high = config.limits if input_range is None else check_input_range(input_range)
    if (low, high) == (0.0, 1.0) and jnp.issubdtype(image.dtype, jnp.floating):
        return image
    if not jnp.issubdtype(image.dtype, jnp.floating):
        image = image.astype(jnp.float32)
    return (image - low) / (high - low)


def from_unit(image: Float[Array, "h w c"], config: ImageModalityConfig) -> Float[Array, "h w c"]:
    """An image with values in [0, 1] in the config's range."""
    if config.value_range is ValueRange.UNIT:
        return image
    low, high = config.limits
    return image * (high - low) + low


def check_input_range(input_range: tuple[float, float]) -> tuple[float, float]:
    """The range as two floats; raises unless the second is greater than the first."""
    try:
        low, high = (float(value) for value in input_range)
    except (TypeError, ValueError):
        raise ConfigError(f"`input_range` must be two numbers, (black, white), got {input_range!r}") from None
    if not low < high:
        raise ConfigError(f"`input_range` must be (black, white) with black < white, got {input_range!r}")
    return low, high


def check_image(image: Array | npt.NDArray[Any], *, input_range: tuple[float, float] | None = None) -> None:
    """Raises ShapeError unless `image` is (h, w, c) or (b, h, w, c), of 1, 3 or 4 channels and a known dtype."""
    if image.ndim not in (3, 4):
        raise ShapeError(
            f"an image must have shape (h, w, c), a batch (b, h, w, c), got {image.dtype}{list(image.shape)}"
        )
    if image.shape[-1] not in (1, 3, 4):
        raise ShapeError(
            f"images must have 1, 3 or 4 channels, in the last axis, got shape {image.shape}"
            + ("; this one seems to have them first" if image.shape[-3] in (1, 3) else "")
        )
    if 0 in image.shape:
        raise ShapeError(f"an image must have at least one pixel, got shape {image.shape}")
    known = image.dtype in (jnp.uint8, jnp.uint16) or jnp.issubdtype(image.dtype, jnp.floating)
    numbers = known or jnp.issubdtype(image.dtype, jnp.integer)
    if not numbers or (not known and input_range is None):
        raise ShapeError(
            f"images must be uint8, uint16 or float, got {image.dtype}"
            + ("; for other integers say what they range over: `input_range=(low, high)`" if numbers else "")
        )
