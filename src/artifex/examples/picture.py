"""Rows of images on one sheet, each with a caption."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE, _GAP, _CAPTION, _FONT = 2, 4, 28, 16
_PAPER, _INK = "white", "black"


def contact_sheet(rows: Mapping[str, npt.NDArray[np.uint8]]) -> "Image":
    """A picture of all rows, one below the other, at twice the size.

    Args:
        rows: caption -> images (n, h, w, 3), which stand side by side; h and w are those of all rows.
    """
    from PIL import Image, ImageDraw, ImageFont

    _, height, width, _ = next(iter(rows.values())).shape
    across, down = width * _SCALE + _GAP, height * _SCALE + _GAP + _CAPTION
    columns = max(len(images) for images in rows.values())
    sheet = Image.new("RGB", (columns * across + _GAP, len(rows) * down), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT)
    for row, (caption, images) in enumerate(rows.items()):
        draw.text((_GAP, row * down + _CAPTION // 2), caption, fill=_INK, font=font, anchor="lm")
        for column, pixels in enumerate(images):
            tile = Image.fromarray(pixels).resize((width * _SCALE, height * _SCALE), Image.Resampling.BICUBIC)
            sheet.paste(tile, (_GAP + column * across, row * down + _CAPTION))
    return sheet
