"""Sound files by number: windows of long ones, and the reader of a batch."""

from artifex.data.audio.lengths import LengthsNotKeptWarning as LengthsNotKeptWarning
from artifex.data.audio.lengths import read_lengths as read_lengths
from artifex.data.audio.reader import AudioReader as AudioReader
from artifex.data.audio.reader import audio_reader as audio_reader
from artifex.data.audio.windows import AudioWindows as AudioWindows
