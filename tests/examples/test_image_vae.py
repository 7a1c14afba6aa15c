import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.stats import norm

from artifex.data import create_data_loader
from artifex.examples import image_vae
from artifex.examples.image_vae import CONFIG, NADAM, VAE
from artifex.examples.photographs import cut_photographs
from artifex.examples.training import endless, restore, save
from artifex.generative_models.modalities.image.datasets import ArrayImageDataset

PROGRAM = Path(__file__).parents[2] / "examples" / "image_vae.py"


@pytest.fixture(scope="module")
def model():
    return VAE(rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def images():
    x = np.linspace(0, 1, 64, dtype=np.float32)
    levels = np.linspace(0.2, 1, 8, dtype=np.float32)
    gradients = levels[:, None, None, None] * x[None, :, None, None] * np.ones((1, 64, 64, 3), np.float32)
    return jnp.asarray(gradients)


def test_unfold_puts_channels_beside_each_other():
    x = np.arange(2 * 1 * 2 * 8, dtype=np.float32).reshape(2, 1, 2, 8)
    out = image_vae.unfold(jnp.asarray(x), 2)
    # channels of a pixel are (row, column, colour); two pixels of two colours stand side by side
    expected = [[[[0, 1], [2, 3], [8, 9], [10, 11]], [[4, 5], [6, 7], [12, 13], [14, 15]]]]
    assert (np.asarray(out[:1]) == expected).all()
    assert out.shape == (2, 2, 4, 2)


def test_shapes_and_range(model, images):
    mean, log_variance = model.encode(images)
    assert mean.shape == log_variance.shape == (8, 32)
    decoded = model.decode(mean)
    assert decoded.shape == images.shape
    assert 0 <= float(decoded.min()) <= float(decoded.max()) <= 1


def test_loss_is_that_of_the_formula(model, images):
    key = jax.random.key(3)
    mean, log_variance = (np.asarray(x, np.float64) for x in model.encode(images))
    noise = np.asarray(jax.random.normal(key, mean.shape), np.float64)
    latents = mean + np.exp(log_variance / 2) * noise
    decoded = np.asarray(model.decode(jnp.asarray(latents, jnp.float32)), np.float64)
    error = 255 * (np.asarray(images, np.float64) - decoded)
    nats = -norm.logpdf(error, scale=np.sqrt(np.mean(error**2))).sum()
    # KL(N(m, v) || N(0, 1)) as the mean of a difference of log densities, integrated on a fine grid
    z = np.linspace(-12, 12, 4001)
    for m, s in zip(mean.ravel(), np.exp(log_variance / 2).ravel(), strict=True):
        density = norm.pdf(z, m, s)
        nats += np.trapezoid(density * (norm.logpdf(z, m, s) - norm.logpdf(z)), z)
    expected = nats / images.size / np.log(2)
    np.testing.assert_allclose(image_vae.bits_per_value(model, images, key), expected, rtol=1e-4)


@pytest.fixture
def as_users_have_it():
    """optax's Nadam raises a float to the power of an integer, which the tests' strict promotion forbids."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def loader_of(images, seed=0):
    pixels = np.asarray(255 * jnp.concatenate([images] * 4), np.uint8)
    dataset = ArrayImageDataset(pixels, config=CONFIG, rngs=nnx.Rngs(0))
    return create_data_loader(dataset, 8, seed=seed)


def trained(model, optimizer, batches, steps):
    return [float(image_vae.train_step(model, optimizer, b["images"])) for b in islice(batches, steps)]


def test_training_goes_on_from_a_save_as_if_it_had_not_stopped(images, tmp_path, as_users_have_it):
    model = VAE(rngs=nnx.Rngs(0))
    optimizer, loader = nnx.Optimizer(model, NADAM, wrt=nnx.Param), loader_of(images)
    batches = endless(loader)
    first = trained(model, optimizer, batches, 6)
    save(tmp_path / "new", model, optimizer, loader)
    last = trained(model, optimizer, batches, 6)
    assert np.mean(last[-3:]) < np.mean(first[:3]) - 0.1

    other = VAE(rngs=nnx.Rngs(1))
    optimizer, loader = nnx.Optimizer(other, NADAM, wrt=nnx.Param), loader_of(images)
    restore(tmp_path / "new", other, optimizer, loader)
    assert (loader.state()["epoch"], loader.state()["step"]) == (1, 2)  # an epoch has 4 batches
    assert trained(other, optimizer, endless(loader), 6) == last
    for one, two in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(nnx.state(other)), strict=True):
        assert (one == two).all()


def test_it_runs_as_a_program_and_goes_on_when_called_again(tmp_path, capsys, as_users_have_it):
    photos, out = tmp_path / "photos", tmp_path / "run"
    list(cut_photographs(photos, 80))
    command = [sys.executable, "-W", "error", PROGRAM, photos, "--epochs", "1", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert f"weights in {out / 'model.npz'}" in done.stdout.replace("\n", "")

    state = json.loads((out / "loader.json").read_text())
    assert (state["epoch"], state["step"]) == (1, 0)
    image_vae.main(photos, 2, out)
    assert "bits per colour value" in capsys.readouterr().out
    assert json.loads((out / "loader.json").read_text()) == state | {"epoch": 2}
