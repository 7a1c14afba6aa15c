"""Folders of sound files: labels by sub-folder, and the layouts of two collections of speech."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from artifex.data.errors import ConfigError, UnknownNameError
from artifex.data.registry import unknown
from artifex.data.sources.audio.source import AUDIO_SUFFIXES, AudioSource, list_files, number_names
from artifex.data.sources.folder import FolderSource, SkippedFilesWarning
from artifex.data.sources.walk import reason_of
from artifex.data.warn import warn

_LIBRISPEECH = re.compile(r"(?:.*/)?(\d+)/(\d+)/((\1-\2)-\d+)\.(?:flac|wav)")
_VCTK = re.compile(r"wav48[^/]*/([^/]+)/(\1_[^/_]+)(?:_(mic\d))?\.(?:flac|wav)")


class _Utterance(NamedTuple):
    """A file of speech: its name, who speaks, and the file and key that its text is found by."""

    name: str
    speaker: str
    transcript: str
    key: str


def audio_folder(
    root: str | os.PathLike[str],
    *,
    labels: str | Mapping[str, int | str] | None = "folder",
    suffixes: Sequence[str] = AUDIO_SUFFIXES,
) -> AudioSource:
    """The sound files under a folder and its sub-folders, by their relative paths, in the order of code points.

    Args:
        root: the folder.
        labels: "folder" (the name of the first-level sub-folder; none if no file lies in one), a mapping from
            relative path to label, an int or a name, or None.
        suffixes: endings with their dot; case does not matter.

    Raises:
        ConfigError: there is no such folder, or no such file in it, or some files have no label.
    """
    folder = FolderSource(root, suffixes, labels=labels)
    files = list_files(folder.root, folder.names)
    every = np.arange(len(files.names), dtype=np.int64)
    return AudioSource(files, every, folder.labels, folder.classes, skipped=folder.skipped)


def librispeech(root: str | os.PathLike[str]) -> AudioSource:
    """Speech in the layout of LibriSpeech, with its texts.

    That is `<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac` at any depth below `root`, and beside the files
    `<speaker>-<chapter>.trans.txt`, each line a file's name without its suffix, a space, and the text. Labels are the
    numbers of the speakers, in the order of their names. What has no text or another name is left out, told in
    `skipped` and by one `SkippedFilesWarning`.

    Panayotov et al., "LibriSpeech: an ASR corpus based on public domain audio books", 2015.

    Raises:
        ConfigError: there is no such folder, or nothing in it that has that layout.
    """
    folder = FolderSource(root, (".flac", ".wav"), labels=None)
    found: list[_Utterance] = []
    others: list[str] = []
    for name in folder.names:
        match = _LIBRISPEECH.fullmatch(name)
        if match is None:
            others.append(name)
            continue
        transcript = f"{os.path.dirname(name)}/{match[4]}.trans.txt"
        found.append(_Utterance(name, match[1], transcript, match[3]))
    return _spoken(folder, found, others, "<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac")


def vctk(root: str | os.PathLike[str], *, mic: str = "mic1") -> AudioSource:
    """Speech in the layout of VCTK, with its texts.

    That is `wav48*/<speaker>/<speaker>_<number>.wav`, or `..._<mic>.flac`, and
    `txt/<speaker>/<speaker>_<number>.txt`. Labels are the numbers of the speakers, in the order of their names. What
    has no text (as all of p315) or another name is left out, told in `skipped` and by one `SkippedFilesWarning`.

    Veaux, Yamagishi and MacDonald, "CSTR VCTK Corpus", 2017.

    Args:
        root: the folder that holds `wav48...` and `txt`.
        mic: which microphone, where the names say one: "mic1" or "mic2".

    Raises:
        ConfigError: there is no such folder, or nothing in it that has that layout.
    """
    if mic not in ("mic1", "mic2"):
        raise UnknownNameError(unknown("`mic`", mic, ("mic1", "mic2")))
    folder = FolderSource(root, (".flac", ".wav"), labels=None)
    found: list[_Utterance] = []
    others: list[str] = []
    for name in folder.names:
        match = _VCTK.fullmatch(name)
        if match is None:
            others.append(name)
        elif match[3] in (None, mic):
            found.append(_Utterance(name, match[1], f"txt/{match[1]}/{match[2]}.txt", ""))
    return _spoken(folder, found, others, f"wav48*/<speaker>/<speaker>_<number>_{mic}.flac")


def _spoken(folder: FolderSource, found: list[_Utterance], others: list[str], layout: str) -> AudioSource:
    """The files that have a text."""
    skipped = list(folder.skipped) + [(os.path.join(folder.root, name), f"not {layout}") for name in others]
    transcripts: dict[str, dict[str, str] | str] = {}
    kept: list[_Utterance] = []
    texts: list[str] = []
    for one in found:
        if one.transcript not in transcripts:
            transcripts[one.transcript] = _transcript(os.path.join(folder.root, one.transcript), one.key)
        lines = transcripts[one.transcript]
        if isinstance(lines, str) or one.key not in lines:
            why = lines if isinstance(lines, str) else f"no line for it in {one.transcript}"
            skipped.append((os.path.join(folder.root, one.name), why))
            continue
        kept.append(one)
        texts.append(lines[one.key])
    if not kept:
        told = "; ".join(f"{path!r}: {reason}" for path, reason in skipped[:3]) or f"no file is a {layout}"
        raise ConfigError(f"`root` {folder.root!r} has no speech in the layout {layout}: {told}")
    if len(skipped) > len(folder.skipped):
        told = "; ".join(f"{path!r} ({reason})" for path, reason in skipped[:3])
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        warn(f"left out: {told}{more}; all are listed in `skipped`", SkippedFilesWarning)
    speakers = tuple(one.speaker for one in kept)
    labels, classes = number_names(speakers)
    files = list_files(folder.root, [one.name for one in kept])
    every = np.arange(len(kept), dtype=np.int64)
    return AudioSource(
        files, every, labels, classes, texts=tuple(texts), speakers=speakers, skipped=tuple(skipped)
    )


def _transcript(path: str, key: str) -> dict[str, str] | str:
    """The texts in a file by their keys, or why there are none; without a `key` all of it is one text."""
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read()
    except OSError as error:
        return f"no text: {path}: {reason_of(error)}"
    except UnicodeDecodeError as error:
        return f"no text: {path}: {error}"
    if not key:
        return {"": content.strip()}
    parts = (line.partition(" ") for line in content.split("\n"))
    return {name: text.strip() for name, _, text in parts if name}
