"""Datasets of sound."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, ShapeError, UnknownNameError
from artifex.data.reader import ArrayReader
from artifex.generative_models.modalities.audio import Waveform
from artifex.generative_models.modalities.audio.augment import random_gain
from artifex.generative_models.modalities.audio.base import AudioModality
from artifex.generative_models.modalities.audio.config import AudioModalityConfig
from artifex.generative_models.modalities.audio.datasets import (
    ArrayAudioDataset,
    AudioDataset,
    AudioFolderDataset,
    SyntheticAudioDataset,
)
from artifex.generative_models.modalities.audio.steps import Spectrogram
from artifex.testing.datasets import DatasetContract
from audio_files import sound, write

RATE = 8000
CONFIG = AudioModalityConfig(sample_rate=RATE, duration=0.125, n_mels=16, n_fft=128, hop_length=64)
RAW = CONFIG.replace(normalize=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of files of 0.05 to 0.4 s at several rates."""
    root = tmp_path_factory.mktemp("sounds")
    for number, rate in enumerate((8000, 16000, 11025, 44100, 8000, 22050)):
        kind = "flac" if number % 2 else "wav"
        samples = sound(rate, (0.05, 0.4)[number > 0], channels=1 + number % 2, seed=number)
        write(root / ("ab"[number % 2]) / f"{number}.{kind}", samples, rate)
    return root


class TestSynthetic(DatasetContract):
    has_random_content = True

    def dataset(self, seed=0, split="train"):
        types = ["sine", "noise", "chirp", "harmonic", "impulses"]
        return SyntheticAudioDataset(CONFIG, 7, types, split=split, rngs=nnx.Rngs(seed))


class TestArray(DatasetContract):
    def dataset(self, seed=0, split="train"):
        clips = np.random.default_rng(0).integers(-3000, 3000, (6, 900)).astype(np.int16)
        return ArrayAudioDataset(clips, np.arange(6), config=CONFIG, split=split, rngs=nnx.Rngs(seed))


class TestFolder(DatasetContract):
    @pytest.fixture(autouse=True)
    def _with(self, folder):
        self.folder = folder

    def dataset(self, seed=0, split="train"):
        return AudioFolderDataset(self.folder, config=CONFIG, split=split, rngs=nnx.Rngs(seed))


def test_kinds_come_in_turn_and_no_rngs_are_needed():
    dataset = SyntheticAudioDataset(CONFIG, 7)
    assert dataset.name == "SyntheticAudio"
    assert [sample["audio_type"] for sample in dataset] == ["sine", "noise", "chirp"] * 2 + ["sine"]
    batch = dataset.get_batch(4)
    assert batch["audio"].shape == (4, 1000) and len(batch["audio_type"]) == 4
    again = SyntheticAudioDataset(CONFIG, 7, seed=0)
    np.testing.assert_array_equal(dataset[5]["audio"], again[5]["audio"])
    assert not np.array_equal(dataset[5]["audio"], SyntheticAudioDataset(CONFIG, 7, seed=1)[5]["audio"])
    assert SyntheticAudioDataset(CONFIG, 10**6)[-1]["audio"].shape == (1000,)


def test_a_loader_names_the_kinds_of_its_records():
    loader = create_data_loader(SyntheticAudioDataset(CONFIG, 9), 4, seed=3)
    for batch in loader:
        kinds = [("sine", "noise", "chirp")[int(number) % 3] for number in batch["index"]]
        assert batch["audio_type"] == kinds


@pytest.mark.parametrize("normalize", [True, False])
def test_what_a_dataset_gives_is_what_the_modality_makes(normalize):
    config = CONFIG.replace(normalize=normalize)
    modality = AudioModality(config, rngs=nnx.Rngs(0))
    clips = np.random.default_rng(0).integers(-3000, 3000, (3, 1500)).astype(np.int16)
    dataset = ArrayAudioDataset(clips, config=config, sample_rate=16000, rngs=nnx.Rngs(0))
    for sample, clip in zip(dataset, clips, strict=True):
        np.testing.assert_allclose(sample["audio"], modality.process(clip, sample_rate=16000), atol=1e-6)


def test_clips_of_any_lengths():
    clips = [np.full(n, 0.5, np.float32) for n in (300, 1000, 2000)]
    dataset = ArrayAudioDataset(clips, config=RAW, rngs=nnx.Rngs(0))
    assert [int(sample["length"]) for sample in dataset] == [300, 1000, 1000]
    assert [int((sample["audio"] > 0).sum()) for sample in dataset] == [300, 1000, 1000]
    quiet = ArrayAudioDataset([np.full(n, 128, np.uint8) for n in (5, 9)], config=RAW, rngs=nnx.Rngs(0))
    assert not np.asarray(quiet.get_batch(2)["audio"]).any()


