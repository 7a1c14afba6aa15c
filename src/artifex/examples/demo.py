"""The demo: photographs from disk to a trained model, stopped in the middle of an epoch and resumed.

It trains the model of `image_vae.py`; what is said while it runs goes to a `rich` console.
"""

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from artifex.data import ArtifexError, ConfigError, DataLoader, create_data_loader
from artifex.data.plan.order import check_integer
from artifex.examples.image_vae import (
    ADAM,
    BATCH,
    CONFIG,
    LATENTS,
    VAE,
    Meter,
    bits_per_value,
    load,
    restore,
    save,
    train_step,
)
from artifex.examples.photographs import cut_photographs, find_photographs
from artifex.examples.picture import contact_sheet
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
        self.optimizer = nnx.Optimizer(self.model, ADAM, wrt=nnx.Param)


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
    check_integer("seed", seed, 0, 2**32 - 1)
    if not 0 < seconds < math.inf:
        raise ConfigError(f"`seconds` must be a number > 0, got {seconds}")
    began, meter = time.perf_counter(), Meter()
    folder = out / f"photos-{images}"
    _cut(folder, images, console)
    run = Run(folder, seed)
    _say(console, "Data", f"{len(run.parts['train'])} images to train on, {len(run.parts['val'])} held out")
    _say(console, "Device", f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")

    batches = endless(run.loader)
    _train(run, batches, meter, until=seconds / 2, halfway=True, console=console)
    run = _resume(run, batches, out / "checkpoint", folder, seed, console)
    _train(run, endless(run.loader), meter, until=seconds, halfway=False, console=console)

    picture = out / "images.png"
    contact_sheet(_rows(run)).save(picture)
    first, last = (float(np.mean(losses)) for losses in (meter.losses[:10], meter.losses[-50:]))
    _say(console, "Loss", f"{first:.2f} -> {last:.2f} bits per colour value; held out {_val_loss(run):.2f}")
    _say(
        console,
        "Speed",
        str(meter).partition(", ")[2] + f" for data, {time.perf_counter() - began:.0f} s in all",
    )
    _say(console, "Picture", str(picture))
    return picture


def endless(loader: DataLoader) -> Iterator[dict[str, Any]]:
    """One epoch after another."""
    while True:
        yield from loader


def digests(batches: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A digest of each batch: its records' numbers, labels and paths, and every bit of its pixels."""
    for batch in batches:
        digest = hashlib.blake2b(digest_size=8)
        for name in ("index", "labels", "images"):
            digest.update(np.asarray(batch[name]).tobytes())
        digest.update("\0".join(batch["paths"]).encode())
        yield digest.hexdigest()


def _cut(folder: Path, count: int, console: Console) -> None:
    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Cutting photographs", total=count)
        for done in cut_photographs(folder, count):
            bar.update(task, completed=done)
    _say(console, "Files", f"{count} JPEG files, cut from {len(find_photographs())} photographs: {folder}")


def _train(
    run: Run,
    batches: Iterator[dict[str, Any]],
    meter: Meter,
    *,
    until: float,
    halfway: bool,
    console: Console,
) -> None:
    """Trains until the meter says so; with `halfway`, on to the middle of an epoch."""
    middle = max(len(run.loader) // 2, 1)
    with Progress(BarColumn(20), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("compiling", total=until)
        for batch in meter.watch(batches):
            meter.losses.append(float(train_step(run.model, run.optimizer, batch["images"])))
            place = run.loader.state()
            shown = f"epoch {place['epoch'] + 1}, {meter}"
            bar.update(task, completed=min(meter.seconds, until), description=shown)
            if meter.seconds >= until and (not halfway or place["step"] == middle):
                return


def _resume(
    run: Run, batches: Iterator[dict[str, Any]], checkpoint: Path, folder: Path, seed: int, console: Console
) -> Run:
    """A new run that goes on where this one stands, after comparing what both would see."""
    save(checkpoint, run.model, run.optimizer, run.loader)
    place, count = run.loader.state(), len(run.loader)
    _say(
        console,
        "Stopped",
        f"after batch {place['step']} of {count} of epoch {place['epoch'] + 1}: {checkpoint}",
    )
    expected = list(digests(islice(batches, count)))

    again = Run(folder, seed)
    restore(checkpoint, again.model, again.optimizer, again.loader)
    compare(expected, list(digests(islice(endless(again.loader), count))))
    _say(console, "Resumed", f"the next {count} batches are identical, in order and in every pixel")
    restore(checkpoint, again.model, again.optimizer, again.loader)  # those batches were only looked at
    return again


def compare(expected: list[str], actual: list[str]) -> None:
    """Raises ArtifexError unless the digests are the same, one by one."""
    pairs = list(zip(expected, actual, strict=True))
    different = [i for i, (one, other) in enumerate(pairs) if one != other]
    if different:
        raise ArtifexError(
            f"the resumed run got other batches than the one that was not stopped: {len(different)} of "
            f"{len(pairs)}, the first after {different[0]} that were the same"
        )


def _val_loss(run: Run) -> float:
    batches, key = list(create_data_loader(run.parts["val"], BATCH, shuffle=False)), jax.random.key(0)
    losses = [float(bits_per_value(run.model, batch["images"], key)) for batch in batches]
    return float(np.average(losses, weights=[len(batch["index"]) for batch in batches]))


def _rows(run: Run) -> dict[str, npt.NDArray[np.uint8]]:
    augmented = run.loader.batch(0)
    held_out = run.parts["val"].take(range(_COLUMNS))["images"]
    noise = jax.random.normal(jax.random.key(0), (_COLUMNS, LATENTS))
    rows = {
        "photographs": run.parts["train"].take(augmented["index"])["images"],
        "the same, as training sees them": augmented["images"],
        "photographs that were held out": held_out,
        "what the model makes of these": run.model.decode(run.model.encode(held_out)[0]),
        "what it makes of noise": run.model.decode(noise),
    }
    modality = ImageModality(CONFIG, rngs=nnx.Rngs(0))
    return {caption: np.asarray(modality.postprocess(images[:_COLUMNS])) for caption, images in rows.items()}


def _say(console: Console, what: str, text: str) -> None:
    # Plain text: a path may have square brackets, and a file of the output needs no line breaks.
    console.print(f"{what:<8}  {text}", markup=False, highlight=False, soft_wrap=True)
