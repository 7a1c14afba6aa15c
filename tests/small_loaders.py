"""A small dataset that is read by threads, and what its loaders give."""

import time

import jax
import numpy as np

SIZE = 10


class Items:
    """A structural dataset: nothing is inherited. Reads through threads."""

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        time.sleep(0.001 * (index % 2))
        return {"x": np.full(3, index, np.float32), "name": f"r{index}"}


def noise(key, sample, scale=1.0):
    return {**sample, "noise": jax.random.uniform(key)}


def seen(loader):
    return [batch["index"].tolist() for batch in loader]


def bits(batches):
    return [
        {name: v if isinstance(v, list) else np.asarray(v).tobytes() for name, v in b.items()}
        for b in batches
    ]
