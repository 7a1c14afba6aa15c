"""Order: a shuffle of any number of records, without a list of them.

A shuffle is a *keyed bijection*: a function that maps 0..n-1 onto itself, one to one, in a way that
depends on a key. So the records at any places of any (seed, epoch) are computed by themselves, in
time and memory that depend on their number alone. Here it is a generalised Feistel network (Black and Rogaway,
"Ciphers with Arbitrary Finite Domains", 2002): a number is written as (left, right) on an a x b grid
that is barely larger than n, each round adds a keyed hash of one half to the other, and a result
outside 0..n-1 is sent through again ("cycle walking").
"""

from functools import lru_cache
from math import isqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from artifex.data.types import Indices

MAX_RECORDS = 2**62
MAX_SEED = 2**64 - 1

# Two rounds change both halves once. Frequencies of whole permutations of 3 to 5 records are uniform
# (chi-square over 100,000 keys) from 10 rounds on; the tests hold it to that.
_ROUNDS = 12

_U64: TypeAlias = npt.NDArray[np.uint64]
_Word: TypeAlias = np.uint64 | _U64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = 2**64 - 1


def permute(places: Indices, size: int, seed: int, epoch: int) -> Indices:
    """Sends each of `places` (0 to size - 1) to its number in the permutation of (seed, epoch)."""
    keys = _round_keys(seed, epoch)
    a, b = map(np.uint64, grid(size))
    numbers = _feistel(places.astype(np.uint64), keys, a, b)
    outside = np.flatnonzero(numbers >= size)
    while outside.size:
        again = _feistel(numbers[outside], keys, a, b)
        numbers[outside] = again
        outside = outside[again >= size]
    return numbers.astype(np.int64)


def permute_each(places: Indices, sizes: Indices, seeds: npt.NDArray[np.uint64], epochs: Indices) -> Indices:
    """The same with a size, seed and epoch for each place, all of shape (n,): many shuffles at a time."""
    keys = _keys_of(seeds, epochs.astype(np.uint64))
    bounds = sizes.astype(np.uint64)
    root = np.sqrt((sizes - 1).astype(np.float64)).astype(np.uint64)
    root -= (root * root >= bounds).astype(np.uint64)  # floating point may round up to the next one
    a = root + np.uint64(1)
    b = (bounds + a - np.uint64(1)) // a
    numbers = _feistel(places.astype(np.uint64), keys, a, b)
    outside = np.flatnonzero(numbers >= bounds)
    while outside.size:
        again = _feistel(numbers[outside], keys[:, outside], a[outside], b[outside])
        numbers[outside] = again
        outside = outside[again >= bounds[outside]]
    return numbers.astype(np.int64)


def grid(size: int) -> tuple[int, int]:
    """The sides of the smallest nearly square grid with at least `size` places."""
    a = isqrt(size - 1) + 1 if size > 1 else 1
    return a, -(-size // a)


def _feistel(numbers: _U64, keys: _U64, a: _Word, b: _Word) -> _U64:
    left, right = np.divmod(numbers, b)
    for i in range(0, len(keys), 2):
        left = _add(left, _mix(right, keys[i]), a)
        right = _add(right, _mix(left, keys[i + 1]), b)
    left *= b
    left += right
    return left


def _add(half: _U64, noise: _U64, side: _Word) -> _U64:
    """(half + noise mod side) mod side. `side` is below 2**32, so that no product overflows."""
    noise >>= np.uint64(32)
    noise *= side
    noise >>= np.uint64(32)
    noise += half
    # Below `side` the difference wraps around to a huge number: the minimum is the remainder.
    return np.minimum(noise, noise - side)


def _mix(x: _U64, key: _Word) -> _U64:
    """A hash of 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), keyed."""
    x = x + key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def mix_words(places: Indices, seed: int, epoch: int) -> _U64:
    """64 random bits for each of `places`, a function of (seed, epoch, place)."""
    first, second = _round_keys(seed, epoch)[:2]
    return _mix(_mix(places.astype(np.uint64), first), second)


@lru_cache(maxsize=64)
def _round_keys(seed: int, epoch: int) -> _U64:
    keys = _keys_of(np.array([seed & _MASK], np.uint64), np.array([epoch & _MASK], np.uint64))[:, 0]
    keys.setflags(write=False)
    return keys


def _keys_of(seeds: _U64, epochs: _U64) -> _U64:
    """The keys of the rounds, (rounds, n), for n pairs of seed and epoch."""
    base = _mix(_mix(seeds, _GOLDEN) + epochs, _GOLDEN)
    rounds = np.arange(1, _ROUNDS + 1, dtype=np.uint64)[:, None] * _GOLDEN
    return _mix(base + rounds, np.uint64(0))
