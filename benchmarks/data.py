"""The data of the cases: made once, the same on every machine, and only read by contenders.

The documents alone differ with the version of Python, whose documentation they are cut from.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PHOTOGRAPHS = 2000
DOCUMENTS = 200_000
RECORDINGS = 2000

FIRST = 16_384
"""As many documents are tokenized where that is what is measured."""


@dataclass(frozen=True)
class Arrays:
    """Images and labels in memory.

    Attributes:
        images: uint8 (n, h, w, c).
        labels: int32 (n,).
        batch_size: records in a batch.
        folder: where a contender may keep what it makes of them.
    """

    images: np.ndarray
    labels: np.ndarray
    batch_size: int
    folder: Path


@dataclass(frozen=True)
class Photographs:
    """Files of 340-460 x 440-560 pixels, and what is to become of them.

    Attributes:
        folder: which holds them and nothing else.
        paths: the files.
        batch_size: records in a batch.
        side: of the square pictures that are asked for, in pixels.
        crop: whether to cut out a random part and flip at random, or to squeeze the whole picture.
        spare: where a contender may keep what it makes of them.
    """

    folder: Path
    paths: tuple[str, ...]
    batch_size: int
    side: int
    crop: bool
    spare: Path


@dataclass(frozen=True)
class Documents:
    """Texts of about 1,100 characters, and what is to become of them.

    Attributes:
        path: a Parquet file with a column `text`.
        tokenizer: a byte-level BPE of 10,000 tokens in the format of the library `tokenizers`.
        kept: how the paths of the token ids begin, which that library has given.
        batch_size: documents or rows in a batch.
        length: of a row, in tokens.
        spare: where a contender may keep what it makes of them.
    """

    path: Path
    tokenizer: Path
    kept: str
    batch_size: int
    length: int
    spare: Path


@dataclass(frozen=True)
class Tokens:
    """The same documents as ids, with BOS and EOS.

    Attributes:
        ids: of all documents, one after the other, uint16 (m,), memory-mapped.
        offsets: document i is ids[offsets[i]:offsets[i + 1]], int64 (n + 1,).
        documents: what they were made of.
    """

    ids: np.ndarray
    offsets: np.ndarray
    documents: Documents

    @property
    def batch_size(self) -> int:
        return self.documents.batch_size

    @property
    def length(self) -> int:
        return self.documents.length

    @property
    def kept(self) -> str:
        return self.documents.kept


@dataclass(frozen=True)
class Lengths:
    """The lengths of documents in tokens, int32 (n,), each from 1 to `row_length`."""

    lengths: np.ndarray
    row_length: int


@dataclass(frozen=True)
class Recordings:
    """Sound files of 1-4 s, stereo, 44.1 kHz, 16 bit, WAV and FLAC by turns.

    Attributes:
        folder: which holds them and nothing else.
        paths: the files.
        batch_size: records in a batch.
        features: a file of the log-mel spectrograms of all of them, whole, float16 (n, 251, 80), -100 behind
            the end.
        spare: where a contender may keep what it makes of them.
    """

    folder: Path
    paths: tuple[str, ...]
    batch_size: int
    features: Path
    spare: Path


@dataclass(frozen=True)
class Place:
    """Where to go on: batch `step` of an epoch of `num_records` integers, in batches of `batch_size`."""

    num_records: int
    batch_size: int
    step: int


def batches_of_rows(count: int, batch_size: int) -> Iterator[np.ndarray]:
    """Row numbers, batch by batch and without end, in a new random order each epoch; full batches only."""
    rng = np.random.default_rng()
    while True:
        order = rng.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def arrays(home: Path, count: int, side: int, channels: int, batch_size: int) -> Arrays:
    """Random pixels: what is in them makes no difference to anyone."""
    name = f"{count}x{side}x{side}x{channels}"
    rng = np.random.default_rng(0)
    shape = (count, side, side, channels)
    images = _kept(home / f"{name}-images.npy", lambda: rng.integers(0, 256, shape, np.uint8))
    labels = _kept(home / f"{name}-labels.npy", lambda: rng.integers(0, 10, count).astype(np.int32))
    return Arrays(images, labels, batch_size, home)


def photographs(home: Path, side: int, batch_size: int, *, crop: bool) -> Photographs:
    """Parts of real photographs, JPEG of quality 85-95."""
    folder = home / "photographs"
    paths = tuple(str(folder / f"{number:05d}.jpg") for number in range(PHOTOGRAPHS))
    if not all(map(_exists, paths)):
        _cut_photographs(folder, paths)
    return Photographs(folder, paths, batch_size, side, crop, home)


def decoded(home: Path, side: int, batch_size: int) -> tuple[Photographs, Arrays]:
    """The photographs, and the same squeezed to `side` as an array."""
    from benchmarks.pictures import small_with_pillow

    files = photographs(home, side, batch_size, crop=False)

    def decode() -> np.ndarray:
        out = np.empty((PHOTOGRAPHS, side, side, 3), np.uint8)
        for path, slot in zip(files.paths, out, strict=True):
            small_with_pillow(Path(path).read_bytes(), slot)
        return out

    images = _kept(home / f"photographs-{side}.npy", decode)
    labels = np.arange(PHOTOGRAPHS, dtype=np.int32)
    return files, Arrays(images, labels, batch_size, home)


def documents(home: Path, batch_size: int = 64, length: int = 512) -> Documents:
    """Paragraphs of Python's documentation, joined to a length that is drawn for each document."""
    from benchmarks import corpus

    work = Documents(
        home / "documents.parquet",
        home / "tokenizer.json",
        str(home / "documents"),
        batch_size,
        length,
        home,
    )
    if not work.path.exists():
        home.mkdir(parents=True, exist_ok=True)
        corpus.write(DOCUMENTS, work.path)
    if not work.tokenizer.exists():
        corpus.train(work.path, work.tokenizer)
    if not Path(f"{work.kept}-offsets.npy").exists():
        corpus.tokenize(work.path, work.tokenizer, work.kept)
    return work


