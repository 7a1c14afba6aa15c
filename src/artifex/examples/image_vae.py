"""A variational autoencoder on a folder of images, from the files to the trained weights.

    python examples/image_vae.py photos/ --epochs 20 --out run

Weights and the place in the data are saved after each epoch; the same command goes on from there.
"""

import argparse
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Key
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from artifex.data import create_data_loader
from artifex.data.codecs.image import RandomResizedCrop
from artifex.examples.training import Meter, restore, save
from artifex.generative_models.modalities import ImageModalityConfig, Subset, split_dataset
from artifex.generative_models.modalities.image.augment import random_flip_horizontal
from artifex.generative_models.modalities.image.datasets import ImageFolderDataset

Images: TypeAlias = Float[Array, "b height width 3"]

CONFIG = ImageModalityConfig(height=64, width=64, augmentation=True)
BATCH, LATENTS = 32, 32
NADAM = optax.nadam(1.5e-3)


def load(folder: Path, *, seed: int = 0) -> dict[str, Subset]:
    """The images in two parts, "train" and "val"; those of train are cropped and mirrored at random."""
    crop, augment = RandomResizedCrop(scale=(0.7, 1.0)), [random_flip_horizontal]
    images = ImageFolderDataset(folder, config=CONFIG, crop=crop, augment=augment, rngs=nnx.Rngs(seed))
    return split_dataset(images, {"train": 0.9, "val": 0.1}, seed=seed)


class VAE(nnx.Module):
    """Images from 0 to 1 -> mean and log variance of their latents (b, 32); latents -> images."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.patches = nnx.Conv(3, 32, (4, 4), strides=4, rngs=rngs)  # to 16 x 16
        self.down1 = nnx.Conv(32, 64, (4, 4), strides=2, rngs=rngs)  # to 8 x 8
        self.down2 = nnx.Conv(64, 128, (4, 4), strides=2, rngs=rngs)  # to 4 x 4
        self.narrow1 = nnx.Linear(4 * 4 * 128, 512, rngs=rngs)
        self.narrow2 = nnx.Linear(512, 2 * LATENTS, rngs=rngs)
        self.widen1 = nnx.Linear(LATENTS, 512, rngs=rngs)
        self.widen2 = nnx.Linear(512, 8 * 8 * 64, rngs=rngs)
        self.up1 = nnx.Conv(64, 2 * 2 * 32, (3, 3), rngs=rngs)  # to 16 x 16
        self.up2 = nnx.Conv(32, 4 * 4 * 3, (3, 3), rngs=rngs)  # to 64 x 64

    def encode(self, images: Images) -> list[Float[Array, "b n"]]:
        x = nnx.silu(self.down2(nnx.silu(self.down1(nnx.silu(self.patches(images - 0.5))))))
        return jnp.split(self.narrow2(nnx.silu(self.narrow1(x.reshape(len(x), -1)))), 2, axis=-1)

    def decode(self, latents: Float[Array, "b n"]) -> Images:
        x = nnx.silu(self.widen2(nnx.silu(self.widen1(latents)))).reshape(-1, 8, 8, 64)
        return nnx.sigmoid(unfold(self.up2(nnx.silu(unfold(self.up1(x), 2))), 4))


def unfold(x: Float[Array, "b h w c"], by: int) -> Float[Array, "b h2 w2 c2"]:
    """Makes `by` x `by` pixels of each, out of its channels."""
    b, h, w, _ = x.shape
    return x.reshape(b, h, w, by, by, -1).swapaxes(2, 3).reshape(b, h * by, w * by, -1)


@nnx.jit
def bits_per_value(model: VAE, images: Images, key: Key[Array, ""]) -> Float[Array, ""]:
    """Bits for one of the 256 levels of a colour, at most: the negative evidence lower bound.

    The noise is as large as the error, so there is no weight to tune ("sigma-VAE", Rybkin et al., 2021).
    """
    mean, log_variance = model.encode(images)
    latents = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    error = jnp.mean((images - model.decode(latents)) ** 2)
    likelihood = jnp.log(2 * jnp.pi * jnp.e * 255**2 * error) / 2
    divergence = jnp.sum(mean**2 + jnp.exp(log_variance) - 1 - log_variance) / 2
    return (likelihood + divergence / images.size) / jnp.log(2.0)


@nnx.jit
def train_step(model: VAE, optimizer: nnx.Optimizer[VAE], images: Images) -> Float[Array, ""]:
    """One step; its random numbers follow from its number, so that a resumed run draws the same."""
    key = jax.random.fold_in(jax.random.key(0), optimizer.step[...])
    loss, gradients = nnx.value_and_grad(bits_per_value)(model, images, key)
    optimizer.update(model, gradients)
    return loss


def main(folder: Path, epochs: int, out: Path) -> None:
    """Trains from the last saved epoch, or the first, to the last."""
    parts, model, meter = load(folder), VAE(rngs=nnx.Rngs(0)), Meter("images")
    loader = create_data_loader(parts["train"], BATCH, drop_last=True)
    optimizer = nnx.Optimizer(model, NADAM, wrt=nnx.Param)
    if (out / "loader.json").exists():
        restore(out, model, optimizer, loader)
    with Progress(BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=(epochs - loader.state()["epoch"]) * len(loader))
        while loader.state()["epoch"] < epochs:
            for batch in meter.watch(loader):
                meter.losses.append(float(train_step(model, optimizer, batch["images"])))
                bar.update(task, advance=1, description=str(meter))
            save(out, model, optimizer, loader)
        key, val = jax.random.key(0), create_data_loader(parts["val"], BATCH, shuffle=False)
        loss = np.mean([bits_per_value(model, batch["images"], key) for batch in val])
        bar.print(f"val {loss:.2f} bits per colour value, weights in {out / 'model.npz'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains a variational autoencoder on a folder of images.")
    parser.add_argument("folder", type=Path, help="images, at any depth")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("run"), help="where weights and place are kept")
    main(**vars(parser.parse_args()))
