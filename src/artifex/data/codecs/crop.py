"""Which part of a picture goes where in its slot.

Sizes are (width, height) and boxes (left, top, right, bottom), in pixels, as imaging libraries write
them; arrays are (height, width, channels). A picture is *stored* as the file holds it and *upright* once its
orientation is applied; windows are placed upright, and boxes are carried back to what is stored, so that
only the small result has to be turned.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.checks import check_fraction
from artifex.data.errors import ConfigError

Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[float, float, float, float]
Pixels: TypeAlias = npt.NDArray[np.uint8]

UPRIGHT = 1
"""The orientation of a picture that is stored as it is to be seen."""

_ATTEMPTS = 10


class Fit(StrEnum):
    """How a picture of another shape comes to fill its slot.

    `COVER` scales it until the slot is full and cuts off what hangs over on both sides, `CONTAIN` scales
    it until all of it is inside and pads the rest, `STRETCH` scales both axes by themselves.
    """

    COVER = "cover"
    CONTAIN = "contain"
    STRETCH = "stretch"


class Window(NamedTuple):
    """A part of an upright picture, and the part of the slot it is scaled to.

    Attributes:
        box: the part of the picture; corners may lie between pixels.
        size: width and height of what it is scaled to.
        offset: (x, y) of its first pixel in the slot.
        alone: whether pixels outside of the box may not shine in at its edges, as if it had been cut out
            first.
        mirrored: whether left and right change places in the end.
    """

    box: Box
    size: Size
    offset: tuple[int, int] = (0, 0)
    alone: bool = False
    mirrored: bool = False


@dataclass(frozen=True)
class RandomResizedCrop:
    """A random part of a picture, scaled to the slot: the crop of Inception training.

    The part's share of the area is uniform in `scale`, its width / height log-uniform in `ratio`, its place
    uniform among whole pixels (Szegedy et al., "Going Deeper with Convolutions", 2015, section 6). A part
    that does not fit into the picture is drawn again, ten times at most; then it is the largest part in the
    middle whose width / height lies within `ratio`.

    Attributes:
        scale: smallest and largest share of the area, 0 < smallest <= largest <= 1.
        ratio: smallest and largest width / height, 0 < smallest <= largest.
        flip: how probable it is that the part is mirrored, left and right. On a CPU this is quicker than a flip
            among the transforms on the device, and there is less to compile.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0

    def __post_init__(self) -> None:
        for name, largest in (("scale", 1.0), ("ratio", math.inf)):
            low, high = (float(x) for x in getattr(self, name))
            if not (0 < low <= high <= largest and math.isfinite(high)):
                rule = "0 < low <= high" + (" <= 1" if largest == 1 else "")
                raise ConfigError(f"`{name}` must be (low, high) with {rule}, got ({low}, {high})")
            object.__setattr__(self, name, (low, high))
        object.__setattr__(self, "flip", check_fraction("flip", self.flip))

    def draw(self, size: Size, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """The box of one crop from a picture of this size, in whole pixels."""
        width, height = size
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(_ATTEMPTS):
            area = width * height * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
                return left, top, left + w, top + h
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        w, h = max(min(width, round(height * ratio)), 1), max(min(height, round(width / ratio)), 1)
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h

    def draw_flip(self, rng: np.random.Generator) -> bool:
        """Whether a crop is mirrored. To be drawn after its box, which does not depend on `flip`."""
        return self.flip > 0 and rng.random() < self.flip


def place(size: Size, slot: Size, fit: Fit) -> Window:
    """The window of a picture of this size in a slot of that size."""
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    if fit is Fit.STRETCH:
        return Window(whole, slot)
    ratio, wanted = size[0] / size[1], slot[0] / slot[1]
    if fit is Fit.COVER:
        w = wanted * size[1] if ratio > wanted else size[0]
        h = size[0] / wanted if ratio < wanted else size[1]
        left, top = (size[0] - w) * 0.5, (size[1] - h) * 0.5
        return Window((left, top, min(left + w, size[0]), min(top + h, size[1])), slot)
    # A line 5,000 pixels long and one high still shows as one pixel.
    w = max(round(slot[1] * ratio), 1) if ratio < wanted else slot[0]
    h = max(round(slot[0] / ratio), 1) if ratio > wanted else slot[1]
    return Window(whole, (w, h), (round((slot[0] - w) * 0.5), round((slot[1] - h) * 0.5)))


def turned(size: Size, orientation: int) -> Size:
    """The size of a stored picture once it is upright; and the other way round."""
    return (size[1], size[0]) if orientation >= 5 else size


def stored_box(box: Box, stored: Size, orientation: int) -> Box:
    """The box of a stored picture that an upright box shows."""
    left, top, right, bottom = box
    swap, flip_x, flip_y = _turns(orientation)
    if swap:
        left, top, right, bottom = top, left, bottom, right
    if flip_x:
        left, right = stored[0] - right, stored[0] - left
    if flip_y:
        top, bottom = stored[1] - bottom, stored[1] - top
    return left, top, right, bottom


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """A view of stored pixels (h, w, c) as they are to be seen."""
    swap, flip_x, flip_y = _turns(orientation)
    pixels = pixels[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return pixels.swapaxes(0, 1) if swap else pixels


def paste(pixels: Pixels, out: Pixels, window: Window, fill: int) -> None:
    """Writes upright pixels to their place in the slot, and the padding around them.

    Pixels of three channels become opaque where the slot has four; padding then is transparent.
    """
    height, width = pixels.shape[:2]
    x, y = window.offset
    if (height, width) != out.shape[:2]:
        out[...] = fill
        out[..., 3:] = 0
    part = out[y : y + height, x : x + width]
    if pixels.shape[2] == out.shape[2]:
        part[...] = pixels
    else:
        part[..., :3] = pixels
        part[..., 3] = 255


def _turns(orientation: int) -> tuple[bool, bool, bool]:
    """(axes swapped, mirrored along x, mirrored along y) of what is stored, by EXIF's numbers 1 to 8."""
    return orientation >= 5, orientation in (2, 3, 7, 8), orientation in (3, 4, 6, 7)
