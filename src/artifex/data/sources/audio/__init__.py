"""Where sounds come from: folders, lists, and the layouts of two collections of speech."""

from artifex.data.sources.audio.folder import audio_folder as audio_folder
from artifex.data.sources.audio.folder import librispeech as librispeech
from artifex.data.sources.audio.folder import vctk as vctk
from artifex.data.sources.audio.manifest import audio_manifest as audio_manifest
from artifex.data.sources.audio.source import AUDIO_SUFFIXES as AUDIO_SUFFIXES
from artifex.data.sources.audio.source import AudioSource as AudioSource
