"""This package."""

import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.data import (
    DOCUMENTS,
    FIRST,
    Arrays,
    Documents,
    Lengths,
    Photographs,
    Place,
    Recordings,
    Tokens,
)


def draw_a_key() -> None:
    """What a program that has made its model has done: compiled what `nnx.Rngs` is made of."""
    from flax import nnx

    nnx.Rngs(0).params()


def _config(side: int, **more: Any) -> Any:
    from artifex.generative_models.modalities import ImageModalityConfig

    return ImageModalityConfig(height=side, width=side, **more)


def _in_memory(work: Arrays) -> Any:
    from flax import nnx

    from artifex.generative_models.modalities.image.datasets import ArrayImageDataset

    is_grey = work.images.shape[3] == 1
    config = _config(work.images.shape[1], representation="grayscale" if is_grey else "rgb")
    return ArrayImageDataset(work.images, work.labels, config=config, rngs=nnx.Rngs(0))


def _batches(dataset: Any, batch_size: int, **settings: Any) -> Iterator[Any]:
    from artifex.data import create_data_loader

    loader = create_data_loader(dataset, batch_size, drop_last=True, **settings)
    while True:
        yield from loader


def arrays(work: Arrays, placement: str = "host") -> Iterator[Any]:
    return _batches(_in_memory(work), work.batch_size, placement=placement)


def _in_files(work: Photographs, antialias: bool = True) -> Any:
    from flax import nnx

    from artifex.data.codecs.image import RandomResizedCrop
    from artifex.generative_models.modalities.image.datasets import ImageFolderDataset

    if not work.crop:
        return ImageFolderDataset(work.folder, config=_config(work.side), fit="stretch", rngs=nnx.Rngs(0))
    return ImageFolderDataset(
        work.folder,
        config=_config(work.side, augmentation=True),
        crop=RandomResizedCrop(flip=0.5),
        antialias=antialias,
        augment=[],
        rngs=nnx.Rngs(0),
    )


def photographs(work: Photographs, antialias: bool = True) -> Iterator[Any]:
    return _batches(_in_files(work, antialias), work.batch_size)


def cached(work: tuple[Photographs, Arrays], cache: str) -> Iterator[Any]:
    """From the second epoch on."""
    files, _ = work
    where = {"cache_dir": files.spare / "cache"} if cache == "disk" else {}
    batches = _batches(_in_files(files), files.batch_size, cache=cache, **where)
    for _ in range(2 * len(files.paths) // files.batch_size):
        next(batches)
    yield from batches


def decoded(work: tuple[Photographs, Arrays]) -> Iterator[Any]:
    """The decoded pictures as an array in memory."""
    return arrays(work[1])


def _texts(work: Documents, *, most: int = 0) -> Any:
    """The documents in their file, or as many of them in memory."""
    from flax import nnx

    from artifex.generative_models.modalities.text.config import TextParams
    from artifex.generative_models.modalities.text.datasets import SimpleTextDataset, TextFileDataset
    from benchmarks.texts import BOS, EOS, PAD, Texts

    config = TextParams(
        max_length=work.length,
        pad_token_id=PAD,
        unk_token_id=None,
        bos_token_id=BOS,
        eos_token_id=EOS,
        case_sensitive=True,
    )
    how: dict[str, Any] = {"tokenizer": work.tokenizer, "rngs": nnx.Rngs(0)}
    if most:
        return SimpleTextDataset(config, Texts(work.path).column[:most].to_pylist(), **how)
    return TextFileDataset(config, work.path, cache_dir=work.spare / "cache", **how)


def documents(work: Documents, in_memory: bool = False) -> Iterator[Any]:
    return _batches(_texts(work, most=DOCUMENTS if in_memory else 0), work.batch_size)


def tokenize(work: Tokens) -> Iterator[Any]:
    """Texts in memory, into a folder that is empty each time."""
    dataset, folder = _texts(work.documents, most=FIRST), work.documents.spare / "artifex-tokens"
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        yield np.int64(dataset.tokenized(cache_dir=folder, progress=False).lengths.sum())


def _tokens(work: Tokens) -> Any:
    documents = work.documents
    return _texts(documents).tokenized(cache_dir=documents.spare / "cache", progress=False)


def padded_tokens(work: Tokens) -> Iterator[Any]:
    return _batches(_tokens(work), work.batch_size)


def packed_tokens(work: Tokens, **settings: Any) -> Iterator[Any]:
    return _batches(_tokens(work).packed(work.length, **settings), work.batch_size)


def best_fit(work: Lengths) -> Iterator[Any]:
    from artifex.data import pack_best_fit

    while True:
        yield np.int32(pack_best_fit(work.lengths, work.row_length).num_rows)


def _sounds(work: Recordings, **settings: Any) -> Any:
    from flax import nnx

    from artifex.generative_models.modalities.audio.datasets import AudioFolderDataset

    return AudioFolderDataset(work.folder, config=_spectrograms(), labels=None, rngs=nnx.Rngs(0), **settings)


def _spectrograms() -> Any:
    from artifex.generative_models.modalities.audio.config import AudioModalityConfig
    from benchmarks import sounds

    return AudioModalityConfig(
        sample_rate=sounds.RATE,
        duration=sounds.SAMPLES / sounds.RATE,
        n_mels=sounds.BANDS,
        n_fft=sounds.WINDOW,
        hop_length=sounds.HOP,
        mel_scale="htk",
        mel_norm="none",
        log_floor=sounds.FLOOR,
        normalize=False,
    )


def _frames_first(key: Any, sample: dict[str, Any]) -> dict[str, Any]:
    """As all others have it."""
    return {**sample, "spectrogram": sample["spectrogram"].T}


def _kept_frames_first(sample: dict[str, Any]) -> dict[str, Any]:
    """The spectrogram alone, as all others have it and keep it."""
    return {"spectrogram": np.ascontiguousarray(sample["spectrogram"].T)}


def recordings(work: Recordings) -> Iterator[Any]:
    from artifex.generative_models.modalities.audio.steps import Spectrogram

    steps = [Spectrogram(_spectrograms()), _frames_first]
    return _batches(_sounds(work), work.batch_size, transform=steps)


def features(work: tuple[Recordings, np.ndarray], cache: str) -> Iterator[Any]:
    """From the second epoch on."""
    files, _ = work
    where = {"cache_dir": files.spare / "cache"} if cache == "disk" else {}
    dataset = _sounds(files, crop="start").spectrograms().map(_kept_frames_first, version="1")
    batches = _batches(dataset, files.batch_size, cache=cache, **where)
    for _ in range(2 * len(files.paths) // files.batch_size):
        next(batches)
    yield from batches


def samples(work: np.ndarray) -> Iterator[Any]:
    import jax

    from artifex.generative_models.modalities.audio.transforms import log_mel_spectrogram, map_clips

    config = _spectrograms()
    mel = partial(
        log_mel_spectrogram,
        sample_rate=config.sample_rate,
        floor=config.log_floor,
        **config.mel_settings,
    )
    made = jax.jit(lambda clips: map_clips(mel, clips).swapaxes(1, 2))
    while True:
        yield made(work)


def resume(work: Place) -> Iterator[Any]:
    """Records on the host: a dict of arrays."""
    from artifex.data import create_data_loader

    loader = create_data_loader({"x": np.arange(work.num_records, dtype=np.int32)}, work.batch_size, seed=0)
    state = {**loader.state(), "step": work.step}
    while True:
        loader.restore(state)
        batches = iter(loader)
        yield next(batches)
        batches.close()  # type: ignore[attr-defined]
