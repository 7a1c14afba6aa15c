"""Hugging Face datasets."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.data import Arrays, Photographs, Place
from benchmarks.pictures import decode_with_opencv


def _quiet() -> Any:
    import datasets

    datasets.disable_progress_bars()
    datasets.disable_caching()  # an order that was kept in a file from the last run would be no shuffle
    return datasets


def _epochs(dataset: Any, batch_size: int, transform: Any = None) -> Iterator[Any]:
    for seed in itertools.count():
        shuffled = dataset.shuffle(seed=seed)
        if transform is not None:
            shuffled = shuffled.with_transform(transform)
        yield from shuffled.iter(batch_size, drop_last_batch=True)


def arrays(work: Arrays) -> Iterator[Any]:
    """Images as flat lists of fixed length: as `Array3D` they cost twice as much."""
    import pyarrow as pa

    from benchmarks.finish import to_unit

    datasets = _quiet()
    size = work.images[0].size
    images = pa.FixedSizeListArray.from_arrays(pa.array(work.images.reshape(-1)), size)
    table = pa.table({"images": images, "labels": pa.array(work.labels)})
    for batch in _epochs(datasets.Dataset(table).with_format("numpy"), work.batch_size):
        pixels = np.asarray(batch["images"]).reshape(-1, *work.images.shape[1:])
        yield to_unit(pixels, batch["labels"].astype(np.int32))


def photographs(work: Photographs) -> Iterator[Any]:
    from benchmarks.finish import images_to_unit

    def decode(batch: dict[str, Any]) -> dict[str, Any]:
        pictures = [decode_with_opencv(path, work.side, crop=work.crop) for path in batch["path"]]
        return {"images": [np.stack(pictures)]}

    dataset = _quiet().Dataset.from_dict({"path": list(work.paths)})
    for batch in _epochs(dataset, work.batch_size, decode):
        yield images_to_unit(batch["images"][0])


def resume(work: Place) -> Iterator[Any]:
    """The order is a list of all rows, made anew and cut."""
    import jax

    records = np.arange(work.num_records, dtype=np.int32)
    dataset = _quiet().Dataset.from_dict({"x": records}).with_format("numpy")
    start = work.step * work.batch_size
    while True:
        yield jax.device_put(dataset.shuffle(seed=0)[start : start + work.batch_size]["x"])
