"""What all demos do: they train, stop in the middle of an epoch, resume, and prove that nothing was lost by it.

What is said while one runs goes to a `rich` console.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from flax import nnx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from artifex.data import ArtifexError, ConfigError, DataLoader
from artifex.data.checks import check_integer
from artifex.data.errors import MissingPackageError
from artifex.data.feed import Batch
from artifex.examples.training import Meter, endless, restore, save


class Run(Protocol):
    """What a training run is made of; a new one is made alike from the same files and seed."""

    @property
    def model(self) -> nnx.Module: ...
    @property
    def optimizer(self) -> nnx.Optimizer[Any]: ...
    @property
    def loader(self) -> DataLoader: ...
    def step(self, batch: Batch) -> float:
        """Trains on a batch; its loss before, in the unit of the meter."""
        ...


AnyRun = TypeVar("AnyRun", bound=Run)


def check_settings(seconds: float, seed: int) -> None:
    """Raises ConfigError unless a demo can train for so long, with such a seed."""
    check_integer("seed", seed, 0, 2**32 - 1)
    if not 0 < seconds < math.inf:
        raise ConfigError(f"`seconds` must be a number > 0, got {seconds}")


def missing(package: str) -> MissingPackageError:
    """What to raise where a package is not installed, e.g. "Pillow, which writes pictures"."""
    return MissingPackageError(f'the demo needs {package}: pip install "artifex-data[demo]"')


def say(console: Console, what: str, text: str) -> None:
    """A line of what happens."""
    # No markup, since a path may have square brackets; no line breaks where the output is a file.
    console.print(f"{what:<8}  {text}", markup=False, highlight=False, soft_wrap=True)


def say_speed(meter: Meter, console: Console) -> None:
    """How fast it went, and how much of the time went by waiting."""
    speed = f"{meter.rate:.0f} {meter.unit}/s; {meter.waiting:.1%} of the time went by waiting for data"
    say(console, "Speed", speed)


def watched(steps: Iterable[int], what: str, total: int, console: Console) -> None:
    """Goes through steps, of which each tells how many are done, with a bar that is gone at the end."""
    columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        for done in steps:
            bar.update(task, completed=done)


def place(loader: DataLoader) -> tuple[int, int]:
    """The epoch, counted from 1, and how many of its batches were handed out."""
    state = loader.state()
    return state["epoch"] + 1, state["step"]


def train(
    run: Run,
    batches: Iterator[Batch],
    meter: Meter,
    console: Console,
    *,
    until: float,
    within_an_epoch: bool = False,
) -> None:
    """Trains until `meter` has counted that many seconds; with `within_an_epoch` never just at the end of one.

    An epoch then has two batches or more.
    """
    with Progress(BarColumn(20), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("compiling", total=until)
        for batch in meter.watch(batches):
            meter.losses.append(run.step(batch))
            epoch, step = place(run.loader)
            bar.update(task, completed=min(meter.seconds, until), description=f"epoch {epoch}, {meter}")
            if meter.seconds >= until and (not within_an_epoch or 0 < step < len(run.loader)):
                return


def stop_and_resume(
    run: AnyRun, batches: Iterator[Batch], new: Callable[[], AnyRun], folder: Path, console: Console
) -> AnyRun:
    """A new run that goes on where `run` stands; first it is compared what the two would see.

    Raises:
        ArtifexError: they would see other batches.
    """
    (epoch, step), count = place(run.loader), len(run.loader)
    save(folder, run.model, run.optimizer, run.loader)
    say(console, "Stopped", f"after batch {step} of {count} of epoch {epoch}, saved in {folder}")
    expected = list(digests(islice(batches, count)))

    again = new()
    restore(folder, again.model, again.optimizer, again.loader)
    compare(expected, list(digests(islice(endless(again.loader), count))))
    say(console, "Resumed", f"from there: the next {count} batches are identical, in order and in every bit")
    restore(folder, again.model, again.optimizer, again.loader)  # they were only looked at
    return again


def digests(batches: Iterable[Batch]) -> Iterator[str]:
    """A digest of each batch: every bit of its arrays, and its strings."""
    for batch in batches:
        digest = hashlib.blake2b(digest_size=8)
        for name, values in sorted(batch.items()):
            array = np.asarray(values)
            digest.update(name.encode())
            digest.update("\0".join(values).encode() if array.dtype.kind == "U" else array.tobytes())
        yield digest.hexdigest()


def compare(expected: list[str], actual: list[str]) -> None:
    """Raises ArtifexError unless the digests are the same, one by one."""
    pairs = list(zip(expected, actual, strict=True))
    different = [i for i, (one, other) in enumerate(pairs) if one != other]
    if different:
        raise ArtifexError(
            f"the resumed run got other batches than the one that was not stopped: {len(different)} of "
            f"{len(pairs)}, the first after {different[0]} that were the same"
        )
