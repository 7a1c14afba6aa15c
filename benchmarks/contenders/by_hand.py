"""Loops without any loader: what the others are held to."""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from benchmarks import pictures, sounds, texts
from benchmarks.data import (
    FIRST,
    Arrays,
    Documents,
    Lengths,
    Photographs,
    Place,
    Recordings,
    Tokens,
    batches_of_rows,
)

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

    def fill(row: int, slot: np.ndarray) -> None:
        with open(work.paths[row], "rb") as file:
            one(file.read(), slot)

    empty = partial(np.empty, (work.batch_size, work.side, work.side, 3), np.uint8)
    order = batches_of_rows(len(work.paths), work.batch_size)
    yield from map(images_to_unit, _filled(order, empty, fill))


def _filled(
    order: Iterator[np.ndarray], empty: Callable[[], np.ndarray], fill: Callable[[int, np.ndarray], None]
) -> Iterator[np.ndarray]:
    """Batches whose slots threads fill, two batches ahead."""

    def piece(rows: np.ndarray, batch: np.ndarray) -> None:
        for row, slot in zip(rows, batch, strict=True):
            fill(row, slot)

    def submit(rows: np.ndarray) -> tuple[np.ndarray, list[Future[None]]]:
        batch = empty()
        parts = zip(np.array_split(rows, THREADS * 4), np.array_split(batch, THREADS * 4), strict=True)
        return batch, [pool.submit(piece, *part) for part in parts]

    with ThreadPoolExecutor(THREADS) as pool:
        ahead = deque(submit(next(order)) for _ in range(2))
        while True:
            batch, jobs = ahead.popleft()
            ahead.append(submit(next(order)))
            for job in jobs:
                job.result()
            yield batch


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


def documents(work: Documents, engine: str, packed: bool = False) -> Iterator[Any]:
    """Threads that encode a batch each, a few ahead; rows are packed in the order in which they were asked for.

    With "tokenizers", whose call has threads of its own, eight batches at a time in one thread.
    """
    import jax

    source = texts.Texts(work.path)
    by_tiktoken = engine == "tiktoken"
    encode = texts.EncodeByTiktoken(work.tokenizer) if by_tiktoken else texts.Encode(work.tokenizer)
    threads, size = (THREADS, work.batch_size) if by_tiktoken else (1, 8 * work.batch_size)

    def encoded(rows: np.ndarray) -> Any:
        ids = encode(source.many(rows))
        return ids if packed else texts.padded(ids, work.length)

    pieces = _ahead(encoded, batches_of_rows(len(source), size), threads)
    if packed:
        stream = (ids for piece in pieces for ids in piece)
        yield from map(jax.device_put, texts.packed(stream, work.batch_size, work.length))
    for piece in pieces:
        for start in range(0, size, work.batch_size):
            yield jax.device_put(piece[start : start + work.batch_size])


def _ahead(make: Callable[[Any], Any], arguments: Iterator[Any], threads: int) -> Iterator[Any]:
    """In order, by threads, two more than there are threads."""
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(make, next(arguments)) for _ in range(threads + 2))
        while True:
            made = ahead.popleft().result()
            ahead.append(pool.submit(make, next(arguments)))
            yield made


def tokenize(work: Tokens) -> Iterator[Any]:
    """Threads that encode some hundred documents each; all ids in one array, which is saved."""
    documents, path = work.documents, work.documents.spare / "by-hand-tokens.npy"
    first = texts.Texts(documents.path).column[:FIRST].to_pylist()
    encode = texts.EncodeByTiktoken(documents.tokenizer)

    def encoded(start: int) -> np.ndarray:
        ids = encode(first[start : start + 256])
        return np.concatenate([texts.sequence(one) for one in ids]).astype(np.uint16)

    with ThreadPoolExecutor(THREADS) as pool:
        while True:
            ids = np.concatenate(list(pool.map(encoded, range(0, FIRST, 256))))
            np.save(path, ids)
            yield np.int64(len(ids))


