"""The audio modality."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from artifex.data.checks import LARGEST_INT32, check_choice, check_integer, check_size
from artifex.data.errors import ShapeError
from artifex.generative_models.modalities.audio import losses
from artifex.generative_models.modalities.audio.cepstrum import mfcc
from artifex.generative_models.modalities.audio.config import AudioModalityConfig as AudioModalityConfig
from artifex.generative_models.modalities.audio.config import SpectrogramType as SpectrogramType
from artifex.generative_models.modalities.audio.config import checked_config
from artifex.generative_models.modalities.audio.levels import power_to_db
from artifex.generative_models.modalities.audio.mel import mel_spectrogram, mel_to_spectrogram
from artifex.generative_models.modalities.audio.prepare import (
    checked_clips,
    clips_and_rate,
    clips_at,
    log_mel,
    prepare,
    spectrogram,
    to_float,
)
from artifex.generative_models.modalities.audio.stft import griffin_lim, istft, stft
from artifex.generative_models.modalities.audio.waveform import map_clips, safe_sqrt
from artifex.generative_models.modalities.base import (
    BaseModalityImplementation,
    RngStreams,
    check_key,
    draw_key,
)


class Domain(StrEnum):
    """What a model makes: sound, or its spectrogram."""

    WAVEFORM = "waveform"
    SPECTROGRAM = "spectrogram"


class AudioModality(BaseModalityImplementation):
    """Makes sounds ready for a model, and a model's output into sound again.

    Clips are (t,) or, in a batch, (b, t): one channel, float, full scale +-1. Spectrograms are (bins, frames), with
    centred frames: a clip of t samples has 1 + t // hop_length of them.

    Args:
        config: rate, length and level of clips, and what their spectrograms are.
        rngs: where keys come from when a method gets none.
    """

    name = "audio"
    config: AudioModalityConfig

    def __init__(self, config: AudioModalityConfig | None = None, *, rngs: RngStreams) -> None:
        super().__init__(checked_config(AudioModalityConfig() if config is None else config), rngs=rngs)

    @property
    def sample_rate(self) -> int:
        """Of a processed clip, Hz."""
        return self.config.sample_rate

    @property
    def duration(self) -> float:
        """Of a processed clip, seconds."""
        return self.config.duration

    @property
    def n_time_steps(self) -> int:
        """Samples of a processed clip."""
        return self.config.n_time_steps

    @property
    def n_time_frames(self) -> int:
        """Frames of its spectrogram: 1 + n_time_steps // hop_length."""
        return self.config.n_time_frames

    @property
    def output_shape(self) -> tuple[int]:
        """The shape of what `process` makes of one clip."""
        return (self.n_time_steps,)

    @property
    def spectrogram_shape(self) -> tuple[int, int]:
        """(bins, frames) of what `compute_spectrogram` makes of a processed clip."""
        return self.config.spectrogram_shape

    def process(
        self, data: Any, /, *, sample_rate: int | None = None
    ) -> Float[Array, "*b {self.n_time_steps}"]:
        """Clips at the config's rate and length: cut at their end, or followed by silence.

        With `normalize` in the config, each is scaled so that its largest sample is 1 or -1.

        Args:
            data: (t,) or (b, t), floats, or uint8, int16 or int32 as in WAV files; or a `Waveform`, of which several
                channels are mixed.
            sample_rate: of `data`, Hz; where it is left out, that which a `Waveform` carries, else the config's.

        Raises:
            ShapeError: rank or dtype are wrong, or there is no sample.
            ConfigError: the rate is not that of the `Waveform`.
        """
        clips, rate = clips_and_rate(data, sample_rate, self.sample_rate)
        return _of_clips(_process(self.config, rate), checked_clips(clips))

    process_audio = process

    def preprocess(
        self, data: Any, /, *, sample_rate: int | None = None
    ) -> Float[Array, "*b {self.n_time_steps}"]:
        """The same as `process`."""
        return self.process(data, sample_rate=sample_rate)

    def postprocess(
        self, data: Any, /, *, key: Key[Array, ""] | None = None, n_iter: int = 32
    ) -> Float[Array, "*b t"]:
        """Sound of what a model made: of clips, or of spectrograms as `compute_spectrogram` makes them.

        Clips are cut to [-1, 1]. Of a spectrogram the phases are found by `griffin_lim`, after those of mel bands
        were spread over the bins.

        Args:
            data: clips (t,) or (b, t), or spectrograms (bins, n) or (b, bins, n) with the config's bins. Two axes are
                taken for a spectrogram if the first is its bins and the second is not the length of a clip.
            key: draws the phases that the search begins with; `jax.random.key(0)` where it is left out.
            n_iter: steps of that search; static.

        Raises:
            ShapeError: it is neither.
        """
        array = checked_floats(data)
        if not self._is_spectrogram(array):
            return jnp.clip(array, -1, 1)
        single = array.ndim == 2
        key = jax.random.key(0) if key is None else check_key(key)
        batch = array[None] if single else array
        invert = _inverted(self.config, check_size("n_iter", n_iter))
        sound = invert(jax.random.split(key, len(batch)), batch)
        return sound[0] if single else sound

    def compute_spectrogram(self, waveform: Any) -> Float[Array, "*b f n"]:
        """(bins, frames) of clips (t,) or (b, t) at the config's rate: what its `spectrogram_type` says.

        "mel" is `compute_mel_spectrogram`; "stft" the magnitudes of `compute_stft`, (n_fft // 2 + 1, frames).

        Raises:
            ShapeError: rank or dtype are wrong, or there is no sample; as the next three.
            ConfigError: it is a `Waveform` of another rate; as the next three.
        """
        return _of_clips(_computed(spectrogram, self.config), clips_at(waveform, self.sample_rate))

    def compute_mel_spectrogram(self, waveform: Any) -> Float[Array, "*b m n"]:
        """The logarithms, ln, of the powers of mel bands, (n_mels, frames), none below ln(log_floor)."""
        return _of_clips(_computed(log_mel, self.config), clips_at(waveform, self.sample_rate))

    def compute_stft(self, waveform: Any) -> Complex[Array, "*b f n"]:
        """The spectra of the frames, complex64 (n_fft // 2 + 1, frames)."""
        return _of_clips(_computed(_stft, self.config), clips_at(waveform, self.sample_rate))

    def compute_mfcc(self, waveform: Any, n_mfcc: int = 20) -> Float[Array, "*b {n_mfcc} n"]:
        """Mel-frequency cepstral coefficients, (n_mfcc, frames), of mel bands in dB, as librosa's."""
        compute = _computed(_mfcc, self.config, check_integer("n_mfcc", n_mfcc, 1, self.config.n_mels))
        return _of_clips(compute, clips_at(waveform, self.sample_rate))

    def inverse_stft(self, spectrum: Any, length: int | None = None) -> Float[Array, "*b t"]:
        """The clips of spectra (f, n) or (b, f, n), as `compute_stft` makes them.

        Args:
            spectrum: complex.
            length: samples of a clip; that of a processed one where it is left out.

        Raises:
            ShapeError: rank or dtype are wrong, or the bins are not the n_fft // 2 + 1 of the config.
        """
        array, bins = jnp.asarray(spectrum), self.config.n_fft // 2 + 1
        is_complex = jnp.issubdtype(array.dtype, jnp.complexfloating)
        if not is_complex or array.ndim not in (2, 3) or array.shape[-2] != bins or 0 in array.shape:
            raise ShapeError(
                f"`spectrum` must be complex ({bins}, n) or (b, {bins}, n), got {array.dtype}{list(array.shape)}"
            )
        samples = self.n_time_steps if length is None else check_size("length", length)
        single = array.ndim == 2
        sound = _computed(_istft, self.config, samples)(array[None] if single else array)
        return sound[0] if single else sound

    def generate(
        self,
        n_samples: int = 1,
        *,
        sampler: Callable[[Key[Array, ""], tuple[int, ...]], Array],
        key: Key[Array, ""] | None = None,
        domain: str | Domain = Domain.WAVEFORM,
    ) -> Float[Array, "{n_samples} t"]:
        """Sound from a model: what `sampler(key, shape)` makes, through `postprocess`.

        Args:
            n_samples: how many clips, > 0.
            sampler: draws clips (n_samples, n_time_steps), or with `domain="spectrogram"` spectrograms
                (n_samples, bins, frames), in the shape that it is given.
            key: drawn from `rngs` where it is left out.
            domain: "waveform" or "spectrogram".

        Raises:
            ShapeError: the sampler returned another shape.
        """
        n_samples = check_integer("n_samples", n_samples, 1, LARGEST_INT32)
        of_sound = check_choice(Domain, "domain", domain) is Domain.WAVEFORM
        shape = (n_samples, *(self.output_shape if of_sound else self.spectrogram_shape))
        draw, phases = jax.random.split(draw_key(self.rngs) if key is None else check_key(key))
        made = sampler(draw, shape)
        if np.shape(made) != shape:
            raise ShapeError(f"`sampler` must return shape {shape}, got {np.shape(made)}")
        return self.postprocess(made, key=phases)

    def loss_fn(self, batch: Any, outputs: Any, *, kind: losses.LossKind | str = "l1") -> dict[str, Array]:
        """How far a model's clips are from a batch's: the mean over the batch of a loss of `losses`.

        Args:
            batch: the clips, (b, t), or a batch that has them as `audio`.
            outputs: the model's clips, the same shape, or a dict that has them as `audio`.
            kind: "l1", "l2" or "multi_resolution_stft".

        Returns:
            {"loss": a scalar}.

        Raises:
            ShapeError: the shapes differ, or the clips are not float.
        """
        target, prediction = _clips_of(batch), _clips_of(outputs)
        if target.shape != prediction.shape or target.ndim != 2:
            raise ShapeError(
                f"`batch` and `outputs` must be clips of the same shape (b, t), got {target.shape} and "
                f"{prediction.shape}"
            )
        loss = losses.LOSSES[check_choice(losses.LossKind, "kind", kind)]
        return {"loss": jnp.mean(jax.vmap(loss)(prediction, target))}

    def validate_data_shape(self, data: Any) -> None:
        """Raises ShapeError unless `data` is a clip (t,) or a batch of them, (b, t), of a known dtype."""
        checked_clips(data)

    def _is_spectrogram(self, array: Array) -> bool:
        bins, steps = self.config.n_bins, self.n_time_steps
        if array.ndim == 1 or (array.ndim == 2 and (array.shape[1] == steps or array.shape[0] != bins)):
            return False
        if array.ndim not in (2, 3) or array.shape[-2] != bins:
            raise ShapeError(
                f"a model's output must be clips (t,) or (b, t), or spectrograms (b, {bins}, n), got {array.shape}"
            )
        return True


