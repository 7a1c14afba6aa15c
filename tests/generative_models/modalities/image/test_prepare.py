"""Resizing exists twice, on the host and on the device: both must make the same picture."""

import io

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from artifex.data.codecs.image import ImageCodec
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image.prepare import from_unit, prepare, to_unit

RNG = np.random.default_rng(0)


def smooth(height, width):
    y, x = np.mgrid[0:height, 0:width] / 20
    planes = [np.sin(a * x + b * y + c) for a, b, c in RNG.uniform(0.5, 2, (3, 3))]
    return np.uint8(127.5 * (np.stack(planes, -1) + 1))


def on_the_host(data, height, width, method):
    codec = ImageCodec(height, width, 3, fit="stretch", resample=method)
    out = np.empty((height, width, 3), np.uint8)
    codec.decode(data, out)
    return out.astype(np.float32)


def on_the_device(pixels, height, width, method):
    config = ImageModalityConfig(height=height, width=width, resize_method=method)
    return np.asarray(prepare(jnp.asarray(pixels), config)) * 255


def encoded(pixels, kind, **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return file.getvalue()


# The largest difference in grey levels of 255 on smooth pictures. The host rounds to whole levels, twice, and has a
# bilinear filter of its own, which repeats the edge where the exact one ends.
@pytest.mark.parametrize(
    ("method", "largest"), [("bilinear", 2.0), ("nearest", 0.01), ("bicubic", 1.5), ("lanczos", 1.5)]
)
@pytest.mark.parametrize("size", [(31, 17), (64, 96), (50, 40)])
def test_host_and_device_agree(method, largest, size):
    pixels = smooth(50, 80)
    host = on_the_host(encoded(pixels, "PNG"), *size, method)
    np.testing.assert_allclose(host, on_the_device(pixels, *size, method), atol=largest)


def test_they_agree_on_a_photograph_that_is_decoded_at_a_quarter():
    data = encoded(smooth(480, 640), "JPEG", quality=90)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    difference = np.abs(on_the_host(data, 64, 80, "bilinear") - on_the_device(whole, 64, 80, "bilinear"))
    assert difference.mean() < 1.3


@pytest.mark.parametrize("value_range", ["unit", "symmetric", "raw"])
def test_ranges_there_and_back(value_range):
    config = ImageModalityConfig(height=2, width=2, value_range=value_range)
    unit = jnp.asarray(RNG.random((2, 2, 3)), jnp.float32)
    np.testing.assert_allclose(to_unit(from_unit(unit, config), config), unit, atol=1e-6)
