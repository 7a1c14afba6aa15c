"""Synthetic pictures: each a pure function of one key.

`pattern(key, height, width, channels, ...)` gives one image, float32 (height, width, channels) in [0, 1]; an
alpha channel is 1 throughout. The caller vmaps over keys.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key


def noise(
    key: Key[Array, ""], height: int, width: int, channels: int
) -> Float[Array, "height width channels"]:
    """Every value uniform in [0, 1), on its own."""
    colour = jax.random.uniform(key, (height, width, min(channels, 3)))
    return _with_alpha(colour, channels)


def gradient(
    key: Key[Array, ""], height: int, width: int, channels: int
) -> Float[Array, "height width channels"]:
    """From a dark colour to a light one and back, at a random angle from a random phase.

    Along its direction the pattern is a triangle wave whose half period is the image's longer side.
    """
    k_angle, k_phase, k_low, k_high = jax.random.split(key, 4)
    angle = jax.random.uniform(k_angle, maxval=2 * jnp.pi)
    y, x = _grid(height, width)
    along = (x * jnp.cos(angle) + y * jnp.sin(angle)) / max(height, width)
    place = (along + jax.random.uniform(k_phase, maxval=2.0)) % 2
    low, high = _colours(k_low, k_high, min(channels, 3))
    return _with_alpha(low + (high - low) * jnp.abs(1 - place)[..., None], channels)


def checkerboard(
    key: Key[Array, ""], height: int, width: int, channels: int, *, tiles: tuple[int, ...] = (4, 16)
) -> Float[Array, "height width channels"]:
    """Black and white squares: a side of `tiles[0]` to `tiles[1]` pixels, and a phase along each axis."""
    k_side, k_phase = jax.random.split(key)
    side = jax.random.randint(k_side, (), tiles[0], tiles[1] + 1)
    phase = jax.random.randint(k_phase, (2,), 0, 2 * side)
    y = (jnp.arange(height) + phase[0]) // side
    x = (jnp.arange(width) + phase[1]) // side
    white = ((y[:, None] + x[None, :]) % 2).astype(jnp.float32)
    return _with_alpha(jnp.broadcast_to(white[..., None], (height, width, min(channels, 3))), channels)


def circle(
    key: Key[Array, ""], height: int, width: int, channels: int, *, radius: tuple[float, ...] = (0.1, 0.4)
) -> Float[Array, "height width channels"]:
    """A light disc on a dark ground, or a dark one on a light ground, with an edge one pixel soft.

    Centre y, centre x and radius are independent draws. The centre is anywhere in the image; the radius is
    `radius[0]` to `radius[1]` of the shorter side.
    """
    k_centre, k_radius, k_low, k_high, k_swap = jax.random.split(key, 5)
    centre_y, centre_x = jax.random.uniform(k_centre, (2,)) * jnp.array([height, width], jnp.float32)
    size = jax.random.uniform(k_radius, minval=radius[0], maxval=radius[1]) * min(height, width)
    y, x = _grid(height, width)
    inside = jnp.clip(size - jnp.hypot(y - centre_y, x - centre_x) + 0.5, 0, 1)
    inside = jnp.where(jax.random.bernoulli(k_swap), 1 - inside, inside)
    low, high = _colours(k_low, k_high, min(channels, 3))
    return _with_alpha(low + (high - low) * inside[..., None], channels)


def digit(
    key: Key[Array, ""], label: Int32[Array, ""], height: int, width: int, channels: int
) -> Float[Array, "height width channels"]:
    """A hand-drawn numeral, light on black: `label` 0 to 9, shifted, turned, sized and weighted at random."""
    k_angle, k_scale, k_shift, k_weight, k_wobble = jax.random.split(key, 5)
    angle = jax.random.uniform(k_angle, minval=-0.15, maxval=0.15)  # radians
    scale = jax.random.uniform(k_scale, (1, 1, 2), minval=0.85, maxval=1.1)
    shift = jax.random.uniform(k_shift, (1, 1, 2), minval=-0.06, maxval=0.06)
    strokes = jnp.asarray(_STROKES)[label]
    strokes = strokes + 0.015 * jax.random.normal(k_wobble, strokes.shape)
    turn = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    strokes = ((strokes - 0.5) * scale) @ turn + 0.5 + shift
    y, x = _grid(height, width)
    distance = jnp.sqrt(_squared_distance(x / width, y / height, strokes))
    weight = jax.random.uniform(k_weight, minval=0.035, maxval=0.06)
    ink = jnp.clip((weight - distance) * 0.5 * min(height, width) + 0.5, 0, 1)
    return _with_alpha(jnp.broadcast_to(ink[..., None], (height, width, min(channels, 3))), channels)


def _squared_distance(
    x: Float[Array, "h w"], y: Float[Array, "h w"], strokes: Float[Array, "s 2 2"]
) -> Float[Array, "h w"]:
    """From each point to the nearest of the segments (s, start and stop, x and y)."""
    start_x, start_y = (strokes[:, 0, i][:, None, None] for i in (0, 1))
    along_x, along_y = (strokes[:, 1, i][:, None, None] - strokes[:, 0, i][:, None, None] for i in (0, 1))
    from_x, from_y = x[None] - start_x, y[None] - start_y
    length = jnp.maximum(along_x**2 + along_y**2, 1e-9)
    place = jnp.clip((from_x * along_x + from_y * along_y) / length, 0, 1)
    return ((from_x - place * along_x) ** 2 + (from_y - place * along_y) ** 2).min(0)


def _grid(height: int, width: int) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """The y and x of every pixel's centre."""
    y = jnp.arange(height, dtype=jnp.float32) + 0.5
    x = jnp.arange(width, dtype=jnp.float32) + 0.5
    return jnp.broadcast_to(y[:, None], (height, width)), jnp.broadcast_to(x[None, :], (height, width))


