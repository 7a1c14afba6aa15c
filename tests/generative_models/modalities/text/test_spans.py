from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.text import spans


def counts_in_numpy(total: int, density: float, mean: float) -> tuple[int, int]:
    """The rule of T5's code, in NumPy; in float32, since halves round by the last bit."""
    hidden = min(max(int(np.round(np.float32(total) * np.float32(density))), 1), total - 1)
    parts = max(int(np.round(np.float32(hidden) / np.float32(mean))), 1)
    return hidden, min(parts, hidden, total - hidden)


@pytest.mark.parametrize(("density", "mean"), [(0.15, 3.0), (0.5, 1.0), (0.9, 2.5)])
def test_counts_are_those_of_a_reference(density, mean):
    totals = jnp.arange(2, 600, dtype=jnp.int32)
    step = jax.jit(jax.vmap(lambda n: spans.span_counts(n, density, mean)))
    expected = [counts_in_numpy(n, density, mean) for n in totals.tolist()]
    np.testing.assert_array_equal(np.stack(step(totals), axis=1), expected)


def test_lengths_are_those_of_the_paper():
    """T5 trains on 512 inputs, which come of 568 tokens: 85 hidden in 28 spans, and 114 targets with EOS.

    Inputs there count an EOS of their own: 568 - 85 + 28 + 1 = 512.
    """
    assert spans.span_corruption_lengths(568) == (511, 114)
    with pytest.raises(ConfigError, match="`noise_density` must be greater than 0"):
        spans.span_corruption_lengths(568, noise_density=0.0)
    with pytest.raises(ConfigError, match="`mean_span_length` must be at least 1"):
        spans.span_corruption_lengths(568, mean_span_length=0.5)


def test_every_way_to_cut_is_equally_likely():
    """Six tokens, three hidden, two spans: two ways to cut what stays times two to cut what is hidden."""

    @jax.jit
    @jax.vmap
    def draw(key):
        number = partial(jnp.asarray, dtype=jnp.int32)
        return spans.noise_mask(
            key, 8, num_tokens=number(6), num_hidden=number(3), num_spans=number(2), max_spans=4
        )

    masks = np.asarray(draw(jax.random.split(jax.random.key(1), 4000)))
    assert not masks[:, 6:].any()
    drawn = ["".join(row) for row in masks[:, :6].astype(int).astype(str)]
    counts = {mask: drawn.count(mask) for mask in ("010011", "011001", "001011", "001101")}
    assert sum(counts.values()) == 4000
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4
