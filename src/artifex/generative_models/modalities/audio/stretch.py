"""Time and pitch apart from each other, by a phase vocoder (Flanagan and Golden, 1966); conventions as in `clips`."""

from math import ceil

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from artifex.data.checks import check_size
from artifex.generative_models.modalities.audio.clips import on_waveform
from artifex.generative_models.modalities.audio.fixed_point import multiples
from artifex.generative_models.modalities.audio.framing import overlap_add
from artifex.generative_models.modalities.audio.stft import frame_spectra, magnitude, power
from artifex.generative_models.modalities.audio.varispeed import change_speed
from artifex.generative_models.modalities.audio.windows import window_weights
from artifex.generative_models.modalities.settings import Number, check_number


def time_stretch(
    waveform: Float[Array, " t"],
    *,
    rate: Number,
    num_samples: int | None = None,
    n_fft: int = 1024,
    hop_length: int = 256,
) -> Float[Array, " n"]:
    """Plays it `rate` times as fast at its own pitch; as `librosa.effects.time_stretch`.

    Args:
        waveform: the sound.
        rate: > 0; 2 takes half of the time.
        num_samples: of the result; None means as many as before. What the stretched sound, of round(t / rate)
            samples, has more is cut off, and behind its end there are zeros.
        n_fft: samples of a frame, under a Hann window.
        hop_length: samples from frame to frame, at most a quarter of `n_fft` for a smooth result.
    """
    check_number("rate", rate, low=0, above=True)
    length = len(waveform) if num_samples is None else check_size("num_samples", num_samples)
    num_frames = ceil((length + n_fft // 2) / hop_length)

    def stretch(x: Array) -> Array:
        spectra = frame_spectra(x, n_fft=n_fft, hop_length=hop_length, pad_mode="constant")
        spectra, there = _vocode(spectra, rate, num_frames)
        weights = jnp.asarray(window_weights("hann", n_fft), x.dtype)
        sound = overlap_add(jnp.fft.irfft(spectra, n_fft) * weights[None], hop_length=hop_length)
        norm = overlap_add(jnp.where(there[:, None], weights[None] ** 2, 0), hop_length=hop_length)
        start = n_fft // 2
        sound = (sound / jnp.where(norm > 1e-8, norm, 1))[start : start + length]
        end = jnp.round(len(x) / jnp.asarray(rate, jnp.float32))
        return jnp.where(jnp.arange(length, dtype=jnp.float32) < end, sound, 0)

    return on_waveform(waveform, stretch)


def pitch_shift(
    waveform: Float[Array, " t"],
    *,
    semitones: Number,
    max_semitones: float = 12.0,
    n_fft: int = 1024,
    hop_length: int = 256,
) -> Float[Array, " t"]:
    """Raises the pitch by so many semitones, twelve to the octave, and keeps the length.

    The sound is stretched by 2^(semitones / 12) and then played that much faster. Formants move with the pitch.

    Args:
        waveform: the sound.
        semitones: up if > 0.
        max_semitones: the most up that a traced `semitones` may be; what is more counts as that. Twice the
            frames per octave are computed.
        n_fft: as for `time_stretch`.
        hop_length: as for `time_stretch`.
    """
    check_number("semitones", semitones)
    check_number("max_semitones", max_semitones, low=0)
    if isinstance(semitones, jax.Array):
        most = max_semitones
        factor = 2 ** (jnp.minimum(semitones, most).astype(jnp.float32) / 12)
    else:
        most = semitones
        factor = 2 ** (semitones / 12)
    longer = time_stretch(
        waveform,
        rate=1 / factor,
        num_samples=ceil(len(waveform) * 2 ** (most / 12)) + 1,
        n_fft=n_fft,
        hop_length=hop_length,
    )
    return change_speed(longer, factor=factor, num_samples=len(waveform))


def phase_vocoder(
    spectrum: Complex[Array, "f n"], *, rate: Number, num_frames: int
) -> Complex[Array, "f {num_frames}"]:
    """Frame m of the result is the spectrum at frame m * rate, as `librosa.phase_vocoder` has it.

    Magnitudes are interpolated linearly; each bin's phase goes on from frame to frame as much as it does, from one
    frame to the next, at that place of the spectrum. The hop is the same on both sides. From the end of the
    spectrum on there are zeros.
    """
    check_number("rate", rate, low=0, above=True)
    check_size("num_frames", num_frames)
    return _vocode(spectrum.T, rate, num_frames)[0].T


def _vocode(
    spectra: Complex[Array, "n f"], rate: Number, num_frames: int
) -> tuple[Complex[Array, "m f"], Bool[Array, " m"]]:
    """The frames, and which of them lie within the spectrum."""
    whole, part = multiples(rate, count=num_frames)
    end = spectra.shape[0]
    padded = jnp.pad(spectra, ((0, 2), (0, 0)))
    left = jnp.minimum(whole, end)
    sizes, turns = magnitude(padded), _turns(padded)
    share = part.astype(sizes.dtype)[:, None]
    size = (1 - share) * sizes[left] + share * sizes[left + 1]
    advance = turns[left + 1] - turns[left]
    start = jnp.concatenate([turns[:1], advance[:-1]])
    # Wrapped at each addition: a sum of many turns would lose the fraction that counts.
    angle = 2 * jnp.pi * jax.lax.associative_scan(_add_turns, start)
    return jax.lax.complex(size * jnp.cos(angle), size * jnp.sin(angle)), whole < end


def _add_turns(a: Array, b: Array) -> Array:
    total = a + b
    return total - jnp.round(total)


def _turns(spectra: Complex[Array, "n f"]) -> Float[Array, "n f"]:
    """Phases in turns; 0 where there is nothing, so that gradients are finite."""
    heard = power(spectra) > 1e-30
    real = jnp.where(heard, spectra.real, 1)
    return jnp.arctan2(jnp.where(heard, spectra.imag, 0), real) / (2 * jnp.pi)
