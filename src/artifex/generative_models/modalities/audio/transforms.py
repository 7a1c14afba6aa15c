"""What is computed of sound, in one place: lengths and rates, spectra, mel bands, levels, features.

Conventions, here and in the modules that these come from:

* A function takes ONE clip of one channel, float, of shape (t,), full scale +-1, or what was made of one. For a
  batch, `jax.vmap` it, or `map_clips`.
* It is pure, and safe under `jax.jit` and `jax.vmap`. Arguments that give a size, a rate or a name are static.
* Spectrograms are (bins, frames): f bins, m mel bands, n frames. Frames are centred unless `center` is False: a
  clip of t samples has 1 + t // hop_length of them.
* 16-bit floats are worked on in float32. A clip made of a clip keeps its dtype, all else is float32.
* Gradients are finite everywhere, in silence too.
"""

from artifex.generative_models.modalities.audio.cepstrum import delta as delta
from artifex.generative_models.modalities.audio.cepstrum import mfcc as mfcc
from artifex.generative_models.modalities.audio.features import rms as rms
from artifex.generative_models.modalities.audio.features import spectral_bandwidth as spectral_bandwidth
from artifex.generative_models.modalities.audio.features import spectral_centroid as spectral_centroid
from artifex.generative_models.modalities.audio.features import spectral_flatness as spectral_flatness
from artifex.generative_models.modalities.audio.features import spectral_rolloff as spectral_rolloff
from artifex.generative_models.modalities.audio.features import zero_crossing_rate as zero_crossing_rate
from artifex.generative_models.modalities.audio.framing import PadMode as PadMode
from artifex.generative_models.modalities.audio.framing import frame as frame
from artifex.generative_models.modalities.audio.framing import frame_count as frame_count
from artifex.generative_models.modalities.audio.framing import overlap_add as overlap_add
from artifex.generative_models.modalities.audio.levels import amplitude_to_db as amplitude_to_db
from artifex.generative_models.modalities.audio.levels import db_to_amplitude as db_to_amplitude
from artifex.generative_models.modalities.audio.levels import db_to_power as db_to_power
from artifex.generative_models.modalities.audio.levels import pcen as pcen
from artifex.generative_models.modalities.audio.levels import power_to_db as power_to_db
from artifex.generative_models.modalities.audio.loudness import k_weighting as k_weighting
from artifex.generative_models.modalities.audio.loudness import loudness as loudness
from artifex.generative_models.modalities.audio.mel import EmptyFilterWarning as EmptyFilterWarning
from artifex.generative_models.modalities.audio.mel import MelNorm as MelNorm
from artifex.generative_models.modalities.audio.mel import MelScale as MelScale
from artifex.generative_models.modalities.audio.mel import hz_to_mel as hz_to_mel
from artifex.generative_models.modalities.audio.mel import log_mel_spectrogram as log_mel_spectrogram
from artifex.generative_models.modalities.audio.mel import mel_filter_bank as mel_filter_bank
from artifex.generative_models.modalities.audio.mel import mel_spectrogram as mel_spectrogram
from artifex.generative_models.modalities.audio.mel import mel_to_hz as mel_to_hz
from artifex.generative_models.modalities.audio.mel import mel_to_spectrogram as mel_to_spectrogram
from artifex.generative_models.modalities.audio.mel import spectrogram_to_mel as spectrogram_to_mel
from artifex.generative_models.modalities.audio.resample import resample as resample
from artifex.generative_models.modalities.audio.resample import resampled_length as resampled_length
from artifex.generative_models.modalities.audio.stft import griffin_lim as griffin_lim
from artifex.generative_models.modalities.audio.stft import istft as istft
from artifex.generative_models.modalities.audio.stft import magnitude as magnitude
from artifex.generative_models.modalities.audio.stft import magnitude_spectrogram as magnitude_spectrogram
from artifex.generative_models.modalities.audio.stft import power as power
from artifex.generative_models.modalities.audio.stft import power_spectrogram as power_spectrogram
from artifex.generative_models.modalities.audio.stft import stft as stft
from artifex.generative_models.modalities.audio.waveform import fix_length as fix_length
from artifex.generative_models.modalities.audio.waveform import map_clips as map_clips
from artifex.generative_models.modalities.audio.waveform import peak_normalize as peak_normalize
from artifex.generative_models.modalities.audio.windows import Window as Window
from artifex.generative_models.modalities.audio.windows import window_weights as window_weights
