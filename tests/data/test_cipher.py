import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.cipher import encrypt, own_keys
from artifex.data.errors import ShapeError

WORDS = jnp.array([[0, 0], [1, 2], [2**32 - 1, 2**32 - 1], [0xDEADBEEF, 17]], jnp.uint32)


def both(draw, words=WORDS):
    """What a function of a key makes of keys of JAX's own, and of ours."""
    run = jax.jit(jax.vmap(draw))
    return [
        jax.tree.map(np.asarray, run(keys))
        for keys in (jax.random.wrap_key_data(words, impl="threefry2x32"), own_keys(words))
    ]


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [  # the known answers that come with Random123, for 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(key, counter, expected):
    assert tuple(map(int, encrypt(jnp.uint32(key), *jnp.uint32(counter)))) == expected


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (2, 3), (2, 1, 5)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_bits_are_those_of_jax(shape, dtype):
    theirs, ours = both(lambda key: jax.random.bits(key, shape, dtype))
    np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda key: jax.random.key_data(jax.random.split(key, 3)),
        lambda key: jax.random.key_data(jax.random.split(key, (2, 2))),
        lambda key: jax.random.key_data(jax.random.fold_in(key, 2**31 + 5)),
        lambda key: jax.random.key_data(jax.random.clone(key)),
        lambda key: jax.random.randint(key, (5,), -3, jnp.int32(9)),
        lambda key: jax.random.normal(key, (4,)),
        lambda key: jax.random.permutation(key, 9),
        lambda key: jax.random.beta(key, 0.4, 0.4),
        lambda key: jax.lax.scan(lambda k, _: (jax.random.split(k)[0], jax.random.uniform(k)), key, None, 3)[
            1
        ],
    ],
)
def test_what_is_drawn_is_what_jax_draws(draw):
    theirs, ours = both(draw)
    np.testing.assert_array_equal(ours, theirs, strict=True)


def test_in_64_bits():
    with jax.enable_x64(True):
        for draw in (
            lambda key: jax.random.bits(key, (3,), "uint64"),
            lambda key: jax.random.uniform(key, (3,), "float64"),
        ):
            theirs, ours = both(draw)
            np.testing.assert_array_equal(ours, theirs, strict=True)
        test_seeds_give_the_keys_of_jax(2**40 + 7)
        test_seeds_give_the_keys_of_jax(-(2**40) - 7)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, -1])
def test_seeds_give_the_keys_of_jax(seed):
    impl = jax.random.key_impl(own_keys(WORDS[0]))
    ours, theirs = jax.random.key(seed, impl=impl), jax.random.key(seed, impl="threefry2x32")
    np.testing.assert_array_equal(jax.random.key_data(ours), jax.random.key_data(theirs), strict=True)


def test_it_is_computed_once_and_not_for_every_pixel_that_it_is_for():
    def draw(words, images):
        factors = jax.vmap(jax.random.uniform)(own_keys(words))
        return images * factors[:, None, None]

    compiled = jax.jit(draw).lower(WORDS, jnp.ones((4, 8, 8))).compile().as_text()
    loop_over_pixels = re.findall(r"f32\[4,8,8\].* fusion\(.* calls=%(\S+),", compiled)
    assert len(loop_over_pixels) == 1
    body = compiled[compiled.index(f"\n%{loop_over_pixels[0]} ") :].split("\n}")[0]
    assert compiled.count(" call(") == 1 and " xor(" in compiled and body.count(" xor(") <= 1


def test_more_numbers_than_counters_are_refused():
    with pytest.raises(ShapeError, match=r"one key gives 2\*\*32 numbers at most, and \(65537, 65536\) are"):
        jax.jit(lambda: jax.random.bits(own_keys(WORDS[0]), (2**16 + 1, 2**16))).lower()
