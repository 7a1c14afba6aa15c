"""A small causal transformer on packed rows of documents: the model, its loss and its steps."""

from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from artifex.data.feed import Batch
from artifex.data.tokenizers import Tokenizer
from artifex.generative_models.modalities import TextParams
from artifex.generative_models.modalities.text.datasets import TextFileDataset
from artifex.generative_models.modalities.text.losses import next_token_loss
from artifex.generative_models.modalities.text.masks import segment_mask
from artifex.generative_models.modalities.text.token_datasets import TokenDataset

Tokens: TypeAlias = Int[Array, "b n"]
Features: TypeAlias = Float[Array, "b n d"]

ROW, BATCH, VOCABULARY = 128, 4, 2048
WIDTH, HEADS, LAYERS = 128, 4, 4
PARAMS = TextParams(max_length=ROW, case_sensitive=True)
ADAM = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adam(optax.linear_schedule(0.0, 4e-3, 20), b2=0.95),
)

# Tokens are small and features large, so that logits begin near 0 and yet learn quickly.
_SPREAD, _SCALE = nnx.initializers.normal(0.007), nnx.initializers.constant(3.0)


def load(file: Path, tokenizer: Tokenizer, cache_dir: Path, *, seed: int = 0) -> TokenDataset:
    """The documents of a file, tokenized once, each in a row of its own: `packed()` puts several into one."""
    texts = TextFileDataset(PARAMS, file, tokenizer=tokenizer, cache_dir=cache_dir, rngs=nnx.Rngs(seed))
    return texts.tokenized(cache_dir, progress=False)


class Block(nnx.Module):
    """Attention and two layers, each of which adds to what comes in."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.before_attention = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.heads = nnx.Linear(WIDTH, 3 * WIDTH, use_bias=False, rngs=rngs)
        # Zeros: at first a block does nothing.
        self.gather = nnx.Linear(WIDTH, WIDTH, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.before_layers = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.widen = nnx.Linear(WIDTH, 4 * WIDTH, use_bias=False, rngs=rngs)
        self.narrow = nnx.Linear(
            4 * WIDTH, WIDTH, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=rngs
        )

    def __call__(self, x: Features, mask: Array, positions: Tokens) -> Features:
        b, n, _ = x.shape
        heads = self.heads(self.before_attention(x)).reshape(b, n, 3, HEADS, WIDTH // HEADS)
        query, key = rotated(heads[:, :, 0], positions), rotated(heads[:, :, 1], positions)
        attended = jax.nn.dot_product_attention(query, key, heads[:, :, 2], mask=mask[:, None])
        x = x + self.gather(attended.reshape(b, n, WIDTH))
        return x + self.narrow(jnp.square(nnx.relu(self.widen(self.before_layers(x)))))


class Transformer(nnx.Module):
    """Tokens -> logits of what comes next, at each position; it sees its own document, up to there.

    The same matrix makes features of tokens and logits of features (Press & Wolf, 2017).
    """

    def __init__(self, vocab_size: int, *, rngs: nnx.Rngs) -> None:
        self.tokens = nnx.Embed(vocab_size, WIDTH, embedding_init=_SPREAD, rngs=rngs)
        self.first = nnx.RMSNorm(WIDTH, rngs=rngs)
        self.blocks = nnx.List([Block(rngs=rngs) for _ in range(LAYERS)])
        self.last = nnx.RMSNorm(WIDTH, scale_init=_SCALE, rngs=rngs)

    def __call__(
        self, tokens: Tokens, segment_ids: Tokens, positions: Tokens
    ) -> Float[Array, "b n vocabulary"]:
        return self.tokens.attend(self.features(tokens, segment_ids, positions))

    def features(self, tokens: Tokens, segment_ids: Tokens, positions: Tokens) -> Features:
        """What the logits are made of."""
        mask = jax.vmap(segment_mask)(segment_ids)
        x = self.first(self.tokens(tokens))
        for block in self.blocks:
            x = block(x, mask, positions)
        return self.last(x)

    def continued(self, tokens: Tokens, length: Int[Array, ""]) -> Float[Array, "b vocabulary"]:
        """Logits of what comes behind the first `length` tokens of rows with one document each."""
        positions = jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32), tokens.shape)
        features = self.features(tokens, jnp.ones_like(tokens), positions)
        last = jax.lax.dynamic_index_in_dim(features, length - 1, axis=1, keepdims=False)
        return self.tokens.attend(last)


def rotated(x: Float[Array, "b n heads d"], positions: Tokens) -> Float[Array, "b n heads d"]:
    """Pairs of features, turned by angles that grow with the position (RoPE: Su et al., 2021).

    Products of a query and a key then depend on how far apart they are, and not on where.
    """
    half = x.shape[-1] // 2
    speed = 10_000.0 ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = positions.astype(jnp.float32)[:, :, None, None] * speed[None, None, None, :]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    one, two = x[..., :half], x[..., half:]
    return jnp.concatenate([one * cos - two * sin, one * sin + two * cos], axis=-1)


def bits_per_token(
    model: Transformer, tokens: Tokens, segment_ids: Tokens, positions: Tokens
) -> Float[Array, ""]:
    """Mean cross entropy of predicting each token from those before it in its document."""
    logits = model(tokens, segment_ids, positions)
    return next_token_loss(logits, tokens, segment_ids=segment_ids) / jnp.log(2.0)


@nnx.jit
def train_step(
    model: Transformer,
    optimizer: nnx.Optimizer[Transformer],
    tokens: Tokens,
    segment_ids: Tokens,
    positions: Tokens,
) -> Float[Array, ""]:
    """One step, and the bits per token before it."""
    loss, gradients = nnx.value_and_grad(bits_per_token)(model, tokens, segment_ids, positions)
    optimizer.update(model, gradients)
    return loss


@nnx.jit
def total_bits(
    model: Transformer, tokens: Tokens, segment_ids: Tokens, positions: Tokens
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """Bits of all tokens of some rows that are predicted, and how many those are."""
    logits = model(tokens, segment_ids, positions)
    loss = next_token_loss(logits, tokens, segment_ids=segment_ids, reduction="sum")
    predicted = (segment_ids[:, 1:] == segment_ids[:, :-1]) & (segment_ids[:, 1:] > 0)
    return loss / jnp.log(2.0), predicted.sum(dtype=jnp.int32)


def fields(batch: Batch) -> tuple[Tokens, Tokens, Tokens]:
    """What the model is given of a batch."""
    return batch["text_tokens"], batch["segment_ids"], batch["positions"]


def count_tokens(batch: Batch) -> int:
    """How many tokens of a batch are no padding."""
    return int(np.count_nonzero(batch["segment_ids"]))
