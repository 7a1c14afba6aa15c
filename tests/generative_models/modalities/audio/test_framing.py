from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.framing import (
    check_frames,
    frame,
    frame_count,
    overlap_add,
    pad_center,
)

# (samples, frame, hop): hops that divide or not, as long as the frame, longer, so short that an index is made.
CUTS = [(20, 8, 4), (23, 8, 4), (23, 8, 3), (20, 5, 5), (24, 3, 7), (8, 8, 4), (150, 130, 1), (150, 130, 2)]


@pytest.mark.parametrize(("n", "length", "hop"), CUTS)
def test_frames_are_the_windows_that_numpy_slides(n, length, hop):
    clip = np.arange(n, dtype=np.float32)
    expected = np.lib.stride_tricks.sliding_window_view(clip, length)[::hop]
    np.testing.assert_array_equal(frame(jnp.asarray(clip), frame_length=length, hop_length=hop), expected)
    assert frame_count(n, frame_length=length, hop_length=hop, center=False) == len(expected)


@pytest.mark.parametrize(("n", "length", "hop"), CUTS)
def test_overlap_add_is_the_transpose_of_frame(n, length, hop):
    """<frame(x), y> = <x, overlap_add(y)>, and the gradient of `frame` is that sum too."""
    x = jnp.asarray(np.random.default_rng(0).integers(-8, 8, n).astype(np.float32))
    n_frames = 1 + (n - length) // hop
    y = jnp.asarray(np.random.default_rng(1).integers(-8, 8, (n_frames, length)).astype(np.float32))

    @jax.jit
    def both(x, y):
        frames, back = jax.vjp(partial(frame, frame_length=length, hop_length=hop), x)
        added = overlap_add(y, hop_length=hop)
        return jnp.sum(frames * y), jnp.sum(x[: added.shape[0]] * added), added, back(y)[0]

    one, other, added, gradient = both(x, y)
    assert float(one) == float(other)
    np.testing.assert_array_equal(gradient[: added.shape[0]], added)


@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 11])
def test_margins_are_numpys(n, mode):
    clip = np.arange(1, n + 1, dtype=np.float32)
    padded = pad_center(jnp.asarray(clip), frame_length=8, pad_mode=mode)
    np.testing.assert_array_equal(padded, np.pad(clip, 4, mode=mode))


@pytest.mark.parametrize("n", [1, 2])
def test_mirroring_a_clip_often_is_a_short_program(n):
    """One of a thousand lines, as by `jnp.pad`, takes minutes to compile. Its gradient counts the images."""
    run = jax.vjp(partial(pad_center, frame_length=512), jnp.arange(n, dtype=np.float32))[1]
    assert len(jax.make_jaxpr(run)(jnp.ones(512 + n)).eqns) < 20
    np.testing.assert_array_equal(run(jnp.ones(512 + n))[0], [[513], [257, 257]][n - 1])


@pytest.mark.parametrize(("n", "hop", "expected"), [(1, 4, 1), (16000, 256, 63), (15999, 256, 63), (8, 4, 3)])
def test_centred_frames_are_one_and_the_hops_of_the_clip(n, hop, expected):
    assert frame_count(n, frame_length=1024, hop_length=hop) == expected == 1 + n // hop


def test_bad_cuts_are_told():
    with pytest.raises(ShapeError, match="`waveform` has 7 samples, which is less than one frame of 8"):
        frame(jnp.zeros(7), frame_length=8, hop_length=4)
    with pytest.raises(ShapeError, match="`waveform` has 0 samples"):
        frame_count(0, frame_length=8, hop_length=4)
    with pytest.raises(ConfigError, match="`n_fft` must be even, got 7"):
        check_frames(7, 4)
    with pytest.raises(ConfigError, match="`hop_length` 9 must not be more than `n_fft` 8"):
        check_frames(8, 9)
