import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.mixing import mix, mix_labels


def test_each_with_the_next_by_hand():
    batch = jnp.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    mixed = mix(batch, jnp.array([1.0, 0.5, 0.25]))
    np.testing.assert_allclose(mixed, [[1, 2], [55, 110], [25.75, 51.5]])
    assert mix(batch.astype(jnp.bfloat16), jnp.ones(3)).dtype == jnp.bfloat16


def test_what_cannot_be_mixed():
    with pytest.raises(
        ShapeError, match=r"`labels` must be floats of shape \(2, n\), .* each picture, got float32\[3, 1\]"
    ):
        mix_labels(jnp.ones((2, 4)), jnp.ones((3, 1)), jnp.ones(2), sample="picture")
    assert mix_labels(jnp.ones((2, 4)), None, jnp.ones(2), sample="picture") is None
