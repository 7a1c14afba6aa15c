"""Whether the first batch of a contender holds what it must: one that does less, or something else, is none."""

from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks import sounds
from benchmarks.data import FIRST, Documents, Lengths, Recordings, Tokens
from benchmarks.texts import BOS, EOS, PAD, best_fit

# -- in the process of a contender


def array(value: Any, shape: tuple[int, ...], dtype: str) -> None:
    """Its type, shape and dtype."""
    import jax

    if not isinstance(value, jax.Array):
        raise TypeError(f"a batch is a {type(value).__name__}, not a jax.Array")
    if (value.shape, str(value.dtype)) != (shape, dtype):
        raise TypeError(f"a batch is {value.dtype} {value.shape}, not {dtype} {shape}")


def pixels(value: Any, shape: tuple[int, ...]) -> None:
    """float32 in [0, 1]."""
    array(value, shape, "float32")
    low, high = float(value.min()), float(value.max())
    if not (0 <= low < 0.2 and 0.8 < high <= 1):
        raise ValueError(f"the pixels of a batch lie in [{low:g}, {high:g}], not in [0, 1]")


# -- in the bench itself


def padded(work: Documents | Tokens, rows: np.ndarray) -> None:
    """Each row is one of the documents as the library `tokenizers` has it: BOS, ids, EOS, cut and filled up."""
    wrong = ~np.isin(_digests_of_rows(rows), _known(work, work.length))
    if wrong.any():
        raise ValueError(f"{wrong.sum()} of {len(rows)} rows are no document's ids")


