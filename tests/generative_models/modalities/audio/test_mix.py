import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio.mix import mixup
from artifex.generative_models.modalities.mixing import mix_labels

N = 1000
KEYS = jax.random.split(jax.random.key(0), N)
WAVEFORMS = jnp.broadcast_to(jnp.arange(N, dtype=jnp.float32)[:, None] / N, (N, 5))
LABELS = jax.nn.one_hot(jnp.arange(N) % 2, 2, dtype=jnp.float32)


mixed = jax.jit(lambda keys, x, y, alpha: mixup(keys, x, labels=y, alpha=alpha))


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_are_beta_and_move_sound_and_labels_alike(alpha):
    waveforms, labels = mixed(KEYS, WAVEFORMS, LABELS, jnp.float32(alpha))
    shares = np.asarray(labels)[np.arange(N), np.arange(N) % 2]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    x, other = np.asarray(WAVEFORMS), np.roll(WAVEFORMS, -1, axis=0)
    np.testing.assert_allclose(waveforms, shares[:, None] * x + (1 - shares)[:, None] * other, atol=1e-6)
    np.testing.assert_allclose(np.asarray(labels).sum(axis=1), 1, atol=1e-6)


def test_spectrograms_and_no_labels():
    batch, labels = jax.eval_shape(mixup, KEYS[:2], jnp.ones((2, 3, 4)))
    assert labels is None and batch.shape == (2, 3, 4)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`alpha` must be greater than 0"):
        mixup(KEYS[:2], WAVEFORMS[:2], alpha=0)
    message = r"`labels` must be floats of shape \(2, n\), one row of weights for each waveform"
    with pytest.raises(ShapeError, match=message):
        mix_labels(WAVEFORMS[:2], jnp.ones((3, 2)), jnp.ones(2), sample="waveform")
