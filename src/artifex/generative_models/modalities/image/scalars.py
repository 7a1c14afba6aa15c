"""What the image functions share: the numbers they take, their checks, and the precision they work in.

Images of 16-bit floats are worked on in float32 and come back in their own dtype.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.settings import Number as Number
from artifex.generative_models.modalities.settings import check_bounds as check_bounds
from artifex.generative_models.modalities.settings import check_count as check_count
from artifex.generative_models.modalities.settings import check_number as check_number


def check_fits(name: str, value: int, extent: int) -> None:
    """Raises ShapeError if a crop of `value` pixels is more than the image has."""
    if value > extent:
        raise ShapeError(
            f"`{name}` {value} is more than the image's {extent} pixels; `pad` or `resize` first"
        )


def working(array: Array) -> Array:
    """The array in the precision that is worked in: float32, or its own if that is wider.

    Raises:
        ShapeError: it is not of floats, so that its values cannot be in [0, 1].
    """
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ShapeError(
            f"an image must be float here, with values in [0, 1], got {array.dtype}; see `transforms.to_unit`"
        )
    return array.astype(jnp.float32) if array.dtype.itemsize < 4 else array


def on_colour(image: Float[Array, "h w c"], function: Callable[[Array], Array]) -> Float[Array, "h w c"]:
    """Applies `function` to the colour channels (one or three of them, in working precision); keeps alpha.

    Raises:
        ShapeError: there are not 1, 3 or 4 channels.
    """
    channels = image.shape[-1]
    check_channels(channels)
    colour = function(working(image[..., :3])).astype(image.dtype)
    return jnp.concatenate([colour, image[..., 3:]], axis=-1) if channels == 4 else colour


def check_channels(channels: int) -> None:
    """Raises unless there are 1, 3 or 4 channels."""
    if channels not in (1, 3, 4):
        raise ShapeError(
            f"an image has 1 (grey), 3 (RGB) or 4 (RGBA) channels, last, got {channels}; "
            f"move the channels to the last axis, or pick three of them"
        )
