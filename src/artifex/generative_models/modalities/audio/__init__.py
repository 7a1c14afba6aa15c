"""Audio: waveforms, spectrograms and what is measured on them."""

from artifex.data.codecs.audio import Waveform as Waveform
from artifex.data.codecs.audio import load_audio_file as load_audio_file
from artifex.data.codecs.audio import save_audio_file as save_audio_file
