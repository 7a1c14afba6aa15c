"""Order: a shuffle of any number of records, without a list of them.

A shuffle is a *keyed bijection*: a function that maps 0..n-1 onto itself, one to one, in a way that
depends on a key. So the records at any places of any (seed, epoch) are computed by themselves, in
time and memory that depend on their number alone. Here it is a generalised Feistel network (Black and Rogaway,
"Ciphers with Arbitrary Finite Domains", 2002): a number is written as (left, right) on an a x b grid
that is barely larger than n, each round adds a keyed hash of one half to the other, and a result
outside 0..n-1 is sent through again ("cycle walking").
"""

from collections.abc import Callable
from functools import lru_cache
from math import isqrt
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from artifex.data.randomness import Words, mix
from artifex.data.types import Indices

MAX_RECORDS = 2**62
MAX_SEED = 2**64 - 1

# For so many records, whose numbers have 32 bits, there are tables of what a round adds. To make them takes as long
# as sending some thousand places, which an epoch has; they are kept for some epochs, 1 MB each at most.
_TABLED = range(2**14, 2**24 + 1)

_Words: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
_Word: TypeAlias = np.unsignedinteger[Any] | _Words
_Numbers = TypeVar("_Numbers", Indices, _Words)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = 2**64 - 1


class _Network(NamedTuple):
    """For sizes up to `most`: a `word` holds a record number, its square root a half."""

    most: int
    word: type[np.uint32] | type[np.uint64]
    rounds: int

    def keys(self, words: Words) -> _Words:
        """The keys of its rounds, of all those of 64 bits."""
        words = words[: self.rounds]
        return words if self.word is np.uint64 else (words >> np.uint64(32)).astype(np.uint32)


# Two rounds change both halves once. Small sets need most of them: the frequencies of whole permutations of 2 to 8
# records are uniform (chi-square over 2 million keys) from 24 rounds on, and those of the records at two places of
# 1,025 from 8. The tests hold the networks to that. Words of 32 bits take half the time of 64.
_NETWORKS = (
    _Network(2**10, np.uint32, 24),
    _Network(2**32, np.uint32, 8),
    _Network(MAX_RECORDS, np.uint64, 8),
)


def _network_of(size: int) -> _Network:
    return next(network for network in _NETWORKS if size <= network.most)


def permute(places: Indices, size: int, seed: int, epoch: int) -> Indices:
    """Sends each of `places` (0 to size - 1) to its number in the permutation of (seed, epoch)."""
    a, b = grid(size)
    if _TABLED.start <= size < _TABLED.stop and len(places) >= b:
        tables = _tables_of(size, seed, epoch)
        return _walk(places, size, lambda numbers: _by_tables(numbers, tables, b))
    network = _network_of(size)
    keys, (a, b) = network.keys(_round_keys(seed, epoch)), map(network.word, (a, b))
    numbers = _walk(places.astype(network.word), size, lambda numbers: _feistel(numbers, keys, a, b))
    return numbers.astype(np.int64)


def _walk(places: _Numbers, size: int, send: Callable[[_Numbers], _Numbers]) -> _Numbers:
    """Sends places on until they are below `size`."""
    numbers = send(places)
    outside = np.flatnonzero(numbers >= size)
    while outside.size:
        again = send(numbers[outside])
        numbers[outside] = again
        outside = outside[again >= size]
    return numbers


def permute_each(places: Indices, sizes: Indices, seeds: npt.NDArray[np.uint64], epochs: Indices) -> Indices:
    """The same with a size, seed and epoch for each place, all of shape (n,): many shuffles at a time."""
    numbers, keys = np.empty_like(places), _keys_of(seeds, epochs.astype(np.uint64))
    least = 0
    for network in _NETWORKS:
        rows = np.flatnonzero((sizes > least) & (sizes <= network.most))
        numbers[rows] = _permute_each(network, places[rows], sizes[rows], keys[:, rows])
        least = network.most
    return numbers


