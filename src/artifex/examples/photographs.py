"""A folder of photographs to try things on, without a download.

scikit-image's wheel has a few: each is cut into a sub-folder of overlapping parts, JPEG files of different sizes.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artifex.data.codecs.image import RandomResizedCrop
from artifex.data.errors import ConfigError
from artifex.examples.demo import missing

if TYPE_CHECKING:
    from PIL import Image

PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
"""The colour photographs in scikit-image's folder of data; one that a release lacks is left out."""

_PART = RandomResizedCrop(scale=(0.3, 0.9))
_LONGER_SIDE = (72, 200)
_QUALITY = 90


def cut_photographs(folder: Path, count: int) -> Iterator[int]:
    """Fills `folder` with `count` JPEG files, `astronaut/0000.jpg` and so on; yields how many are there so far.

    Part i of a photograph is the same on every run, and files that are there already stay: one that was
    interrupted goes on where it stopped. The longer side of a part is 72 to 200 pixels.

    Raises:
        MissingPackageError: Pillow or scikit-image is not installed.
        ConfigError: this release of scikit-image has none of the photographs.
    """
    photographs = find_photographs()
    done = 0
    for number, path in enumerate(photographs):
        # The first photographs have one part more where the count does not divide.
        parts = range(count // len(photographs) + (number < count % len(photographs)))
        files = {part: folder / path.stem / f"{part:04d}.jpg" for part in parts}
        missing = {part: file for part, file in files.items() if not file.exists()}
        done += len(files) - len(missing)
        yield done
        if not missing:
            continue
        (folder / path.stem).mkdir(parents=True, exist_ok=True)
        photograph = _open(path)
        for part, file in missing.items():
            _write(file, _cut(photograph, np.random.default_rng([PHOTOGRAPHS.index(path.name), part])))
            done += 1
            yield done


def find_photographs() -> list[Path]:
    """The photographs in scikit-image's wheel, found without importing it."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise missing("scikit-image, which has the photographs")
    folder = Path(spec.origin).parent / "data"
    found = [folder / name for name in PHOTOGRAPHS if (folder / name).is_file()]
    if not found:
        raise ConfigError(
            f"scikit-image has none of {', '.join(PHOTOGRAPHS)} in {folder}; install another release"
        )
    return found


def _open(path: Path) -> "Image.Image":
    try:
        from PIL import Image
    except ImportError as error:
        raise missing("Pillow, which writes pictures") from error
    with Image.open(path) as photograph:
        return photograph.convert("RGB")


def _cut(photograph: "Image.Image", rng: np.random.Generator) -> bytes:
    box = _PART.draw(photograph.size, rng)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = rng.integers(*_LONGER_SIDE, endpoint=True) / max(width, height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    part = photograph.resize(size, box=box, reducing_gap=2)
    buffer = BytesIO()
    part.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _write(file: Path, data: bytes) -> None:
    # Whole or not at all: a name with a dot is passed over by those who look for images.
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_bytes(data)
    os.replace(unfinished, file)
