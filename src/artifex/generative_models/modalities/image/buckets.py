"""Aspect-ratio buckets: a few shapes that images of many shapes are brought to.

Cropping every image to one shape cuts off what does not fit; a shape of its own for each would be a batch of its own,
and a compilation. Buckets are between: shapes of about as many pixels, each image in the one most like it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import isqrt

import numpy as np
import numpy.typing as npt

from artifex.data.buckets import BucketOf
from artifex.data.checks import check_integer
from artifex.data.codecs.crop import Size
from artifex.data.codecs.headers import ImageLimits
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, ReadError
from artifex.data.sources.folder import FolderSource
from artifex.data.workers import worker_count

Shape = tuple[int, int]
"""(height, width) in pixels."""

# The beginning of a file, in which nearly all have their size. A photograph may have a preview before it.
_HEAD_BYTES = 2**14
_LARGEST_SIDE = 2**15
_PIECE = 64


def aspect_ratio_buckets(
    height: int, width: int | None = None, *, step: int = 64, max_ratio: float = 2.0
) -> tuple[Shape, ...]:
    """Shapes of about as many pixels as `height` x `width`, from tall to wide.

    Sides are multiples of `step`. For each side the other is the longest with which there are no more than
    `height` x `width` pixels, and neither is more than `max_ratio` times the other: how Stable Diffusion XL was
    trained on several shapes (Podell et al., 2023, section 2.3 and appendix I). The largest square is among them.

    Args:
        height: of an image of the usual shape, in pixels.
        width: of such an image; its height where it is left out.
        step: what sides are divisible by, e.g. 64 where a model halves its input six times.
        max_ratio: longest side / shortest side, 1 or more.

    Returns:
        (height, width) of each bucket, by width / height, none twice.

    Raises:
        ConfigError: a number is out of range, or not one shape fits.
    """
    width = height if width is None else width
    for name, value in (("height", height), ("width", width), ("step", step)):
        check_integer(name, value, 1, _LARGEST_SIDE)
    if not isinstance(max_ratio, (int, float)) or not 1 <= max_ratio < float("inf"):
        raise ConfigError(f"`max_ratio` must be a number of 1 or more, got {max_ratio!r}")
    pixels = height * width
    square = isqrt(pixels) // step * step
    shapes: set[Shape] = set()
    for one in range(step, min(pixels // step, _LARGEST_SIDE) + 1, step):
        other = min(pixels // one, _LARGEST_SIDE) // step * step
        if max(one, other) <= max_ratio * min(one, other):
            shapes |= {(one, other), (other, one)}
    if not square:
        raise ConfigError(
            f"no shape with sides divisible by `step` {step} has {height} x {width} pixels or fewer"
        )
    largest = [s for s in shapes if not any(s != t and s[0] <= t[0] and s[1] <= t[1] for t in shapes)]
    return tuple(sorted({*largest, (square, square)}, key=lambda shape: shape[1] / shape[0]))


def checked_buckets(buckets: Sequence[Shape]) -> tuple[Shape, ...]:
    """The buckets as tuples of integers.

    Raises:
        ConfigError: there is none, one stands there twice, or a side is out of range.
        ConfigTypeError: it is no list of pairs of integers.
    """
    try:
        pairs = [(height, width) for height, width in buckets]
    except (TypeError, ValueError):
        raise ConfigTypeError(
            f"`buckets` must be a list of (height, width), e.g. aspect_ratio_buckets(256), got {buckets!r}"
        ) from None
    shapes = [tuple(check_integer("buckets", side, 1, _LARGEST_SIDE) for side in pair) for pair in pairs]
    if not shapes or len(set(shapes)) < len(shapes):
        raise ConfigError(f"`buckets` must be one or more different shapes, got {list(buckets)!r}")
    return tuple((height, width) for height, width in shapes)


def nearest_buckets(sizes: npt.NDArray[np.int64], buckets: Sequence[Shape]) -> BucketOf:
    """For each size, (n, 2) with width and height > 0, the bucket whose width / height is nearest.

    Nearest by the ratio of the two ratios; of buckets of one ratio, by the number of pixels.
    """
    shapes = np.array(buckets, np.float64)
    ratio = np.log(sizes[:, 0] / sizes[:, 1])[:, None] - np.log(shapes[:, 1] / shapes[:, 0])
    pixels = np.log(sizes[:, 0] * sizes[:, 1])[:, None] - np.log(shapes[:, 0] * shapes[:, 1])
    # With so small a weight the second counts between equal ratios only.
    return np.argmin(np.abs(ratio) + np.abs(pixels) * 1e-10, axis=1).astype(np.int32)


def picture_sizes(source: FolderSource, limits: ImageLimits, otherwise: Size) -> npt.NDArray[np.int64]:
    """Width and height of every picture of a folder, upright: int64 (n, 2).

    Of a file that is none they are `otherwise`: reading it will say what is wrong, where errors are dealt with.
    """

    def measure(start: int) -> list[Size]:
        return [
            _size_of(source, i, limits, otherwise) for i in range(start, min(start + _PIECE, len(source)))
        ]

    with ThreadPoolExecutor(worker_count(None, in_memory=False)) as pool:
        pieces = list(pool.map(measure, range(0, len(source), _PIECE)))
    return np.array([size for piece in pieces for size in piece], np.int64)


def _size_of(source: FolderSource, index: int, limits: ImageLimits, otherwise: Size) -> Size:
    from artifex.data.codecs.sizes import upright_size

    try:
        try:
            return upright_size(source.read_start(index, _HEAD_BYTES), limits)
        except DecodeError:
            return upright_size(source[index]["data"], limits)
    except (DecodeError, ReadError):
        return otherwise
