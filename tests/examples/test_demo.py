import io
from itertools import islice

import numpy as np
import pytest
from rich.console import Console

from artifex.data import ArtifexError, PaddedReader, TokenArrays, create_data_loader
from artifex.examples.demo import compare, digests, place, train
from artifex.examples.training import Meter, endless


class FakeRun:
    """It has two batches an epoch, and counts its steps."""

    model = optimizer = None

    def __init__(self):
        documents = TokenArrays.from_documents([[5], [6], [7], [8]])
        self.loader = create_data_loader(PaddedReader(documents, 1), 2)
        self.steps = 0

    def step(self, batch):
        self.steps += 1
        return 1.0


@pytest.mark.parametrize(("within", "steps", "at"), [(False, 1, (2, 0)), (True, 2, (2, 1))])
def test_training_stops_within_an_epoch_if_so_asked(within, steps, at):
    run = FakeRun()
    batches = endless(run.loader)
    list(islice(batches, 1))  # the next one ends the epoch
    console = Console(file=io.StringIO())
    train(run, batches, Meter("documents"), console, until=0, within_an_epoch=within)
    assert (run.steps, place(run.loader)) == (steps, at)


def test_compare():
    compare(["a", "b", "c"], ["a", "b", "c"])
    with pytest.raises(ArtifexError, match="1 of 3, the first after 2 that were the same"):
        compare(["a", "b", "c"], ["a", "b", "d"])
    with pytest.raises(ValueError):
        compare(["a", "b"], ["a"])


def test_digests_see_every_change():
    rng = np.random.default_rng(0)
    batch = {
        "images": rng.random((4, 8, 8, 3), np.float32),
        "labels": np.arange(4, dtype=np.int32),
        "index": np.array([3, 1, 0, 2], np.int32),
        "paths": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
    }
    pixels = batch["images"].copy()
    pixels[-1, -1, -1, -1] = np.nextafter(pixels[-1, -1, -1, -1], np.float32(2))
    order = [1, 0, 2, 3]
    changed = [
        batch | {"images": pixels},
        batch | {"labels": batch["labels"][::-1]},
        batch | {"index": batch["index"][::-1]},
        batch | {"paths": [*batch["paths"][:-1], "other.jpg"]},
        batch | {"paths": ["a.jpg\0b.jpg", "c.jpg", "d.jpg", "e.jpg"]},
        {name: value for name, value in batch.items() if name != "labels"},
        {
            name: [value[i] for i in order] if name == "paths" else value[order]
            for name, value in batch.items()
        },
    ]
    assert list(digests([batch, dict(reversed(batch.items()))])) == 2 * list(digests([batch]))
    assert len(set(digests([batch, *changed]))) == 1 + len(changed)
