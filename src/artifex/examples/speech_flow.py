"""A small generative model of speech, on mel spectrograms: an autoencoder, and a flow that draws its latents.

The autoencoder makes a token of 64 numbers of every four frames, and frames of tokens; the flow learns which tokens
follow each other (flow matching: Lipman et al., 2022; on latents: Rombach et al., 2022). It sees tokens by their
neighbours alone, so that a spectrogram may have any length.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Key

from artifex.generative_models.modalities import AudioModalityConfig
from artifex.generative_models.modalities.audio.augment import random_gain, random_time_shift
from artifex.generative_models.modalities.audio.datasets import AudioFolderDataset

Spectrograms: TypeAlias = Float[Array, "b f n"]
Tokens: TypeAlias = Float[Array, "b k d"]

# 128 frames, 32 tokens. Levels stay as they are: a pause is to be quiet.
CONFIG = AudioModalityConfig(sample_rate=16000, duration=2.032, normalize=False)
BATCH, STRIDE = 16, 0.05  # seconds from one window of a recording to the next
FRAMES, LATENTS, WIDTH = 4, 64, 192
ADAM = optax.adam(optax.linear_schedule(0.0, 3e-3, 50), b2=0.99)

DECIBELS = 10 / np.log(10)
"""What 1 is in a natural logarithm of powers."""

_AUGMENT = (partial(random_gain, lower=-4.0, upper=2.0), partial(random_time_shift, max_fraction=0.01))
_FLOW = (1, 2, 4, 1, 2, 4)  # how far away the neighbours are that a block sees, in tokens
# Weights are small and what they are applied to is large, so that the autoencoder learns quickly.
_SMALL, _STEEP = nnx.initializers.normal(0.02), 3.0
_MEAN, _SPREAD = -7.0, 4.0  # of the log-mel powers of speech, about
_DIVERGENCE, _AVERAGED, _STEPS = 3e-3, 0.99, 50


def load(recordings: Path, cache_dir: Path, *, split: str = "train", seed: int = 0) -> AudioFolderDataset:
    """Windows of the recordings of a list; of "train" they are a bit louder or quieter, earlier or later."""
    return AudioFolderDataset(
        recordings,
        config=CONFIG,
        stride=STRIDE,
        pad="reflect",
        cache_dir=cache_dir,
        split=split,
        rngs=nnx.Rngs(seed),
        augment=_AUGMENT,
    )


class Errors(NamedTuple):
    """How far a model is off.

    Attributes:
        decibels: of reconstructions, root mean square over bands and frames.
        velocity: of the flow's velocities: the share of their mean square that is missed, 1 for a flow that is 0.
    """

    decibels: Float[Array, ""]
    velocity: Float[Array, ""]


class Block(nnx.Module):
    """Adds to each token what follows of it, of its neighbours at a distance, and of a condition."""

    def __init__(self, distance: int, *, rngs: nnx.Rngs) -> None:
        # Zeros: at first a block does nothing.
        zeros, self.distance = nnx.initializers.zeros, distance
        self.norm = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.widen = nnx.Linear(3 * WIDTH, 2 * WIDTH, rngs=rngs)
        self.narrow = nnx.Linear(2 * WIDTH, WIDTH, kernel_init=zeros, rngs=rngs)
        self.condition = nnx.Linear(WIDTH, 2 * WIDTH, kernel_init=zeros, rngs=rngs)

    def __call__(self, x: Tokens, condition: Float[Array, "b d"]) -> Tokens:
        scale, shift = jnp.split(self.condition(condition)[:, None], 2, axis=-1)
        y = self.norm(x) * (1 + scale) + shift
        return x + self.narrow(nnx.silu(self.widen(with_neighbours(y, self.distance))))


def with_neighbours(x: Tokens, distance: int) -> Float[Array, "b k three_d"]:
    """Each token between those so far before and behind it; zeros where there are none.

    A matrix product of that is a convolution, and on CPU quicker than one.
    """
    n = x.shape[1]
    padded = jnp.pad(x, ((0, 0), (distance, distance), (0, 0)))
    return jnp.concatenate([padded[:, :n], x, padded[:, -n:]], axis=-1)


class Autoencoder(nnx.Module):
    """Log-mel spectrograms, whose frames are a multiple of 4 -> mean and log variance of tokens -> spectrograms.

    It is linear, so that it finds what principal components do; what it learns of few sentences holds for others.
    """

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        values = FRAMES * CONFIG.n_mels
        self.narrow = nnx.Linear(values, 2 * LATENTS, kernel_init=_SMALL, rngs=rngs)
        self.widen = nnx.Linear(LATENTS, values, kernel_init=_SMALL, rngs=rngs)

    def encode(self, spectrograms: Spectrograms) -> list[Tokens]:
        frames = (spectrograms.swapaxes(1, 2) - _MEAN) * (_STEEP / _SPREAD)
        return jnp.split(self.narrow(frames.reshape(len(frames), -1, FRAMES * CONFIG.n_mels)), 2, axis=-1)

    def decode(self, tokens: Tokens) -> Spectrograms:
        frames = self.widen(tokens).reshape(len(tokens), -1, CONFIG.n_mels)
        return frames.swapaxes(1, 2) * (_STEEP * _SPREAD) + _MEAN


class Flow(nnx.Module):
    """Tokens between noise, at time 0, and speech, at 1 -> how fast they are to move, and where to."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.clock = nnx.Linear(64, WIDTH, rngs=rngs)
        self.first = nnx.Linear(LATENTS, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(distance, rngs=rngs) for distance in _FLOW])
        self.last = nnx.Linear(WIDTH, LATENTS, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, tokens: Tokens, time: Float[Array, " b"]) -> Tokens:
        angles = time[:, None] * jnp.exp(jnp.linspace(0, 5, 32, dtype=jnp.float32))[None]
        condition = nnx.silu(self.clock(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)))
        x = self.first(tokens)
        for block in self.blocks:
            x = block(x, condition)
        return self.last(x)


