"""The documented names and promises, one by one: what users of the guide rely on, wherever the code moves."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import artifex.generative_models.modalities as modalities
from artifex.data import create_data_loader
from artifex.data.samples import IteratedDatasetWarning
from artifex.generative_models.core.configuration import BaseModalityConfig, ModalityConfiguration
from artifex.generative_models.modalities import (
    BaseDataset,
    ImageModality,
    ImageModalityConfig,
    ImageRepresentation,
    get_modality,
    list_modalities,
)
from artifex.generative_models.modalities.image.datasets import MNISTLikeDataset, SyntheticImageDataset

ROOT = "artifex.generative_models"
CONFIG = ImageModalityConfig(
    representation=ImageRepresentation.RGB,
    height=64,
    width=64,
    channels=3,
    normalize=True,
    augmentation=False,
)

# Every path under which a name is documented.
PATHS = {
    "ImageModality": ["modalities", "modalities.image.base"],
    "ImageModalityConfig": ["modalities", "modalities.image.base"],
    "ImageRepresentation": ["modalities", "modalities.image.base"],
    "BaseDataset": ["modalities", "modalities.base"],
    "BaseModalityConfig": ["modalities", "modalities.base", "core.configuration"],
    "BaseProcessor": ["modalities", "modalities.base"],
    "BaseModalityImplementation": ["modalities", "modalities.base"],
    "Modality": ["modalities", "modalities.base"],
    "ModalityConfiguration": ["core.configuration"],
    "SyntheticImageDataset": ["modalities.image.datasets"],
    "MNISTLikeDataset": ["modalities.image.datasets"],
    "register_modality": ["modalities"],
    "get_modality": ["modalities"],
    "list_modalities": ["modalities"],
}


@pytest.mark.parametrize("name", PATHS)
def test_a_name_is_the_same_object_on_every_path(name):
    found = [getattr(importlib.import_module(f"{ROOT}.{path}"), name) for path in PATHS[name]]
    assert all(thing is found[0] for thing in found)


def test_what_is_not_there_yet_is_absent():
    for name in ("BaseEvaluationSuite", "ModelAdapter"):
        assert not hasattr(modalities, name)


def test_neither_torch_nor_tensorflow_comes_along():
    code = f"import {ROOT}.modalities.image.datasets, artifex.data.pipeline, sys; " + (
        "sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# -- modality


def test_shapes_are_height_width_channels():
    modality = ImageModality(config=CONFIG, rngs=nnx.Rngs(0))
    assert modality.image_shape == modality.output_shape == (64, 64, 3)
    assert isinstance(modality.config, BaseModalityConfig)
    assert isinstance(modality, modalities.Modality)
    assert isinstance(modality, modalities.BaseModalityImplementation)
    for method in (
        "process",
        "preprocess",
        "postprocess",
        "generate",
        "loss_fn",
        "validate_data_shape",
        "create_batch_from_samples",
    ):
        assert callable(getattr(modality, method))


def test_raw_pixels_come_out_resized_normalised_and_augmented():
    raw = jnp.asarray(np.random.default_rng(0).integers(0, 256, (3, 48, 80, 3), np.uint8))
    config = ImageModalityConfig(
        representation=ImageRepresentation.RGB, height=64, width=64, normalize=True, augmentation=True
    )
    first = ImageModality(config=config, rngs=nnx.Rngs(0)).process(raw)
    assert first.shape == (3, 64, 64, 3)
    assert float(first.min()) >= 0 and float(first.max()) <= 1
    again, other = (ImageModality(config=config, rngs=nnx.Rngs(seed)).process(raw) for seed in (0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_configs_are_dataclasses_with_defaults_that_survive_json():
    for kind in (ImageModalityConfig, ModalityConfiguration, BaseModalityConfig):
        assert dataclasses.is_dataclass(kind)
        assert kind.from_dict(json.loads(json.dumps(kind().to_dict()))) == kind()
    text = ModalityConfiguration(
        name="text", modality_type="text", metadata={"text_params": {"vocab_size": 9}}
    )
    assert (text.name, text.modality_type, text.metadata["text_params"]["vocab_size"]) == ("text", "text", 9)


# -- datasets


@pytest.mark.parametrize("pattern", ["random", "gradient", "checkerboard", "circles"])
def test_synthetic_patterns(pattern):
    dataset = SyntheticImageDataset(
        config=CONFIG, dataset_size=1000, pattern_type=pattern, split="train", rngs=nnx.Rngs(0)
    )
    assert len(dataset) == 1000
    assert isinstance(dataset, BaseDataset)
    images = dataset.get_batch(batch_size=32)["images"]
    assert isinstance(images, jax.Array)
    assert images.shape == (32, 64, 64, 3)
    assert images.dtype == jnp.float32
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    assert len({np.asarray(image).tobytes() for image in images}) >= 28, "samples practically never repeat"


def test_numerals_with_labels():
    config = ImageModalityConfig(representation=ImageRepresentation.GRAYSCALE, height=28, width=28)
    dataset = MNISTLikeDataset(
        config=config, dataset_size=60000, num_classes=10, split="train", rngs=nnx.Rngs(0)
    )
    batch = dataset.get_batch(batch_size=128)
    assert batch["images"].shape == (128, 28, 28, 1)
    assert batch["labels"].shape == (128,)
    assert jnp.issubdtype(batch["labels"].dtype, jnp.integer)
    assert set(batch["labels"].tolist()) == set(range(10))


def test_validation_data_are_others_even_with_the_same_rngs():
    rngs = nnx.Rngs(0)
    train, val = (
        SyntheticImageDataset(CONFIG, 64, "gradient", split, rngs=rngs) for split in ("train", "val")
    )
    seen = [{np.asarray(x).tobytes() for x in d.take(range(64))["images"]} for d in (train, val)]
    assert not seen[0] & seen[1]


def test_processing_a_dataset_s_images_changes_nothing():
    images = SyntheticImageDataset(CONFIG, 8, "gradient", rngs=nnx.Rngs(0)).get_batch(8)["images"]
    modality = ImageModality(config=CONFIG, rngs=nnx.Rngs(0))
    assert np.array_equal(modality.process(images), images)
    assert np.array_equal(jax.jit(modality.process)(images), images)


def test_a_dataset_of_one_s_own():
    class Own(BaseDataset):
        def __init__(self, config, split="train", *, rngs):
            super().__init__(config, split, rngs=rngs)
            self.data = [{"x": jnp.full((3,), float(i))} for i in range(5)]

        def __len__(self):
            return len(self.data)

        def __iter__(self):
            yield from self.data

        def get_batch(self, batch_size):
            chosen = jax.random.randint(self.next_key(), (batch_size,), 0, len(self))
            return {"x": jnp.stack([self.data[int(i)]["x"] for i in chosen])}

    dataset = Own(CONFIG, rngs=nnx.Rngs(0))
    assert dataset.get_batch(4)["x"].shape == (4, 3)
    with pytest.warns(IteratedDatasetWarning):
        loader = create_data_loader(dataset, batch_size=2, shuffle=False, drop_last=False)
    assert [b["x"][:, 0].tolist() for b in loader] == [[0, 1], [2, 3], [4]]


# -- loaders


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop_last", [True, False])
def test_a_loader_covers_an_epoch(shuffle, drop_last):
    dataset = SyntheticImageDataset(CONFIG, 10, "checkerboard", rngs=nnx.Rngs(0))
    loader = create_data_loader(dataset=dataset, batch_size=4, shuffle=shuffle, drop_last=drop_last)
    batches = list(loader)
    assert len(batches) == len(loader) == (2 if drop_last else 3)
    seen = [int(i) for batch in batches for i in batch["index"]]
    assert len(set(seen)) == len(seen) == (8 if drop_last else 10)
    assert shuffle or seen == list(range(len(seen)))
    assert all(isinstance(value, jax.Array) for batch in batches for value in batch.values())


# -- registry


def test_modalities_by_name():
    assert get_modality("image") is ImageModality
    assert isinstance(list_modalities(), list)
    assert list_modalities()[0] == "image"
    for error in (KeyError, ValueError):
        with pytest.raises(error, match="'image'"):
            get_modality("smell")


# -- across processes

_PROGRAM = """
import hashlib, sys
import numpy as np
from flax import nnx
from artifex.data import create_data_loader
from artifex.generative_models.modalities import ImageModalityConfig
from artifex.generative_models.modalities.image.datasets import ArrayImageDataset
images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
config = ImageModalityConfig(height=8, augmentation=True)
loader = create_data_loader(ArrayImageDataset(images, config=config, rngs=nnx.Rngs(3)), 6, seed=5)
digest = hashlib.sha256()
for _ in range(2):
    for batch in loader:
        digest.update(np.asarray(batch["images"]).tobytes() + np.asarray(batch["index"]).tobytes())
