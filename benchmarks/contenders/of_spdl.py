"""SPDL: a pipeline of stages, run by threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import sounds
from benchmarks.data import Arrays, Photographs, Recordings, batches_of_rows
from benchmarks.pictures import decode_with_opencv


def _run(builder: Any, threads: int) -> Iterator[Any]:
    pipeline = builder.add_sink(3).build(num_threads=threads)
    with pipeline.auto_stop():
        yield from pipeline


def arrays(work: Arrays) -> Iterator[Any]:
    """Row numbers of a batch go in, one gather makes it."""
    from spdl.pipeline import PipelineBuilder

    from benchmarks.finish import to_unit

    def gather(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.take(work.images, rows, axis=0), work.labels[rows]

    rows = batches_of_rows(len(work.images), work.batch_size)
    for batch in _run(PipelineBuilder().add_source(rows).pipe(gather), 1):
        yield to_unit(*batch)


def photographs(work: Photographs, threads: int) -> Iterator[Any]:
    from spdl.pipeline import PipelineBuilder

    from benchmarks.finish import images_to_unit

    def decode(path: str) -> np.ndarray:
        return decode_with_opencv(path, work.side, crop=work.crop)

    order = batches_of_rows(len(work.paths), work.batch_size)
    paths = (work.paths[row] for rows in order for row in rows)
    builder = PipelineBuilder().add_source(paths).pipe(decode, concurrency=threads)
    builder = builder.aggregate(work.batch_size, drop_last=True).pipe(np.stack)
    for batch in _run(builder, threads + 1):
        yield images_to_unit(batch)


def photographs_by_batch(work: Photographs, threads: int) -> Iterator[Any]:
    """Each thread decodes a whole batch, which spares a task of the event loop per record."""
    from spdl.pipeline import PipelineBuilder

    from benchmarks.finish import images_to_unit

    def decode(rows: np.ndarray) -> np.ndarray:
        return np.stack([decode_with_opencv(work.paths[row], work.side, crop=work.crop) for row in rows])

    rows = batches_of_rows(len(work.paths), work.batch_size)
    builder = PipelineBuilder().add_source(rows).pipe(decode, concurrency=threads)
    for batch in _run(builder, threads):
        yield images_to_unit(batch)


def recordings(work: Recordings, whole: bool) -> Iterator[Any]:
    """Each thread decodes a whole batch."""
    from spdl.pipeline import PipelineBuilder

    from benchmarks.finish import log_mel

    one = sounds.part_of_whole if whole else sounds.part_alone

    def decoded(rows: np.ndarray) -> np.ndarray:
        return np.stack([one(work.paths[row]) for row in rows])

    rows = batches_of_rows(len(work.paths), work.batch_size)
    for batch in _run(PipelineBuilder().add_source(rows).pipe(decoded, concurrency=2), 2):
        yield log_mel(batch)
