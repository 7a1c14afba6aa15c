import jax.numpy as jnp
import pytest
from scipy.fft import next_fast_len

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.clips import (
    check_frequency,
    decibels,
    fft_length,
)


@pytest.mark.parametrize("least", [1, 2, 7, 11, 97, 1000, 16001, 24001, 99991])
def test_fft_lengths(least):
    """SciPy's real transforms are fast for factors 2, 3 and 5; here they are even too."""
    expected = next_fast_len(least, real=True)
    while expected % 2:
        expected = next_fast_len(expected + 1, real=True)
    assert fft_length(least) == expected


def test_decibels():
    assert float(decibels(20.0, jnp.float32)) == pytest.approx(10)
    assert float(decibels(-6.0206, jnp.float32)) == pytest.approx(0.5, abs=1e-5)


def test_frequencies_are_below_half_the_rate():
    check_frequency("cutoff", 3999.9, 8000)
    with pytest.raises(ConfigError, match="`cutoff` must be below half of `sample_rate`, 4000 Hz, got 4000"):
        check_frequency("cutoff", 4000.0, 8000)
    with pytest.raises(ConfigError, match="`cutoff` must be greater than 0"):
        check_frequency("cutoff", 0, 8000)
    with pytest.raises(ConfigError, match="`sample_rate`"):
        check_frequency("cutoff", 10.0, 0)
