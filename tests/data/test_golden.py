"""The streams of each release, as hashes: a state that is taken must go on with the stream it was saved in.

Where one of these fails, records come in another order, or other batches are made of them, than in a release whose
states are still taken. If that is meant:

    1. raise `STATE_VERSION` in `artifex/data/state.py`, and say there why older states are refused;
    2. add a line for the coming release to `GOLDEN`, as the failing test prints it;
    3. say it in a changelog fragment of the kind "changed".

The hashes of a release are never edited once it is out.
"""

import hashlib
from typing import NamedTuple

import jax
import numpy as np
import pytest

import artifex
from artifex.data import create_data_loader, state
from artifex.data.buckets import BucketReader
from artifex.data.codecs.image import RandomResizedCrop
from artifex.data.reader import ArrayReader
from artifex.data.types import ArraySpec
from artifex.generative_models.modalities import MixedDataset, split_dataset

SIZE, BATCH_SIZE, SEED = 101, 8, 2**40 + 7
DATA = {"x": np.arange(2 * SIZE, dtype=np.float32).reshape(SIZE, 2), "label": np.arange(SIZE) % 7}


class Release(NamedTuple):
    """The version of its states, and by kind of plan the hashes of two epochs' record numbers and of a batch."""

    version: int
    streams: dict[str, tuple[str, str]]


GOLDEN = {
    "0.1.0": Release(
        1,
        {
            "in order": ("67b3fee88c23afb3", "7e01117162dc751f"),
            "shuffle": ("49cdcbdd9ebc4384", "f94e275ccc8006e9"),
            "filter, repeated": ("691d02dc6e3b3a6b", "17502945ce200c2d"),
            "mixture": ("4362ad2a2d7865b0", "93a001e0b9b32a5e"),
            "weighted": ("75752536263b1931", "785320136c03a6fa"),
            "balanced": ("e7340221860b77b9", "c2e6f589fbec6bdd"),
            "buckets": ("0bee7e578341524c", "66cfb65919be3c7f"),
            "split": ("336c7aa74e1dbece", "812cb72773c563dd"),
            "host crop": ("49cdcbdd9ebc4384", "febb4186844d80ec"),
            "device noise": ("49cdcbdd9ebc4384", "351c1e4033a63f8c"),
        },
    ),
}


class Crops:
    """What is drawn on the host while training: the box of a random crop for each record."""

    spec = {"box": ArraySpec((4,), np.dtype(np.int32))}
    in_memory = False
    is_random = is_augmented = True

    def __len__(self):
        return SIZE

    def reader(self):
        return self

    def device_steps(self, *, training):
        return ()

    def fingerprint(self):
        return {"kind": "crops"}

    def read_into(self, indices, out, random=None):
        for row in range(len(indices)):
            out["box"][row] = RandomResizedCrop().draw((640, 480), random.generator(row))


class Shapes:
    """Records of three shapes."""

    def reader(self):
        readers = [ArrayReader({"x": np.full((SIZE, n), n, np.int32)}) for n in (2, 3, 4)]
        return BucketReader(readers, np.arange(SIZE, dtype=np.int32) % 3)


def noise(key, sample):
    return {**sample, "bits": jax.random.bits(key, (3,)), "uniform": jax.random.uniform(key)}


def mixture():
    return MixedDataset([DATA, {name: array[:9] for name, array in DATA.items()}], [0.7, 0.3], epoch_size=90)


# Kind of plan -> a loader of it.
PLANS = {
    "in order": lambda: loader(DATA, shuffle=False),
    "shuffle": lambda: loader(DATA),
    "filter, repeated": lambda: loader(DATA, keep=DATA["label"] > 2, repeat=2, last="wrap"),
    "mixture": lambda: loader(mixture(), last="pad"),
    "weighted": lambda: loader(DATA, sample_weights=1.0 + DATA["label"]),
    "balanced": lambda: loader(DATA, balance=DATA["label"]),
    "buckets": lambda: loader(Shapes(), last="drop"),
    "split": lambda: loader(split_dataset(DATA, {"train": 0.8, "val": 0.2}, seed=SEED)["train"]),
    "host crop": lambda: loader(Crops()),
    "device noise": lambda: loader(DATA, transform=noise),
}


