"""The demo of audio: from recordings of speech to sounds that a model makes, stopped within an epoch and resumed.

It trains the model of `speech_flow.py` on what lies in `speech`.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Key
from rich.console import Console

from artifex.data import create_data_loader
from artifex.data.codecs.audio import save_audio_file
from artifex.data.feed import Batch
from artifex.examples.demo import check_settings, missing, say, say_speed, stop_and_resume, train
from artifex.examples.sound_sheet import Sounds, sound_sheet
from artifex.examples.speech_flow import (
    ADAM,
    BATCH,
    CONFIG,
    DECIBELS,
    FRAMES,
    Averaged,
    Errors,
    Spectrograms,
    SpeechModel,
    errors_of,
    load,
    train_step,
)
from artifex.examples.training import Meter, endless
from artifex.generative_models.modalities import AudioModality
from artifex.generative_models.modalities.audio.datasets import AudioFolderDataset
from artifex.generative_models.modalities.audio.steps import Spectrogram

SPEECH = Path(__file__).parent / "speech"
TRAIN, HELD_OUT = SPEECH / "train.jsonl", SPEECH / "val.jsonl"
"""Lists of recordings. No sentence is in both."""

_MEL = Spectrogram(CONFIG)
# The longest sentence that is held out, up to a whole number of tokens: 208 frames.
_SENTENCE = replace(CONFIG, duration=207 * CONFIG.hop_length / CONFIG.sample_rate)
_CAPTIONS = {
    "real": "two sentences that the model has not learned from",
    "reconstructed": "the same, from the autoencoder's numbers",
    "sampled": "what the flow makes of noise",
}
_PAUSE = np.zeros(CONFIG.sample_rate // 2, np.float32)


class Run:
    """What a training run is made of; a new one is made alike from the same seed."""

    def __init__(self, cache: Path, seed: int) -> None:
        self.windows = load(TRAIN, cache, seed=seed)
        self.held_out = load(HELD_OUT, cache, split="val", seed=seed)
        self.loader = create_data_loader(self.windows, BATCH, drop_last=True, seed=seed, transform=_MEL)
        self.model = Averaged(rngs=nnx.Rngs(seed))
        self.optimizer = nnx.Optimizer(self.model.learning, ADAM, wrt=nnx.Param)

    def step(self, batch: Batch) -> float:
        """Trains on a batch; how far its reconstructions were off before, dB."""
        return float(train_step(self.model, self.optimizer, batch["spectrogram"]).decibels)


def demo(out: Path, *, seconds: float, seed: int, console: Console) -> Path:
    """Runs the demo and returns the picture that it drew.

    Args:
        out: folder for sounds, picture, checkpoint, and the lengths of the recordings.
        seconds: how long to train, > 0; stopping, comparing and drawing come on top of it.
        seed: for weights, order, augmentation and samples, 0 to 2**32 - 1.
        console: where to say what happens.

    Raises:
        ConfigError: a number is out of range.
        MissingPackageError: Pillow, soundfile or soxr is not installed.
        ArtifexError: the resumed run got other batches than the one that was not stopped.
    """
    check_settings(seconds, seed)
    if find_spec("PIL") is None:
        raise missing("Pillow, which writes pictures")
    began, meter, cache = time.perf_counter(), Meter("clips", loss_unit="dB off"), out / "cache"
    run = Run(cache, seed)
    windows = f"{len(run.windows)} windows of {CONFIG.duration:.1f} s to train on"
    say(console, "Data", f"{windows}, {len(run.held_out)} of other sentences held out, from {SPEECH}")
    say(console, "Device", f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")

    unknown = _spectrograms(run.held_out, len(run.held_out))
    before, batches = errors_of(run.model.average, unknown), endless(run.loader)
    train(run, batches, meter, console, until=seconds / 2, within_an_epoch=True)
    again = stop_and_resume(run, batches, lambda: Run(cache, seed), out / "checkpoint", console)
    train(again, endless(again.loader), meter, console, until=seconds)

    _say_loss(again, before, unknown, console)
    say_speed(meter, console)
    rows = _sounds(again.model.average, seed)
    _save(rows, out, console)
    captioned = {f"{name}: {_CAPTIONS[name]}": sounds for name, sounds in rows.items()}
    sound_sheet(captioned, CONFIG).save(out / "audio.png")
    say(console, "Picture", f"{out / 'audio.png'}, {time.perf_counter() - began:.0f} s after the start")
    return out / "audio.png"


def _spectrograms(windows: AudioFolderDataset, count: int) -> Spectrograms:
    """Of so many windows, spread over all, not augmented."""
    clips = windows.take(np.linspace(0, len(windows) - 1, count).astype(np.int64))["audio"]
    return AudioModality(CONFIG, rngs=nnx.Rngs(0)).compute_spectrogram(clips)


def _say_loss(run: Run, before: Errors, unknown: Spectrograms, console: Console) -> None:
    """Of sentences that were held out, and of those that were learned from."""
    known = _spectrograms(run.windows, len(unknown))
    after, learned = errors_of(run.model.average, unknown), errors_of(run.model.average, known)
    spread = DECIBELS * float(jnp.std(unknown - unknown.mean(axis=(0, 2), keepdims=True)))
    say(
        console,
        "Loss",
        f"reconstructions are off by {before.decibels:.1f} dB before, {after.decibels:.1f} after (each band's mean: "
        f"{spread:.1f}) on held-out sentences, {learned.decibels:.1f} on those learned from",
    )
    say(
        console,
        "Loss",
        f"the flow misses {before.velocity:.0%} of its way before, {after.velocity:.0%} after on held-out sentences, "
        f"{learned.velocity:.0%} on those learned from",
    )


def _sounds(model: SpeechModel, seed: int) -> dict[str, Sounds]:
    """The sentences that are held out, what the model makes of them, and as many that it makes of nothing."""
    modality = AudioModality(_SENTENCE, rngs=nnx.Rngs(seed))
    sentences = AudioFolderDataset(
        HELD_OUT, config=_SENTENCE, crop="start", pad="reflect", split="val", rngs=nnx.Rngs(seed)
    )
    real = sentences.take(range(len(sentences)))["audio"]
    reconstructed = nnx.jit(SpeechModel.reconstruct)(model, modality.compute_spectrogram(real))
    draw = nnx.jit(SpeechModel.sample, static_argnums=(2, 3))

    def sampler(key: Key[Array, ""], shape: tuple[int, ...]) -> Array:
        return draw(model, key, shape[0], shape[2] // FRAMES)

    clips = {
        "real": real,
        "reconstructed": modality.postprocess(reconstructed),
        "sampled": modality.generate(
            len(real), sampler=sampler, key=jax.random.key(seed), domain="spectrogram"
        ),
    }
    return {
        name: Sounds(np.asarray(some), np.asarray(modality.compute_spectrogram(some)))
        for name, some in clips.items()
    }


def _save(rows: Mapping[str, Sounds], out: Path, console: Console) -> None:
    for name, sounds in rows.items():
        file = out / f"{name}.wav"
        clips = [part for clip in sounds.clips for part in (clip, _PAUSE)][:-1]
        save_audio_file(file, np.concatenate(clips), CONFIG.sample_rate)
        say(console, "Sound", f"{file}: {_CAPTIONS[name]}")
