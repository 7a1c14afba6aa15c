from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.fixed_point import fraction, fraction_bits, multiples


@pytest.mark.parametrize("step", [0.0, 0.1, 0.99999994, 1.0, 1.1, 7.3, 100.7])
def test_traced_multiples_are_exact(step):
    """Against rational arithmetic, an hour of samples in; a fraction is rounded down to 2^-24."""
    count = 2_000_000
    whole, part = (np.asarray(x) for x in jax.jit(lambda s: multiples(s, count=count))(jnp.float32(step)))
    exact_step = Fraction(float(np.float32(step)))
    for n in (0, 1, 2, 3, 255, 65535, 65536, 65537, 999_999, 1_234_567, count - 1):
        exact = n * exact_step
        assert whole[n] == exact // 1, n
        assert 0 <= float(exact % 1) - part[n] < 2**-23, n
    assert part.min() >= 0 and part.max() < 1


def test_a_number_is_multiplied_in_float64():
    whole, part = multiples(0.7, count=50)
    exact = np.arange(50) * 0.7
    np.testing.assert_array_equal(whole, np.floor(exact))
    np.testing.assert_allclose(np.asarray(whole) + np.asarray(part, np.float64), exact, atol=2**-23)


def test_fractions_wrap():
    bits = fraction_bits(jnp.array([0.25, 0.75, 2.5]))
    assert bits.tolist() == [2**30, 3 * 2**30, 2**31]
    assert fraction(bits[:1] + bits[1:2]).tolist() == [0.0]
    assert float(fraction(jnp.array([2**32 - 1], jnp.uint32))[0]) < 1


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`step` must be at least 0"):
        multiples(-0.5, count=3)
    with pytest.raises(ConfigError, match="`count`"):
        multiples(0.5, count=0)
