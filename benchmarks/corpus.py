"""The documents of the cases with texts, their tokenizer and their ids.

The paragraphs are those of Python's own documentation, which is there on every machine; lengths in characters are
log-normal, with a mean of about 1,100, from 60 to 12,000.
"""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.texts import BOS, EOS, SPECIAL, Texts

VOCABULARY = 10_000
_TRAINED_ON = 20_000
_AT_ONCE = 2000


def write(count: int, path: Path) -> None:
    """The documents, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    paragraphs = list(dict.fromkeys(_paragraphs()))
    rng = np.random.default_rng(11)
    sizes = np.clip(rng.lognormal(6.6, 0.9, count), 60, 12_000).astype(int)
    texts = [_document(paragraphs, size, rng) for size in sizes.tolist()]
    unfinished = path.with_suffix(".part")
    parquet.write_table(pa.table({"text": texts}), unfinished, row_group_size=10_000, compression="zstd")
    unfinished.replace(path)


def _document(paragraphs: list[str], size: int, rng: np.random.Generator) -> str:
    parts, left = [], size + 1  # the last needs no line end
    while left > 0:
        parts.append(paragraphs[rng.integers(len(paragraphs))])
        left -= len(parts[-1]) + 1
    return "\n".join(parts)[:size]


def _paragraphs() -> Iterator[str]:
    for text in _texts():
        for paragraph in text.split("\n\n"):
            joined = re.sub(r"\s+", " ", paragraph).strip()
            if 40 < len(joined) < 3000:
                yield joined


def _texts() -> Iterator[str]:
    import pydoc_data.topics

    yield from pydoc_data.topics.topics.values()
    library = Path(sysconfig.get_paths()["stdlib"])
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(library.rglob("*.py")):
        if {"test", "tests", "site-packages"} & set(path.relative_to(library).parts):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):  # some are there to be wrong
            continue
        yield from filter(None, (ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, kinds)))


def train(texts: Path, path: Path) -> None:
    """A byte-level BPE, trained on the first documents."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    source = Texts(texts)
    tokenizer.train_from_iterator(source.many(range(min(_TRAINED_ON, len(source)))), trainer)
    unfinished = path.with_suffix(".part")
    tokenizer.save(str(unfinished))
    unfinished.replace(path)


def tokenize(texts: Path, tokenizer: Path, kept: str) -> None:
    """KEPT-tokens.npy and KEPT-offsets.npy: BOS, the ids by the library `tokenizers`, EOS of each document."""
    from tokenizers import Tokenizer

    library, source = Tokenizer.from_file(str(tokenizer)), Texts(texts)
    ids, sizes = [], [0]
    for start in range(0, len(source), _AT_ONCE):
        rows = range(start, min(start + _AT_ONCE, len(source)))
        for encoding in library.encode_batch_fast(source.many(rows), add_special_tokens=False):
            ids.append(np.array([BOS, *encoding.ids, EOS], np.uint16))
            sizes.append(len(ids[-1]))
    np.save(f"{kept}-tokens.npy", np.concatenate(ids))
    np.save(f"{kept}-offsets.npy", np.cumsum(sizes))
