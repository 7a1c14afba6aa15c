"""Random functions of a waveform: `f(key, waveform, *, setting=...)`; conventions as in `clips`.

The key comes first and is used up: the same key gives the same result, whatever the dtype of the waveform, since
all numbers are drawn in float32. "Drawn from `lower` to `upper`" means uniformly. Length and dtype stay; nothing
clips but `random_clipping`. Gradients flow through the waveform, not through what was drawn.
"""

from math import ceil

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.data.checks import check_positive
from artifex.data.errors import ConfigError, ShapeError
from artifex.generative_models.modalities.audio import adjust, filters, stretch
from artifex.generative_models.modalities.audio.clips import check_frequency
from artifex.generative_models.modalities.audio.noise import add_noise, colored_noise
from artifex.generative_models.modalities.audio.reverb import reverberate, room_response
from artifex.generative_models.modalities.audio.varispeed import change_speed
from artifex.generative_models.modalities.draws import chance, log_uniform, symmetric, uniform
from artifex.generative_models.modalities.settings import Number, check_bounds, check_number


def random_gain(
    key: Key[Array, ""], waveform: Float[Array, " t"], *, lower: Number = -6.0, upper: Number = 6.0
) -> Float[Array, " t"]:
    """`apply_gain` by decibels drawn from `lower` to `upper`."""
    _check_range(lower, upper)
    return adjust.apply_gain(waveform, gain_db=uniform(key, lower, upper))


def random_polarity(
    key: Key[Array, ""], waveform: Float[Array, " t"], *, probability: Number = 0.5
) -> Float[Array, " t"]:
    """`invert_polarity` with the given probability."""
    return jnp.where(chance(key, probability), adjust.invert_polarity(waveform), waveform)


def random_time_shift(
    key: Key[Array, ""], waveform: Float[Array, " t"], *, max_fraction: Number = 0.1, wrap: bool = False
) -> Float[Array, " t"]:
    """`shift_time` by up to that fraction of the length, to either side, in whole samples."""
    check_number("max_fraction", max_fraction, low=0, high=1)
    share = symmetric(key, max_fraction)
    samples = jnp.round(share * len(waveform)).astype(jnp.int32)
    return adjust.shift_time(waveform, samples=samples, wrap=wrap)


def random_clipping(
    key: Key[Array, ""], waveform: Float[Array, " t"], *, lower: Number = 0.0, upper: Number = 0.1
) -> Float[Array, " t"]:
    """`clip_share` of a share of the samples drawn from `lower` to `upper`."""
    check_bounds(lower, upper, low=0)
    check_number("upper", upper, high=1)
    return adjust.clip_share(waveform, share=uniform(key, lower, upper))


def random_noise(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    lower: Number = 10.0,
    upper: Number = 40.0,
    exponent: Number = 0.0,
) -> Float[Array, " t"]:
    """Adds `colored_noise` at a signal-to-noise ratio drawn from `lower` to `upper` decibels.

    `exponent` is 0 for white noise, 1 for pink, 2 for brown.
    """
    _check_range(lower, upper)
    for_noise, for_ratio = jax.random.split(key)
    noise = colored_noise(for_noise, num_samples=len(waveform), exponent=exponent)
    return add_noise(waveform, noise, snr_db=uniform(for_ratio, lower, upper))


def random_background(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    noises: Float[Array, "k n"],
    lower: Number = 5.0,
    upper: Number = 30.0,
) -> Float[Array, " t"]:
    """Adds a part of one of your own noises at a ratio drawn from `lower` to `upper` decibels.

    Args:
        key: used up.
        waveform: the sound.
        noises: k recordings at its sample rate. Each is equally likely, as is each place in it; one that is
            shorter than the waveform is repeated, from a drawn place on.
        lower: signal-to-noise ratio in decibels, see `add_noise`.
        upper: likewise.
    """
    _check_range(lower, upper)
    _check_collection("noises", noises)
    for_row, for_place, for_ratio = jax.random.split(key, 3)
    k, n = noises.shape
    size = len(waveform)
    row = jax.random.randint(for_row, (), 0, k, jnp.int32)
    start = jax.random.randint(for_place, (), 0, n - size + 1 if n >= size else n, jnp.int32)
    if n >= size:
        part = jax.lax.dynamic_slice(noises, (row, start), (1, size))[0]
    else:
        part = noises[row, (start + jnp.arange(size, dtype=jnp.int32)) % n]
    return add_noise(waveform, part, snr_db=uniform(for_ratio, lower, upper))


def random_time_stretch(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    lower: Number = 0.8,
    upper: Number = 1.25,
    n_fft: int = 1024,
    hop_length: int = 256,
) -> Float[Array, " t"]:
    """`time_stretch` at a rate whose logarithm is drawn uniformly."""
    check_bounds(lower, upper, low=0, above=True)
    rate = log_uniform(key, lower, upper)
    return stretch.time_stretch(waveform, rate=rate, n_fft=n_fft, hop_length=hop_length)


def random_pitch_shift(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    max_semitones: float = 4.0,
    n_fft: int = 1024,
    hop_length: int = 256,
) -> Float[Array, " t"]:
    """`pitch_shift` by semitones drawn from -max_semitones to max_semitones."""
    check_number("max_semitones", max_semitones, low=0)
    return stretch.pitch_shift(
        waveform,
        semitones=symmetric(key, max_semitones),
        max_semitones=max_semitones,
        n_fft=n_fft,
        hop_length=hop_length,
    )


