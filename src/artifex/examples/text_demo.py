"""The demo of text: from Python's documentation to a language model, stopped in the middle of an epoch and resumed.

It trains the model of `text_transformer.py`.
"""

import platform
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from rich.console import Console

from artifex.data import create_data_loader, open_text
from artifex.data.checks import check_integer
from artifex.data.feed import Batch
from artifex.data.tokenizers.load import load_tokenizer, save_tokenizer
from artifex.data.tokenizers.train import train_tokenizer
from artifex.examples.demo import check_settings, say, say_speed, stop_and_resume, train, watched
from artifex.examples.docstrings import HELD_OUT, TRAIN, find_modules, standard_library, write_corpus
from artifex.examples.text_transformer import (
    ADAM,
    BATCH,
    PARAMS,
    ROW,
    VOCABULARY,
    Transformer,
    count_tokens,
    fields,
    load,
    total_bits,
    train_step,
)
from artifex.examples.training import Meter, endless
from artifex.generative_models.modalities import TextModality

MIN_DOCUMENTS = 100
"""As few as make an epoch with a middle, and some documents that are held out."""

_SAMPLES, _SAMPLE_LENGTH = 6, 96  # texts; tokens in each, at most
_TEMPERATURE, _TOP_P = 0.8, 0.95


class Run:
    """What a training run is made of; a new one is made alike from the same folder and seed."""

    def __init__(self, corpus: Path, tokenizer: Path, seed: int) -> None:
        cache, loaded = tokenizer.parent / "cache", load_tokenizer(tokenizer, special=PARAMS.special)
        self.documents = load(corpus / TRAIN, loaded, cache, seed=seed)
        self.held_out = load(corpus / HELD_OUT, loaded, cache, seed=seed)
        self.rows = self.documents.packed(seed=seed)
        self.loader = create_data_loader(self.rows, BATCH, drop_last=True, seed=seed)
        self.modality = TextModality(PARAMS, tokenizer=loaded, rngs=nnx.Rngs(seed))
        self.model = Transformer(self.modality.vocab_size, rngs=nnx.Rngs(seed))
        self.optimizer = nnx.Optimizer(self.model, ADAM, wrt=nnx.Param)

    def step(self, batch: Batch) -> float:
        """Trains on a batch; its loss before, in bits per token."""
        return float(train_step(self.model, self.optimizer, *fields(batch)))


def demo(out: Path, *, seconds: float, seed: int, console: Console, documents: int | None = None) -> Path:
    """Runs the demo and returns the file with the texts that the model wrote.

    Args:
        out: folder for the corpus, its tokenizer and tokens, the checkpoint and the samples.
        seconds: how long to train, > 0; stopping, comparing and sampling come on top of it.
        seed: for weights, order and samples, 0 to 2**32 - 1.
        console: where to say what happens.
        documents: how many texts to take, `MIN_DOCUMENTS` or more; None for all.

    Raises:
        ConfigError: a number is out of range, or there is no source of Python's library.
        MissingPackageError: `tokenizers` is not installed.
        ArtifexError: the resumed run got other batches than the one that was not stopped.
    """
    if documents is not None:
        check_integer("documents", documents, MIN_DOCUMENTS, 10**6)
    check_settings(seconds, seed)
    began, meter, tokenizer = time.perf_counter(), Meter("tokens", count_tokens), out / "tokenizer.json"
    corpus = _collect(out, documents, console)
    _train_tokenizer(corpus / TRAIN, tokenizer, console)
    run = Run(corpus, tokenizer, seed)
    _say_rows(run, console)
    say(console, "Device", f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")

    before, batches = _bits(run), endless(run.loader)
    train(run, batches, meter, console, until=seconds / 2, within_an_epoch=True)
    again = stop_and_resume(run, batches, lambda: Run(corpus, tokenizer, seed), out / "checkpoint", console)
    train(again, endless(again.loader), meter, console, until=seconds)

    _say_loss(again, corpus, before, console)
    say_speed(meter, console)
    texts = _samples(again, seed)
    (out / "samples.txt").write_text("\n\n----\n\n".join(texts) + "\n", encoding="utf-8")
    say(console, "Sample", max(texts, key=len))
    say(console, "Samples", f"{out / 'samples.txt'}, {time.perf_counter() - began:.0f} s after the start")
    return out / "samples.txt"


def _collect(out: Path, documents: int | None, console: Console) -> Path:
    library, version = standard_library(), platform.python_version()
    corpus = out / (f"python-{version}" if documents is None else f"python-{version}-{documents}")
    modules = len(find_modules(library))
    watched(write_corpus(corpus, library, documents), "Reading modules", modules, console)
    size = sum((corpus / name).stat().st_size for name in (TRAIN, HELD_OUT)) / 1e6
    say(console, "Corpus", f"{size:.1f} MB of Python's own documentation, from {modules} modules: {corpus}")
    return corpus


def _texts(file: Path) -> Iterator[str]:
    source = open_text(file)
    return (str(source[number]["text"]) for number in range(len(source)))


def _train_tokenizer(file: Path, tokenizer: Path, console: Console) -> None:
    trained = train_tokenizer(
        _texts(file), vocab_size=VOCABULARY, special=PARAMS.special, progress=console.is_terminal
    )
    save_tokenizer(trained, tokenizer)
    say(console, "Tokens", f"{trained.vocab_size} of byte-level BPE, trained on it: {tokenizer}")


def _say_rows(run: Run, console: Console) -> None:
    lengths, packing = run.documents.lengths, run.rows.packing
    assert packing is not None
    alone = 1 - np.minimum(lengths, ROW).mean() / ROW
    counts = f"{len(lengths)} documents to train on, {len(run.held_out)} held out"
    rows = f"{lengths.sum()} tokens in {len(run.rows)} rows of {ROW}"
    waste = f"padding is {packing.waste:.2%} (one document to a row, cut: {alone:.0%})"
    say(console, "Data", f"{counts}; {rows}, {waste}")


def _bits(run: Run) -> float:
    """Bits per token of the documents that were held out."""
    loader = create_data_loader(run.held_out.packed(shuffle=False), BATCH, shuffle=False)
    totals = [total_bits(run.model, *fields(batch)) for batch in loader]
    return sum(float(bits) for bits, _ in totals) / sum(int(count) for _, count in totals)


def _say_loss(run: Run, corpus: Path, before: float, console: Console) -> None:
    after = _bits(run)
    # BOS is given. Bits per byte do not depend on how large tokens are, as perplexities do.
    predicted = int(run.held_out.lengths.sum()) - len(run.held_out)
    per_byte = predicted / sum(len(text.encode()) for text in _texts(corpus / HELD_OUT))
    say(
        console,
        "Loss",
        f"perplexity {2**before:.1f} before, {2**after:.1f} after; {before * per_byte:.2f} and "
        f"{after * per_byte:.2f} bits per byte (held out)",
    )


def _samples(run: Run, seed: int) -> list[str]:
    return run.modality.generate(
        _SAMPLES,
        sampler=run.model.continued,
        max_length=_SAMPLE_LENGTH,
        temperature=_TEMPERATURE,
        top_p=_TOP_P,
        key=jax.random.key(seed),
    )
