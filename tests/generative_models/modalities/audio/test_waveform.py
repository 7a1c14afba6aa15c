import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import waveform
from artifex.generative_models.modalities.audio.waveform import fix_length, map_clips, peak_normalize, working


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


@pytest.mark.parametrize("peak", [0.5, 1e-30])
def test_gradients_of_faint_clips_are_finite(peak):
    """Of (x, p) it is (x / p, 1), and of the sum (1 / p, -x / p^2), x being 0 here."""
    gradient = jax.grad(lambda x: peak_normalize(x).sum())(jnp.array([0.0, peak]))
    np.testing.assert_allclose(gradient * peak, [1, 0], rtol=1e-6)


@pytest.mark.parametrize("b", [1, 4, 6])
def test_mapped_is_vmapped(monkeypatch, b):
    """Four clips of 2^8 samples are done at a time, so that of six two are left over. Gradients go through."""
    monkeypatch.setattr(waveform, "_WHOLE", 2**9)
    monkeypatch.setattr(waveform, "_PART", 2**10)
    clips = np.arange(b * 2**8, dtype=np.float32).reshape(b, 2**8)

    def function(clip):
        return {"peak": jnp.max(clip), "start": clip[:3] * 2}

    mapped = jax.jit(lambda x: map_clips(function, x))(clips)
    np.testing.assert_array_equal(mapped["peak"], clips.max(axis=1))
    np.testing.assert_array_equal(mapped["start"], clips[:, :3] * 2)
    gradient = jax.grad(lambda x: map_clips(function, x)["start"].sum())(jnp.asarray(clips))
    assert bool((gradient[:, :3] == 2).all()) and not gradient[:, 3:].any()


def test_what_is_no_clip_is_told():
    with pytest.raises(ShapeError, match=r"`waveform` must be float, got int16; scale integers"):
        working(jnp.zeros(4, jnp.int16), 1)
    with pytest.raises(ShapeError, match=r"`waveform` must have 1 axes, got shape \(2, 4\).*jax.vmap"):
        working(jnp.zeros((2, 4)), 1)
    assert working(jnp.zeros(4, jnp.float16), 1).dtype == np.float32
