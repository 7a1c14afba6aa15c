"""Hugging Face datasets."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import sounds, texts
from benchmarks.data import FIRST, Arrays, Documents, Photographs, Place, Recordings, Tokens
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


def documents(work: Documents, packed: bool = False) -> Iterator[Any]:
    """Texts are encoded as they come, packed by hand."""
    import jax
    import pyarrow.parquet as parquet

    encode = texts.Encode(work.tokenizer)
    dataset = _quiet().Dataset(parquet.read_table(work.path))
    batches = _epochs(dataset, (8 if packed else 1) * work.batch_size)
    ids = (encode(batch["text"]) for batch in batches)
    if packed:
        stream = (one for some in ids for one in some)
        yield from map(jax.device_put, texts.packed(stream, work.batch_size, work.length))
    for some in ids:
        yield jax.device_put(texts.padded(some, work.length))


def tokenize(work: Tokens) -> Iterator[Any]:
    """`map` into a file."""
    import pyarrow.parquet as parquet

    encode = texts.Encode(work.documents.tokenizer)

    def encoded(batch: dict[str, Any]) -> dict[str, Any]:
        ids = [texts.sequence(one).astype(np.uint16) for one in encode(batch["text"])]
        return {"ids": ids, "length": [len(one) for one in ids]}

    dataset = _quiet().Dataset(parquet.read_table(work.documents.path)[:FIRST])
    path = str(work.documents.spare / "datasets-tokens.arrow")
    while True:
        mapped = dataset.map(encoded, batched=True, remove_columns=["text"], cache_file_name=path)
        yield np.int64(sum(mapped["length"]))


def mapped_tokens(work: Tokens, packed: bool) -> Iterator[Any]:
    """What `map` would have left: rows of one length."""
    import jax
    import pyarrow as pa

    rows = (
        texts.table(work).astype(np.int32) if packed else texts.sliced(work, np.arange(len(work.offsets) - 1))
    )
    ids = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), work.length)
    dataset = _quiet().Dataset(pa.table({"ids": ids})).with_format("numpy")
    for batch in _epochs(dataset, work.batch_size):
        yield jax.device_put(np.asarray(batch["ids"]))


def recordings(work: Recordings, whole: bool) -> Iterator[Any]:
    """Files are decoded as they come: the `Audio` feature needs torchcodec, and decodes whole files."""
    from benchmarks.finish import log_mel

    decode = sounds.part_of_whole if whole else sounds.part_alone

    def decoded(batch: dict[str, Any]) -> dict[str, Any]:
        return {"samples": [np.stack([decode(path) for path in batch["path"]])]}

    dataset = _quiet().Dataset.from_dict({"path": list(work.paths)})
    for batch in _epochs(dataset, work.batch_size, decoded):
        yield log_mel(batch["samples"][0])


def resume(work: Place) -> Iterator[Any]:
    """The order is a list of all rows, made anew and cut."""
    import jax

    records = np.arange(work.num_records, dtype=np.int32)
    dataset = _quiet().Dataset.from_dict({"x": records}).with_format("numpy")
    start = work.step * work.batch_size
    while True:
        yield jax.device_put(dataset.shuffle(seed=0)[start : start + work.batch_size]["x"])
