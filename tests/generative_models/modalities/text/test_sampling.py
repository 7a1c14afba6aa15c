from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.text import sampling

# Shares that float32 holds exactly; two equal ones.
SHARES = np.array([0.125, 0.5, 0.125, 0.25])
LOGITS = jnp.log(jnp.asarray(SHARES, jnp.float32))


# -- one token


@cache
def drawn(count: int = 8000, **settings):
    keys = jax.random.split(jax.random.key(4), count)
    step = jax.jit(jax.vmap(lambda key: sampling.sample_logits(key, LOGITS, **settings)))
    return np.asarray(step(keys))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, SHARES),
        ({"temperature": 0.5}, special.softmax(2 * np.log(SHARES))),
        ({"top_k": 2}, [0, 2 / 3, 0, 1 / 3]),
        ({"top_k": 3, "top_p": 0.75}, [0, 2 / 3, 0, 1 / 3]),
    ],
)
def test_frequencies_match_the_softmax(settings, expected):
    counts, expected = np.bincount(drawn(**settings), minlength=4), np.asarray(expected)
    assert counts[expected == 0].sum() == 0
    inside = expected > 0
    assert stats.chisquare(counts[inside], 8000 * expected[inside]).pvalue > 1e-4


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "1111"),
        ({"top_k": 1}, "0100"),
        ({"top_k": 3}, "1101"),  # of the two equal ones the first
        ({"top_k": 9}, "1111"),
        ({"top_p": 0.5}, "0100"),  # reaches 0.5 exactly
        ({"top_p": 0.51}, "0101"),
        ({"top_p": 0.8}, "1101"),
        ({"top_p": 1.0}, "1111"),
        ({"top_p": 1e-6}, "0100"),
        # Of 2/3 and 1/3, which are left of the first two, 2/3 reach 0.6 but not 0.7.
        ({"top_k": 2, "top_p": 0.6}, "0100"),
        ({"top_k": 2, "top_p": 0.7}, "0101"),
    ],
)
def test_sets_by_hand(settings, expected):
    kept = sampling.allowed_tokens(LOGITS, **settings)
    assert "".join("01"[int(k)] for k in kept) == expected


def test_limits_that_keep_all_change_nothing():
    np.testing.assert_array_equal(drawn(), drawn(top_k=4, top_p=1.0))


def test_top_p_of_one_keeps_even_what_rounding_would_lose():
    many = jax.random.normal(jax.random.key(0), (5000,)) * 4
    assert jax.jit(partial(sampling.allowed_tokens, top_p=1.0))(many).all()


def test_the_nucleus_is_the_smallest_set_that_reaches_p():
    """An oracle in NumPy, of rows without ties."""
    logits = jax.random.normal(jax.random.key(1), (50, 20))
    kept = np.asarray(jax.jit(partial(sampling.allowed_tokens, top_p=0.7))(logits))
    share = special.softmax(np.asarray(logits, np.float64), axis=-1)
    for row, chosen in zip(share, kept, strict=True):
        assert row[chosen].sum() >= 0.7 > row[chosen].sum() - row[chosen].min()
        assert row[chosen].min() > row[~chosen].max()


def test_temperature_zero_is_greedy_and_takes_the_first_of_equals():
    rows = jnp.array([[1.0, 3.0, 3.0], [2.0, 0.0, -jnp.inf]])
    assert sampling.sample_logits(jax.random.key(0), rows, temperature=0).tolist() == [1, 0]
    traced = jax.jit(lambda t: sampling.sample_logits(jax.random.key(0), rows, temperature=t, top_k=2))
    assert traced(jnp.float32(0)).tolist() == [1, 0]
    assert traced(jnp.float32(1e-30)).tolist()[1] == 0, "a tiny one overflows nothing"


def test_impossible_tokens_are_never_drawn():
    logits = jnp.broadcast_to(jnp.array([-jnp.inf, 0.0, -jnp.inf], jnp.bfloat16), (500, 3))
    assert set(sampling.sample_logits(jax.random.key(0), logits).tolist()) == {1}


def test_wrong_settings():
    draw = partial(sampling.sample_logits, jax.random.key(0), LOGITS)
    with pytest.raises(ConfigError, match="`temperature` must be at least 0, got -1"):
        draw(temperature=-1)
    with pytest.raises(ConfigError, match="`top_k` must be from 1"):
        draw(top_k=0)
    with pytest.raises(ConfigError, match="`top_p` must be greater than 0 and at most 1, got 0"):
        draw(top_p=0)


# -- whole sequences

