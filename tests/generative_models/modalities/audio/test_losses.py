from functools import partial

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import losses
from audio_signals import sound

TWO = ((256, 60, 200), (128, 32, 128))
CLIP, OTHER = sound(8000, 2000), sound(8000, 2000, 1)[::-1].copy()


@jax.jit
def everything(prediction, target):
    """The sum of all losses, and its gradient."""

    def total(x):
        return (
            losses.multi_resolution_stft(x, target, resolutions=TWO)
            + losses.l1(x, target)
            + losses.l2(x, target)
        )

    return jax.value_and_grad(total)(prediction)


def test_waveform_losses_by_hand():
    prediction, target = jnp.array([0.5, 0.5, -0.75, 1.0]), jnp.array([0.5, 0.0, -1.0, 0.0])
    assert float(losses.l1(prediction, target)) == (0.5 + 0.25 + 1) / 4
    assert float(losses.l2(prediction, target)) == (0.25 + 0.0625 + 1) / 4


def test_spectral_terms_by_hand():
    prediction, target = jnp.array([[1.0, 2.0], [2.0, 4.0]]), jnp.array([[1.0, 2.0], [2.0, 1.0]])
    assert float(losses.spectral_convergence(prediction, target)) == pytest.approx(3 / np.sqrt(10))
    assert float(losses.log_magnitude(prediction, target)) == pytest.approx(np.log(4) / 4)
    silent = jnp.zeros((2, 2))
    assert float(losses.log_magnitude(silent, silent)) == 0
    assert float(losses.spectral_convergence(prediction, silent)) == pytest.approx(2.5e7, rel=1e-4)


def test_multi_resolution_stft_is_its_formula():
    """Worked in NumPy on librosa's spectra, within 1e-5."""
    expected = []
    for n_fft, hop, win in TWO:
        settings = {"n_fft": n_fft, "hop_length": hop, "win_length": win, "pad_mode": "reflect"}
        p, t = (np.sqrt(np.maximum(np.abs(librosa.stft(x, **settings)) ** 2, 1e-7)) for x in (CLIP, OTHER))
        expected.append(np.linalg.norm(t - p) / np.linalg.norm(t) + np.mean(np.abs(np.log(t) - np.log(p))))
    waveform = np.mean(np.abs(CLIP - OTHER)) + np.mean((CLIP - OTHER) ** 2)
    value, _ = everything(CLIP, OTHER)
    assert float(value) == pytest.approx(np.mean(expected) + waveform, rel=1e-5)


@pytest.mark.parametrize("kind", list(losses.LossKind))
def test_equal_clips_have_no_loss_and_vmapped_is_one_per_clip(kind):
    loss = losses.LOSSES[kind]
    if kind == "multi_resolution_stft":
        loss = partial(loss, resolutions=TWO)
    together = jax.jit(jax.vmap(loss))(np.stack([CLIP, CLIP]), np.stack([CLIP, OTHER]))
    assert float(together[0]) == 0
    assert float(together[1]) == pytest.approx(float(jax.jit(loss)(CLIP, OTHER)), rel=1e-5)


def test_gradients_are_finite_in_silence():
    quiet = np.zeros(2000, np.float32)
    for prediction, target in ((quiet, quiet), (quiet, CLIP), (CLIP, quiet)):
        value, gradient = everything(prediction, target)
        assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(gradient).all())


def test_the_gradient_is_the_slope():
    """Along the clip itself, that is by its gain, against the difference of the values on both sides, within 1 %."""
    _, gradient = everything(CLIP, OTHER)
    rise = float(
        everything(CLIP * np.float32(1.001), OTHER)[0] - everything(CLIP * np.float32(0.999), OTHER)[0]
    )
    assert rise / 2e-3 == pytest.approx(float(np.dot(gradient, CLIP)), rel=0.01)


def test_bad_arguments_are_told():
    with pytest.raises(ShapeError, match=r"`prediction` has shape \(3,\), but `target` has \(2,\)"):
        losses.multi_resolution_stft.__wrapped__(jnp.zeros(3), jnp.zeros(2))
    with pytest.raises(ConfigError, match="`resolutions` is empty"):
        losses.multi_resolution_stft(jnp.zeros(3), jnp.zeros(3), resolutions=())
    with pytest.raises(ConfigError, match="`floor` must be greater than 0"):
        losses.multi_resolution_stft(jnp.zeros(3), jnp.zeros(3), floor=0)