def packed(work: Documents | Tokens, rows: np.ndarray) -> None:
    """What lies in a row from a BOS to an EOS is one whole document; after the last piece there is padding alone."""
    pieces, known, length = [], _known(work, None), rows.shape[1]
    for row in rows:
        size = length - int(np.argmax(row[::-1] != PAD))
        if (row[:size] == PAD).any() or not row.any():
            raise ValueError("there is padding within a row")
        begins = np.flatnonzero(row == BOS)
        ends = np.flatnonzero(row == EOS)
        for begin in begins:
            end = ends[np.searchsorted(ends, begin)] if ends.size and ends[-1] > begin else None
            if end is not None:
                pieces.append(row[begin : end + 1])
    if len(pieces) < max(1, len(rows) // 4):
        raise ValueError(f"there are {len(pieces)} whole documents in {len(rows)} rows")
    wrong = ~np.isin(_digests(np.concatenate(pieces), _edges(pieces)), known)
    if wrong.any():
        raise ValueError(f"{wrong.sum()} of {len(pieces)} whole documents are none that there are")


def as_many_tokens(work: Tokens, count: np.ndarray) -> None:
    """As many as the first documents have in the library `tokenizers`, with BOS and EOS."""
    if count != work.offsets[FIRST]:
        raise ValueError(f"there are {count} tokens, and {work.offsets[FIRST]} in the library")


def as_many_rows(work: Lengths, count: np.ndarray) -> None:
    """As many as the loop by hand needs: which of two equal rows is taken makes no difference to that."""
    wanted = best_fit(work.lengths, work.row_length).max() + 1
    if count != wanted:
        raise ValueError(f"there are {count} rows, and {wanted} by hand")


def spectrograms(work: Recordings, batch: np.ndarray) -> None:
    """Some of them are those of a second of one of the files, which is looked for; see `_nearest`."""
    for one in batch[:: len(batch) // _LOOKED_AT]:
        number, difference = _nearest(work, one)
        if difference > _TOLERANCE:
            raise ValueError(f"a spectrogram differs by {difference:.3g} from the nearest, in file {number}")


def spectrograms_of_samples(samples: np.ndarray, batch: np.ndarray) -> None:
    """Those by NumPy."""
    if (difference := float(abs(batch - sounds.log_mel(samples)).max())) > 1e-3:
        raise ValueError(f"the spectrograms differ by up to {difference:.3g} from those by NumPy")


def kept_spectrograms(work: tuple[Recordings, np.ndarray], batch: np.ndarray) -> None:
    """Each is one of those that were kept."""
    kept = work[1].reshape(len(work[1]), -1)
    for one in batch.reshape(len(batch), -1):
        nearest = kept[np.argmin((kept**2).sum(axis=1) - 2 * (kept @ one))]
        if (difference := float(abs(nearest - one).mean())) > _TOLERANCE:
            raise ValueError(f"a spectrogram differs by {difference:.3g} from the nearest that was kept")


# Of the batch's spectrograms.
_LOOKED_AT = 2
# Mean of the absolute differences, of natural logarithms.
_TOLERANCE = 0.05
# Bands above it lie where the filters of resamplers end, each elsewhere.
_COMPARED = 72


def _nearest(work: Recordings, wanted: np.ndarray) -> tuple[int, float]:
    """The file with the second that is nearest to a spectrogram, and how far that is.

    First among the seconds that begin at a frame of a file's whole spectrogram, then at samples around there.
    """
    kept, squares = _features_of(str(work.features))
    count = kept.shape[1] - len(wanted) + 1
    # |a - b|^2 of each frame there is and each that is wanted, less the |b|^2, which makes no difference.
    apart = squares - 2 * (kept @ wanted.T)
    distance = sum(apart[:, frame : frame + count, frame] for frame in range(len(wanted)))
    number, first = np.unravel_index(np.argmin(distance), (len(kept), count))
    samples, best, difference = sounds.whole(work.paths[number]), int(first) * sounds.HOP, np.inf
    for span, step in ((sounds.HOP, 16), (16, 2), (2, 1)):
        around = range(best - span, best + span + 1, step)
        begins = [begin for begin in around if 0 <= begin <= len(samples) - sounds.SAMPLES]
        parts = np.stack([samples[begin : begin + sounds.SAMPLES] for begin in begins])
        apart = abs(sounds.log_mel(parts) - wanted)[..., :_COMPARED].mean(axis=(1, 2))
        best, difference = begins[apart.argmin()], float(apart.min())
    return int(number), difference


@lru_cache(maxsize=1)
def _features_of(path: str) -> tuple[np.ndarray, np.ndarray]:
    """What is kept, as float32, and the sum of the squares of each frame."""
    kept = np.load(path).astype(np.float32)
    return kept, np.einsum("nfb,nfb->nf", kept, kept)[..., None]


def _edges(pieces: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([0, *map(len, pieces)])


@lru_cache(maxsize=1)
def _weights(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**64, count, np.uint64)


def _digests(ids: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A number for ids[edges[i]:edges[i + 1]], which two different ones hardly ever share: sums modulo 2**64."""
    place = np.arange(len(ids)) - np.repeat(edges[:-1], np.diff(edges))
    return np.add.reduceat(ids.astype(np.uint64) * _weights(2**16)[place], edges[:-1])


def _digests_of_rows(rows: np.ndarray) -> np.ndarray:
    # Padding is 0, and adds nothing.
    return _digests(rows.reshape(-1), np.arange(len(rows) + 1) * rows.shape[1])


@lru_cache(maxsize=4)
def _known_of(path: str, length: int | None) -> np.ndarray:
    tokens, offsets = np.load(path + "-tokens.npy", mmap_mode="r"), np.load(path + "-offsets.npy")
    found = []
    for start in range(0, len(offsets) - 1, 10_000):
        edges = offsets[start : start + 10_001]
        ids, sizes = np.array(tokens[edges[0] : edges[-1]]), np.diff(edges)
        if length is not None:
            ends = edges[1:] - edges[0]
            place = np.arange(len(ids)) - np.repeat(edges[:-1] - edges[0], sizes)
            long = sizes > length
            ids[(ends - sizes + length - 1)[long]] = EOS
            ids = ids[place < length]
            edges = np.cumsum([0, *np.minimum(sizes, length)])
        found.append(_digests(ids, edges - edges[0]))
    return np.unique(np.concatenate(found))


def _known(work: Documents | Tokens, length: int | None) -> np.ndarray:
    return _known_of(work.kept, length)
