"""The demo: photographs from disk to a trained model, stopped in the middle of an epoch and resumed.

It trains the model of `image_vae.py`; what is said while it runs goes to a `rich` console.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import jax
import numpy as np
import numpy.typing as npt
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from artifex.data import ArtifexError, ConfigError, DataLoader, create_data_loader
from artifex.data.checks import check_integer
from artifex.data.pipeline import Batch
from artifex.examples.image_vae import (
    BATCH,
    CONFIG,
    LATENTS,
    NADAM,
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
        self.optimizer = nnx.Optimizer(self.model, NADAM, wrt=nnx.Param)

    def place(self) -> tuple[int, int]:
        """The epoch, counted from 1, and how many of its batches were handed out."""
        state = self.loader.state()
        return state["epoch"] + 1, state["step"]


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
    began, meter, folder = time.perf_counter(), Meter(), out / f"photos-{images}"
    _cut(folder, images, console)
    run = Run(folder, seed)
    _say(console, "Data", f"{len(run.parts['train'])} to train on, {len(run.parts['val'])} held out")
    _say(console, "Device", f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")

    batches = endless(run.loader)
    _train(run, batches, meter, console, until=seconds / 2, to_the_middle=True)
    again = _stop_and_resume(run, batches, lambda: Run(folder, seed), out / "checkpoint", console)
    _train(again, endless(again.loader), meter, console, until=seconds)

    contact_sheet(_rows(again)).save(out / "images.png")
    _report(again, meter, console)
    _say(console, "Picture", f"{out / 'images.png'}, {time.perf_counter() - began:.0f} s after the start")
    return out / "images.png"


def endless(loader: DataLoader) -> Iterator[Batch]:
    """One epoch after another."""
    while True:
        yield from loader


def digests(batches: Iterable[Batch]) -> Iterator[str]:
    """A digest of each batch: its records' numbers, labels and paths, and every bit of its pixels."""
    for batch in batches:
        digest = hashlib.blake2b(digest_size=8)
        for name in ("index", "labels", "images"):
            digest.update(np.asarray(batch[name]).tobytes())
        digest.update("\0".join(batch["paths"]).encode())
        yield digest.hexdigest()


def _cut(folder: Path, count: int, console: Console) -> None:
    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Cutting photographs", total=count)
        for done in cut_photographs(folder, count):
            bar.update(task, completed=done)
    _say(console, "Files", f"{count} JPEG files, cut from {len(find_photographs())} photographs: {folder}")


def _train(
    run: Run,
    batches: Iterator[Batch],
    meter: Meter,
    console: Console,
    *,
    until: float,
    to_the_middle: bool = False,
) -> None:
    """Trains until `meter` has counted that many seconds, and then to the middle of an epoch if so asked."""
    with Progress(BarColumn(20), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("compiling", total=until)
        for batch in meter.watch(batches):
            meter.losses.append(float(train_step(run.model, run.optimizer, batch["images"])))
            epoch, step = run.place()
            bar.update(task, completed=min(meter.seconds, until), description=f"epoch {epoch}, {meter}")
            if meter.seconds >= until and (not to_the_middle or step == len(run.loader) // 2):
                return


def _stop_and_resume(
    run: Run, batches: Iterator[Batch], new: Callable[[], Run], folder: Path, console: Console
) -> Run:
    """A new run that goes on where `run` stands; first it is compared what the two would see."""
    (epoch, step), count = run.place(), len(run.loader)
    save(folder, run.model, run.optimizer, run.loader)
    _say(console, "Stopped", f"after batch {step} of {count} of epoch {epoch}, saved in {folder}")
    expected = list(digests(islice(batches, count)))

    again = new()
    restore(folder, again.model, again.optimizer, again.loader)
    compare(expected, list(digests(islice(endless(again.loader), count))))
    _say(
        console, "Resumed", f"from there: the next {count} batches are identical, in order and in every pixel"
    )
    restore(folder, again.model, again.optimizer, again.loader)  # they were only looked at
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


def _report(run: Run, meter: Meter, console: Console) -> None:
    batches, key = list(create_data_loader(run.parts["val"], BATCH, shuffle=False)), jax.random.key(0)
    losses = [float(bits_per_value(run.model, batch["images"], key)) for batch in batches]
    held_out = np.average(losses, weights=[len(batch["index"]) for batch in batches])
    first, last = np.mean(meter.losses[:10]), np.mean(meter.losses[-50:])
    _say(
        console,
        "Loss",
        f"{first:.2f} at first, {last:.2f} at last, {held_out:.2f} held out (bits per colour value)",
    )
    rate, waiting = meter.images / meter.seconds, meter.waited / meter.seconds
    _say(console, "Speed", f"{rate:.0f} images/s; {waiting:.1%} of the time went by waiting for data")


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


def _say(console: Console, what: str, text: str) -> None:
    # No markup, since a path may have square brackets; no line breaks where the output is a file.
    console.print(f"{what:<8}  {text}", markup=False, highlight=False, soft_wrap=True)