def random_speed(
    key: Key[Array, ""], waveform: Float[Array, " t"], *, lower: Number = 0.9, upper: Number = 1.1
) -> Float[Array, " t"]:
    """`change_speed` by a factor whose logarithm is drawn uniformly (Ko et al., 2015)."""
    check_bounds(lower, upper, low=0, above=True)
    return change_speed(waveform, factor=log_uniform(key, lower, upper))


def random_low_pass(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    sample_rate: float,
    lower: Number = 500.0,
    upper: Number = 3400.0,
    order: int = 4,
) -> Float[Array, " t"]:
    """`low_pass` with a cutoff in Hz whose logarithm is drawn uniformly."""
    _check_cutoffs(lower, upper, sample_rate)
    cutoff = log_uniform(key, lower, upper)
    return filters.low_pass(waveform, sample_rate=sample_rate, cutoff=cutoff, order=order)


def random_high_pass(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    sample_rate: float,
    lower: Number = 50.0,
    upper: Number = 1000.0,
    order: int = 4,
) -> Float[Array, " t"]:
    """`high_pass` with a cutoff in Hz whose logarithm is drawn uniformly."""
    _check_cutoffs(lower, upper, sample_rate)
    cutoff = log_uniform(key, lower, upper)
    return filters.high_pass(waveform, sample_rate=sample_rate, cutoff=cutoff, order=order)


def random_band_pass(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    sample_rate: float,
    lower: Number = 300.0,
    upper: Number = 2000.0,
    lower_octaves: Number = 1.0,
    upper_octaves: Number = 3.0,
    order: int = 2,
) -> Float[Array, " t"]:
    """`band_pass` around a drawn centre.

    The logarithm of the centre, in Hz, is drawn from those of `lower` and `upper`, the width from `lower_octaves`
    to `upper_octaves`. The upper edge stays below 0.49 of the sample rate.
    """
    _check_cutoffs(lower, upper, sample_rate, most=0.49)
    check_bounds(lower_octaves, upper_octaves, names=("lower_octaves", "upper_octaves"), low=0, above=True)
    for_centre, for_width = jax.random.split(key)
    centre = log_uniform(for_centre, lower, upper)
    half = 2 ** (uniform(for_width, lower_octaves, upper_octaves) / 2)
    high = jnp.minimum(centre * half, 0.49 * sample_rate)
    return filters.band_pass(waveform, sample_rate=sample_rate, low=centre / half, high=high, order=order)


def random_reverb(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    sample_rate: float,
    lower: float = 0.2,
    upper: float = 0.8,
    lower_wet: Number = 0.2,
    upper_wet: Number = 1.0,
    predelay: Number = 0.005,
    direct_db: Number = 0.0,
) -> Float[Array, " t"]:
    """`reverberate` in a synthetic `room_response` whose RT60, in seconds, is drawn from `lower` to `upper`.

    The share of it is drawn from `lower_wet` to `upper_wet`; `upper` seconds of response are computed.
    """
    check_bounds(lower, upper, low=0, above=True)
    check_bounds(lower_wet, upper_wet, names=("lower_wet", "upper_wet"), low=0)
    check_number("upper_wet", upper_wet, high=1)
    for_room, for_time, for_wet = jax.random.split(key, 3)
    response = room_response(
        for_room,
        num_samples=min(ceil(upper * check_positive("sample_rate", sample_rate)), len(waveform)),
        sample_rate=sample_rate,
        rt60=uniform(for_time, lower, upper),
        predelay=predelay,
        direct_db=direct_db,
    )
    return reverberate(waveform, response, wet=uniform(for_wet, lower_wet, upper_wet))


def random_room(
    key: Key[Array, ""],
    waveform: Float[Array, " t"],
    *,
    responses: Float[Array, "k r"],
    lower_wet: Number = 0.2,
    upper_wet: Number = 1.0,
) -> Float[Array, " t"]:
    """`reverberate` with one of k measured impulse responses, each equally likely.

    The share of it is drawn from `lower_wet` to `upper_wet`.
    """
    check_bounds(lower_wet, upper_wet, names=("lower_wet", "upper_wet"), low=0)
    check_number("upper_wet", upper_wet, high=1)
    _check_collection("responses", responses)
    for_row, for_wet = jax.random.split(key)
    row = jax.random.randint(for_row, (), 0, len(responses), jnp.int32)
    return reverberate(waveform, responses[row], wet=uniform(for_wet, lower_wet, upper_wet))


def _check_range(lower: Number, upper: Number) -> None:
    """Decibels: any, in order."""
    check_bounds(lower, upper, low=-1000)


def _check_cutoffs(lower: Number, upper: Number, sample_rate: float, *, most: float = 0.5) -> None:
    check_bounds(lower, upper, low=0, above=True)
    check_frequency("upper", upper, sample_rate)
    if isinstance(upper, int | float) and upper >= most * sample_rate:
        raise ConfigError(f"`upper` must be below {most * sample_rate:g} Hz, got {upper}; lower it")


def _check_collection(name: str, clips: Array) -> None:
    if clips.ndim != 2 or not clips.size:
        raise ShapeError(f"`{name}` must be of shape (k, n), k clips of n samples, got {list(clips.shape)}")
