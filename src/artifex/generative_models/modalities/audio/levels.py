"""How loud each bin is: decibels, and energies normalised per channel; conventions as in `transforms`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.modalities.audio.waveform import working
from artifex.generative_models.modalities.settings import Number, check_number


def power_to_db(
    power: Float[Array, "*a"],
    *,
    reference: Number = 1.0,
    floor: Number = 1e-10,
    top_db: Number | None = 80.0,
) -> Float[Array, "*a"]:
    """10 log10(power / reference), as `librosa.power_to_db`.

    Args:
        power: >= 0.
        reference: the power that is 0 dB, > 0; `jnp.max(power)` for the loudest bin.
        floor: what is less, in `power` and in `reference`, is taken for it, > 0.
        top_db: what lies more than that below the loudest bin is raised to there; None for no such limit.
            The limit moves with the clip's loudest bin: leave it out where clips must be comparable.
    """
    check_number("reference", reference, low=0, above=True)
    check_number("floor", floor, low=0, above=True)
    x = working(power, None, name="power")
    least = jnp.asarray(floor, x.dtype)
    db = _db(jnp.maximum(x, least)) - _db(jnp.maximum(jnp.asarray(reference, x.dtype), least))
    if top_db is None:
        return db
    check_number("top_db", top_db, low=0)
    return jnp.maximum(db, jnp.max(db) - jnp.asarray(top_db, x.dtype))


def amplitude_to_db(
    amplitude: Float[Array, "*a"],
    *,
    reference: Number = 1.0,
    floor: Number = 1e-5,
    top_db: Number | None = 80.0,
) -> Float[Array, "*a"]:
    """20 log10(amplitude / reference): `power_to_db` of the squares, with the square of `floor`."""
    check_number("reference", reference, low=0, above=True)
    check_number("floor", floor, low=0, above=True)
    x = working(amplitude, None, name="amplitude")
    square = jnp.square(jnp.asarray(reference, x.dtype))
    return power_to_db(
        jnp.square(x), reference=square, floor=jnp.square(jnp.asarray(floor, x.dtype)), top_db=top_db
    )


def db_to_power(db: Float[Array, "*a"], *, reference: Number = 1.0) -> Float[Array, "*a"]:
    """The inverse of `power_to_db`, but for what its limits cut off: reference * 10^(db / 10)."""
    check_number("reference", reference, low=0, above=True)
    x = working(db, None, name="db")
    return jnp.asarray(reference, x.dtype) * jnp.exp(x * (jnp.log(10.0) / 10).astype(x.dtype))


def db_to_amplitude(db: Float[Array, "*a"], *, reference: Number = 1.0) -> Float[Array, "*a"]:
    """The inverse of `amplitude_to_db`, but for what its limits cut off: reference * 10^(db / 20)."""
    check_number("reference", reference, low=0, above=True)
    return db_to_power(db / 2, reference=reference)


def pcen(
    spectrogram: Float[Array, "f n"],
    *,
    sample_rate: int,
    hop_length: int = 256,
    gain: Number = 0.98,
    bias: Number = 2.0,
    exponent: Number = 0.5,
    time_constant: Number = 0.4,
    floor: Number = 1e-6,
    initial: Number | None = None,
) -> Float[Array, "f n"]:
    """Per-channel energy normalisation: (S / (floor + M)^gain + bias)^exponent - bias^exponent.

    M is S smoothed over time, M[n] = (1 - b) M[n - 1] + b S[n], so that each bin is compared with its own
    recent past (Wang, Getreuer, Hughes, Lyon & Saurous, 2017). As `librosa.pcen`, which begins with M = 1.

    Args:
        spectrogram: magnitudes, >= 0, of mel bands mostly. The defaults are for samples that were scaled to
            +-2^31: multiply by 2^31, or lower `floor` and `bias`, for a clip in [-1, 1].
        sample_rate: Hz.
        hop_length: samples from frame to frame.
        gain: how much of the smoothed energy is divided out, 0 to 1.
        bias: > 0.
        exponent: > 0; how strongly is compressed.
        time_constant: of the smoothing, seconds, > 0.
        floor: > 0.
        initial: M before the first frame, >= 0; None means the first frame itself.
    """
    for name, value in (("bias", bias), ("exponent", exponent), ("floor", floor)):
        check_number(name, value, low=0, above=True)
    check_number("sample_rate", sample_rate, low=0, above=True)
    check_number("hop_length", hop_length, low=0, above=True)
    check_number("time_constant", time_constant, low=0, above=True)
    check_number("gain", gain, low=0, high=1)
    s = working(spectrogram, 2, name="spectrogram")
    a, r, d, least = (jnp.asarray(value, s.dtype) for value in (gain, exponent, bias, floor))
    frames = jnp.asarray(time_constant, s.dtype) * (sample_rate / hop_length)
    b = 2 / (jnp.sqrt(1 + 4 * jnp.square(frames)) + 1)
    smooth = _smoothed(s, b, initial)
    # As log1p and expm1: the plain form loses most digits where S is small against the bias.
    scaled = s * jnp.exp(-a * (jnp.log(least) + jnp.log1p(smooth / least)))
    return jnp.power(d, r) * jnp.expm1(r * jnp.log1p(scaled / d))


def _smoothed(s: Array, b: Array, initial: Number | None) -> Array:
    """M[n] = (1 - b) M[n - 1] + b s[n]."""
    if initial is None:
        first = s[:, 0]
    else:
        check_number("initial", initial, low=0)
        first = jnp.full(s.shape[:1], jnp.asarray(initial, s.dtype))

    def follow(before: Array, now: Array) -> tuple[Array, Array]:
        after = before + b * (now - before)
        return after, after

    return jax.lax.scan(follow, first, s.T)[1].T


def _db(power: Array) -> Array:
    return jnp.log(power) * (10 / jnp.log(10.0)).astype(power.dtype)
