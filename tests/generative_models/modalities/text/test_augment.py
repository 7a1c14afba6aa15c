from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError
from artifex.data.tokenizers.special import SpecialTokens
from artifex.generative_models.modalities.text import augment

VOCAB = 64
SPECIAL = SpecialTokens(mask=4, sentinels=(60, 61, 62, 63), fim_prefix=5, fim_middle=6, fim_suffix=7)
PAD, BOS, EOS = 0, 2, 3
MASK, PRE, MID, SUF = 4, 5, 6, 7
N, M = 16, 10  # ten ordinary tokens, 10 to 19
TEXT = jnp.array([BOS, *range(10, 20), EOS, PAD, PAD, PAD, PAD], jnp.int32)
BARE = jnp.array([BOS, EOS, 1, *[PAD] * 13], jnp.int32)
ONE = jnp.array([BOS, 10, EOS, *[PAD] * 13], jnp.int32)
ORDINARY = [i for i in range(VOCAB) if i not in SPECIAL.ids]
KEYS = jax.random.split(jax.random.key(5), 4000)

STEPS = {
    "mask": partial(augment.mask_tokens, vocab_size=VOCAB),
    "replace": partial(augment.replace_tokens, vocab_size=VOCAB),
    "drop": augment.drop_tokens,
    "shuffle": augment.shuffle_tokens,
    "spans": partial(augment.corrupt_spans, noise_density=0.4, mean_span_length=2.0),
    "middle": partial(augment.fill_in_the_middle, probability=1.0),
    "prefix": augment.prefix_lm_split,
}


# Compiled whole: operations one by one take longer to compile.
corrupt_spans = jax.jit(
    augment.corrupt_spans,
    static_argnames=("special", "noise_density", "mean_span_length", "input_length", "target_length"),
)


def every(key, tokens):
    return {name: step(key, tokens, special=SPECIAL) for name, step in STEPS.items()}


@cache
def compiled():
    """All functions, as one program for all sequences of this length and 4000 keys."""
    return jax.jit(jax.vmap(every, in_axes=(0, None)))


@cache
def results(tokens: tuple[int, ...]):
    return jax.tree.map(np.asarray, compiled()(KEYS, jnp.array(tokens, jnp.int32)))


def of(name: str, tokens=TEXT):
    return results(tuple(np.asarray(tokens).tolist()))[name]


def within(observed: float, expected: float, count: int, sigmas: float = 4.5) -> bool:
    return abs(observed - expected) <= sigmas * np.sqrt(expected * (1 - expected) / count)


def texts(rows: np.ndarray) -> list[list[int]]:
    """The ordinary tokens of each row."""
    return [[t for t in row if t not in SPECIAL.ids] for row in rows.tolist()]


# -- what all have in common


@pytest.mark.parametrize("name", STEPS)
def test_special_tokens_stay_and_a_bare_sequence_is_left_alone(name):
    got = of(name, BARE)
    bare = np.broadcast_to(np.asarray(BARE), (len(KEYS), N))
    if name == "mask":
        np.testing.assert_array_equal(got.inputs, bare)
        assert (got.labels == augment.IGNORE).all()
    elif name == "spans":
        np.testing.assert_array_equal(got.inputs, bare)
        assert (got.targets == np.array([EOS, *[PAD] * (got.targets.shape[1] - 1)])).all()
    elif name == "prefix":
        assert not got.prefix.any()
        np.testing.assert_array_equal(got.loss_mask, bare != PAD)
    else:
        np.testing.assert_array_equal(got, bare)


def test_a_key_gives_the_same_alone_as_in_a_batch():
    alone = jax.jit(every)(KEYS[3], TEXT)
    jax.tree.map(
        np.testing.assert_array_equal, alone, {name: jax.tree.map(lambda x: x[3], of(name)) for name in STEPS}
    )


@pytest.mark.parametrize("name", ["mask", "replace", "shuffle"])
def test_special_tokens_keep_their_places(name):
    got = of(name).inputs if name == "mask" else of(name)
    places = np.isin(np.asarray(TEXT), SPECIAL.ids)
    assert (got[:, places] == np.asarray(TEXT)[places]).all()
    inner = np.isin(got[:, ~places], SPECIAL.ids) & (got[:, ~places] != (MASK if name == "mask" else -1))
    assert not inner.any()


