"""Pictures for the tests, drawn here: a photograph's smooth shapes, edges and a little noise."""

import io

import numpy as np
from PIL import Image


def photo(height, width, seed=0):
    """uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 100
    picture = np.zeros((height, width, 3))
    for _ in range(6):
        fy, fx, phase = rng.uniform(-3, 3), rng.uniform(-3, 3), rng.uniform(0, 6.3)
        picture += np.sin(fy * y + fx * x + phase)[..., None] * rng.uniform(5, 25, 3)
    for _ in range(5):
        cy, cx, r = rng.uniform(0, height / 100), rng.uniform(0, width / 100), rng.uniform(0.2, 0.8)
        picture[(y - cy) ** 2 + (x - cx) ** 2 < r * r] += rng.uniform(-60, 60, 3)
    return np.clip(picture + 128 + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def saved(picture, kind, **options):
    """The bytes of a file."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def decoded(codec, data, rng=None):
    """What the codec makes of a file, in a slot that held something else."""
    out = np.full(codec.spec.shape, 99, np.uint8)
    codec.decode(data, out, rng=rng)
    return out


def difference(one, other):
    return np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int))
