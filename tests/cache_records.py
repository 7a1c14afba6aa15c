"""Records for the tests of the cache, and a program that reads them with many others: no JAX.

    python -m cache_records FOLDER SEED SECONDS [VERSIONS CACHE_BYTES]

It opens the cache again and again, reads at random, and fails as soon as one byte is wrong. With several versions
of the records, each has a folder of its own, and now and then all is cleared.
"""

import sys
import time
import warnings

import numpy as np

from artifex.data.cache import CacheWarning, cached_reader, clear_cache
from artifex.data.cache.folders import root_in
from artifex.data.reader import slots
from artifex.data.types import TEXT, ArraySpec

SIZE = 60


class Made:
    """Every record from its number: 20,000 bytes, a short field of odd length, a scalar, a string."""

    in_memory = False
    is_random = False

    def __init__(self, size=SIZE, version="1"):
        self.size, self.version, self.made = size, version, []
        self.spec = {
            "x": ArraySpec((50, 400), np.dtype(np.uint8)),
            "odd": ArraySpec((3,), np.dtype(np.int8)),
            "label": ArraySpec((), np.dtype(np.int32)),
            "path": TEXT,
        }

    def __len__(self):
        return self.size

    def read_into(self, indices, out, random=None):
        for row, number in enumerate(indices.tolist()):
            self.made.append(number)
            rng = np.random.Generator(np.random.Philox(key=number))
            out["x"][row] = rng.integers(0, 256, (50, 400), np.uint8)
            out["odd"][row] = rng.integers(-128, 128, 3, np.int8)
            out["label"][row] = number % 7
            out["path"][row] = f"bilder/größe-{number}/\udce4-猫.jpg"

    def fingerprint(self):
        return {"kind": "made", "version": self.version}


def read(reader, indices):
    out = slots(reader.spec, len(indices))
    reader.read_into(np.asarray(indices, np.int64), out)
    return out


def equal(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


ALL = np.arange(SIZE)
TRUTH = read(Made(), ALL)
ROW = 20_000 + 3 + 4 + 1024 + 8


def opened(folder, made=None, **settings):
    return cached_reader(made or Made(), "disk", cache_dir=folder, **settings)


def truth(numbers):
    return {name: array[numbers] for name, array in TRUTH.items()}


def files(folder):
    (inside,) = [p for p in root_in(folder).iterdir() if p.is_dir()]
    return inside


def flip(path, place, bit=0):
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def fill(folder):
    reader = opened(folder)
    assert equal(read(reader, ALL), TRUTH)
    return reader


def main(folder, seed, seconds, versions=1, cache_bytes=None):
    warnings.simplefilter("ignore", CacheWarning)
    rng = np.random.default_rng(int(seed))
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        made = Made(version=str(1 + rng.integers(int(versions))))
        cached = opened(folder, made, cache_bytes=cache_bytes and int(cache_bytes))
        for _ in range(20):
            numbers = rng.integers(0, SIZE, 16)
            if not equal(read(cached, numbers), truth(numbers)):
                sys.exit("wrong bytes")
        del cached
        if int(versions) > 1 and rng.random() < 0.2:
            clear_cache(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
