"""grain: its `MapDataset`, and the older `DataLoader`.

`to_iter_dataset` comes before `batch`: after it, it would read 500 batches ahead. Large batches of small records
are best made of row numbers, with one gather for the batch, where the source allows that.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.data import Arrays, Photographs, Place
from benchmarks.pictures import decode_with_opencv


class _Rows:
    """A source of images and labels."""

    def __init__(self, work: Arrays) -> None:
        self.work = work

    def __len__(self) -> int:
        return len(self.work.images)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"images": self.work.images[row], "labels": self.work.labels[row]}


class _Pictures:
    """A source that decodes."""

    def __init__(self, work: Photographs) -> None:
        self.work = work

    def __len__(self) -> int:
        return len(self.work.paths)

    def __getitem__(self, row: int) -> np.ndarray:
        return decode_with_opencv(self.work.paths[row], self.work.side, crop=self.work.crop)


class _Numbers:
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> np.int32:
        return np.int32(row)


def _options(threads: int) -> Any:
    import grain

    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=256 if threads else 0)


def arrays(work: Arrays, threads: int) -> Iterator[Any]:
    import grain

    from benchmarks.finish import to_unit

    records = grain.MapDataset.source(_Rows(work)).seed(0).shuffle().repeat()
    for batch in records.to_iter_dataset(_options(threads)).batch(work.batch_size, drop_remainder=True):
        yield to_unit(batch["images"], batch["labels"])


def arrays_of_rows(work: Arrays) -> Iterator[Any]:
    """grain shuffles and batches row numbers; the gather is ours."""
    import grain

    from benchmarks.finish import to_unit

    rows = grain.MapDataset.range(len(work.images)).seed(0).shuffle().repeat()
    for batch in rows.batch(work.batch_size, drop_remainder=True).to_iter_dataset(_options(0)):
        yield to_unit(np.take(work.images, batch, axis=0), work.labels[batch])


def _loader(source: Any, batch_size: int, workers: int) -> Any:
    import grain

    sampler = grain.samplers.IndexSampler(
        len(source), shard_options=grain.sharding.NoSharding(), shuffle=True, num_epochs=None, seed=0
    )
    batch = grain.transforms.Batch(batch_size, drop_remainder=True)
    return grain.DataLoader(data_source=source, sampler=sampler, operations=[batch], worker_count=workers)


def arrays_by_loader(work: Arrays, workers: int) -> Iterator[Any]:
    from benchmarks.finish import to_unit

    _flags_are_parsed()
    for batch in _loader(_Rows(work), work.batch_size, workers):
        yield to_unit(batch["images"], batch["labels"])


def photographs(work: Photographs, threads: int = 1, processes: int = 0) -> Iterator[Any]:
    import grain

    from benchmarks.finish import images_to_unit

    _flags_are_parsed()
    records = grain.MapDataset.source(_Pictures(work)).seed(0).shuffle().repeat()
    stream = records.to_iter_dataset(_options(threads)).batch(work.batch_size, drop_remainder=True)
    if processes:
        stream = stream.mp_prefetch(grain.MultiprocessingOptions(num_workers=processes))
    for batch in stream:
        yield images_to_unit(batch)


def photographs_by_loader(work: Photographs, workers: int) -> Iterator[Any]:
    from benchmarks.finish import images_to_unit

    _flags_are_parsed()
    for batch in _loader(_Pictures(work), work.batch_size, workers):
        yield images_to_unit(batch)


def resume(work: Place) -> Iterator[Any]:
    import grain
    import jax

    records = grain.MapDataset.source(_Numbers(work.num_records)).seed(0).shuffle()
    stream = records.batch(work.batch_size).to_iter_dataset(_options(0))
    state = {**iter(stream).get_state(), "next_index": work.step}
    while True:
        batches = iter(stream)
        batches.set_state(state)
        yield jax.device_put(next(batches))


def _flags_are_parsed() -> None:
    """grain's processes read absl's flags, which only programs of absl parse."""
    from absl import flags

    flags.FLAGS.mark_as_parsed()