def _permute_each(network: _Network, places: Indices, sizes: Indices, keys: Words) -> Indices:
    keys = network.keys(keys)
    root = np.sqrt((sizes - 1).astype(np.float64)).astype(np.int64)
    root -= root * root >= sizes  # floating point may round up to the next one
    root += 1
    b = root + root % 2
    a, b = (-(-sizes // b)).astype(network.word), b.astype(network.word)
    numbers = _feistel(places.astype(network.word), keys, a, b)
    outside = np.flatnonzero(numbers >= sizes)
    while outside.size:
        again = _feistel(numbers[outside], keys[:, outside], a[outside], b[outside])
        numbers[outside] = again
        outside = outside[again >= sizes[outside]]
    return numbers.astype(np.int64)


def grid(size: int) -> tuple[int, int]:
    """The sides of a nearly square grid with at least `size` places, barely more.

    One is even: turning lines of an odd length is an even permutation, and of an odd number of lines there
    would never be an odd one.
    """
    root = isqrt(size - 1) + 1
    b = root + root % 2
    return -(-size // b), b


def _feistel(numbers: _Words, keys: _Words, a: _Word, b: _Word) -> _Words:
    hashed = _mix32 if numbers.dtype == np.uint32 else mix
    left, right = np.divmod(numbers, b)
    for i in range(0, len(keys), 2):
        left = _add(left, hashed(right, keys[i]), a)
        right = _add(right, hashed(left, keys[i + 1]), b)
    left *= b
    left += right
    return left


class _Tables(NamedTuple):
    """What the rounds of a network add, for each value of the other half; and what becomes of the halves in the end.

    A half is not brought back below its side after each round: the tables go on from the beginning instead.
    """

    rounds: list[Indices]
    left: Indices
    right: Indices


@lru_cache(maxsize=16)
def _tables_of(size: int, seed: int, epoch: int) -> _Tables:
    network = _network_of(size)
    a, b = grid(size)
    rounds: list[Indices] = []
    for i, key in enumerate(network.keys(_round_keys(seed, epoch))):
        of, to = (b, a) if i % 2 == 0 else (a, b)
        noise = _mix32(np.arange(of, dtype=np.uint32), key) % np.uint32(to)
        rounds.append(np.tile(noise.astype(np.int64), 1 + (i + 1) // 2))
    times = 1 + network.rounds // 2
    return _Tables(
        rounds, np.tile(np.arange(a, dtype=np.int64) * b, times), np.tile(np.arange(b, dtype=np.int64), times)
    )


def _by_tables(numbers: Indices, tables: _Tables, b: int) -> Indices:
    """The same as `_feistel`, sooner."""
    left = numbers // b
    right = numbers - left * b
    noise = np.empty_like(left)
    halves = left, right
    for i, table in enumerate(tables.rounds):
        # All numbers are in range; with "clip" NumPy does not look at them twice.
        table.take(halves[1 - i % 2], out=noise, mode="clip")
        halves[i % 2][...] += noise
    return tables.left.take(left, mode="clip") + tables.right.take(right, mode="clip")


def _add(half: _Words, noise: _Words, side: _Word) -> _Words:
    """(half + noise) mod side."""
    noise -= noise // side * side  # NumPy's division is several times as fast as its remainder
    noise += half
    # Below `side` the difference wraps around to a huge number: the minimum is the remainder.
    return np.minimum(noise, noise - side)


def _mix32(x: _Words, key: _Word) -> _Words:
    """A hash of 32 bits: the finaliser of MurmurHash3 (Appleby, 2011), keyed. A half has 16 bits at most."""
    x = x + key
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return x


def mix_words(places: Indices, seed: int, epoch: int) -> Words:
    """64 random bits for each of `places`, a function of (seed, epoch, place)."""
    first, second = _round_keys(seed, epoch)[:2]
    return mix(mix(places.astype(np.uint64), first), second)


@lru_cache(maxsize=64)
def _round_keys(seed: int, epoch: int) -> Words:
    keys = _keys_of(np.array([seed & _MASK], np.uint64), np.array([epoch & _MASK], np.uint64))[:, 0]
    keys.setflags(write=False)
    return keys


def _keys_of(seeds: Words, epochs: Words) -> Words:
    """The keys of the rounds, (rounds, n), for n pairs of seed and epoch."""
    base = mix(mix(seeds, _GOLDEN) + epochs, _GOLDEN)
    most = max(network.rounds for network in _NETWORKS)
    rounds = np.arange(1, most + 1, dtype=np.uint64)[:, None] * _GOLDEN
    return mix(base + rounds, np.uint64(0))