def test_probabilities_may_be_traced():
    @jax.jit
    def step(p):
        key, special = KEYS[0], SPECIAL
        return (
            augment.mask_tokens(
                key, TEXT, special=special, vocab_size=VOCAB, probability=p, mask_share=p, random_share=1 - p
            ),
            augment.replace_tokens(key, TEXT, special=special, vocab_size=VOCAB, probability=p),
            augment.drop_tokens(key, TEXT, special=special, probability=p),
            augment.fill_in_the_middle(key, TEXT, special=special, probability=p, spm_share=p),
            augment.shuffle_tokens(key, TEXT, special=special, max_distance=p),
        )

    masked, replaced, dropped, moved, shuffled = step(jnp.float32(0))
    for same in (masked.inputs, replaced, dropped, moved, shuffled):
        np.testing.assert_array_equal(same, TEXT)
    masked, replaced, dropped, moved, _ = step(jnp.float32(1))
    assert masked.inputs.tolist() == [BOS, *[MASK] * M, EOS, *[PAD] * 4]
    assert masked.labels.tolist() == [-100, *range(10, 20), *[-100] * 5]
    assert not set(texts(replaced[None])[0]) & set(SPECIAL.ids)
    assert dropped.tolist() == [BOS, EOS, *[PAD] * 14]
    assert moved.tolist()[1:3] == [PRE, SUF]


def test_a_wrong_setting_says_so():
    with pytest.raises(ConfigError, match="`special` must have an id for `mask`"):
        augment.mask_tokens(KEYS[0], TEXT, special=SpecialTokens(), vocab_size=VOCAB)
    with pytest.raises(ConfigError, match="`mask_share \\+ random_share` must be"):
        augment.mask_tokens(KEYS[0], TEXT, special=SPECIAL, vocab_size=VOCAB, random_share=0.3)
    with pytest.raises(ConfigError, match="`probability` must be .*, got 1.5"):
        augment.drop_tokens(KEYS[0], TEXT, special=SPECIAL, probability=1.5)
    with pytest.raises(ConfigError, match="`max_distance` must be at least 0, got -1"):
        augment.shuffle_tokens(KEYS[0], TEXT, special=SPECIAL, max_distance=-1)
    with pytest.raises(ConfigError, match="`special` must have an id for `fim_suffix`"):
        augment.fill_in_the_middle(KEYS[0], TEXT, special=SpecialTokens(fim_prefix=5, fim_middle=6))


# -- masking and replacing


def test_bert_takes_15_percent_and_80_10_10_of_them():
    got, original = of("mask"), np.asarray(TEXT)
    chosen = got.labels != augment.IGNORE
    assert (got.labels[chosen] == np.broadcast_to(original, chosen.shape)[chosen]).all()
    assert (got.inputs == original)[~chosen].all()
    places = ~np.isin(original, SPECIAL.ids)
    assert within(chosen[:, places].mean(), 0.15, len(KEYS) * M)
    inputs, count = got.inputs[chosen], int(chosen.sum())
    assert within((inputs == MASK).mean(), 0.8, count)
    # Of the tenth that is drawn, one in as many as there are ordinary tokens is what was there.
    other = (inputs != MASK) & (inputs != got.labels[chosen])
    assert within(other.mean(), 0.1 * (1 - 1 / len(ORDINARY)), count)


def test_every_place_is_masked_alike():
    chosen = of("mask").labels[:, 1 : M + 1] != augment.IGNORE
    assert all(within(share, 0.15, len(KEYS)) for share in chosen.mean(axis=0))


def test_replaced_tokens_are_any_ordinary_ones():
    got, original = of("replace"), np.asarray(TEXT)
    changed = got != original
    share = 0.1 * (1 - 1 / len(ORDINARY))
    assert within(changed[:, 1 : M + 1].mean(), share, len(KEYS) * M)
    assert set(got[changed].tolist()) == set(ORDINARY)


# -- dropping and shuffling


