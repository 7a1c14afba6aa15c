import jax
import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A face: uint8 of shape (61, 47, 3), with both sides odd."""
    return np.ascontiguousarray(data.astronaut()[20:264:4, 150:338:4])


@pytest.fixture(scope="session")
def image(photo: np.ndarray) -> jax.Array:
    """The same in [0, 1]."""
    return jax.numpy.asarray(photo.astype(np.float32) / 255)
