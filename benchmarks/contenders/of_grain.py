"""grain: its `MapDataset`, and the older `DataLoader`.

`to_iter_dataset` comes before `batch`: after it, it would read 500 batches ahead. Large batches of small records
are best made of row numbers, with one gather for the batch, where the source allows that.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import sounds, texts
from benchmarks.data import Arrays, Documents, Photographs, Place, Recordings, Tokens
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


class _EncodedRows:
    """Row numbers to rows, a batch at a time; or packed, to all its ids one after the other."""

    def __init__(self, work: Documents, packed: bool) -> None:
        self.source, self.encode = texts.Texts(work.path), texts.Encode(work.tokenizer)
        self.length = None if packed else work.length

    def __call__(self, rows: np.ndarray) -> Any:
        ids = self.encode(self.source.many(rows))
        if self.length is None:
            return {"tokens": np.concatenate([texts.sequence(one) for one in ids])}
        return texts.padded(ids, self.length)


class _Encoded:
    """A document to a row; or packed, to all its ids."""

    def __init__(self, work: Documents, packed: bool) -> None:
        self.encode, self.length = texts.Encode(work.tokenizer), None if packed else work.length

    def __call__(self, text: str) -> Any:
        ids = self.encode([text])
        if self.length is None:
            return {"tokens": texts.sequence(ids[0])}
        return texts.padded(ids, self.length)[0]


def documents(work: Documents, processes: int = 0, packed: bool = False) -> Iterator[Any]:
    """Row numbers are batched, and a batch is encoded in one call; packed, all rows of a batch are cut as one."""
    import grain
    import jax

    _flags_are_parsed()
    if processes:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    rows = grain.MapDataset.range(len(texts.Texts(work.path))).seed(0).shuffle().repeat()
    batches = rows.batch(work.batch_size, drop_remainder=True).map(_EncodedRows(work, packed))
    options = grain.ReadOptions(num_threads=1 if processes else 2, prefetch_buffer_size=4)
    stream = batches.to_iter_dataset(options)
    if packed:
        stream = _cut(stream, work.batch_size * work.length)
    if processes:
        stream = stream.mp_prefetch(grain.MultiprocessingOptions(num_workers=processes))
    for batch in stream:
        yield jax.device_put(batch["tokens"].reshape(work.batch_size, work.length) if packed else batch)


def documents_one_by_one(work: Documents, threads: int, packed: bool = False) -> Iterator[Any]:
    """Each is encoded by itself."""
    import grain
    import jax

    records = grain.MapDataset.source(texts.Texts(work.path)).seed(0).shuffle().repeat()
    stream = records.map(_Encoded(work, packed)).to_iter_dataset(_options(threads))
    if packed:
        stream = _cut(stream, work.length)
    for batch in stream.batch(work.batch_size, drop_remainder=True):
        yield jax.device_put(batch["tokens"] if packed else batch)


def _cut(stream: Any, length: int) -> Any:
    import grain

    return grain.experimental.ConcatThenSplitIterDataset(stream, length_struct={"tokens": length})


def padded_tokens(work: Tokens) -> Iterator[Any]:
    """A batch of row numbers, sliced by hand."""
    return _of_rows(len(work.offsets) - 1, work.batch_size, partial(texts.sliced, work))


def packed_tokens(work: Tokens) -> Iterator[Any]:
    """A batch of row numbers, gathered by hand."""
    table = texts.table(work)
    return _of_rows(len(table), work.batch_size, lambda rows: table[rows].astype(np.int32))


def _of_rows(count: int, batch_size: int, gather: Callable[[np.ndarray], np.ndarray]) -> Iterator[Any]:
    import grain
    import jax

    rows = grain.MapDataset.range(count).seed(0).shuffle().repeat()
    for batch in rows.batch(batch_size, drop_remainder=True).to_iter_dataset(_options(0)):
        yield jax.device_put(gather(batch))


class _Sounds:
    """A source that decodes."""

    def __init__(self, work: Recordings, whole: bool) -> None:
        self.paths, self.decode = work.paths, sounds.part_of_whole if whole else sounds.part_alone

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.decode(self.paths[row])


def recordings(work: Recordings, whole: bool, threads: int = 1, processes: int = 0) -> Iterator[Any]:
    import grain

    from benchmarks.finish import log_mel

    _flags_are_parsed()
    records = grain.MapDataset.source(_Sounds(work, whole)).seed(0).shuffle().repeat()
    stream = records.to_iter_dataset(_options(threads)).batch(work.batch_size, drop_remainder=True)
    if processes:
        stream = stream.mp_prefetch(grain.MultiprocessingOptions(num_workers=processes))
    for batch in stream:
        yield log_mel(batch)


def _flags_are_parsed() -> None:
    """grain's processes read absl's flags, which only programs of absl parse."""
    from absl import flags

    flags.FLAGS.mark_as_parsed()
