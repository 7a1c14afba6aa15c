"""Random numbers on the device: the bits of `jax.random` under "threefry2x32", quicker to compile.

JAX's as they are by default, with `jax_threefry_partitionable`; here whatever that is set to.
Threefry-2x32 with 20 rounds (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011). JAX keeps its
rounds in loops on the CPU back end; written out they take the compiler a half to a fifth of the time.
"""

from functools import partial
from math import prod
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Int, Key, Shaped, UInt, UInt32

from artifex.data.errors import ShapeError

Words: TypeAlias = UInt32[Array, "..."]

_PARITY = np.uint32(0x1BD11BDA)
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_GROUPS = 5  # of four rounds

_NARROW = {8: jnp.uint8, 16: jnp.uint16}


def own_keys(words: UInt32[Array, "*n 2"]) -> Key[Array, "*n"]:
    """Keys for functions of `jax.random` that give what keys of "threefry2x32" with these words give.

    For what this package compiles alone: JAX refuses to mix them with its own, as in `jnp.where`.
    """
    return jax.random.wrap_key_data(words, impl=_IMPL)


def encrypt(key: UInt32[Array, "2"], high: Words, low: Words) -> tuple[Words, Words]:
    """Two words for each counter of two words, all of one shape."""
    if jax.default_backend() != "cpu":
        return _encrypt(key, high, low)
    # There XLA would put it into the loop over the pixels that a drawn number is for, and do it for each of them.
    with set_xla_metadata(inlineable="false"):
        return _encrypt(key, high, low)


@jax.jit
def _encrypt(key: UInt32[Array, "2"], high: Words, low: Words) -> tuple[Words, Words]:
    schedule = key[0], key[1], key[0] ^ key[1] ^ _PARITY
    left, right = high + schedule[0], low + schedule[1]
    for group in range(_GROUPS):
        with set_xla_metadata(inlineable="true"):
            left, right = _four_rounds[group % 2](left, right)
        left += schedule[(group + 1) % 3]
        right += schedule[(group + 2) % 3] + np.uint32(group + 1)
    return left, right


def _rounds(rotations: tuple[int, ...], left: Words, right: Words) -> tuple[Words, Words]:
    for by in rotations:
        left = left + right
        right = left ^ (right << np.uint32(by) | right >> np.uint32(32 - by))
    return left, right


# Compiled functions within one are traced once, and the 20 rounds are these two again and again.
_four_rounds = [jax.jit(partial(_rounds, rotations)) for rotations in _ROTATIONS]


def _random_bits(key: UInt32[Array, "2"], width: int, shape: tuple[int, ...]) -> Shaped[Array, "..."]:
    high, low = encrypt(key, *_counters(shape))
    if width == 64:
        return high.astype(jnp.uint64) << np.uint64(32) | low.astype(jnp.uint64)
    return high ^ low if width == 32 else (high ^ low).astype(_NARROW[width])


def _split(key: UInt32[Array, "2"], shape: tuple[int, ...]) -> UInt32[Array, "... 2"]:
    return jnp.stack(encrypt(key, *_counters(shape)), axis=-1)


def _fold_in(key: UInt32[Array, "2"], data: UInt32[Array, ""]) -> UInt32[Array, "2"]:
    return jnp.stack(encrypt(key, *_seed(data)))


def _seed(seed: Int[Array, ""] | UInt[Array, ""]) -> UInt32[Array, "2"]:
    high = seed >> 32 if seed.dtype.itemsize == 8 else jnp.zeros_like(seed)
    return jnp.stack([high.astype(jnp.uint32), seed.astype(jnp.uint32)])


def _counters(shape: tuple[int, ...]) -> tuple[Words, Words]:
    count = prod(shape)
    if count > 2**32:
        raise ShapeError(f"one key gives 2**32 numbers at most, and {shape} are {count}: split the key")
    return jnp.zeros(shape, jnp.uint32), lax.iota(jnp.uint32, count).reshape(shape)


_IMPL = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,  # pyright: ignore[reportArgumentType]  # JAX's annotation says int, and it passes an array
    name="artifex_threefry2x32",
    tag="artifex",
)
