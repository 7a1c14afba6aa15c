"""Settings of the audio modality."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from artifex.data.checks import check_bool, check_choice, check_positive, check_size
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.audio.framing import check_frames, frame_count
from artifex.generative_models.modalities.audio.mel import (
    BankSettings,
    MelNorm,
    MelScale,
    MelSettings,
    check_bands,
    mel_filter_bank,
)
from artifex.generative_models.modalities.audio.stft import InverseSettings, StftSettings
from artifex.generative_models.modalities.audio.windows import Window, window_weights
from artifex.generative_models.modalities.settings import check_number

# Rates that no recording has, and clips that no memory holds, so that a slip (kHz or ms, say) is told at once.
_HIGHEST_RATE = 2**20
_MOST_SAMPLES = 2**31 - 1


class SpectrogramType(StrEnum):
    """What a spectrogram holds: logarithms of the powers of mel bands, or magnitudes of the STFT's bins."""

    MEL = "mel"
    STFT = "stft"


@dataclass(frozen=True, kw_only=True)
class AudioModalityConfig(BaseModalityConfig):
    """What sounds a model sees: clips of one channel, one rate and one length, and their spectrograms.

    Plain strings are taken for the choices. What is left out is filled in, so that every field can be read.

    Attributes:
        sample_rate: of a processed clip, Hz.
        duration: of a processed clip, seconds: int(sample_rate * duration) samples.
        n_mels: mel bands.
        n_fft: samples in a frame of the STFT, even.
        hop_length: samples from frame to frame, at most `n_fft`.
        win_length: samples under the window, at most `n_fft`, which it is where it is left out.
        window: "hann", "hamming", "blackman", "blackman_harris", "bartlett" or "rectangular".
        spectrogram_type: "mel" (ln of the powers of mel bands) or "stft" (magnitudes).
        f_min: lower edge of the lowest mel band, Hz.
        f_max: upper edge of the highest, Hz; half the sample rate where it is left out.
        mel_scale: "slaney" or "htk".
        mel_norm: "slaney" (filters of area 1) or "none" (of peak 1).
        log_floor: powers of mel bands that are less are taken for it before the logarithm, > 0.
        normalize: whether a clip is scaled so that its largest sample is 1 or -1.

    Raises:
        ConfigError: a number is out of range, or two fields contradict each other.
        ConfigTypeError: a field is of the wrong type.
        UnknownNameError: a choice is none of those listed.

    Warns:
        EmptyFilterWarning: mel bands are so narrow that some have no bin.
    """

    sample_rate: int = 16000
    duration: float = 2.0
    n_mels: int = 80
    n_fft: int = 1024
    hop_length: int = 256
    win_length: int | None = None
    window: Window = Window.HANN
    spectrogram_type: SpectrogramType = SpectrogramType.MEL
    f_min: float = 0.0
    f_max: float | None = None
    mel_scale: MelScale = MelScale.SLANEY
    mel_norm: MelNorm = MelNorm.SLANEY
    log_floor: float = 1e-5
    normalize: bool = True

    def __post_init__(self) -> None:
        self._set("_left_out", [name for name in ("win_length", "f_max") if getattr(self, name) is None])
        for name, choices in (
            ("window", Window),
            ("spectrogram_type", SpectrogramType),
            ("mel_scale", MelScale),
            ("mel_norm", MelNorm),
        ):
            self._set(name, check_choice(choices, name, getattr(self, name)))
        check_bool("normalize", self.normalize)
        check_number("log_floor", self.log_floor, low=0, above=True)
        self._check_clip()
        self._check_frames()
        self._check_bands()

    @property
    def n_time_steps(self) -> int:
        """Samples of a clip."""
        return int(self.sample_rate * self.duration)

    @property
    def n_time_frames(self) -> int:
        """Frames of its spectrogram, which are centred: 1 + n_time_steps // hop_length."""
        return frame_count(self.n_time_steps, frame_length=self.n_fft, hop_length=self.hop_length)

    @property
    def n_bins(self) -> int:
        """Rows of a spectrogram: mel bands, or the n_fft // 2 + 1 bins of the STFT."""
        return self.n_mels if self.spectrogram_type is SpectrogramType.MEL else self.n_fft // 2 + 1

    @property
    def spectrogram_shape(self) -> tuple[int, int]:
        """(n_bins, n_time_frames) of a clip's spectrogram."""
        return self.n_bins, self.n_time_frames

    @property
    def istft_settings(self) -> InverseSettings:
        """What `istft` and `griffin_lim` take by keyword."""
        return {"hop_length": self.hop_length, "win_length": self.win_length, "window": self.window}

    @property
    def stft_settings(self) -> StftSettings:
        """What `stft` and the spectrograms take by keyword."""
        return {"n_fft": self.n_fft, **self.istft_settings}

    @property
    def mel_settings(self) -> MelSettings:
        """What the mel spectrograms take by keyword, beside `sample_rate` and `floor`."""
        return {**self.stft_settings, **self.bank_settings}

    @property
    def bank_settings(self) -> BankSettings:
        """What functions of mel bands alone take by keyword."""
        return {
            "n_mels": self.n_mels,
            "f_min": self.f_min,
            "f_max": self.f_max,
            "mel_scale": self.mel_scale,
            "mel_norm": self.mel_norm,
        }

    def _given(self) -> dict[str, Any]:
        left_out: list[str] = self.__dict__["_left_out"]
        return {name: value for name, value in super()._given().items() if name not in left_out}

    def _check_clip(self) -> None:
        self._set("sample_rate", check_size("sample_rate", self.sample_rate, largest=_HIGHEST_RATE))
        self._set("duration", check_positive("duration", self.duration))
        if not 1 <= self.n_time_steps <= _MOST_SAMPLES:
            raise ConfigError(
                f"`duration` {self.duration} s at `sample_rate` {self.sample_rate} Hz makes {self.n_time_steps} "
                f"samples, which must be from 1 to {_MOST_SAMPLES}; durations are in seconds"
            )

    def _check_frames(self) -> None:
        check_frames(self.n_fft, self.hop_length)
        for name in ("n_fft", "hop_length"):
            self._set(name, int(getattr(self, name)))
        width = self.n_fft if self.win_length is None else self.win_length
        window_weights(self.window, width, n_fft=self.n_fft)
        self._set("win_length", int(width))

    def _check_bands(self) -> None:
        self._set("n_mels", check_size("n_mels", self.n_mels))
        f_max = check_bands(sample_rate=self.sample_rate, f_min=self.f_min, f_max=self.f_max)
        self._set("f_max", f_max)
        self._set("f_min", float(self.f_min))
        if self.spectrogram_type is SpectrogramType.MEL:
            mel_filter_bank(
                sample_rate=self.sample_rate,
                n_fft=self.n_fft,
                n_mels=self.n_mels,
                f_min=self.f_min,
                f_max=f_max,
                mel_scale=self.mel_scale,
                mel_norm=self.mel_norm,
            )

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def checked_config(config: Any) -> AudioModalityConfig:
    """`config`, if it is one of audio.

    Raises:
        ConfigTypeError: it is something else.
    """
    if not isinstance(config, AudioModalityConfig):
        raise ConfigTypeError(f"`config` must be an AudioModalityConfig, got {type(config).__name__}")
    return config