def checked_floats(data: Any) -> Array:
    """`data` as an array of floats.

    Raises:
        ShapeError: it is none.
    """
    if not isinstance(data, (jax.Array, np.ndarray)) or not jnp.issubdtype(data.dtype, jnp.floating):
        what = data.dtype if isinstance(data, (jax.Array, np.ndarray)) else type(data).__name__
        raise ShapeError(f"a model's output must be an array of floats, got {what}")
    return jnp.asarray(np.asarray(data) if isinstance(data, np.ndarray) else data)


def _of_clips(function: Callable[[Array], Array], clips: Array) -> Array:
    """A function of a batch, of one clip or of a batch."""
    return function(clips[None])[0] if clips.ndim == 1 else function(clips)


def _process(config: AudioModalityConfig, rate: int) -> Callable[[Array], Array]:
    return partial(_process_batch, config, rate)


@partial(jax.jit, static_argnums=(0, 1))
def _process_batch(config: AudioModalityConfig, rate: int, clips: Array) -> Array:
    return jax.vmap(lambda clip: prepare(clip, config, rate=rate))(clips)


def _computed(
    function: Callable[..., Array], config: AudioModalityConfig, *settings: Any
) -> Callable[[Array], Array]:
    return partial(_compute_batch, function, config, settings)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _compute_batch(
    function: Callable[..., Array], config: AudioModalityConfig, settings: tuple[Any, ...], batch: Array
) -> Array:
    if jnp.iscomplexobj(batch):
        return jax.vmap(lambda spectrum: function(spectrum, config, *settings))(batch)
    return map_clips(lambda clip: function(to_float(clip), config, *settings), batch)


