import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from artifex.data.errors import ConfigError
from artifex.generative_models.modalities.audio.stretch import phase_vocoder, pitch_shift, time_stretch

# librosa 1.0 warns of arguments that its own effects still pass on.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The `(hop_length|n_fft)` parameter is deprecated:FutureWarning"
)

RATE = 16000
SIZE = 6000
FRAMES = {"n_fft": 512, "hop_length": 128}
# librosa 1.0 ends a clip in another way than 0.11, which this agrees with: the last frame is left out there.
COMPARED = slice(None, None if librosa.__version__ < "1" else -FRAMES["n_fft"])
# What runs once need not be fast: it is compiled in half of the time.
QUICKLY = {"compiler_options": {"xla_backend_optimization_level": 0}}
stretch = jax.jit(time_stretch, static_argnames=("rate", "num_samples", "n_fft", "hop_length"), **QUICKLY)
stretch_traced = jax.jit(time_stretch, static_argnames=("num_samples", "n_fft", "hop_length"), **QUICKLY)
shift = jax.jit(pitch_shift, static_argnames=("semitones", "max_semitones", "n_fft", "hop_length"), **QUICKLY)
shift_traced = jax.jit(pitch_shift, static_argnames=("max_semitones", "n_fft", "hop_length"), **QUICKLY)


def voice() -> np.ndarray:
    """A gliding tone with overtones below 3 kHz, in syllables, and a little noise: float64.

    The phase vocoder carries the phase of each bin on, also of one that holds nothing but rounding errors, until
    something is heard there: without the noise any two precisions would differ.
    """
    t = np.arange(SIZE) / RATE
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 2 * t)) / RATE
    tone = sum(np.sin(k * phase + k) / k for k in range(1, 14))
    noise = np.random.default_rng(0).standard_normal(SIZE)
    return (0.3 + np.sin(2 * np.pi * 3 * t) ** 2) * tone + 0.002 * noise


def tone(frequency, size=RATE):
    return jnp.asarray(np.sin(2 * np.pi * frequency * np.arange(size) / RATE), jnp.float32)


def peak(x) -> float:
    """The frequency in Hz where the spectrum is largest, by a parabola through its logarithm."""
    level = np.log(np.abs(np.fft.rfft(np.asarray(x, np.float64) * np.hanning(len(x)))) + 1e-12)
    k = int(level.argmax())
    a, b, c = level[k - 1 : k + 2]
    return (k + (a - c) / (2 * (a - 2 * b + c))) * RATE / len(x)


@pytest.mark.parametrize("rate", [0.8, 1.3])
def test_as_librosa_stretches(rate):
    """Its `time_stretch` in float64, to 2e-5 of the peak."""
    expected = librosa.effects.time_stretch(voice(), rate=rate, **FRAMES)
    x = jnp.asarray(voice(), jnp.float32)
    result = stretch(x, rate=rate, num_samples=len(expected), **FRAMES)
    assert result.shape == expected.shape
    bound = 2e-5 * np.abs(expected).max()
    np.testing.assert_allclose(result[COMPARED], expected[COMPARED], rtol=0, atol=bound)


def test_as_librosa_vocodes():
    """Frame by frame, also behind the end of the spectrum, where there are zeros."""
    spectrum = librosa.stft(voice(), **FRAMES)
    expected = librosa.phase_vocoder(spectrum, rate=1.7, hop_length=128)
    count = expected.shape[1]
    result = jax.jit(lambda d: phase_vocoder(d, rate=1.7, num_frames=count + 2))(
        jnp.asarray(spectrum, jnp.complex64)
    )
    np.testing.assert_allclose(result[:, :count], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert not np.asarray(result[:, count:]).any()


@pytest.mark.parametrize("rate", [0.5, 1.25])
def test_without_a_length_it_is_cut_or_filled_up(rate):
    x = jnp.asarray(voice(), jnp.float32)
    kept = stretch_traced(x, rate=jnp.float32(rate), **FRAMES)
    longer = stretch_traced(x, rate=jnp.float32(rate), num_samples=2 * SIZE, **FRAMES)
    assert kept.shape == x.shape
    np.testing.assert_allclose(kept, longer[:SIZE], atol=1e-5)
    assert not np.asarray(longer[round(SIZE / rate) :]).any()


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_a_tone_keeps_its_pitch_and_gets_another_length(rate):
    """440 Hz stay 440 Hz to 0.5 Hz (a bin is 1 Hz); its sound ends at 1 / rate seconds."""
    result = np.asarray(stretch_traced(tone(440), rate=jnp.float32(rate), num_samples=24000))
    end = round(RATE / rate)
    assert not result[end:].any()
    assert np.abs(result[end - 200 : end]).max() > 0.1
    middle = result[2000 : end - 2000]
    assert peak(middle) == pytest.approx(440, abs=0.5)
    assert 20 * np.log10(middle.std() * 2**0.5) == pytest.approx(0, abs=1)


@pytest.mark.parametrize("semitones", [-5, 3])
def test_as_librosa_shifts(semitones):
    """With its best resampler, on what lies far below the end of the band: to 1e-3 of the peak, but for the ends."""
    expected = librosa.effects.pitch_shift(voice(), sr=RATE, n_steps=semitones, res_type="soxr_vhq", **FRAMES)
    result = shift(jnp.asarray(voice(), jnp.float32), semitones=semitones, **FRAMES)
    difference = (np.asarray(result) - expected)[COMPARED][300:-300]
    assert np.abs(difference).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("semitones", "expected"), [(12.0, 440.0), (-12.0, 110.0), (7.0, 329.63), (20.0, 440.0)]
)
def test_pitches(semitones, expected):
    """Of 220 Hz, at the same length; what is over `max_semitones` counts as that."""
    result = np.asarray(shift_traced(tone(220), semitones=jnp.float32(semitones)))
    assert result.shape == (RATE,)
    assert peak(result[2000:-2000]) == pytest.approx(expected, abs=0.5)


def test_silence_a_constant_and_gradients():
    def loss(x):
        return (pitch_shift(x, semitones=2.0, n_fft=128, hop_length=32) ** 2).sum()

    graded = jax.jit(jax.value_and_grad(loss), **QUICKLY)
    half = jnp.zeros(500).at[250:].set(tone(1000, 250))
    for x in (jnp.zeros(500), jnp.full(500, 0.3), half):
        value, gradient = graded(x)
        assert np.isfinite(value) and np.isfinite(gradient).all()
    assert float(graded(jnp.zeros(500))[0]) == 0
    assert float(jnp.abs(graded(half)[1]).max()) > 0


def test_settings_are_checked():
    x = jnp.zeros(1000)
    with pytest.raises(ConfigError, match="`rate` must be greater than 0"):
        time_stretch(x, rate=0.0)
    with pytest.raises(ConfigError, match="`hop_length`"):
        time_stretch(x, rate=1.0, n_fft=128, hop_length=256)
    with pytest.raises(ConfigError, match="`semitones`"):
        pitch_shift(x, semitones=float("inf"))