class SpeechModel(nnx.Module):
    """The autoencoder and the flow on its tokens."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.autoencoder, self.flow = Autoencoder(rngs=rngs), Flow(rngs=rngs)

    def reconstruct(self, spectrograms: Spectrograms) -> Spectrograms:
        """What the autoencoder makes of them, from as many numbers as there are tokens times 64."""
        return self.autoencoder.decode(self.autoencoder.encode(spectrograms)[0])

    def sample(self, key: Key[Array, ""], count: int, tokens: int) -> Spectrograms:
        """Draws spectrograms (count, 80, 4 * tokens): noise that goes where the flow says, by Heun's steps."""

        def step(number: Array, x: Tokens) -> Tokens:
            now, size = number.astype(jnp.float32) / _STEPS, 1 / _STEPS
            first = self.flow(x, jnp.full(count, now))
            second = self.flow(x + size * first, jnp.full(count, now + size))
            return x + size / 2 * (first + second)

        noise = jax.random.normal(key, (count, tokens, LATENTS))
        return self.autoencoder.decode(jax.lax.fori_loop(0, _STEPS, step, noise))


class Averaged(nnx.Module):
    """A model that learns, and one with the average of the weights that it had lately, which sounds better."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.learning = SpeechModel(rngs=rngs)
        self.average = nnx.clone(self.learning)

    def follow(self, steps: Array) -> None:
        """Takes the weights that are learned into the average; at first the average is short."""
        kept = jnp.minimum(_AVERAGED, (steps.astype(jnp.float32) + 1) / (steps.astype(jnp.float32) + 10))
        averaged = jax.tree.map(
            lambda old, new: kept * old + (1 - kept) * new, nnx.state(self.average), nnx.state(self.learning)
        )
        nnx.update(self.average, averaged)


def losses(
    model: SpeechModel, spectrograms: Spectrograms, key: Key[Array, ""]
) -> tuple[Float[Array, ""], Errors]:
    """What is trained on, and what it is made of."""
    of_tokens, of_flow = jax.random.split(key)
    mean, log_variance = model.autoencoder.encode(spectrograms)
    tokens = mean + jnp.exp(log_variance / 2) * jax.random.normal(of_tokens, mean.shape)
    error = jnp.mean((model.autoencoder.decode(tokens) - spectrograms) ** 2)
    divergence = jnp.mean(mean**2 + jnp.exp(log_variance) - 1 - log_variance) / 2
    # The flow follows the tokens: they are not to be made easier for it.
    missed, whole = flow_errors(model.flow, jax.lax.stop_gradient(tokens), of_flow)
    errors = Errors(DECIBELS * jnp.sqrt(error), missed / whole)
    return error / _SPREAD**2 + _DIVERGENCE * divergence + missed, errors


def flow_errors(flow: Flow, tokens: Tokens, key: Key[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean squares: of what the flow misses of the velocities from noise to tokens, and of these."""
    of_noise, of_time = jax.random.split(key)
    noise = jax.random.normal(of_noise, tokens.shape)
    time = nnx.sigmoid(jax.random.normal(of_time, (len(tokens),)))  # most often in the middle
    share = time[:, None, None]
    velocity = tokens - noise
    missed = flow(share * tokens + (1 - share) * noise, time) - velocity
    return jnp.mean(missed**2), jnp.mean(velocity**2)


@nnx.jit
def train_step(model: Averaged, optimizer: nnx.Optimizer[SpeechModel], spectrograms: Spectrograms) -> Errors:
    """One step, and the errors before it.

    Its random numbers follow from its number, so that a resumed run draws the same.
    """
    steps = optimizer.step[...]
    key = jax.random.fold_in(jax.random.key(0), steps)
    (_, errors), gradients = nnx.value_and_grad(losses, has_aux=True)(model.learning, spectrograms, key)
    optimizer.update(model.learning, gradients)
    model.follow(steps)
    return errors


@nnx.jit
def errors_of(model: SpeechModel, spectrograms: Spectrograms) -> Errors:
    """The errors of a model that does not learn; the same for the same spectrograms."""
    tokens, _ = model.autoencoder.encode(spectrograms)
    error = jnp.mean((model.autoencoder.decode(tokens) - spectrograms) ** 2)
    missed, whole = flow_errors(model.flow, tokens, jax.random.key(0))
    return Errors(DECIBELS * jnp.sqrt(error), missed / whole)