def _stft(clip: Array, config: AudioModalityConfig) -> Array:
    return stft(clip, **config.stft_settings)


def _istft(spectrum: Array, config: AudioModalityConfig, length: int) -> Array:
    return istft(spectrum, length=length, **config.istft_settings)


def _mfcc(clip: Array, config: AudioModalityConfig, n_mfcc: int) -> Array:
    powers = mel_spectrogram(clip, sample_rate=config.sample_rate, **config.mel_settings)
    return mfcc(power_to_db(powers), n_mfcc=n_mfcc)


def _inverted(config: AudioModalityConfig, n_iter: int) -> Callable[[Array, Array], Array]:
    return partial(_invert_batch, config, n_iter)


@partial(jax.jit, static_argnums=(0, 1))
def _invert_batch(config: AudioModalityConfig, n_iter: int, keys: Array, batch: Array) -> Array:
    return jax.vmap(lambda key, features: _inverse(key, features, config, n_iter))(keys, batch)


def _inverse(key: Array, features: Array, config: AudioModalityConfig, n_iter: int) -> Array:
    """A clip with about this spectrogram: as long as a processed one if it has as many frames, else as they reach."""
    magnitudes = features
    if config.spectrogram_type is SpectrogramType.MEL:
        powers = mel_to_spectrogram(
            jnp.exp(features), sample_rate=config.sample_rate, n_fft=config.n_fft, **config.bank_settings
        )
        magnitudes = safe_sqrt(powers)
    n = features.shape[1]
    length = config.n_time_steps if n == config.n_time_frames else max(1, (n - 1) * config.hop_length)
    sound = griffin_lim(key, magnitudes, n_iter=n_iter, length=length, **config.istft_settings)
    return jnp.clip(sound, -1, 1)


def _clips_of(value: Any) -> Array:
    if isinstance(value, Mapping):
        if "audio" not in value:
            raise ShapeError(f"a batch of sounds must have the key 'audio', got {sorted(value)}")
        value = value["audio"]
    return checked_floats(value)