def _colours(k_low: Key[Array, ""], k_high: Key[Array, ""], channels: int) -> tuple[Array, Array]:
    """A dark colour and a light one, each (1, 1, channels)."""
    low = jax.random.uniform(k_low, (1, 1, channels), maxval=0.4)
    return low, jax.random.uniform(k_high, (1, 1, channels), minval=0.6)


def _with_alpha(colour: Float[Array, "h w c"], channels: int) -> Float[Array, "h w channels"]:
    if channels != 4:
        return colour
    return jnp.concatenate([colour, jnp.ones_like(colour[..., :1])], axis=-1)


def _polyline(*points: tuple[float, float]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return list(pairwise(points))


_RING = [(0.5, 0.15), (0.69, 0.26), (0.72, 0.5), (0.69, 0.74), (0.5, 0.85)]
_NUMERALS = [
    _polyline(*_RING, *((1 - x, y) for x, y in reversed(_RING))),
    _polyline((0.38, 0.28), (0.53, 0.15), (0.53, 0.85)),
    _polyline((0.3, 0.3), (0.38, 0.18), (0.57, 0.15), (0.69, 0.26), (0.66, 0.43), (0.28, 0.84), (0.73, 0.84)),
    _polyline((0.3, 0.2), (0.5, 0.14), (0.67, 0.24), (0.64, 0.4), (0.46, 0.48))
    + _polyline((0.46, 0.48), (0.66, 0.56), (0.7, 0.72), (0.53, 0.86), (0.29, 0.8)),
    _polyline((0.6, 0.86), (0.6, 0.15), (0.26, 0.62), (0.76, 0.62)),
    _polyline(
        (0.69, 0.16),
        (0.36, 0.16),
        (0.33, 0.46),
        (0.56, 0.43),
        (0.7, 0.57),
        (0.66, 0.78),
        (0.47, 0.86),
        (0.29, 0.79),
    ),
    _polyline(
        (0.64, 0.16),
        (0.43, 0.27),
        (0.32, 0.54),
        (0.33, 0.76),
        (0.5, 0.86),
        (0.68, 0.75),
        (0.66, 0.56),
        (0.48, 0.49),
        (0.33, 0.6),
    ),
    _polyline((0.28, 0.16), (0.72, 0.16), (0.44, 0.86)),
    _polyline((0.5, 0.48), (0.34, 0.37), (0.37, 0.2), (0.5, 0.14), (0.63, 0.2), (0.66, 0.37), (0.5, 0.48))
    + _polyline((0.5, 0.48), (0.31, 0.62), (0.34, 0.8), (0.5, 0.86), (0.66, 0.8), (0.69, 0.62), (0.5, 0.48)),
    _polyline(
        (0.66, 0.4),
        (0.5, 0.5),
        (0.34, 0.42),
        (0.33, 0.24),
        (0.5, 0.14),
        (0.67, 0.24),
        (0.67, 0.46),
        (0.6, 0.86),
    ),
]
_LONGEST = max(len(numeral) for numeral in _NUMERALS)
# (10, segments, 2 ends, xy) in the unit square; short numerals repeat their last segment.
_STROKES = [numeral + [numeral[-1]] * (_LONGEST - len(numeral)) for numeral in _NUMERALS]