def test_the_rate_that_waveforms_carry_is_theirs():
    sounds = [Waveform(sound(2 * RATE, seconds)[:, 0], 2 * RATE) for seconds in (0.1, 0.2)]
    carried = ArrayAudioDataset(sounds, config=RAW, rngs=nnx.Rngs(0))
    said = ArrayAudioDataset([*map(np.asarray, sounds)], sample_rate=2 * RATE, config=RAW, rngs=nnx.Rngs(0))
    assert int(carried[0]["length"]) == 800
    np.testing.assert_array_equal(carried[1]["audio"], said[1]["audio"])
    stereo = Waveform(np.stack([sounds[0], 0 * sounds[0]]), 2 * RATE)
    mixed = ArrayAudioDataset([stereo, sounds[1]], config=RAW, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(mixed[0]["audio"], carried[0]["audio"] / 2, atol=1e-7)
    for wrong, error, message in (
        ([sounds[0], Waveform(sounds[1], RATE)], ConfigError, "clips of one rate, got 8000, 16000 Hz"),
        (stereo, ShapeError, r"got one sound, \[2, 1600\]"),
        (None, ShapeError, "got NoneType"),
    ):
        with pytest.raises(error, match=message):
            ArrayAudioDataset(wrong, config=RAW, rngs=nnx.Rngs(0))
    with pytest.raises(ConfigError, match="`sample_rate` 8000 is not the 16000 Hz"):
        ArrayAudioDataset(sounds, config=RAW, sample_rate=RATE, rngs=nnx.Rngs(0))


def test_files_by_their_folders(folder):
    dataset = AudioFolderDataset(folder, config=CONFIG, rngs=nnx.Rngs(0))
    assert (dataset.classes, dataset.class_to_idx) == (("a", "b"), {"a": 0, "b": 1})
    np.testing.assert_array_equal(dataset.labels, [0, 0, 0, 1, 1, 1])
    first = dataset[0]
    assert set(first) == {"audio", "length", "sample_rate", "labels", "path", "index"}
    assert (int(first["length"]), int(first["sample_rate"])) == (400, RATE)
    assert first["path"].endswith("0.wav")
    assert float(jnp.abs(first["audio"]).max()) == 1 and not np.asarray(first["audio"][400:]).any()
    repeated = AudioFolderDataset(folder, config=CONFIG, pad="repeat", rngs=nnx.Rngs(0))
    np.testing.assert_allclose(repeated[0]["audio"][400:800], first["audio"][:400], atol=1e-6)
    assert "labels" not in AudioFolderDataset(folder, config=CONFIG, labels=None, rngs=nnx.Rngs(0))[0]


def audio_by_record(loader):
    found = {}
    for batch in loader:
        for number, clip in zip(batch["index"].tolist(), np.asarray(batch["audio"]), strict=True):
            found[number] = clip
    return found


def test_crops_are_drawn_while_a_loader_trains(folder):
    dataset = AudioFolderDataset(folder, config=RAW, rngs=nnx.Rngs(0))
    loader = create_data_loader(dataset, 4, seed=1)
    first, second = audio_by_record(loader), audio_by_record(loader)
    again = audio_by_record(create_data_loader(dataset, 3, seed=1, num_workers=0, shuffle=False))
    plain = {number: np.asarray(sample["audio"]) for number, sample in enumerate(dataset)}
    for number in range(1, 6):
        assert not np.array_equal(first[number], second[number])  # another epoch
        assert not np.allclose(first[number], plain[number], atol=1e-3)  # the centre
        np.testing.assert_array_equal(first[number], again[number])  # whatever the batches
    np.testing.assert_array_equal(first[0], second[0])  # it fits
    val = AudioFolderDataset(folder, config=RAW, split="val", rngs=nnx.Rngs(0))
    for number, clip in audio_by_record(create_data_loader(val, 4)).items():
        np.testing.assert_array_equal(clip, plain[number])


def test_augmentation_is_the_loaders(folder):
    dataset = AudioFolderDataset(folder, config=CONFIG, crop="center", rngs=nnx.Rngs(0), augment=_half)
    loader = create_data_loader(dataset, 6, shuffle=False)
    (trained,) = loader
    (plain,) = create_data_loader(dataset, 6, shuffle=False, training=False)
    np.testing.assert_allclose(trained["audio"], plain["audio"] / 2, atol=1e-7)
    np.testing.assert_allclose(dataset[1]["audio"], plain["audio"][1], atol=1e-7)
    drawn = SyntheticAudioDataset(CONFIG, 6, augment=[random_gain])
    (batch,) = create_data_loader(drawn, 6, shuffle=False)
    levels = np.abs(np.asarray(batch["audio"])).max(1)
    assert len(set(levels.round(4).tolist())) == 6


def test_what_is_augmented_has_no_spectrograms_on_the_host(folder):
    settings = {"config": CONFIG, "augment": random_gain, "rngs": nnx.Rngs(0)}
    with pytest.raises(ConfigError, match=r"`augment` changes clips .*`transform=Spectrogram\(config\)`"):
        AudioFolderDataset(folder, **settings).spectrograms()
    assert AudioFolderDataset(folder, split="val", **settings).spectrograms()[0]["spectrogram"].shape == (
        16,
        16,
    )


def _half(key, clip):
    return clip / 2


def test_windows_of_long_files(folder, tmp_path):
    whole = sound(RATE, 0.4, seed=9)
    write(tmp_path / "long.wav", whole, RATE)
    dataset = AudioFolderDataset(
        tmp_path, config=RAW, stride=0.0625, cache_dir=tmp_path / "cache", rngs=nnx.Rngs(0)
    )
    starts = [int(sample["start"]) for sample in dataset]
    assert starts == [0, 500, 1000, 1500, 2000, 2500]
    for sample, start in zip(dataset, starts, strict=True):
        stop = min(start + 1000, len(whole))
        np.testing.assert_allclose(sample["audio"][: stop - start], whole[start:stop, 0], atol=1e-4)
        assert int(sample["length"]) == stop - start
    assert (
        len(AudioFolderDataset(folder, config=RAW, stride=0.125, cache_dir=tmp_path, rngs=nnx.Rngs(0))) == 21
    )


def test_lists_and_layouts(folder, tmp_path):
    rows = [
        {"audio": str(folder / "a" / "0.wav"), "text": "low", "label": 4},
        {"audio": str(folder / "b" / "1.flac"), "text": "high", "label": 5, "offset": 0.1, "duration": 0.05},
    ]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = AudioFolderDataset(
        tmp_path / "list.jsonl", config=CONFIG, columns={"path": "audio"}, rngs=nnx.Rngs(0)
    )
    assert [sample["text"] for sample in listed] == ["low", "high"]
    assert [(int(s["labels"]), int(s["length"])) for s in listed] == [(4, 400), (5, 400)]
    libri = tmp_path / "libri"
    write(libri / "7" / "12" / "7-12-0000.flac", sound(16000, 0.2), 16000)
    (libri / "7" / "12" / "7-12.trans.txt").write_text("7-12-0000 IT WAS LATE\n")
    spoken = AudioFolderDataset(libri, config=CONFIG, layout="librispeech", rngs=nnx.Rngs(0))[0]
    assert (spoken["text"], spoken["speaker"], int(spoken["labels"])) == ("IT WAS LATE", "7", 0)


@pytest.mark.parametrize("keep_audio", [False, True])
def test_spectrograms_on_the_device_and_on_the_host_are_the_modalitys(folder, keep_audio):
    dataset = AudioFolderDataset(folder, config=CONFIG, crop="center", split="val", rngs=nnx.Rngs(0))
    modality = AudioModality(CONFIG, rngs=nnx.Rngs(0))
    expected = np.asarray(modality.compute_spectrogram(dataset.get_batch(6)["audio"]))
    step = Spectrogram(CONFIG, keep_audio=keep_audio)
    (device,) = create_data_loader(dataset, 6, shuffle=False, transform=step)
    made = dataset.spectrograms(keep_audio=keep_audio)
    (host,) = create_data_loader(made, 6, shuffle=False)
    for batch in (device, host):
        assert ("audio" in batch) is keep_audio and batch["labels"].shape == (6,)
        # Logarithms of powers that are next to nothing are next to anything.
        loud = expected > np.log(1e-3)
        np.testing.assert_allclose(np.asarray(batch["spectrogram"])[loud], expected[loud], atol=1e-3)
    assert made[0]["spectrogram"].shape == CONFIG.spectrogram_shape


def test_spectrograms_are_kept_on_disk(folder, tmp_path, monkeypatch):
    from artifex.generative_models.modalities.audio import steps

    dataset = AudioFolderDataset(folder, config=CONFIG, crop="center", rngs=nnx.Rngs(0)).spectrograms()
    settings = {"shuffle": False, "cache": "disk", "cache_dir": tmp_path}
    (first,) = create_data_loader(dataset, 6, **settings)
    made, compute = [], steps._spectrogram
    monkeypatch.setattr(steps, "_spectrogram", lambda *args: made.append(1) or compute(*args))
    again = AudioFolderDataset(folder, config=CONFIG, crop="center", rngs=nnx.Rngs(1)).spectrograms()
    (second,) = create_data_loader(again, 6, **settings)
    np.testing.assert_array_equal(first["spectrogram"], second["spectrogram"])
    assert len(made) == 1  # for its shape
    random = AudioFolderDataset(folder, config=CONFIG, rngs=nnx.Rngs(0)).spectrograms()
    with pytest.raises(ConfigError, match="would repeat in every epoch"):
        create_data_loader(random, 6, **settings)


def test_kept_spectrograms_are_those_of_the_rate(tmp_path):
    reader = ArrayReader({"audio": sound(RATE, 0.2)[:, 0][None]})
    made = []
    for rate in (RATE, 2 * RATE):
        dataset = AudioDataset(CONFIG, rngs=nnx.Rngs(0), reader=reader, rate=rate).spectrograms()
        made.append(create_data_loader(dataset, 1, cache="disk", cache_dir=tmp_path).batch(0)["spectrogram"])
        np.testing.assert_array_equal(made[-1][0], dataset[0]["spectrogram"])
    assert not np.array_equal(*made)


def test_a_bad_file_is_told_or_left_out(folder, tmp_path):
    write(tmp_path / "good.wav", sound(RATE, 0.2), RATE)
    (tmp_path / "bad.wav").write_text("no sound")
    dataset = AudioFolderDataset(tmp_path, config=CONFIG, rngs=nnx.Rngs(0))
    with pytest.raises(DecodeError, match=r"record 0: .*bad.wav"):
        next(iter(create_data_loader(dataset, 2, shuffle=False)))
    with pytest.warns(UserWarning, match="bad.wav"):
        (batch,) = create_data_loader(dataset, 2, shuffle=False, on_error="skip", max_errors=1)
    assert batch["valid"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda f: SyntheticAudioDataset(CONFIG, 0), ConfigError, "`n_samples` must be from 1"),
        (lambda f: SyntheticAudioDataset(CONFIG, 5, []), ConfigError, "`audio_types` is empty"),
        (lambda f: SyntheticAudioDataset(CONFIG, 5, "sine"), ConfigTypeError, "must be a list of names"),
        (lambda f: SyntheticAudioDataset(CONFIG, 5, ["sin"]), UnknownNameError, "sine"),
        (lambda f: SyntheticAudioDataset("c", 5), ConfigTypeError, "AudioModalityConfig"),
        (lambda f: ArrayAudioDataset([], config=CONFIG, rngs=nnx.Rngs(0)), ConfigError, "`audio` is empty"),
        (
            lambda f: ArrayAudioDataset(np.zeros(5, np.float32), config=CONFIG, rngs=nnx.Rngs(0)),
            ShapeError,
            r"must have shape \(n, t\)",
        ),
        (
            lambda f: ArrayAudioDataset([np.zeros(5), np.zeros(0)], config=CONFIG, rngs=nnx.Rngs(0)),
            ShapeError,
            "with a sample at least.* at 1",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, crop="start", stride=1, rngs=nnx.Rngs(0)),
            ConfigError,
            "`stride` cuts files into windows",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, stride=0.2, rngs=nnx.Rngs(0)),
            ConfigError,
            "`stride` must be from 0.000125 s, a sample, to 0.125 s, .* got 0.2",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, stride=1e-5, rngs=nnx.Rngs(0)),
            ConfigError,
            "`stride` must be from .* got 1e-05",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, columns={}, rngs=nnx.Rngs(0)),
            ConfigError,
            "`columns` are those of a list",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, layout="vctk", labels=None, rngs=nnx.Rngs(0)),
            ConfigError,
            "the speakers",
        ),
        (
            lambda f: AudioFolderDataset("l.csv", config=CONFIG, layout="folder", rngs=nnx.Rngs(0)),
            ConfigError,
            "labels and texts stand in its columns",
        ),
        (
            lambda f: AudioFolderDataset(f, config=CONFIG, layout="vctx", rngs=nnx.Rngs(0)),
            UnknownNameError,
            "vctk",
        ),
    ],
)
def test_what_is_wrong_is_told(folder, make, error, message):
    with pytest.raises(error, match=message):
        make(folder)
