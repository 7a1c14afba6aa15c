"""Datasets of sound: synthetic ones, arrays in memory, folders of files.

Samples have the field `audio` (n_time_steps,), float32, at the config's rate and, with `normalize`, with a peak of 1;
and `labels`, `length`, `sample_rate`, `path`, `text`, `speaker` and `audio_type` where there are such.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
import numpy.typing as npt

from artifex.data.audio import AudioWindows, audio_reader
from artifex.data.checks import LARGEST_INT32, check_choice, check_integer, check_positive, check_size
from artifex.data.codecs.audio import AudioCodec, AudioCrop, AudioLimits, AudioPad
from artifex.data.device import Step
from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.reader import ArrayReader, NumberReader, Reader
from artifex.data.sources.audio import AudioSource, audio_folder, audio_manifest, librispeech, vctk
from artifex.data.types import Split
from artifex.generative_models.modalities.audio import compose
from artifex.generative_models.modalities.audio.config import AudioModalityConfig, checked_config
from artifex.generative_models.modalities.audio.stacked import stacked
from artifex.generative_models.modalities.audio.steps import HostSpectrogram, Prepare
from artifex.generative_models.modalities.audio.synthesis import AudioType
from artifex.generative_models.modalities.base import RngStreams
from artifex.generative_models.modalities.dataset import (
    MappedDataset,
    MaterialisedReader,
    NoStreams,
    RecordDataset,
)

Augmentation: TypeAlias = compose.Step | Sequence[compose.Step]
"""What augmentation does: one function `f(key, clip)` of a prepared clip (t,), or several, in order."""

MANIFESTS = (".csv", ".tsv", ".jsonl", ".ndjson")


class Layout(StrEnum):
    """How the files of an `AudioFolderDataset` lie, and where what is known of them stands."""

    FOLDER = "folder"
    """Anywhere; labels are the names of the first sub-folders, or given."""
    LIBRISPEECH = "librispeech"
    """As in LibriSpeech, with texts and speakers."""
    VCTK = "vctk"
    """As in VCTK, with texts and speakers."""


class AudioDataset(RecordDataset):
    """Clips from any reader that has a field `audio` (t,): float in [-1, 1], or integers as in WAV files.

    Args:
        config: rate, length and level of the clips.
        split: "train", "val" or "test"; only train is ever augmented.
        rngs: one key is drawn from it.
        reader: gives the clips.
        rate: of the clips as they are read, Hz; they are resampled on the device. None: the config's.
        augment: `f(key, clip)` of a prepared clip, or several, which a loader applies on the device while it trains.
            None for none; `compose.default_augmentation()` is a mild one.
        kinds: the sounds that are made on the device, if the reader is a `NumberReader`.
    """

    config: AudioModalityConfig

    def __init__(
        self,
        config: AudioModalityConfig,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        reader: Reader | Callable[[RecordDataset], Reader],
        rate: int | None = None,
        augment: Augmentation | None = None,
        kinds: tuple[AudioType, ...] = (),
        root_key: Any = None,
    ) -> None:
        super().__init__(checked_config(config), split, rngs=rngs, root_key=root_key)
        self._rate = config.sample_rate if rate is None else check_size("rate", rate)
        self._augment, self._kinds = _augmentation_of(augment), kinds
        self._reader = reader(self) if callable(reader) else reader

    def reader(self) -> Reader:
        return self._reader

    def host_reader(self) -> Reader:
        return MaterialisedReader(self) if self._kinds else self._reader

    @property
    def is_augmented(self) -> bool:
        """Whether a loader draws crops and augments: the split is "train", and there is something to draw."""
        return self.split is Split.TRAIN and (self._augment is not None or self._reader.is_random)

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        augment = self._augment if training and self.is_augmented else None
        return (Prepare(self.config, self._rate, augment, self._kinds),)

    def spectrograms(self, *, keep_audio: bool = False) -> MappedDataset:
        """The same records with `spectrogram` (bins, frames) in place of `audio`, made on the host.

        So that a loader's `cache="disk"` keeps them: from the second epoch on they are gathered. What is random
        cannot be kept, so the clips are to be windows, or whole, or cropped at a place of their own. Where nothing is
        to be kept, `transform=Spectrogram(config)` makes them on the device, a batch at a time.

        Args:
            keep_audio: whether `audio` stays in the samples.

        Raises:
            ConfigError: clips are augmented, which would come after.
        """
        if self.split is Split.TRAIN and self._augment is not None:
            raise ConfigError(
                "`augment` changes clips on the device, when spectrograms are made; leave it out, or make them by "
                "`transform=Spectrogram(config)` of a loader"
            )
        made = HostSpectrogram(
            self.config, self.config.sample_rate if self._kinds else self._rate, keep_audio
        )
        return self.map(made, version=made.version)


class SyntheticAudioDataset(AudioDataset):
    """Sounds that are made when they are asked for, a whole batch in one compiled call.

    Samples have `audio` and `audio_type`, the name of the kind, in a batch a list of names.

    Args:
        config: rate, length and level of the clips.
        n_samples: how many there are, > 0; they cost nothing until asked for.
        audio_types: the kinds, in turn: sample i has kind i % k. "sine" (200 to 800 Hz), "noise" (white), "chirp" (a
            linear sweep within 200 to 800 Hz), "harmonic" (a tone with overtones), "impulses" (2 to 20 clicks a
            second) and "silence". Pitches, phases, levels and weights are drawn for each sample.
        name: of the dataset.
        split: folded into every sample's key: val has other sounds than train.
        rngs: one key is drawn from it; where it is left out, `seed` makes the key.
        seed: 0 to 2**32 - 1, without `rngs`.
        augment: as for `AudioDataset`.

    Raises:
        ConfigError: a number is out of range, or there is no kind.
        UnknownNameError: a kind is not known.
    """

    def __init__(
        self,
        config: AudioModalityConfig | None = None,
        n_samples: int = 1000,
        audio_types: Sequence[str | AudioType] = ("sine", "noise", "chirp"),
        name: str = "SyntheticAudio",
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams | None = None,
        seed: int = 0,
        augment: Augmentation | None = None,
    ) -> None:
        config = checked_config(AudioModalityConfig() if config is None else config)
        size = check_integer("n_samples", n_samples, 1, LARGEST_INT32)
        kinds = _checked_kinds(audio_types)
        key = jax.random.key(check_integer("seed", seed, 0, 2**32 - 1)) if rngs is None else None
        self.name, self.audio_types = name, kinds
        super().__init__(
            config,
            split,
            rngs=NoStreams() if rngs is None else rngs,
            reader=partial(_numbers, size=size, kinds=kinds),
            augment=augment,
            kinds=kinds,
            root_key=key,
        )


class ArrayAudioDataset(AudioDataset):
    """Clips that are in memory, or memory-mapped: a batch is one gather.

    Args:
        audio: (n, t), float in [-1, 1], or uint8, int16 or int32 as in WAV files; or a list of n clips or `Waveform`s
            of any lengths, which are filled up with zeros to the longest, so that `length` says what is of the clip.
            Clips of other rates and lengths than the config's are brought to it on the device: cut, or filled up, at
            their end.
        labels: (n, ...) numbers, or None.
        sample_rate: of `audio`, Hz; None: that which all `Waveform`s carry, else the config's.
        config: rate, length and level of the clips.
        split: "train", "val" or "test".
        rngs: one key is drawn from it.
        augment: as for `AudioDataset`.

    Raises:
        ShapeError: `audio` has another rank or dtype, or `labels` another length.
        ConfigError: there is no clip, or they are of several rates.
    """

    def __init__(
        self,
        audio: npt.ArrayLike | Sequence[npt.ArrayLike],
        labels: npt.ArrayLike | None = None,
        *,
        config: AudioModalityConfig,
        sample_rate: int | None = None,
        split: str | Split = Split.TRAIN,
        rngs: RngStreams,
        augment: Augmentation | None = None,
    ) -> None:
        fields, rate = stacked(audio, sample_rate, checked_config(config))
        arrays = dict(fields)
        if labels is not None:
            arrays["labels"] = np.asarray(labels)
        identity = {"kind": "audio_arrays", "rate": rate, "config": config.to_dict()}
        reader = ArrayReader(arrays, identity=identity)
        super().__init__(config, split, rngs=rngs, reader=reader, rate=rate, augment=augment)


class AudioFolderDataset(AudioDataset):
    """Sound files, of which no more is read and resampled than the part that a sample shows.

    Fields: `audio`, `length` (samples that are no padding), `sample_rate` (that of the config), `path`, and `labels`,
    `text` and `speaker` where they are known, and of windows `start`.

    Args:
        root: a folder, or a list (`.csv`, `.tsv`, `.jsonl`) with a column `path` and, if there are such, `label`,
            `text`, `speaker`, `offset` and `duration`; see `audio_manifest`.
        config: rate, length and level of the clips.
        layout: "folder", "librispeech" or "vctk": how the files lie; of a list left out.
        labels: with "folder": "folder" (the names of the first sub-folders), None, or a mapping from relative path to
            class name or number.
        columns: what the columns of a list are called there, e.g. `{"path": "audio_filepath"}`.
        crop: which part of a longer file: "random" (drawn for each record and epoch while a loader trains; the centre
            otherwise), "center" or "start". Not with `stride`.
        stride: cuts the files into windows as long as a clip, one every so many seconds, each a record of its own.
        pad: what follows a clip that is too short: "zeros", "repeat" or "reflect".
        channel: the number of the one that is taken; None mixes all.
        trim_db: leaves out silence at both ends: what is so many decibels below the loudest sample.
        limits: how long a file may be, and how large, before it is refused.
        cache_dir: where the lengths of files are kept that windows are cut from; None for the user's cache folder.
        split: "train", "val" or "test".
        rngs: one key is drawn from it.
        augment: as for `AudioDataset`.

    Attributes:
        source: the records.
        classes: names of the classes, sorted; empty without labels, or if they are numbers.
        class_to_idx: name -> label.
        labels: int32 (number of records,), e.g. for `balance` of a loader; None without labels.
        skipped: (path, reason) for what was left out.

    Raises:
        ConfigError: the folder is not there, or has no sounds, or two settings contradict each other.
        MissingPackageError: soundfile or soxr is not installed.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        config: AudioModalityConfig,
        layout: str | Layout | None = None,
        labels: str | Mapping[str, int | str] | None = "folder",
        columns: Mapping[str, str] | None = None,
        crop: str | AudioCrop | None = None,
        stride: float | None = None,
        pad: str | AudioPad = AudioPad.ZEROS,
        channel: int | None = None,
        trim_db: float | None = None,
        limits: AudioLimits | None = None,
        cache_dir: str | Path | None = None,
        split: str | Split = Split.TRAIN,
        rngs: RngStreams,
        augment: Augmentation | None = None,
    ) -> None:
        checked_config(config)
        if stride is not None and crop is not None:
            raise ConfigError(
                "`stride` cuts files into windows, of which there is no `crop`; leave one of the two out"
            )
        if crop is None:
            crop = AudioCrop.RANDOM if stride is None else AudioCrop.START
        codec = AudioCodec(
            config.sample_rate,
            config.n_time_steps,
            crop=check_choice(AudioCrop, "crop", crop),
            pad=check_choice(AudioPad, "pad", pad),
            channel=channel,
            trim_db=trim_db,
            limits=AudioLimits() if limits is None else limits,
        )
        sounds = _source(root, layout, labels, columns)
        self.source: AudioSource | AudioWindows = sounds
        if stride is not None:
            samples = _samples_of(stride, config)
            self.source = AudioWindows(
                sounds, config.sample_rate, config.n_time_steps, samples, cache_dir=cache_dir
            )
        self.classes, self.class_to_idx, self.skipped = sounds.classes, sounds.class_to_idx, sounds.skipped
        self.labels = self.source.labels
        super().__init__(config, split, rngs=rngs, reader=audio_reader(self.source, codec), augment=augment)


