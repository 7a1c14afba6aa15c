"""What stands around the steps of a training run: a meter, a save, and the way back."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from artifex.data import DataLoader
from artifex.data.feed import Batch


def count_records(batch: Batch) -> int:
    """How many records a batch has."""
    return len(batch["index"])


@dataclass
class Meter:
    """Losses, and where the time went; without the first step, which compiles.

    Attributes:
        unit: what is counted, e.g. "images".
        count: how many a batch has.
        loss_unit: of the losses.
        losses: of each step: who trains appends them.
        seen: how many went by.
        seconds: how long that took, > 0 after two steps.
        waited: how much of it went by until batches were on the device.
    """

    unit: str
    count: Callable[[Batch], int] = count_records
    loss_unit: str = "bits"
    losses: list[float] = field(default_factory=list[float])
    seen: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, each when it is on the device; the time until then is waiting."""
        asked = time.perf_counter()
        for batch in batches:
            jax.block_until_ready(batch)
            came = time.perf_counter()
            yield batch
            if len(self.losses) > 1:
                self.seen += self.count(batch)
                self.waited += came - asked
                self.seconds += time.perf_counter() - asked
            asked = time.perf_counter()

    @property
    def rate(self) -> float:
        """How many there were in a second."""
        return self.seen / (self.seconds or 1.0)

    @property
    def waiting(self) -> float:
        """The share of the time that went by waiting, 0 to 1."""
        return self.waited / (self.seconds or 1.0)

    def __str__(self) -> str:
        loss = np.mean(self.losses[-50:] or [np.nan])
        return f"{loss:.2f} {self.loss_unit}, {self.rate:.0f} {self.unit}/s, {self.waiting:.1%} waiting"


def endless(loader: DataLoader) -> Iterator[Batch]:
    """One epoch after another."""
    while True:
        yield from loader


def save(folder: Path, model: nnx.Module, optimizer: nnx.Optimizer[Any], loader: DataLoader) -> None:
    """Writes weights, moments and the place in the data."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "model.npz", *jax.tree.leaves(nnx.state((model, optimizer))))
    (folder / "loader.json").write_text(json.dumps(loader.state()))


def restore(folder: Path, model: nnx.Module, optimizer: nnx.Optimizer[Any], loader: DataLoader) -> None:
    """Takes back what `save` wrote."""
    structure = jax.tree.structure(nnx.state((model, optimizer)))
    with np.load(folder / "model.npz") as arrays:
        leaves = [jnp.asarray(array) for array in arrays.values()]
    nnx.update((model, optimizer), jax.tree.unflatten(structure, leaves))
    loader.restore(json.loads((folder / "loader.json").read_text()))
