"""A folder of JPEG photographs of about 400x500: a random resized crop to 224 and a flip, or plain 64x64."""

import math
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import simplejpeg
from flax import nnx
from PIL import Image

from artifex.data import create_data_loader
from artifex.data.codecs.image import RandomResizedCrop
from artifex.examples.photographs import find_photographs
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image.augment import random_flip_horizontal
from artifex.generative_models.modalities.image.datasets import ImageFolderDataset
from benchmarks.measure import Case, endless

COUNT = 2000
THREADS = 2


def cases(folder: Path) -> list[Case]:
    paths = _photographs(folder)
    return [_crop_case(folder, paths), _small_case(folder, paths)]


def _photographs(folder: Path) -> list[str]:
    """Parts of real photographs, 340-460 x 440-560 pixels, quality 85-95; the same on every run."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [Image.open(path).convert("RGB") for path in find_photographs()]
    for number in range(COUNT):
        path = folder / f"{number:05d}.jpg"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        image = images[number % len(images)]
        height, width = int(rng.integers(340, 460)), int(rng.integers(440, 560))
        scale = min(rng.uniform(0.8, 2.5), image.height / height, image.width / width)
        high, wide = int(height * scale), int(width * scale)
        top, left = rng.integers(0, image.height - high + 1), rng.integers(0, image.width - wide + 1)
        part = image.resize((width, height), Image.Resampling.BICUBIC, (left, top, left + wide, top + high))
        part.save(path, quality=int(rng.integers(85, 96)))
    return [str(folder / f"{number:05d}.jpg") for number in range(COUNT)]


def _crop_case(folder: Path, paths: list[str]) -> Case:
    config = ImageModalityConfig(height=224, augmentation=True)
    dataset = ImageFolderDataset(
        folder,
        config=config,
        crop=RandomResizedCrop(),
        augment=[random_flip_horizontal],
        rngs=nnx.Rngs(0),
    )
    loader = create_data_loader(dataset, 64, drop_last=True, num_workers=THREADS)
    contenders = {
        "by hand: simplejpeg, Pillow": lambda: endless(lambda: _by_hand(paths, 64, 224, _crop)),
        "artifex": lambda: endless(lambda: iter(loader)),
    }
    return Case("JPEG, random resized crop to 224, batch 64", 64, contenders)


def _small_case(folder: Path, paths: list[str]) -> Case:
    dataset = ImageFolderDataset(
        folder, config=ImageModalityConfig(height=64), fit="stretch", rngs=nnx.Rngs(0)
    )
    loader = create_data_loader(dataset, 128, drop_last=True, num_workers=THREADS)
    contenders = {
        "by hand: scaled simplejpeg, Pillow": lambda: endless(lambda: _by_hand(paths, 128, 64, _small)),
        "artifex": lambda: endless(lambda: iter(loader)),
    }
    return Case("JPEG to 64x64, batch 128", 128, contenders)


def _by_hand(paths: list[str], batch_size: int, side: int, decode: Any) -> Iterator[Any]:
    """Threads that decode straight into the batch, two batches ahead, and one compiled call."""
    finish = _flip if decode is _crop else _normalise
    order = np.random.default_rng().permutation(len(paths))
    starts = iter(range(0, len(paths) - batch_size + 1, batch_size))
    ahead: deque[Any] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            while len(ahead) < 2 and (start := next(starts, None)) is not None:
                rows = order[start : start + batch_size]
                batch = np.empty((batch_size, side, side, 3), np.uint8)
                pieces = np.array_split(np.arange(batch_size), THREADS * 4)
                jobs = [pool.submit(_piece, paths, rows, batch, piece, decode) for piece in pieces]
                ahead.append((rows, batch, jobs))
            if not ahead:
                return
            rows, batch, jobs = ahead.popleft()
            for job in jobs:
                job.result()
            yield finish(batch, rows.astype(np.int32))


def _piece(paths: list[str], rows: np.ndarray, batch: np.ndarray, piece: np.ndarray, decode: Any) -> None:
    for row in piece:
        with open(paths[rows[row]], "rb") as file:
            decode(file.read(), batch[row])


_local = threading.local()


def _crop(data: bytes, out: np.ndarray) -> None:
    if not hasattr(_local, "rng"):
        _local.rng = np.random.default_rng()
    rng = _local.rng
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            break
    else:
        wide = high = min(height, width)
    top, left = int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1))
    image = Image.fromarray(simplejpeg.decode_jpeg(data)[top : top + high, left : left + wide])
    out[...] = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR))


def _small(data: bytes, out: np.ndarray) -> None:
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    image = simplejpeg.decode_jpeg(data, min_height=math.ceil(height / 4), min_width=math.ceil(width / 4))
    out[...] = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))


@jax.jit
def _normalise(images: Any, rows: Any) -> Any:
    return images.astype(jnp.float32) * np.float32(1 / 255), rows


@jax.jit
def _flip(images: Any, rows: Any) -> Any:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), rows)
    flips = jax.vmap(jax.random.bernoulli)(keys)
    images = jnp.where(flips[:, None, None, None], images[:, :, ::-1], images)
    return images.astype(jnp.float32) * np.float32(1 / 255), rows
