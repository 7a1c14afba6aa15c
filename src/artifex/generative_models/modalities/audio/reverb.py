"""Rooms: impulse responses, and waveforms that sound through them; conventions as in `clips`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.data.checks import check_positive, check_size
from artifex.generative_models.modalities.audio.clips import fft_length, on_waveform
from artifex.generative_models.modalities.settings import Number, check_number


def room_response(
    key: Key[Array, ""],
    *,
    num_samples: int,
    sample_rate: float,
    rt60: Number,
    predelay: Number = 0.005,
    direct_db: Number = 0.0,
) -> Float[Array, " {num_samples}"]:
    """A synthetic impulse response: the direct sound, then Gaussian noise that dies away (Polack, 1988).

    The noise falls by 60 dB in `rt60` seconds; its drawn energy is measured and set.

    Args:
        key: used up.
        num_samples: of the response; `rt60` seconds hold all that matters.
        sample_rate: in Hz.
        rt60: reverberation time in seconds, > 0.
        predelay: seconds between the direct sound, at sample 0 with amplitude 1, and the noise, >= 0.
        direct_db: energy of the direct sound over that of the noise.
    """
    check_size("num_samples", num_samples)
    check_positive("sample_rate", sample_rate)
    check_number("rt60", rt60, low=0, above=True)
    check_number("predelay", predelay, low=0)
    check_number("direct_db", direct_db)
    time = jnp.arange(num_samples, dtype=jnp.float32) / sample_rate
    decay = jnp.exp(-jnp.log(jnp.float32(1e3)) * time / jnp.asarray(rt60, jnp.float32))
    late = _late(time, jnp.asarray(predelay, jnp.float32))
    noise = jnp.where(late, jax.random.normal(key, (num_samples,), jnp.float32) * decay, 0)
    noise = noise / jnp.sqrt(_or_one((noise**2).sum()))
    direct = jnp.zeros(num_samples, jnp.float32).at[0].set(1)
    return direct + noise * 10 ** (-jnp.asarray(direct_db, jnp.float32) / 20)


def reverberate(
    waveform: Float[Array, " t"], response: Float[Array, " r"], *, wet: Number = 1.0, normalize: bool = True
) -> Float[Array, " t"]:
    """Makes (1 - wet) x + wet (x * response), where * is the linear convolution, cut to the old length.

    Args:
        waveform: the sound.
        response: impulse response of a room at the waveform's sample rate, of any length. Silence in front of the
            direct sound delays the result: cut it off.
        wet: share of what went through the room, 0 to 1.
        normalize: scale the response to an energy of 1, so that white noise stays as loud as it was. A response of
            zeros gives silence.
    """
    check_number("wet", wet, low=0, high=1)

    def sound(x: Array) -> Array:
        h = response.astype(x.dtype)
        if normalize:
            h = h / jnp.sqrt(_or_one((h**2).sum()))
        share = jnp.asarray(wet, x.dtype)
        return (1 - share) * x + share * convolve(x, h)

    return on_waveform(waveform, sound)


def convolve(waveform: Float[Array, " t"], response: Float[Array, " r"]) -> Float[Array, " t"]:
    """The first t samples of their linear convolution, by Fourier transforms (`scipy.signal.fftconvolve`)."""
    size = len(waveform)
    kept = response[:size]
    n = fft_length(size + len(kept) - 1)
    return jnp.fft.irfft(jnp.fft.rfft(waveform, n) * jnp.fft.rfft(kept, n), n)[:size]


def _late(time: Float[Array, " n"], predelay: Float[Array, ""]) -> Bool[Array, " n"]:
    return (time >= predelay) & (time > 0)


def _or_one(energy: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.where(energy > 0, energy, 1)
