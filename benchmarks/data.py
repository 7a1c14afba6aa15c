"""The data of the cases: made once, the same on every machine, and only read by contenders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PHOTOGRAPHS = 2000


@dataclass(frozen=True)
class Arrays:
    """Images and labels in memory.

    Attributes:
        images: uint8 (n, h, w, c).
        labels: int32 (n,).
        batch_size: records in a batch.
        folder: where a contender may keep what it makes of them.
    """

    images: np.ndarray
    labels: np.ndarray
    batch_size: int
    folder: Path


@dataclass(frozen=True)
class Photographs:
    """Files of 340-460 x 440-560 pixels, and what is to become of them.

    Attributes:
        folder: which holds them and nothing else.
        paths: the files.
        batch_size: records in a batch.
        side: of the square pictures that are asked for, in pixels.
        crop: whether to cut out a random part and flip at random, or to squeeze the whole picture.
        spare: where a contender may keep what it makes of them.
    """

    folder: Path
    paths: tuple[str, ...]
    batch_size: int
    side: int
    crop: bool
    spare: Path


@dataclass(frozen=True)
class Place:
    """Where to go on: batch `step` of an epoch of `num_records` integers, in batches of `batch_size`."""

    num_records: int
    batch_size: int
    step: int


def batches_of_rows(count: int, batch_size: int) -> Iterator[np.ndarray]:
    """Row numbers, batch by batch and without end, in a new random order each epoch; full batches only."""
    rng = np.random.default_rng()
    while True:
        order = rng.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def arrays(home: Path, count: int, side: int, channels: int, batch_size: int) -> Arrays:
    """Random pixels: what is in them makes no difference to anyone."""
    name = f"{count}x{side}x{side}x{channels}"
    rng = np.random.default_rng(0)
    shape = (count, side, side, channels)
    images = _kept(home / f"{name}-images.npy", lambda: rng.integers(0, 256, shape, np.uint8))
    labels = _kept(home / f"{name}-labels.npy", lambda: rng.integers(0, 10, count).astype(np.int32))
    return Arrays(images, labels, batch_size, home)


def photographs(home: Path, side: int, batch_size: int, *, crop: bool) -> Photographs:
    """Parts of real photographs, JPEG of quality 85-95."""
    folder = home / "photographs"
    paths = tuple(str(folder / f"{number:05d}.jpg") for number in range(PHOTOGRAPHS))
    if not all(map(_exists, paths)):
        _cut_photographs(folder, paths)
    return Photographs(folder, paths, batch_size, side, crop, home)


def decoded(home: Path, side: int, batch_size: int) -> tuple[Photographs, Arrays]:
    """The photographs, and the same squeezed to `side` as an array."""
    from benchmarks.pictures import small_with_pillow

    files = photographs(home, side, batch_size, crop=False)

    def decode() -> np.ndarray:
        out = np.empty((PHOTOGRAPHS, side, side, 3), np.uint8)
        for path, slot in zip(files.paths, out, strict=True):
            small_with_pillow(Path(path).read_bytes(), slot)
        return out

    images = _kept(home / f"photographs-{side}.npy", decode)
    labels = np.arange(PHOTOGRAPHS, dtype=np.int32)
    return files, Arrays(images, labels, batch_size, home)


def place(home: Path, share: float) -> Place:
    """A share of the way through a million records."""
    num_records, batch_size = 1_000_000, 128
    return Place(num_records, batch_size, int(num_records * share) // batch_size)


def _exists(path: str) -> bool:
    return Path(path).exists()


def _kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, make())
        unfinished.replace(path)
    return np.load(path)


def _cut_photographs(folder: Path, paths: tuple[str, ...]) -> None:
    from PIL import Image

    from artifex.examples.photographs import find_photographs

    folder.mkdir(parents=True, exist_ok=True)
    images = [Image.open(path).convert("RGB") for path in find_photographs()]
    for number, path in enumerate(paths):
        if Path(path).exists():
            continue
        rng = np.random.default_rng(number)
        image = images[number % len(images)]
        height, width = int(rng.integers(340, 460)), int(rng.integers(440, 560))
        scale = min(rng.uniform(0.8, 2.5), image.height / height, image.width / width)
        high, wide = int(height * scale), int(width * scale)
        top, left = rng.integers(0, image.height - high + 1), rng.integers(0, image.width - wide + 1)
        box = (left, top, left + wide, top + high)
        part = image.resize((width, height), Image.Resampling.BICUBIC, box)
        unfinished = folder.parent / "unfinished.jpg"
        part.save(unfinished, quality=int(rng.integers(85, 96)))
        unfinished.replace(path)
