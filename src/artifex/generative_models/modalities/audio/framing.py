"""Frames: a clip cut into pieces that overlap, and put together again; conventions as in `transforms`."""

from enum import StrEnum

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.waveform import working

# Up to so many hops in a frame, frames are slices of a reshaped clip: no index is computed, and the gradient is
# a sum of slices. Beyond that the program would be long, and an index is made.
_MOST_SLICES = 64


class PadMode(StrEnum):
    """What lies before and after a clip: silence, its mirror image without the border, or its border."""

    CONSTANT = "constant"
    REFLECT = "reflect"
    EDGE = "edge"


def frame_count(n_samples: int, *, frame_length: int, hop_length: int, center: bool = True) -> int:
    """How many frames a clip of so many samples has.

    With `center`, 1 + n_samples // hop_length (for an even `frame_length`): frame i has its middle at sample
    i * hop_length. Else 1 + (n_samples - frame_length) // hop_length: those that lie within the clip.

    Raises:
        ShapeError: the clip is empty or, without `center`, shorter than one frame.
    """
    check_size("frame_length", frame_length)
    check_size("hop_length", hop_length)
    room = n_samples + (frame_length // 2 * 2 if center else 0) - frame_length
    if n_samples < 1 or room < 0:
        raise ShapeError(
            f"`waveform` has {n_samples} samples, which is less than one frame of {frame_length}; pad it, or "
            f"shorten the frame" + ("" if center else ", or use `center=True`")
        )
    return 1 + room // hop_length


def pad_center(
    waveform: Float[Array, " t"], *, frame_length: int, pad_mode: PadMode | str = "reflect"
) -> Float[Array, " t2"]:
    """Adds `frame_length // 2` samples on both sides, so that the first frame has its middle at sample 0."""
    mode = check_choice(PadMode, "pad_mode", pad_mode)
    margin = check_size("frame_length", frame_length) // 2
    if mode is not PadMode.REFLECT or waveform.shape[0] == 0:
        return jnp.pad(waveform, margin, mode=mode.value)
    if waveform.shape[0] > margin:
        # As slices: XLA on CPU takes longer for `jnp.pad` here.
        before, after = waveform[1 : margin + 1][::-1], waveform[-margin - 1 : -1][::-1]
        return jnp.concatenate([before, waveform, after])
    # By an index: `jnp.pad` mirrors a short clip again and again, of whose gradient XLA makes a program for minutes.
    last = waveform.shape[0] - 1
    places = np.arange(-margin, last + 1 + margin) % max(1, 2 * last)
    return waveform[np.minimum(places, 2 * last - places) if last else np.zeros_like(places)]


def frame(
    waveform: Float[Array, " t"],
    *,
    frame_length: int,
    hop_length: int,
    weights: Float[Array, " {frame_length}"] | None = None,
) -> Float[Array, "n {frame_length}"]:
    """The frames that lie within a clip: frame i begins at sample i * hop_length; times `weights`, if there are.

    Raises:
        ShapeError: the clip is shorter than one frame.
    """
    x = working(waveform, 1)
    n = frame_count(x.shape[0], frame_length=frame_length, hop_length=hop_length, center=False)
    hops = -(-frame_length // hop_length)
    if hops > _MOST_SLICES:
        frames = x[np.arange(n)[:, None] * hop_length + np.arange(frame_length)]
        return frames if weights is None else frames * weights[None]
    whole = (n + hops - 1) * hop_length
    missing = max(0, whole - x.shape[0])
    rows = jnp.pad(x, (0, missing))[:whole].reshape(-1, hop_length)
    # Piece k of frame i is row i + k; what is too much of the last one is cut off.
    pieces = jnp.stack([rows[k : k + n] for k in range(hops)], axis=1)
    if weights is not None:  # here, where XLA on CPU does it while it puts the pieces together
        pieces *= jnp.pad(weights, (0, hops * hop_length - frame_length)).reshape(1, hops, hop_length)
    return pieces.reshape(n, -1)[:, :frame_length]


def overlap_add(frames: Float[Array, "n w"], *, hop_length: int) -> Float[Array, " t"]:
    """Adds the frames up, each `hop_length` samples after the one before: t = (n - 1) * hop_length + w."""
    check_size("hop_length", hop_length)
    n, width = frames.shape
    length = (n - 1) * hop_length + width
    hops = -(-width // hop_length)
    if hops > _MOST_SLICES:
        index = np.arange(n)[:, None] * hop_length + np.arange(width)
        return jnp.zeros(length, frames.dtype).at[index].add(frames)
    rows = jnp.pad(frames, ((0, 0), (0, hops * hop_length - width)))
    pieces = rows.reshape(n, hops, hop_length)
    total = sum(
        (jnp.pad(pieces[:, k], ((k, hops - 1 - k), (0, 0))) for k in range(1, hops)),
        jnp.pad(pieces[:, 0], ((0, hops - 1), (0, 0))),
    )
    return total.reshape(-1)[:length]


def check_frames(n_fft: int, hop_length: int) -> None:
    """Raises unless `n_fft` is even and `hop_length` at most as long.

    Raises:
        ConfigError: it is not.
    """
    check_size("n_fft", n_fft, largest=2**20)
    check_size("hop_length", hop_length)
    if n_fft % 2:
        raise ConfigError(f"`n_fft` must be even, got {n_fft}; take {n_fft + 1}, or a power of 2")
    if hop_length > n_fft:
        raise ConfigError(
            f"`hop_length` {hop_length} must not be more than `n_fft` {n_fft}: what lies between "
            f"the frames would be lost"
        )
