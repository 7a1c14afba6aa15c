import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.waveform import fix_length, peak_normalize, working


def test_fix_length_cuts_and_fills_the_end():
    clip = jnp.array([0.1, 0.2, 0.3], jnp.float16)
    assert fix_length(clip, 2).tolist() == clip[:2].tolist()
    assert fix_length(clip, 5).tolist() == [*clip.tolist(), 0, 0]
    assert fix_length(clip, 3).dtype == jnp.float16
    with pytest.raises(ConfigError, match="`length` must be from 1"):
        fix_length(clip, 0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_peak_normalize_by_hand(dtype):
    result = peak_normalize(jnp.array([0.25, -0.5, 0.0], dtype))
    assert result.dtype == dtype and result.tolist() == [0.5, -1.0, 0.0]


def test_silence_has_no_peak():
    assert peak_normalize(jnp.zeros(3)).tolist() == [0, 0, 0]


def test_what_is_no_clip_is_told():
    with pytest.raises(ShapeError, match=r"`waveform` must be float, got int16; scale integers"):
        working(jnp.zeros(4, jnp.int16), 1)
    with pytest.raises(ShapeError, match=r"`waveform` must have 1 axes, got shape \(2, 4\).*jax.vmap"):
        working(jnp.zeros((2, 4)), 1)
    assert working(jnp.zeros(4, jnp.float16), 1).dtype == np.float32
