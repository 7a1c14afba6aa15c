"""The last step of most contenders: one compiled call that takes the NumPy arrays of a batch as they are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import sounds


@jax.jit
def to_unit(images: Any, labels: Any) -> tuple[Any, Any]:
    """uint8 to float32 in [0, 1]; labels cross with them, for each call has a price of its own."""
    return images.astype(jnp.float32) * np.float32(1 / 255), labels


@jax.jit
def images_to_unit(images: Any) -> Any:
    """uint8 to float32 in [0, 1]."""
    return images.astype(jnp.float32) * np.float32(1 / 255)


@jax.jit
def log_mel(samples: Any) -> Any:
    """float32 (b, 16000) to log-mel spectrograms, float32 (b, 63, 80); the formula is that of `sounds.log_mel`."""
    half = sounds.WINDOW // 2
    around = jnp.pad(samples, ((0, 0), (half, half)), mode="reflect")
    places = np.arange(sounds.FRAMES)[:, None] * sounds.HOP + np.arange(sounds.WINDOW)
    spectrum = jnp.fft.rfft(around[:, places] * sounds.window()[None, None])
    power = spectrum.real**2 + spectrum.imag**2
    return jnp.log(jnp.maximum(power @ sounds.bands(), sounds.FLOOR))
