import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError
from artifex.data.tokenizers.special import SpecialTokens
from artifex.generative_models.modalities.text.vocabulary import draw_ordinary, is_ordinary

SPECIAL = SpecialTokens(pad=0, unk=1, bos=2, eos=7, mask=19, sentinels=(16, 18, 17))


def test_ordinary_is_what_is_not_special():
    tokens = jnp.arange(20, dtype=jnp.int32)
    expected = [t not in SPECIAL.ids for t in range(20)]
    assert is_ordinary(tokens, SPECIAL).tolist() == expected


def test_ordinary_tokens_are_equally_likely():
    drawn = draw_ordinary(jax.random.key(0), (6500,), special=SPECIAL, vocab_size=20)
    counts = np.bincount(np.asarray(drawn), minlength=20)
    ordinary = [t for t in range(20) if t not in SPECIAL.ids]
    assert counts.sum() == counts[ordinary].sum()
    assert stats.chisquare(counts[ordinary]).pvalue > 1e-4


def test_special_ids_beyond_the_vocabulary_do_not_count():
    drawn = draw_ordinary(jax.random.key(0), (200,), special=SPECIAL, vocab_size=5)
    assert set(drawn.tolist()) == {3, 4}
    with pytest.raises(ConfigError, match="`vocab_size` must be more than the 3 special ids"):
        draw_ordinary(jax.random.key(0), (2,), special=SPECIAL, vocab_size=3)
