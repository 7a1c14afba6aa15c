"""The demo of images: photographs from disk to a trained model, stopped in the middle of an epoch and resumed.

It trains the model of `image_vae.py`.
"""

import time
from pathlib import Path

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from rich.console import Console

from artifex.data import create_data_loader
from artifex.data.checks import check_integer
from artifex.data.feed import Batch
from artifex.examples.demo import check_settings, say, say_speed, stop_and_resume, train, watched
from artifex.examples.image_vae import (
    BATCH,
    CONFIG,
    LATENTS,
    NADAM,
    VAE,
    bits_per_value,
    load,
    train_step,
)
from artifex.examples.photographs import cut_photographs, find_photographs
from artifex.examples.picture import contact_sheet
from artifex.examples.training import Meter, endless
from artifex.generative_models.modalities import ImageModality

MIN_IMAGES = 4 * BATCH
"""As few files as make an epoch with a middle, and a row of images that are held out."""

_COLUMNS = 10  # images in a row of the picture


class Run:
    """What a training run is made of; a new one is made alike from the same folder and seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.parts = load(folder, seed=seed)
        self.loader = create_data_loader(self.parts["train"], BATCH, drop_last=True, seed=seed)
        self.model = VAE(rngs=nnx.Rngs(seed))
        self.optimizer = nnx.Optimizer(self.model, NADAM, wrt=nnx.Param)

    def step(self, batch: Batch) -> float:
        """Trains on a batch; its loss before, in bits per colour value."""
        return float(train_step(self.model, self.optimizer, batch["images"]))


def demo(out: Path, *, seconds: float, images: int, seed: int, console: Console) -> Path:
    """Runs the demo and returns the picture that it drew.

    Args:
        out: folder for photographs, checkpoint and picture.
        seconds: how long to train, > 0; stopping, comparing and drawing come on top of it.
        images: how many files to cut, `MIN_IMAGES` or more.
        seed: for weights, order and augmentation, 0 to 2**32 - 1.
        console: where to say what happens.

    Raises:
        ConfigError: a number is out of range.
        MissingPackageError: Pillow or scikit-image is not installed.
        ArtifexError: the resumed run got other batches than the one that was not stopped.
    """
    check_integer("images", images, MIN_IMAGES, 10**6)
    check_settings(seconds, seed)
    began, meter, folder = time.perf_counter(), Meter("images"), out / f"photos-{images}"
    watched(cut_photographs(folder, images), "Cutting photographs", images, console)
    say(console, "Files", f"{images} JPEG files, cut from {len(find_photographs())} photographs: {folder}")
    run = Run(folder, seed)
    say(console, "Data", f"{len(run.parts['train'])} to train on, {len(run.parts['val'])} held out")
    say(console, "Device", f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")

    batches = endless(run.loader)
    train(run, batches, meter, console, until=seconds / 2, within_an_epoch=True)
    again = stop_and_resume(run, batches, lambda: Run(folder, seed), out / "checkpoint", console)
    train(again, endless(again.loader), meter, console, until=seconds)

    contact_sheet(_rows(again)).save(out / "images.png")
    _report(again, meter, console)
    say(console, "Picture", f"{out / 'images.png'}, {time.perf_counter() - began:.0f} s after the start")
    return out / "images.png"


def _report(run: Run, meter: Meter, console: Console) -> None:
    batches, key = list(create_data_loader(run.parts["val"], BATCH, shuffle=False)), jax.random.key(0)
    losses = [float(bits_per_value(run.model, batch["images"], key)) for batch in batches]
    held_out = np.average(losses, weights=[len(batch["index"]) for batch in batches])
    first, last = np.mean(meter.losses[:10]), np.mean(meter.losses[-50:])
    say(
        console,
        "Loss",
        f"{first:.2f} at first, {last:.2f} at last, {held_out:.2f} held out (bits per colour value)",
    )
    say_speed(meter, console)


def _rows(run: Run) -> dict[str, npt.NDArray[np.uint8]]:
    augmented = run.loader.batch(0)
    held_out = run.parts["val"].take(range(_COLUMNS))["images"]
    noise = jax.random.normal(jax.random.key(0), (_COLUMNS, LATENTS))
    rows = {
        "originals": run.parts["train"].take(augmented["index"])["images"],
        "the same, augmented": augmented["images"],
        "held out": held_out,
        "these, reconstructed": run.model.decode(run.model.encode(held_out)[0]),
        "samples from the prior": run.model.decode(noise),
    }
    modality = ImageModality(CONFIG, rngs=nnx.Rngs(0))
    return {caption: np.asarray(modality.postprocess(images[:_COLUMNS])) for caption, images in rows.items()}
