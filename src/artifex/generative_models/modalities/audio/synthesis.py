"""Synthetic sounds: each a pure function of one key.

`sound(key, num_samples, sample_rate, ...)` gives one clip, float32 (num_samples,) in [-1, 1], whose largest
amplitude is drawn from `amplitude`. The caller vmaps over keys. Phases are counted in 2^-32 turns, so that tones
stay clean in clips of any length.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key, UInt32

from artifex.generative_models.modalities.audio.fixed_point import fraction_bits

_AMPLITUDE = (0.5, 1.0)
_PITCH = (200.0, 800.0)
_BEAT = (2.0, 20.0)
_PARTIALS = 8


class AudioType(StrEnum):
    """What a synthetic clip is."""

    SINE = "sine"
    NOISE = "noise"
    CHIRP = "chirp"
    HARMONIC = "harmonic"
    IMPULSES = "impulses"
    SILENCE = "silence"


def sine(
    key: Key[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    frequency: tuple[float, float] = _PITCH,
    amplitude: tuple[float, float] = _AMPLITUDE,
) -> Float[Array, " {num_samples}"]:
    """One tone: its frequency in Hz, its phase and its amplitude are drawn."""
    k_pitch, k_phase, k_level = jax.random.split(key, 3)
    phase = _tone(_between(k_pitch, frequency), num_samples, sample_rate) + _phase(k_phase)
    return _between(k_level, amplitude) * _sine_of(phase)


def chirp(
    key: Key[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    frequency: tuple[float, float] = _PITCH,
    amplitude: tuple[float, float] = _AMPLITUDE,
) -> Float[Array, " {num_samples}"]:
    """A sweep, linear in instantaneous frequency: start and end in Hz, phase and amplitude are drawn.

    Sample n has the frequency start + (end - start) n / num_samples, and the phase that this adds up to:
    that of the integral, since a straight line is summed at the middle of each step.
    """
    k_start, k_end, k_phase, k_level = jax.random.split(key, 4)
    start, end = _between(k_start, frequency), _between(k_end, frequency)
    middle = (jnp.arange(num_samples, dtype=jnp.float32) + 0.5) / num_samples
    steps = fraction_bits((start + (end - start) * middle) / sample_rate)
    phase = jnp.cumsum(steps, dtype=jnp.uint32) - steps + _phase(k_phase)
    return _between(k_level, amplitude) * _sine_of(phase)


def noise(
    key: Key[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    amplitude: tuple[float, float] = _AMPLITUDE,
) -> Float[Array, " {num_samples}"]:
    """White noise: every sample uniform within the amplitude, on its own. The rate is of no account."""
    del sample_rate
    k_noise, k_level = jax.random.split(key)
    return _between(k_level, amplitude) * jax.random.uniform(k_noise, (num_samples,), jnp.float32, -1, 1)


def harmonic(
    key: Key[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    frequency: tuple[float, float] = _PITCH,
    amplitude: tuple[float, float] = _AMPLITUDE,
) -> Float[Array, " {num_samples}"]:
    """A tone with up to seven overtones, those below half the sample rate.

    The fundamental in Hz, the weight of each partial, from 0.5 / k to 1 / k, and its phase are drawn; the weights
    add up to the amplitude.
    """
    k_pitch, k_phase, k_weight, k_level = jax.random.split(key, 4)
    pitch = _between(k_pitch, frequency)
    order = jnp.arange(1, _PARTIALS + 1, dtype=jnp.uint32)
    weight = jax.random.uniform(k_weight, (_PARTIALS,), jnp.float32, 0.5, 1.0) / order.astype(jnp.float32)
    weight = jnp.where(pitch * order.astype(jnp.float32) < sample_rate / 2, weight, 0)
    phases = jax.random.bits(k_phase, (_PARTIALS,), jnp.uint32)
    base = _tone(pitch, num_samples, sample_rate)
    level = _between(k_level, amplitude) / weight.sum()
    # A multiple of a phase that wraps around is the phase of the overtone.
    return sum(
        (level * weight[k] * _sine_of(base * order[k] + phases[k]) for k in range(_PARTIALS)),
        jnp.zeros(num_samples, jnp.float32),
    )


def impulses(
    key: Key[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    frequency: tuple[float, float] = _BEAT,
    amplitude: tuple[float, float] = _AMPLITUDE,
) -> Float[Array, " {num_samples}"]:
    """Clicks of one sample, evenly spaced: how many a second, the place of the first, and the height are drawn."""
    k_beat, k_place, k_level = jax.random.split(key, 3)
    phase = _tone(_between(k_beat, frequency), num_samples, sample_rate) + _phase(k_place)
    begun = phase < jnp.roll(phase, 1)  # the turn is full
    begun = begun.at[0].set(False)
    return jnp.where(begun, _between(k_level, amplitude), 0)


def silence(key: Key[Array, ""], num_samples: int, sample_rate: float) -> Float[Array, " {num_samples}"]:
    """Nothing."""
    del key, sample_rate
    return jnp.zeros(num_samples, jnp.float32)


_SOUNDS: dict[AudioType, Callable[[Array, int, float], Array]] = {
    AudioType.SINE: sine,
    AudioType.NOISE: noise,
    AudioType.CHIRP: chirp,
    AudioType.HARMONIC: harmonic,
    AudioType.IMPULSES: impulses,
    AudioType.SILENCE: silence,
}


def synthesize(
    key: Key[Array, ""],
    kind: Int32[Array, ""],
    num_samples: int,
    sample_rate: float,
    *,
    kinds: Sequence[AudioType] = tuple(AudioType),
) -> Float[Array, " {num_samples}"]:
    """The sound `kinds[kind]` of this key; under `vmap` each of the kinds is computed, and one is kept."""
    sounds = [_SOUNDS[name] for name in kinds]
    return jax.lax.switch(kind, [lambda k, f=f: f(k, num_samples, sample_rate) for f in sounds], key)


def _between(key: Key[Array, ""], limits: tuple[float, float]) -> Float[Array, ""]:
    return jax.random.uniform(key, (), jnp.float32, limits[0], limits[1])


def _phase(key: Key[Array, ""]) -> UInt32[Array, ""]:
    return jax.random.bits(key, (), jnp.uint32)


def _tone(frequency: Float[Array, ""], num_samples: int, sample_rate: float) -> UInt32[Array, " n"]:
    """The phase of a steady tone from 0 on, in units of 2^-32 turns."""
    return jnp.arange(num_samples, dtype=jnp.uint32) * fraction_bits(frequency / sample_rate)


def _sine_of(phase: UInt32[Array, " n"]) -> Float[Array, " n"]:
    """As a signed number it is the angle from -pi to pi."""
    angle = jax.lax.bitcast_convert_type(phase, jnp.int32).astype(jnp.float32) * (2 * jnp.pi / 2.0**32)
    return jnp.sin(angle)
