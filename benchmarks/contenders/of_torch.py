"""torch.utils.data."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.data import Arrays, Photographs, Place
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