V, PAD, EOS = 6, 0, 5
# After token i comes i + 1 in 9 of 10 cases, else any of 1 to 5; EOS after 4.
CHAIN = np.full((V, V), 0.02)
CHAIN[:, PAD] = 0
CHAIN[np.arange(V), (np.arange(V) + 1) % V] = 0.9
CHAIN /= CHAIN.sum(axis=1, keepdims=True)
TABLE = jnp.asarray(np.log(np.maximum(CHAIN, 1e-30)), jnp.float32)
PROMPT = jnp.array([[1, 0, 0], [2, 0, 0], [1, 2, 3], [1, 5, 1]], jnp.int32)


def chain(tokens, length):
    """The logits (b, v) behind the last token so far."""
    return TABLE[jnp.take(tokens, length - 1, axis=1)]


def chain_everywhere(tokens, length):
    return TABLE[tokens]


@cache
def write(logits_fn=chain, **settings):
    settings = {"max_length": 8, "pad_id": PAD, "eos_id": EOS} | settings
    return jax.jit(lambda key, prompt: sampling.generate(key, logits_fn, prompt, **settings))


def test_greedy_by_hand():
    """An EOS within a prompt ends nothing; behind one that is written there is padding."""
    got = write(temperature=0.0)(jax.random.key(0), PROMPT)
    assert got.tokens.tolist() == [
        [1, 2, 3, 4, 5, 0, 0, 0],
        [2, 3, 4, 5, 0, 0, 0, 0],
        [1, 2, 3, 4, 5, 0, 0, 0],
        [1, 5, 1, 2, 3, 4, 5, 0],
    ]
    assert got.lengths.tolist() == [5, 4, 5, 7]


def test_a_row_that_does_not_end_is_full():
    got = write(temperature=0.0, eos_id=None, max_length=4)(jax.random.key(0), PROMPT)
    assert got.tokens.tolist() == [[1, 2, 3, 4], [2, 3, 4, 5], [1, 2, 3, 4], [1, 5, 1, 2]]
    assert got.lengths.tolist() == [4] * 4


def test_logits_of_one_and_of_every_position_are_alike_and_so_are_equal_keys():
    key = jax.random.key(3)
    one, every = write()(key, PROMPT), write(chain_everywhere)(key, PROMPT)
    jax.tree.map(np.testing.assert_array_equal, one, every)
    jax.tree.map(np.testing.assert_array_equal, one, write()(key, PROMPT))
    assert one.tokens.tolist() != write()(jax.random.key(4), PROMPT).tokens.tolist()


def test_a_row_does_not_depend_on_the_others():
    key = jax.random.key(3)
    together, alone = write()(key, PROMPT), write()(key, PROMPT.at[1:].set(1))
    assert together.tokens[0].tolist() == alone.tokens[0].tolist()


def test_written_tokens_follow_the_model():
    """The tokens behind each 2, in 3000 rows, have the frequencies of the chain."""
    prompt = jnp.full((3000, 1), 2, jnp.int32)
    got = np.asarray(write(max_length=4)(jax.random.key(1), prompt).tokens)
    for column in (1, 2, 3):
        after = got[got[:, column - 1] == 2, column]
        counts = np.bincount(after, minlength=V)
        assert counts[PAD] == 0
        if len(after) > 1000:
            assert stats.chisquare(counts[1:], len(after) * CHAIN[2, 1:]).pvalue > 1e-4
    assert (got[:, 0] == 2).all()


def test_the_loop_stops_when_all_rows_have():
    seen = []

    def counted(tokens, length):
        jax.debug.callback(lambda n: seen.append(int(n)), length)
        return chain(tokens, length)

    sampling.generate(
        jax.random.key(0), counted, PROMPT[:1], max_length=50, pad_id=PAD, eos_id=EOS, temperature=0.0
    )
    jax.effects_barrier()
    assert sorted(seen) == [1, 2, 3, 4]


def test_lengths_may_be_given_where_padding_is_a_token():
    settings = {"temperature": 0.0, "max_length": 4, "eos_id": None}
    prompt = jnp.array([[1, 0, 7]], jnp.int32)

    def length_only(tokens, length):
        return jax.nn.one_hot(jnp.full(tokens.shape[0], length), V)

    got = sampling.generate(
        jax.random.key(0), length_only, prompt, pad_id=PAD, prompt_lengths=jnp.array([2]), **settings
    )
    assert got.tokens.tolist() == [[1, 0, 2, 3]]


def test_what_does_not_go():
    run = partial(sampling.generate, jax.random.key(0), pad_id=PAD)
    with pytest.raises(ConfigError, match="`max_length` must be at least the prompt's 3 columns, got 2"):
        run(chain, PROMPT, max_length=2)
    with pytest.raises(ShapeError, match="`logits_fn` must give logits \\(4, v\\), or \\(4, 5, v\\)"):
        run(lambda tokens, length: TABLE[0], PROMPT, max_length=5)