def padded_tokens(work: Tokens) -> Iterator[Any]:
    """One gather per batch from the mapped file, masked where a document is shorter than a row."""
    import jax

    ids, offsets, columns = work.ids, work.offsets, np.arange(work.length)
    for rows in batches_of_rows(len(offsets) - 1, work.batch_size):
        begins = offsets[rows]
        sizes = offsets[rows + 1] - begins
        places = np.minimum(begins[:, None] + columns, len(ids) - 1)
        batch = np.where(columns < sizes[:, None], ids[places], texts.PAD).astype(np.int32)
        batch[sizes > work.length, -1] = texts.EOS
        yield jax.device_put(batch)


def sliced_tokens(work: Tokens) -> Iterator[Any]:
    """A slice of the mapped file for each document."""
    import jax

    for rows in batches_of_rows(len(work.offsets) - 1, work.batch_size):
        yield jax.device_put(texts.sliced(work, rows))


def packed_tokens(work: Tokens) -> Iterator[Any]:
    """The documents in their order, cut into rows: one gather of rows from the mapped file."""
    import jax

    table = texts.table(work)
    for rows in batches_of_rows(len(table), work.batch_size):
        yield jax.device_put(table[rows].astype(np.int32))


def packed_tokens_with_segments(work: Tokens) -> Iterator[Any]:
    """The same rows, with the segments and positions that were worked out beforehand for all of them."""
    import jax

    tables = (texts.table(work), *texts.segments(work))
    for rows in batches_of_rows(len(tables[0]), work.batch_size):
        yield jax.device_put(tuple(table[rows].astype(np.int32) for table in tables))


def best_fit(work: Lengths) -> Iterator[Any]:
    """In Python, with a list of rows for each room that may be left, and a bit for each that is not empty."""
    while True:
        yield np.int32(texts.best_fit(work.lengths, work.row_length).max() + 1)


def recordings(work: Recordings, whole: bool = False) -> Iterator[Any]:
    """Threads that read and resample the part alone, straight into the batch; one compiled call for a batch."""
    from benchmarks.finish import log_mel

    def fill(row: int, slot: np.ndarray) -> None:
        if whole:
            slot[:] = sounds.part_of_whole(work.paths[row])
        else:
            sounds.part(work.paths[row], slot)

    empty = partial(np.empty, (work.batch_size, sounds.SAMPLES), np.float32)
    yield from map(log_mel, _filled(batches_of_rows(len(work.paths), work.batch_size), empty, fill))


def features(work: tuple[Recordings, np.ndarray]) -> Iterator[Any]:
    """One gather per batch."""
    import jax

    files, kept = work
    for rows in batches_of_rows(len(kept), files.batch_size):
        yield jax.device_put(np.take(kept, rows, axis=0))


def samples(work: np.ndarray) -> Iterator[Any]:
    """One compiled call."""
    from benchmarks.finish import log_mel

    while True:
        yield log_mel(work)


def samples_by_numpy(work: np.ndarray) -> Iterator[Any]:
    import jax

    while True:
        yield jax.device_put(sounds.log_mel(work))


def samples_by_librosa(work: np.ndarray) -> Iterator[Any]:
    """As much of it as librosa has a function for."""
    import jax
    from librosa.feature import melspectrogram

    how = {"sr": sounds.RATE, "n_fft": sounds.WINDOW, "hop_length": sounds.HOP, "n_mels": sounds.BANDS}
    while True:
        power = melspectrogram(y=work, htk=True, norm=None, pad_mode="reflect", **how)
        yield jax.device_put(np.log(np.maximum(power, sounds.FLOOR)).swapaxes(1, 2))


def spectrogram_by_spectrogram(work: Recordings) -> Iterator[Any]:
    """What one writes first: file by file, all of it decoded and resampled, a spectrogram by NumPy, then stack."""
    import jax.numpy as jnp

    for rows in batches_of_rows(len(work.paths), work.batch_size):
        yield jnp.asarray(np.stack([sounds.log_mel(sounds.part_of_whole(work.paths[row])) for row in rows]))
