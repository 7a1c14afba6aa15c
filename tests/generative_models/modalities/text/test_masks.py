import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.text import masks


def rows(mask) -> list[str]:
    return ["".join("x" if m else "." for m in row) for row in np.asarray(mask).tolist()]


def test_padding_is_not_attended_to():
    tokens = jnp.array([2, 9, 3, 0, 0], jnp.int32)
    assert masks.attention_mask(tokens, pad_id=0).tolist() == [True, True, True, False, False]


def test_causal():
    assert rows(masks.causal_mask(3)) == ["x..", "xx.", "xxx"]
    ours = masks.causal_mask(7)
    np.testing.assert_array_equal(ours, nnx.make_causal_mask(jnp.zeros(7, jnp.int32))[0] != 0)
    with pytest.raises(ConfigError, match="`length`"):
        masks.causal_mask(0)


def test_segments_are_causal_blocks():
    """Two documents and padding, which is a block of its own: no row is empty."""
    segments = jnp.array([1, 1, 2, 2, 0, 0], jnp.int32)
    assert rows(masks.segment_mask(segments)) == ["x.....", "xx....", "..x...", "..xx..", "....x.", "....xx"]


def test_a_prefix_is_seen_in_both_directions():
    prefix = jnp.array([True, True, False, False])
    assert rows(masks.prefix_mask(prefix)) == ["xx..", "xx..", "xxx.", "xxxx"]
    np.testing.assert_array_equal(masks.prefix_mask(jnp.zeros(4, bool)), masks.causal_mask(4))
