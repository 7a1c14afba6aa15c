"""jax-dataloader with its own back end; the others that it has are packages that are measured by themselves."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.data import Arrays


def arrays(work: Arrays) -> Iterator[Any]:
    import jax_dataloader

    from benchmarks.finish import to_unit

    loader = jax_dataloader.DataLoader(
        jax_dataloader.ArrayDataset(work.images, work.labels),
        backend="jax",
        batch_size=work.batch_size,
        shuffle=True,
        drop_last=True,
    )
    while True:
        for images, labels in loader:
            yield to_unit(images, np.asarray(labels))