print(digest.hexdigest())
"""


def test_two_processes_see_the_same_bits():
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
        )
        for seed in ("0", "12345")
    ]
    outputs = [program.communicate(timeout=120)[0] for program in programs]
    assert outputs[0] == outputs[1] != b""


# -- audio


def test_audio_by_its_documented_names():
    audio = importlib.import_module(f"{ROOT}.modalities.audio")
    base = importlib.import_module(f"{ROOT}.modalities.audio.base")
    datasets = importlib.import_module(f"{ROOT}.modalities.audio.datasets")
    assert callable(audio.load_audio_file)
    config = base.AudioModalityConfig(sample_rate=8000, duration=0.5, n_mels=20, n_fft=256, hop_length=128)
    assert modalities.AudioModalityConfig is base.AudioModalityConfig
    assert (config.spectrogram_type, config.normalize) == ("mel", True)
    modality = modalities.AudioModality(config=config, rngs=nnx.Rngs(0))
    assert (modality.sample_rate, modality.duration) == (8000, 0.5)
    clip = modality.process(jnp.ones(100))
    assert clip.shape == (4000,) and modality.process_audio(jnp.ones(100)).shape == (4000,)
    assert (
        modality.compute_mel_spectrogram(clip).shape == modality.compute_spectrogram(clip).shape == (20, 32)
    )
    dataset = datasets.SyntheticAudioDataset(
        config=config, n_samples=6, audio_types=["sine", "noise", "chirp"], name="SyntheticAudio"
    )
    assert len(dataset) == 6 and isinstance(dataset, modalities.BaseDataset)
    batch = dataset.get_batch(2)
    assert batch["audio"].shape == (2, 4000) and isinstance(batch["audio_type"], list)
