"""What a loader does with clips on the device: prepare them, and make spectrograms of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from artifex.data.device import DeviceArrays, describe_step, is_own
from artifex.data.errors import ShapeError
from artifex.data.fingerprint import digest
from artifex.generative_models.modalities.audio.compose import Step
from artifex.generative_models.modalities.audio.config import AudioModalityConfig
from artifex.generative_models.modalities.audio.prepare import prepare, spectrogram
from artifex.generative_models.modalities.audio.synthesis import AudioType, synthesize
from artifex.generative_models.modalities.audio.waveform import map_clips
from artifex.generative_models.modalities.dataset import sample_key


@dataclass(frozen=True)
class Prepare:
    """The step of all audio datasets: makes clips of numbers, brings them to rate, length and level, augments them.

    Attributes:
        config: what comes out.
        rate: of the clips as they are read, Hz.
        augment: `f(key, clip)`, or None.
        kinds: the sounds that are made, record i of kind i % k; empty where clips are read.
    """

    config: AudioModalityConfig
    rate: int
    augment: Step | None = None
    kinds: tuple[AudioType, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether it holds nothing of the user's, so that it may be kept for others."""
        return self.augment is None

    @property
    def is_own(self) -> bool:
        """Whether it calls nothing of the user's."""
        return self.augment is None or is_own(self.augment)

    @property
    def is_random(self) -> bool:
        """Whether it makes use of its key."""
        return self.augment is not None

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        return "audio" if self.augment is None else f"audio, augmented: {describe_step(self.augment)}"

    def __call__(self, key: Key[Array, ""], sample: DeviceArrays) -> DeviceArrays:
        fields = dict(sample)
        if self.kinds and "root" in fields and "record" in fields:
            record = fields.pop("record")
            made = sample_key(fields.pop("root"), record)
            kind = record % len(self.kinds)
            fields["audio"] = synthesize(
                made, kind, self.config.n_time_steps, self.config.sample_rate, kinds=self.kinds
            )
        if "audio" in fields:
            clip = prepare(fields["audio"], self.config, rate=self.rate)
            fields["audio"] = clip if self.augment is None else self.augment(key, clip)
        return fields


@dataclass(frozen=True)
class Spectrogram:
    """A step of a loader, `transform=Spectrogram(config)`, that makes `spectrogram` (bins, frames) of `audio`.

    The same as `AudioModality.compute_spectrogram`, compiled into the loader's one call. It takes a whole batch, of
    which it makes a part at a time where that is faster; what it makes of a record does not depend on the others.

    Attributes:
        config: what the spectrogram is; its `sample_rate` is that of the clips.
        keep_audio: whether `audio` stays in the batch.

    Its call raises ShapeError where a batch has no `audio`.
    """

    config: AudioModalityConfig
    keep_audio: bool = False
    is_random: bool = field(init=False, default=False)
    is_batch_level: bool = field(init=False, default=True)

    @property
    def is_shared(self) -> bool:
        """Whether it holds nothing of the user's, so that it may be kept for others."""
        return True

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        return f"Spectrogram({digest([self.config.to_json()])}, keep_audio={self.keep_audio})"

    def __call__(self, keys: Key[Array, "..."], batch: DeviceArrays) -> DeviceArrays:
        if "audio" not in batch:
            raise ShapeError(f"`Spectrogram` makes use of 'audio', and the batch has {sorted(batch)}")
        made = map_clips(partial(spectrogram, config=self.config), batch["audio"])
        return {**_kept(batch, self.keep_audio), "spectrogram": made}


@dataclass(frozen=True)
class HostSpectrogram:
    """Clips as a dataset reads them to spectrograms, on the host, for `dataset.map`: so that a cache can keep them.

    Attributes:
        config: what the clips are, and their spectrograms.
        rate: of the clips as they are read, Hz.
        keep_audio: whether `audio` stays in the sample.
    """

    config: AudioModalityConfig
    rate: int
    keep_audio: bool = False

    @property
    def version(self) -> str:
        """Another one where other spectrograms come out."""
        return f"spectrogram {digest([self.config.to_json(), str(self.rate)])} jax {jax.__version__}"

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        if "audio" not in sample:
            raise ShapeError(f"spectrograms are made of 'audio', and the sample has {sorted(sample)}")
        made = _spectrogram(self.config, self.rate, jnp.asarray(sample["audio"]))
        return {**_kept(sample, self.keep_audio), "spectrogram": np.asarray(made)}


def _kept(fields: Mapping[str, Any], keep_audio: bool) -> dict[str, Any]:
    """What stays beside a spectrogram."""
    return {name: value for name, value in fields.items() if name != "audio" or keep_audio}


@partial(jax.jit, static_argnums=(0, 1))
def _spectrogram(config: AudioModalityConfig, rate: int, clip: Array) -> Array:
    return spectrogram(prepare(clip, config, rate=rate), config)