def test_what_is_not_dropped_closes_up():
    got = of("drop")
    lengths = [len(t) for t in texts(got)]
    assert within(1 - np.mean(lengths) / M, 0.1, len(KEYS) * M)
    for row, text in zip(got[:200].tolist(), texts(got[:200]), strict=True):
        assert row == [BOS, *text, EOS, *[PAD] * (N - 2 - len(text))]
        assert text == sorted(set(text)), "the order stays"


def test_shuffled_tokens_move_by_three_at_most():
    got = np.array(texts(of("shuffle")))
    assert (np.sort(got) == np.arange(10, 20)).all()
    moved = got - 10 - np.arange(M)
    assert moved.max() == 3 and moved.min() == -3


def test_shuffling_is_that_of_a_sort_by_hand():
    """Equal to sorting i + u in NumPy, with the u of the same key."""
    for key in KEYS[:5]:
        u = np.asarray(jax.random.uniform(key, (N,), jnp.float32))[1 : M + 1] * 4
        expected = 10 + np.argsort(np.arange(M) + u, kind="stable")
        got = augment.shuffle_tokens(key, TEXT, special=SPECIAL)
        assert got[1 : M + 1].tolist() == expected.tolist()


# -- spans


def test_spans_hide_the_exact_share():
    """Of ten tokens 0.4 are 4, in 2 spans: the inputs have 6 of them and 2 sentinels, the targets the rest."""
    got = of("spans")
    assert got.inputs.shape == (len(KEYS), N)
    for inputs, targets in zip(got.inputs[:500].tolist(), got.targets[:500].tolist(), strict=True):
        assert inputs[0] == BOS and inputs[9] == EOS and inputs[10:] == [PAD] * 6
        assert targets[6] == EOS and set(targets[7:]) == {PAD}
        assert restored(inputs[1:9], targets[:6]) == list(range(10, 20))
        assert inputs[1] == 10 and inputs[8] == 61, "the first stays, the last is hidden"


def restored(inputs: list[int], targets: list[int]) -> list[int]:
    """The text that inputs and targets were made of."""
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token in SPECIAL.sentinels:
            spans[token] = []
        else:
            spans[list(spans)[-1]].append(token)
    assert list(spans) == list(SPECIAL.sentinels[: len(spans)]) and all(spans.values())
    return [t for token in inputs for t in spans.get(token, [token])]


def test_a_span_corrupted_by_hand():
    """Of a b c half is hidden: 1.5 is 2 of them, in one span at the end, whatever the key."""
    got = corrupt_spans(
        KEYS[0],
        jnp.array([BOS, 10, 11, 12, EOS, PAD], jnp.int32),
        special=SPECIAL,
        noise_density=0.5,
        mean_span_length=2.0,
        input_length=5,
        target_length=4,
    )
    assert got.inputs.tolist() == [BOS, 10, 60, EOS, PAD]
    assert got.targets.tolist() == [60, 11, 12, EOS]


def test_what_does_not_fit_is_cut_off():
    step = partial(corrupt_spans, KEYS[0], TEXT, special=SPECIAL, noise_density=0.4, mean_span_length=2.0)
    whole, cut = jax.tree.map(lambda x: x[0], of("spans")), step(input_length=4, target_length=3)
    assert cut.inputs.tolist() == whole.inputs[:4].tolist()
    assert cut.targets.tolist() == whole.targets[:3].tolist()


def test_one_token_alone_is_not_hidden():
    got = of("spans", ONE)
    assert (got.inputs == np.asarray(ONE)).all()
    assert (got.targets[:, 0] == EOS).all() and (got.targets[:, 1:] == PAD).all()


def test_few_sentinels_are_an_error_or_fewer_spans():
    few = SpecialTokens(sentinels=(63,))
    with pytest.raises(ConfigError, match="`special` must have 3 `sentinels`, one for each span"):
        augment.corrupt_spans(KEYS[0], TEXT, special=few, noise_density=0.4, mean_span_length=2.0)
    with pytest.raises(ConfigError, match="`special` must have `sentinels`, got none"):
        augment.corrupt_spans(KEYS[0], TEXT, special=SpecialTokens())
    traced = jnp.float32(0.4)
    with pytest.raises(ConfigError, match="`target_length` is needed"):
        augment.corrupt_spans(KEYS[0], TEXT, special=few, noise_density=traced)
    step = partial(augment.corrupt_spans, special=few, mean_span_length=2.0, target_length=8)
    got = jax.jit(lambda density: step(KEYS[0], TEXT, noise_density=density))(traced)
    assert got.inputs.tolist() == [BOS, *range(10, 16), 63, EOS, *[PAD] * 7]
    assert got.targets.tolist() == [63, 16, 17, 18, 19, EOS, PAD, PAD]


