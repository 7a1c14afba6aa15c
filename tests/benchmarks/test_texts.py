"""What becomes of documents, by hand and by the two libraries."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from benchmarks.data import Documents, Tokens

from benchmarks import checks, corpus, texts

WORDS = [
    "a lamp",
    "the lamps' light",
    "It isn't 1,024!",
    "naïve café",
    "한국어 문장",
    "🙂🙂",
    "x\n\n  y",
    "def f(x):",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    documents = [" ".join(rng.choice(WORDS, rng.integers(1, 20))) for _ in range(50)]
    parquet.write_table(pa.table({"text": documents}), folder / "documents.parquet")
    files = Documents(
        folder / "documents.parquet", folder / "tokenizer.json", str(folder / "documents"), 4, 16, folder
    )
    corpus.train(files.path, files.tokenizer)
    corpus.tokenize(files.path, files.tokenizer, files.kept)
    ids = np.load(f"{files.kept}-tokens.npy")
    return Tokens(ids, np.load(f"{files.kept}-offsets.npy"), files)


def test_both_libraries_give_the_same_ids_which_are_those_that_were_kept(work: Tokens):
    source = texts.Texts(work.documents.path)
    documents = source.many(range(50))
    assert documents[7] == source[7]
    by_library = texts.Encode(work.documents.tokenizer)(documents)
    by_tiktoken = texts.EncodeByTiktoken(work.documents.tokenizer)(documents)
    for number, (one, other) in enumerate(zip(by_library, by_tiktoken, strict=True)):
        assert one == other
        kept = work.ids[work.offsets[number] : work.offsets[number + 1]]
        assert kept.tolist() == [texts.BOS, *one, texts.EOS]


def test_what_workers_get_carries_no_data_with_it(work: Tokens):
    for one in (texts.Texts(work.documents.path), texts.Encode(work.documents.tokenizer)):
        before = len(pickle.dumps(one))
        one.many([0]) if isinstance(one, texts.Texts) else one(["a"])
        assert len(pickle.dumps(one)) == before


def test_padded_and_packed_rows_of_documents(work: Tokens):
    documents = texts.Encode(work.documents.tokenizer)(texts.Texts(work.documents.path).many(range(50)))
    rows = texts.padded(documents, 16)
    checks.padded(work, rows)
    assert np.array_equal(rows, texts.sliced(work, np.arange(50)))
    longer = replace(work, documents=replace(work.documents, length=256))
    checks.packed(longer, texts.table(longer).astype(np.int32))
    checks.packed(longer, next(texts.packed(documents, 4, 256)))


def test_rows_by_hand():
    assert texts.padded([[5, 6], [5, 6, 7, 8]], 5).tolist() == [[1, 5, 6, 2, 0], [1, 5, 6, 7, 2]]
    rows = list(texts.packed([[5, 6], [7], [8, 9, 10], [11]], 1, 4))
    assert np.concatenate(rows).tolist() == [[1, 5, 6, 2], [1, 7, 2, 1], [8, 9, 10, 2]]


def test_best_fit_by_hand():
    # In the order of their lengths: 5 opens row 0; 4 opens 1; the 3s open 2 and fill it; 2 fills row 1.
    assert texts.best_fit(np.array([3, 4, 5, 2, 3]), 6).tolist() == [2, 1, 0, 1, 2]


def test_no_row_of_best_fit_is_too_full():
    lengths = np.random.default_rng(0).integers(1, 33, 1000)
    row_of = texts.best_fit(lengths, 32)
    fill = np.bincount(row_of, lengths)
    assert fill.max() <= 32
    assert fill.sum() == lengths.sum()
    # Two rows that are half empty would have been one.
    assert (fill <= 16).sum() <= 1


def test_documents_are_as_long_as_was_drawn():
    paragraphs = ["one two", "three"]
    for size in range(1, 40):
        document = corpus._document(paragraphs, size, np.random.default_rng(size))
        assert len(document) == size
        *whole, last = document.split("\n")
        assert set(whole) <= set(paragraphs)
        assert any(paragraph.startswith(last) for paragraph in paragraphs)


def test_segments_and_positions_count_documents_within_a_row_and_tokens_within_their_parts(work: Tokens):
    small = Tokens(
        np.arange(11, dtype=np.uint16),
        np.array([0, 2, 3, 9, 11]),
        replace(work.documents, length=4),
    )
    segments, positions = texts.segments(small)
    # Documents of 2, 1, 6 and 2 tokens: the rows are aabc and cccc, and what is left makes none.
    assert segments.tolist() == [[1, 1, 2, 3], [1, 1, 1, 1]]
    assert positions.tolist() == [[0, 1, 0, 0], [0, 1, 2, 3]]
