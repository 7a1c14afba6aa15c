import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.device import describe_step
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.data.tokenizers.special import SpecialTokens
from artifex.generative_models.modalities.text.conditioning import (
    DropCondition,
    drop_condition,
    empty_condition,
)

EMPTY = empty_condition(SpecialTokens(), 5)


def test_the_empty_caption():
    assert EMPTY.tolist() == [2, 3, 0, 0, 0] and EMPTY.dtype == jnp.int32
    assert empty_condition(SpecialTokens(pad=9, bos=None), 2).tolist() == [3, 9]
    with pytest.raises(ConfigError, match="`length` must be at least 2, for BOS and EOS, got 1"):
        empty_condition(SpecialTokens(), 1)


def test_conditions_are_dropped_whole_and_with_the_probability():
    keys, tokens = jax.random.split(jax.random.key(0), 4000), jnp.arange(5, 10, dtype=jnp.int32)
    step = jax.jit(jax.vmap(lambda key: drop_condition(key, tokens, EMPTY, probability=0.2)))
    got = np.asarray(step(keys))
    dropped = (got == np.asarray(EMPTY)).all(axis=1)
    assert (got[~dropped] == np.asarray(tokens)).all()
    assert abs(dropped.mean() - 0.2) < 4.5 * np.sqrt(0.2 * 0.8 / 4000)


def test_never_and_always():
    tokens = jnp.arange(5, 10, dtype=jnp.int32)
    for probability, expected in ((0.0, tokens), (jnp.float32(1), EMPTY)):
        got = drop_condition(jax.random.key(1), tokens, EMPTY, probability=probability)
        assert got.tolist() == expected.tolist()


def test_embeddings_may_be_dropped_too():
    got = drop_condition(jax.random.key(0), jnp.ones((3, 2)), jnp.zeros((3, 2)), probability=1.0)
    assert not got.any()


def test_what_differs_is_refused():
    with pytest.raises(
        ShapeError, match="`empty_tokens` must be int32\\[5\\] like `tokens`, got float32\\[5\\]"
    ):
        drop_condition(jax.random.key(0), EMPTY, EMPTY.astype(jnp.float32))


# -- as a step of a loader


def loader(step, n=600):
    tokens = np.arange(n * 5, dtype=np.int32).reshape(n, 5) + 10
    data = {"tokens": tokens, "mask": np.ones((n, 5), np.int32), "labels": np.arange(n)}
    return tokens, create_data_loader(data, batch_size=n, transform=step, seed=3)


def test_a_loader_drops_all_fields_of_a_record_together():
    step = DropCondition({"tokens": EMPTY, "mask": np.array([1, 1, 0, 0, 0], np.int32)}, probability=0.3)
    tokens, batches = loader(step)
    batch = jax.tree.map(np.asarray, next(iter(batches)))
    dropped = (batch["tokens"] == np.asarray(EMPTY)).all(axis=1)
    assert abs(dropped.mean() - 0.3) < 4.5 * np.sqrt(0.3 * 0.7 / len(tokens))
    assert (batch["mask"][dropped] == [1, 1, 0, 0, 0]).all() and batch["mask"][~dropped].all()
    assert (batch["tokens"][~dropped] == tokens[batch["labels"]][~dropped]).all()
    again = next(iter(loader(step)[1]))
    np.testing.assert_array_equal(again["tokens"], batch["tokens"])


def test_a_state_tells_one_empty_condition_from_another():
    a = DropCondition({"tokens": EMPTY})
    same = DropCondition({"tokens": np.asarray(EMPTY)})
    other = DropCondition({"tokens": EMPTY.at[0].set(1)})
    likelier = DropCondition({"tokens": EMPTY}, probability=0.2)
    assert describe_step(a) == describe_step(same)
    assert len({describe_step(s) for s in (a, other, likelier)}) == 3


def test_a_step_that_cannot_be():
    with pytest.raises(ConfigTypeError, match="`empty` must map fields to arrays, got list"):
        DropCondition([1])
    with pytest.raises(ConfigError, match="`empty` must name a field"):
        DropCondition({})
    with pytest.raises(ConfigError, match="`probability` must be"):
        DropCondition({"tokens": EMPTY}, probability=2.0)
    with pytest.raises(ShapeError, match="`empty` names \\['text'\\], but the sample has \\['tokens'\\]"):
        DropCondition({"text": EMPTY})(jax.random.key(0), {"tokens": EMPTY})