def tokens(home: Path, batch_size: int = 64, length: int = 512) -> Tokens:
    """The ids of the documents."""
    work = documents(home, batch_size, length)
    # As a plain array, which is still mapped: slices of a `memmap` cost several times as much.
    ids = np.asarray(np.load(f"{work.kept}-tokens.npy", mmap_mode="r"))
    return Tokens(ids, np.load(f"{work.kept}-offsets.npy"), work)


def lengths(home: Path, count: int, row_length: int) -> Lengths:
    """As many as are asked for, drawn from the lengths of the documents; what is longer than a row is cut to it."""
    found = np.diff(tokens(home).offsets)
    drawn = np.random.default_rng(0).choice(found, count).astype(np.int32)
    return Lengths(np.minimum(drawn, row_length), row_length)


def recordings(home: Path, batch_size: int = 32) -> Recordings:
    """Harmonic sounds with vibrato, in noise."""
    from benchmarks import recording

    folder = home / "recordings"
    paths = tuple(str(folder / f"{n:05d}.{'flac' if n % 2 else 'wav'}") for n in range(RECORDINGS))
    if not all(map(_exists, paths)):
        recording.write(paths)
    features = home / "recordings-features.npy"
    _kept(features, lambda: recording.features(paths))
    return Recordings(folder, paths, batch_size, features, home)


def features(home: Path, batch_size: int) -> tuple[Recordings, np.ndarray]:
    """The recordings, and the spectrograms of their first seconds: float32 (n, 63, 80)."""
    from benchmarks import sounds

    files = recordings(home, batch_size)
    kept = _kept(home / "recordings-first.npy", lambda: sounds.log_mel(samples(home, RECORDINGS)))
    return files, kept


def samples(home: Path, count: int) -> np.ndarray:
    """The first seconds of recordings at 16 kHz: float32 (n, 16000)."""
    from benchmarks import sounds

    out = np.empty((count, sounds.SAMPLES), np.float32)
    for path, slot in zip(recordings(home).paths, out, strict=False):
        sounds.part(path, slot, 0)
    return out


def place(home: Path, share: float) -> Place:
    """A share of the way through a million records."""
    num_records, batch_size = 1_000_000, 128
    return Place(num_records, batch_size, int(num_records * share) // batch_size)


def _exists(path: str) -> bool:
    return Path(path).exists()


def _kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.npy")
        np.save(unfinished, make())
        unfinished.replace(path)
    return np.load(path)


def _cut_photographs(folder: Path, paths: tuple[str, ...]) -> None:
    from PIL import Image

    from artifex.examples.photographs import find_photographs

    folder.mkdir(parents=True, exist_ok=True)
    images = [Image.open(path).convert("RGB") for path in find_photographs()]
    for number, path in enumerate(paths):
        if Path(path).exists():
            continue
        rng = np.random.default_rng(number)
        image = images[number % len(images)]
        height, width = int(rng.integers(340, 460)), int(rng.integers(440, 560))
        scale = min(rng.uniform(0.8, 2.5), image.height / height, image.width / width)
        high, wide = int(height * scale), int(width * scale)
        top, left = rng.integers(0, image.height - high + 1), rng.integers(0, image.width - wide + 1)
        box = (left, top, left + wide, top + high)
        part = image.resize((width, height), Image.Resampling.BICUBIC, box)
        unfinished = folder.parent / "unfinished.jpg"
        part.save(unfinished, quality=int(rng.integers(85, 96)))
        unfinished.replace(path)