def loader(dataset, **settings):
    return create_data_loader(dataset, BATCH_SIZE, **{"seed": SEED, "num_workers": 0, **settings})


def hashes(made):
    """Of the record numbers of two epochs, and of all bytes of one batch."""
    numbers = b""
    for step in range(2 * len(made)):
        rows = made.plan.rows(step)
        numbers += np.int64(len(rows.numbers)).tobytes() + rows.numbers.astype("<i8").tobytes()
    batch = {name: np.asarray(array) for name, array in made.batch(len(made) + 1).items()}
    told = b"".join(f"{n} {a.dtype}{a.shape} ".encode() + a.tobytes() for n, a in sorted(batch.items()))
    return hashlib.sha256(numbers).hexdigest()[:16], hashlib.sha256(told).hexdigest()[:16]


def is_taken(version):
    """Whether this release takes states of this version, as they are or upgraded."""
    return all(callable(state.OLDER_VERSIONS[v]) for v in range(version, state.STATE_VERSION))


def check(release, kind, expected):
    found = hashes(PLANS[kind]())
    what = "batches" if found[0] == expected[0] else "record numbers"
    assert found == expected, (
        f"the stream {kind!r} is another than in release {release}, whose states are still taken: its {what} differ. "
        f"If that is meant, raise `STATE_VERSION` in artifex/data/state.py, say there why older states are "
        f"refused, and add to `GOLDEN` for the coming release: {kind!r}: {found}"
    )


STREAMS = [
    (release, kind, expected)
    for release, (version, streams) in GOLDEN.items()
    if is_taken(version)
    for kind, expected in streams.items()
]


@pytest.mark.parametrize(("release", "kind", "expected"), STREAMS, ids=[f"{r}-{k}" for r, k, _ in STREAMS])
def test_the_stream_is_that_of_every_release_whose_states_are_taken(release, kind, expected):
    check(release, kind, expected)


def test_this_release_is_in_the_table():
    line = f'"{artifex.__version__}": Release({state.STATE_VERSION}, ...)'
    assert artifex.__version__ in GOLDEN, f"add {line} with { ({k: hashes(m()) for k, m in PLANS.items()}) }"
    version, streams = GOLDEN[artifex.__version__]
    assert version == state.STATE_VERSION and streams.keys() == PLANS.keys()


def test_a_release_never_takes_back_a_version():
    versions = [release.version for release in GOLDEN.values()]
    assert versions == sorted(versions)


def test_another_stream_is_seen_and_told():
    with pytest.raises(
        AssertionError, match="'shuffle' is another .* its record numbers .* raise `STATE_VERSION`"
    ):
        check("0.0.1", "shuffle", ("0", "0"))
    numbers, _ = hashes(PLANS["device noise"]())
    with pytest.raises(AssertionError, match="'device noise' is another .* its batches differ"):
        check("0.0.1", "device noise", (numbers, "0"))


def test_the_hashes_tell_plans_apart(monkeypatch):
    found = [hashes(made()) for made in PLANS.values()]
    assert len({batch for _, batch in found}) == len(found)
    before = hashes(loader(DATA))
    assert hashes(loader(DATA, seed=SEED + 1)) != before
    assert hashes(loader(DATA, transform=noise))[0] == before[0], "what is done on the device moves no record"


def test_refused_versions_are_not_held_to_their_streams(monkeypatch):
    monkeypatch.setattr(state, "STATE_VERSION", 3)
    monkeypatch.setattr(state, "OLDER_VERSIONS", {1: "another shuffle", 2: dict})
    assert [is_taken(version) for version in (1, 2, 3)] == [False, True, True]
