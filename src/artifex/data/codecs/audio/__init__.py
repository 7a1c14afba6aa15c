"""Sound files: WAV, AIFF, FLAC, OGG (Vorbis and Opus) and MP3."""

from artifex.data.codecs.audio.codec import AudioCodec as AudioCodec
from artifex.data.codecs.audio.codec import Clip as Clip
from artifex.data.codecs.audio.codec import ResampleQuality as ResampleQuality
from artifex.data.codecs.audio.crop import AudioCrop as AudioCrop
from artifex.data.codecs.audio.crop import AudioPad as AudioPad
from artifex.data.codecs.audio.save import ClippedWarning as ClippedWarning
from artifex.data.codecs.audio.save import save_audio_file as save_audio_file
from artifex.data.codecs.audio.sound import AudioFormat as AudioFormat
from artifex.data.codecs.audio.sound import AudioInfo as AudioInfo
from artifex.data.codecs.audio.sound import AudioLimits as AudioLimits
from artifex.data.codecs.audio.sound import read_audio_info as read_audio_info
from artifex.data.codecs.audio.waveform import Waveform as Waveform
from artifex.data.codecs.audio.waveform import load_audio_file as load_audio_file
