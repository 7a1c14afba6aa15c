"""SpecAugment (Park et al., 2019): masks and a warp of one spectrogram, of any kind, real, (f, t): bins, frames."""

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.draws import uniform
from artifex.generative_models.modalities.settings import Number, check_count, check_number

Fill: TypeAlias = Number | str
"""What masked places become: a number, or "mean", the mean of the spectrogram."""


def mask_frequencies(
    key: Key[Array, ""],
    spectrogram: Float[Array, "f t"],
    *,
    max_width: int = 27,
    num_masks: int = 2,
    fill: Fill = 0.0,
) -> Float[Array, "f t"]:
    """Hides bands: of each the width is drawn from 0 to `max_width` bins, then the first bin.

    Widths are whole numbers, each equally likely, as is each place where the band fits (section 2 of the paper).
    Masks may overlap. A `max_width` over the number of bins means that number.

    Args:
        key: used up.
        spectrogram: on a logarithmic scale, as a rule.
        max_width: F of the paper.
        num_masks: m_F of the paper.
        fill: a number, or "mean"; the paper's 0 is the mean of its normalised input.
    """
    _check_fill(fill)
    bins = spectrogram.shape[0]
    hidden = _bands(key, bins, jnp.asarray(min(_count("max_width", max_width), bins)), num_masks)
    return _filled(spectrogram, hidden[:, None], fill)


def mask_times(
    key: Key[Array, ""],
    spectrogram: Float[Array, "f t"],
    *,
    max_width: int = 100,
    num_masks: int = 2,
    max_share: Number = 1.0,
    fill: Fill = 0.0,
) -> Float[Array, "f t"]:
    """Hides stretches of frames, as `mask_frequencies` hides bands.

    `max_width` is T of the paper, `num_masks` its m_T, and `max_share` its p: no mask is wider than that share of
    the frames, rounded down.
    """
    check_number("max_share", max_share, low=0, high=1)
    _check_fill(fill)
    frames = spectrogram.shape[1]
    share = jnp.floor(jnp.asarray(max_share, jnp.float32) * frames).astype(jnp.int32)
    hidden = _bands(key, frames, jnp.minimum(share, _count("max_width", max_width)), num_masks)
    return _filled(spectrogram, hidden[None, :], fill)


def warp_time(
    key: Key[Array, ""], spectrogram: Float[Array, "f t"], *, max_shift: int = 80
) -> Float[Array, "f t"]:
    """Moves a frame, drawn at least `max_shift` (W of the paper) from both ends, by up to that many frames.

    The shift is drawn from -W to W, the ends stay, and between them the frames are stretched evenly
    (`warp_at`): the paper's spline through a line of points is this but for its rounding of the bend. With fewer
    than 2 W + 1 frames W is what fits.
    """
    frames = spectrogram.shape[1]
    reach = min(_count("max_shift", max_shift), (frames - 1) // 2)
    if not reach:
        return spectrogram
    for_place, for_shift = jax.random.split(key)
    place = jax.random.randint(for_place, (), reach, frames - reach, jnp.int32).astype(jnp.float32)
    # A shift by the whole of W would press what lies on one side of the place into a point.
    shift = uniform(for_shift, -reach, reach)
    return warp_at(spectrogram, place=place, shift=jnp.clip(shift, 0.5 - place, frames - 1.5 - place))


def warp_at(spectrogram: Float[Array, "f t"], *, place: Number, shift: Number) -> Float[Array, "f t"]:
    """Moves the frame at `place` to `place` + `shift`; linear in time between it and the two ends, which stay.

    Args:
        spectrogram: two frames at least.
        place: in frames, within 0 and t - 1.
        shift: in frames, to the right if > 0; what is moved stays within 0 and t - 1, and apart from both.
    """
    check_number("place", place, low=0, high=spectrogram.shape[1] - 1)
    check_number("shift", shift)
    end = spectrogram.shape[1] - 1
    start = jnp.asarray(place, jnp.float32)
    goal = start + jnp.asarray(shift, jnp.float32)
    frame = jnp.arange(end + 1, dtype=jnp.float32)
    before = frame * (start / jnp.where(goal > 0, goal, 1))
    after = end - (end - frame) * ((end - start) / jnp.where(goal < end, end - goal, 1))
    source = jnp.clip(jnp.where(frame < goal, before, after), 0, end)
    floor = jnp.minimum(jnp.floor(source), max(end - 1, 0))
    part = (source - floor).astype(spectrogram.dtype)[None]
    left = floor.astype(jnp.int32)
    return (1 - part) * spectrogram[:, left] + part * spectrogram[:, jnp.minimum(left + 1, end)]


def spec_augment(
    key: Key[Array, ""],
    spectrogram: Float[Array, "f t"],
    *,
    max_shift: int = 80,
    max_bins: int = 27,
    max_frames: int = 100,
    max_share: Number = 1.0,
    num_masks: int = 2,
    fill: Fill = 0.0,
) -> Float[Array, "f t"]:
    """Warp, frequency masks and time masks in this order; the settings are the policy "LD" of the paper.

    "LB" has `num_masks=1`; for speech of telephones ("SM", "SS") it takes max_shift=40, max_frames=70,
    max_share=0.2 and 15 or 27 `max_bins`. These are for 80 mel bins and hops of 10 ms: `max_bins` should stay below
    a third of the bins.
    """
    for_warp, for_bins, for_frames = jax.random.split(key, 3)
    warped = warp_time(for_warp, spectrogram, max_shift=max_shift)
    masked = mask_frequencies(for_bins, warped, max_width=max_bins, num_masks=num_masks, fill=fill)
    return mask_times(
        for_frames, masked, max_width=max_frames, num_masks=num_masks, max_share=max_share, fill=fill
    )


def _count(name: str, value: int) -> int:
    check_count(name, value)
    return value


def _bands(key: Array, size: int, widest: Array, num_masks: int) -> Bool[Array, " n"]:
    """Where the masks are on an axis of that size."""
    check_count("num_masks", num_masks)
    for_width, for_start = jax.random.split(key)
    widest = widest.astype(jnp.int32)
    width = jax.random.randint(for_width, (num_masks,), 0, widest + 1, jnp.int32)
    start = jax.random.randint(for_start, (num_masks,), 0, size - width + 1, jnp.int32)
    place = jnp.arange(size, dtype=jnp.int32)[:, None]
    return ((place >= start[None]) & (place < (start + width)[None])).any(axis=1)


def _check_fill(fill: Fill) -> None:
    if not isinstance(fill, str):
        check_number("fill", fill)
    elif fill != "mean":
        raise ConfigError(f"`fill` must be a number or 'mean', got {fill!r}")


def _filled(spectrogram: Array, hidden: Array, fill: Fill) -> Array:
    value = spectrogram.mean() if isinstance(fill, str) else jnp.asarray(fill, spectrogram.dtype)
    return jnp.where(hidden, value, spectrogram)
