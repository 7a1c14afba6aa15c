"""The last step of most contenders: one compiled call that takes the NumPy arrays of a batch as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@jax.jit
def to_unit(images: Any, labels: Any) -> tuple[Any, Any]:
    """uint8 to float32 in [0, 1]; labels cross with them, for each call has a price of its own."""
    return images.astype(jnp.float32) * np.float32(1 / 255), labels


@jax.jit
def images_to_unit(images: Any) -> Any:
    """uint8 to float32 in [0, 1]."""
    return images.astype(jnp.float32) * np.float32(1 / 255)
