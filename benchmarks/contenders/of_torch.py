"""torch.utils.data."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import sounds, texts
from benchmarks.data import Arrays, Documents, Photographs, Place, Recordings, Tokens, batches_of_rows
from benchmarks.pictures import decode_with_opencv


class _Rows:
    """Gives a whole batch at once, by `__getitems__`."""

    def __init__(self, work: Arrays) -> None:
        import torch

        self.images, self.labels = torch.from_numpy(work.images), torch.from_numpy(work.labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: list[int]) -> tuple[Any, Any]:
        import torch

        numbers = torch.as_tensor(rows)
        return self.images[numbers], self.labels[numbers]


class _Pictures:
    def __init__(self, work: Photographs) -> None:
        self.work = work

    def __len__(self) -> int:
        return len(self.work.paths)

    def __getitem__(self, row: int) -> Any:
        import torch

        return torch.from_numpy(decode_with_opencv(self.work.paths[row], self.work.side, crop=self.work.crop))


def _epochs(dataset: Any, batch_size: int, workers: int, collate: Callable[..., Any] | None) -> Iterator[Any]:
    import torch
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)  # its threads spin while they wait, which costs more than they bring
    loader = DataLoader(
        dataset,
        batch_size,
        shuffle=True,
        drop_last=True,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


def _as_it_is(batch: Any) -> Any:
    return batch


def arrays(work: Arrays, workers: int) -> Iterator[Any]:
    from benchmarks.finish import to_unit

    for images, labels in _epochs(_Rows(work), work.batch_size, workers, _as_it_is):
        yield to_unit(images.numpy(), labels.numpy())


def photographs(work: Photographs, workers: int) -> Iterator[Any]:
    from benchmarks.finish import images_to_unit

    for images in _epochs(_Pictures(work), work.batch_size, workers, None):
        yield images_to_unit(images.numpy())


class _Documents:
    """Encodes a whole batch at once, by `__getitems__`."""

    def __init__(self, work: Documents, by_tiktoken: bool) -> None:
        self.source, self.length = texts.Texts(work.path), work.length
        self.encode = (texts.EncodeByTiktoken if by_tiktoken else texts.Encode)(work.tokenizer)

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, rows: list[int]) -> Any:
        import torch

        return torch.from_numpy(texts.padded(self.encode(self.source.many(rows)), self.length))


def documents(work: Documents, workers: int, by_tiktoken: bool = False) -> Iterator[Any]:
    import jax

    if workers:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for batch in _epochs(_Documents(work, by_tiktoken), work.batch_size, workers, _as_it_is):
        yield jax.device_put(batch.numpy())


def packed_documents(work: Documents, workers: int) -> Iterator[Any]:
    """An `IterableDataset` that packs; each worker has an order of its own."""
    import jax
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    class Rows(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[Any]:
            source, encode = texts.Texts(work.path), texts.Encode(work.tokenizer)
            order = batches_of_rows(len(source), work.batch_size)
            stream = (ids for rows in order for ids in encode(source.many(rows)))
            return map(torch.from_numpy, texts.packed(stream, work.batch_size, work.length))

    if workers:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    for batch in DataLoader(Rows(), batch_size=None, num_workers=workers):
        yield jax.device_put(batch.numpy())


class _Gathered:
    """Rows of ids, by `__getitems__`."""

    def __init__(self, count: int, gather: Callable[[np.ndarray], np.ndarray]) -> None:
        self.count, self.gather = count, gather

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, rows: list[int]) -> np.ndarray:
        return self.gather(np.array(rows))


def padded_tokens(work: Tokens) -> Iterator[Any]:
    """Sliced by hand."""
    return _of_rows(_Gathered(len(work.offsets) - 1, partial(texts.sliced, work)), work.batch_size)


def packed_tokens(work: Tokens) -> Iterator[Any]:
    """Gathered by hand."""
    table = texts.table(work)
    return _of_rows(_Gathered(len(table), lambda rows: table[rows].astype(np.int32)), work.batch_size)


def _of_rows(dataset: _Gathered, batch_size: int) -> Iterator[Any]:
    import jax

    for batch in _epochs(dataset, batch_size, 0, _as_it_is):
        yield jax.device_put(batch)


class _Sounds:
    def __init__(self, work: Recordings, whole: bool) -> None:
        self.paths, self.decode = work.paths, sounds.part_of_whole if whole else sounds.part_alone

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Any:
        import torch

        return torch.from_numpy(self.decode(self.paths[row]))


def recordings(work: Recordings, whole: bool, workers: int) -> Iterator[Any]:
    from benchmarks.finish import log_mel

    for samples in _epochs(_Sounds(work, whole), work.batch_size, workers, None):
        yield log_mel(samples.numpy())


def resume(work: Place) -> Iterator[Any]:
    """There is no state: the sampler is run up to the place, the batches before it are not read."""
    import jax
    import torch
    from torch.utils.data import BatchSampler, RandomSampler

    records = torch.arange(work.num_records, dtype=torch.int32)
    while True:
        sampler = RandomSampler(records, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        batches = iter(BatchSampler(sampler, work.batch_size, drop_last=True))
        for _ in range(work.step):
            next(batches)
        yield jax.device_put(records[torch.as_tensor(next(batches))].numpy())
