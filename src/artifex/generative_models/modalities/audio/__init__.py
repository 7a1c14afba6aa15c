"""Audio: waveforms, spectrograms and what is measured on them."""