# -- filling in the middle


@jax.jit
def middle(keys, probability, spm_share):
    def step(key):
        return augment.fill_in_the_middle(
            key, TEXT, special=SPECIAL, probability=probability, spm_share=spm_share
        )

    return jax.vmap(step)(keys)


def parts(row: list[int]) -> tuple[list[int], list[int], list[int], bool]:
    """Prefix, middle and suffix of a row in one of the two orders, and whether it is SPM; as a reader would."""
    text = row[1 : row.index(EOS)]
    suffix_at, middle_at = text.index(SUF), text.index(MID)
    assert text[0] == PRE and text.count(PRE) == text.count(SUF) == text.count(MID) == 1
    return text[1:suffix_at], text[middle_at + 1 :], text[suffix_at + 1 : middle_at], suffix_at == 1


def test_the_middle_is_filled_in():
    got = of("middle")
    orders = []
    for row in got[:1000].tolist():
        prefix, hole, suffix, looks_spm = parts(row)
        assert row[0] == BOS and row[-1] == PAD and len(row) == N
        assert prefix + hole + suffix == list(range(10, 20))
        orders.append(looks_spm)
    # An empty prefix, of which there are 21 in 121, looks the same in both orders.
    assert within(np.mean(orders), 0.5 + 0.5 * 21 / 121, 1000)


def test_both_cuts_may_be_anywhere():
    """Two draws of eleven borders, sorted: a pair of equal ones has 1 in 121, any other pair 2."""
    counts = np.zeros((M + 1, M + 1))
    for row in np.asarray(middle(KEYS, 1.0, 0.0)).tolist():
        prefix, hole, _, _ = parts(row)
        counts[len(prefix), len(prefix) + len(hole)] += 1
    expected = np.triu(np.full(counts.shape, 2 / 121)) - np.eye(M + 1) / 121
    assert counts[expected == 0].sum() == 0
    inside = expected > 0
    assert stats.chisquare(counts[inside], len(KEYS) * expected[inside]).pvalue > 1e-4


def test_a_full_sequence_loses_its_last_tokens():
    full = jnp.array([BOS, *range(10, 24), EOS], jnp.int32)
    for row in of("middle", full).tolist()[:300]:
        prefix, hole, suffix, _ = parts(row)
        assert prefix + hole + suffix == list(range(10, 21))
        assert row[-1] == EOS


def test_without_room_nothing_is_moved():
    short = jnp.array([BOS, 10, 11, EOS], jnp.int32)
    step = jax.jit(partial(augment.fill_in_the_middle, special=SPECIAL, probability=1.0))
    got = step(KEYS[0], short)
    assert got.tolist() == short.tolist()


def test_it_is_done_with_its_probability():
    assert within(float((middle(KEYS, 0.3, 0.5) != TEXT[None]).any(axis=1).mean()), 0.3, len(KEYS))


# -- prefix and suffix


def test_a_prefix_ends_anywhere_within_the_text():
    got = of("prefix")
    sizes = got.prefix.sum(axis=1) - 1  # BOS is in it too
    counts = np.bincount(sizes, minlength=M + 1)
    assert counts[0] == counts[M] == 0
    assert all(within(c / len(KEYS), 1 / (M - 1), len(KEYS)) for c in counts[1:M])
    position = np.arange(N)
    np.testing.assert_array_equal(got.prefix, position[None] <= sizes[:, None])
    np.testing.assert_array_equal(got.loss_mask, (position[None] > sizes[:, None]) & (position <= M + 1))


def test_one_token_has_no_prefix():
    got = of("prefix", ONE)
    assert not got.prefix.any() and (got.loss_mask == (np.asarray(ONE) != PAD)).all()