def _samples_of(stride: float, config: AudioModalityConfig) -> int:
    samples = round(check_positive("stride", stride) * config.sample_rate)
    if samples < 1 or stride > config.duration:
        raise ConfigError(
            f"`stride` must be from {1 / config.sample_rate:g} s, a sample, to {config.duration:g} s, the `duration` "
            f"of a clip, so that nothing is left out, got {stride}"
        )
    return min(samples, config.n_time_steps)


def _source(
    root: str | Path,
    layout: str | Layout | None,
    labels: str | Mapping[str, int | str] | None,
    columns: Mapping[str, str] | None,
) -> AudioSource:
    if Path(root).suffix.lower() in MANIFESTS and not Path(root).is_dir():
        if layout is not None or labels != "folder":
            raise ConfigError(
                "of a list, labels and texts stand in its columns; leave `layout` and `labels` out, or give a folder"
            )
        return audio_manifest(root, columns=columns)
    if columns is not None:
        raise ConfigError(
            f"`columns` are those of a list, {', '.join(MANIFESTS)}, and `root` is {str(root)!r}"
        )
    kind = Layout.FOLDER if layout is None else check_choice(Layout, "layout", layout)
    if kind is Layout.FOLDER:
        return audio_folder(root, labels=labels)
    if labels != "folder":
        raise ConfigError(f"`labels` of the layout {kind.value!r} are the speakers; leave `labels` out")
    return librispeech(root) if kind is Layout.LIBRISPEECH else vctk(root)


def _checked_kinds(audio_types: Any) -> tuple[AudioType, ...]:
    if isinstance(audio_types, (str, bytes)) or not isinstance(audio_types, Sequence):
        raise ConfigTypeError(
            f"`audio_types` must be a list of names, e.g. ['sine', 'noise'], got {audio_types!r}"
        )
    if not audio_types:
        raise ConfigError(f"`audio_types` is empty; choose from {', '.join(map(repr, map(str, AudioType)))}")
    return tuple(check_choice(AudioType, "audio_types", kind) for kind in audio_types)


def _augmentation_of(augment: Augmentation | None) -> compose.Step | None:
    if augment is None:
        return None
    return compose.compose(list(augment) if isinstance(augment, Sequence) else [augment])


def _numbers(dataset: RecordDataset, size: int, kinds: tuple[AudioType, ...]) -> NumberReader:
    identity = {
        "kind": "synthetic_audio",
        "split": dataset.split.value,
        "key": "{:08x}{:08x}".format(*dataset.sample_root),
        "config": dataset.config.to_dict(),
        "audio_types": [kind.value for kind in kinds],
    }
    names = tuple(kind.value for kind in kinds)
    return NumberReader(size, dataset.sample_root, identity, {"audio_type": names})
