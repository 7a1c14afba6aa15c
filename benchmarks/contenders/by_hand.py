"""Loops without any loader: what the others are held to."""

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks import pictures
from benchmarks.data import Arrays, Photographs, Place, batches_of_rows

THREADS = 2


def arrays(work: Arrays, reuse: bool = False) -> Iterator[Any]:
    """One gather per batch, one compiled call that takes the NumPy arrays.

    With `reuse` into two buffers in turn, whose pages are in memory already, and which JAX on a CPU reads where
    they are. The batch before the last must have been waited for by then.
    """
    from benchmarks.finish import to_unit

    shape = (work.batch_size, *work.images.shape[1:])
    buffers = [_aligned(shape) if reuse else None for _ in range(2)]
    for step, rows in enumerate(batches_of_rows(len(work.images), work.batch_size)):
        # With mode="raise" NumPy would make a copy of `out`.
        images = np.take(work.images, rows, axis=0, out=buffers[step % 2], mode="clip")
        yield to_unit(images, work.labels[rows])


def _aligned(shape: tuple[int, ...]) -> np.ndarray:
    """uint8, at a multiple of 64 bytes: JAX copies what begins elsewhere."""
    size = math.prod(shape)
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].reshape(shape)


def stacked(work: Arrays) -> Iterator[Any]:
    """What one writes first: sample by sample, then stack."""
    import jax.numpy as jnp

    for rows in batches_of_rows(len(work.images), work.batch_size):
        images = np.stack([work.images[row] for row in rows]).astype(np.float32) / 255
        yield jnp.asarray(images), jnp.asarray(np.array([work.labels[row] for row in rows]))


def on_device(work: Arrays) -> Iterator[Any]:
    """All data on the device from the start; one compiled call per batch gathers and converts."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def gather(images: Any, labels: Any, rows: Any) -> tuple[Any, Any]:
        return images[rows].astype(jnp.float32) * np.float32(1 / 255), labels[rows]

    images, labels = jax.device_put((work.images, work.labels))
    for rows in batches_of_rows(len(work.images), work.batch_size):
        yield gather(images, labels, rows.astype(np.int32))


def photographs(work: Photographs, decode: str) -> Iterator[Any]:
    """Threads that decode straight into the batch, two batches ahead; `decode` names the way in `pictures`."""
    from benchmarks.finish import images_to_unit

    one = getattr(pictures, decode)
    if "opencv" in decode:
        import cv2

        cv2.setNumThreads(0)

    def piece(rows: np.ndarray, batch: np.ndarray) -> None:
        for row, slot in zip(rows, batch, strict=True):
            with open(work.paths[row], "rb") as file:
                one(file.read(), slot)

    def submit(rows: np.ndarray) -> tuple[np.ndarray, list[Future[None]]]:
        batch = np.empty((len(rows), work.side, work.side, 3), np.uint8)
        parts = zip(np.array_split(rows, THREADS * 4), np.array_split(batch, THREADS * 4), strict=True)
        return batch, [pool.submit(piece, *part) for part in parts]

    order = batches_of_rows(len(work.paths), work.batch_size)
    with ThreadPoolExecutor(THREADS) as pool:
        ahead = deque(submit(next(order)) for _ in range(2))
        while True:
            batch, jobs = ahead.popleft()
            ahead.append(submit(next(order)))
            for job in jobs:
                job.result()
            yield images_to_unit(batch)


def cached(work: tuple[Photographs, Arrays], reuse: bool = False) -> Iterator[Any]:
    """The decoded pictures as an array in memory."""
    return arrays(work[1], reuse)


def resume(work: Place) -> Iterator[Any]:
    """The order is a permutation by NumPy, made anew and cut."""
    import jax

    records = np.arange(work.num_records)
    while True:
        order = np.random.default_rng(0).permutation(work.num_records)
        rows = order[work.step * work.batch_size :][: work.batch_size]
        yield jax.device_put(records[rows].astype(np.int32))
