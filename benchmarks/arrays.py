"""50,000 images of 32x32x3 in memory, shuffled each epoch, to float32 in [0, 1] and labels on the device."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from artifex.data import create_data_loader
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image.datasets import ArrayImageDataset
from benchmarks.measure import Case, endless

SIZE = 50_000


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SIZE, 32, 32, 3), np.uint8)
    labels = rng.integers(0, 10, SIZE).astype(np.int32)
    return [_case(images, labels, batch_size) for batch_size in (128, 1024)]


def _case(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Case:
    config = ImageModalityConfig(height=32)
    dataset = ArrayImageDataset(images, labels, config=config, rngs=nnx.Rngs(0))
    loader = create_data_loader(dataset, batch_size, drop_last=True)
    contenders = {
        "by hand: take, one jit": lambda: endless(lambda: _by_hand(images, labels, batch_size)),
        "artifex": lambda: endless(lambda: iter(loader)),
    }
    return Case(f"arrays 32x32x3, batch {batch_size}", batch_size, contenders)


@jax.jit
def _normalise(images: Any, labels: Any) -> Any:
    return images.astype(jnp.float32) * np.float32(1 / 255), labels


def _by_hand(images: np.ndarray, labels: np.ndarray, batch_size: int) -> Iterator[Any]:
    """The best loop we know: one gather per field, one compiled call that takes the NumPy arrays."""
    order = np.random.default_rng().permutation(SIZE)
    for start in range(0, SIZE - batch_size + 1, batch_size):
        rows = order[start : start + batch_size]
        yield _normalise(np.take(images, rows, axis=0), labels[rows])
