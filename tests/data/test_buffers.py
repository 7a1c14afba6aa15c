import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.buffers import BufferPool
from artifex.data.types import TEXT, ArraySpec

LARGE = {"x": ArraySpec((64, 64), np.dtype(np.uint8))}


def test_a_buffer_that_nobody_looks_at_is_used_again():
    pool = BufferPool(LARGE, 8)
    addresses = {pool.take(8)["x"].ctypes.data for _ in range(20)}
    assert len(addresses) == 1 and len(pool) == 1


def test_aligned_for_xla():
    assert BufferPool(LARGE, 8).take(8)["x"].ctypes.data % 64 == 0


@pytest.mark.parametrize("look", [lambda x: x, lambda x: x[3:5, :2], lambda x: x.reshape(-1).view(np.int8)])
def test_a_view_keeps_its_buffer(look):
    pool = BufferPool(LARGE, 8)
    kept = look(pool.take(8)["x"])
    kept[...] = 1
    for _ in range(5):
        pool.take(8)["x"][...] = 9
    assert (kept == 1).all() and len(pool) == 2


def test_a_jax_array_that_shares_the_memory_keeps_it():
    pool = BufferPool({"x": ArraySpec((64, 64), np.dtype(np.float32))}, 8)
    kept = []
    for value in range(6):
        array = pool.take(8)["x"]
        array[...] = value
        kept.append(jax.jit(lambda x: x)(array))
        kept.append(jax.device_put(array))
        del array
    for place, array in enumerate(kept):
        np.testing.assert_array_equal(array, place // 2)
    shares = kept[0].unsafe_buffer_pointer() % 64 == 0
    assert not shares or len(pool) >= 1


def test_it_is_free_again_when_the_array_is_gone():
    pool = BufferPool(LARGE, 8)
    for _ in range(20):
        jax.block_until_ready(jnp.sum(jax.device_put(pool.take(8)["x"])))
    gc.collect()
    assert len(pool) <= 3


def test_small_fields_and_strings_are_fresh_each_time():
    pool = BufferPool({"label": ArraySpec((), np.dtype(np.int32)), "path": TEXT}, 8)
    first, second = pool.take(8), pool.take(3)
    assert not np.shares_memory(first["label"], second["label"]) and len(pool) == 0
    assert first["path"].tolist() == [None] * 8 and second["path"].shape == (3,)


def test_a_short_batch_takes_the_front_of_a_buffer():
    pool = BufferPool(LARGE, 8)
    whole = pool.take(8)["x"]
    address = whole.ctypes.data
    del whole
    short = pool.take(3)["x"]
    assert short.shape == (3, 64, 64) and short.ctypes.data == address
