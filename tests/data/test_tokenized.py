"""A corpus that is tokenized once."""

from shutil import rmtree

import numpy as np
import pytest

from artifex.data.errors import (
    ConfigError,
    ConfigTypeError,
    DecodeError,
    ReadError,
    TooManyBadRecordsError,
)
from artifex.data.faults import BadRecordWarning, read_quarantine
from artifex.data.sequences import Frame
from artifex.data.sources.text import open_text
from artifex.data.text_reader import TextReader
from artifex.data.tokenized import open_tokens, tokenize_corpus
from artifex.data.tokenizers import SpecialTokens
from artifex.data.tokenizers.byte import ByteTokenizer

SPECIAL = SpecialTokens(pad=0, unk=1, bos=2, eos=3)


class Counting(ByteTokenizer):
    """Counts the texts that it encodes."""

    encoded = 0

    def encode_many(self, texts):
        self.encoded += len(texts)
        return super().encode_many(texts)


def reader_of(path, length=8, tokenizer=None):
    source = open_text(path)
    tokenizer = Counting(special=SPECIAL) if tokenizer is None else tokenizer
    identity = {"kind": "text_files", "files": source.names(), "content": source.fingerprint()}
    return TextReader(source, tokenizer, Frame(length, SPECIAL), fold_case=False, identity=identity)


def tokenized(folder, path, special=SPECIAL, length=8, **settings):
    settings = {"num_workers": 0, "vocab_size": 260, "cache_dir": folder / "cache", **settings}
    return tokenize_corpus(reader_of(path, length), special, **settings)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"ab\n\n" + b"c" * 40 + b"\n")
    return path


def documents_of(made):
    documents = made.documents
    return [
        documents.tokens[begin:end].tolist()
        for begin, end in zip(documents.offsets[:-1], documents.offsets[1:], strict=True)
    ]


def ids(text):
    return [byte + 4 for byte in text.encode()]


@pytest.mark.parametrize("num_workers", [0, 2, "auto"])
def test_whole_documents_with_their_ends(tmp_path, lines, num_workers):
    made = tokenized(tmp_path, lines, num_workers=num_workers)
    assert documents_of(made) == [[2, *ids("ab"), 3], [2, 3], [2, *ids("c" * 40), 3]]
    assert made.documents.tokens.dtype == np.uint16
    assert made.folder.parent == tmp_path / "cache" / "tokens"
    assert made.bad == ()


def test_bos_and_eos_may_be_left_out(tmp_path, lines):
    special = SpecialTokens(pad=0, unk=1, bos=None, eos=None)
    reader = TextReader(
        open_text(lines), ByteTokenizer(special=special), Frame(8, special), fold_case=False, identity={}
    )
    made = tokenize_corpus(reader, special, vocab_size=258, cache_dir=tmp_path, num_workers=0)
    assert made.documents.lengths.tolist() == [2, 0, 40]


def test_it_is_made_once_for_any_length_of_rows(tmp_path, lines):
    first = tokenized(tmp_path, lines)
    tokenizer = Counting(special=SPECIAL)
    again = tokenize_corpus(
        reader_of(lines, 99, tokenizer), SPECIAL, vocab_size=260, cache_dir=tmp_path / "cache", num_workers=0
    )
    assert tokenizer.encoded == 0
    assert again.folder == first.folder
    assert again.documents.fingerprint() == first.documents.fingerprint()


def test_another_text_of_the_same_size_is_another_corpus(tmp_path, lines):
    tokenized(tmp_path, lines)
    lines.write_bytes(b"AB\n\n" + b"c" * 40 + b"\n")
    assert documents_of(tokenized(tmp_path, lines))[0] == [2, *ids("AB"), 3]


@pytest.fixture
def bad_lines(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes(b"ab\nc\xff\nd\n\xfe\ne\n")
    return path


def test_a_bad_text_is_an_error(tmp_path, bad_lines):
    with pytest.raises(DecodeError, match=r"record 1: .*bad.txt: byte 0xff at 4 is no utf-8"):
        tokenized(tmp_path, bad_lines)


def test_bad_texts_are_left_out_and_written_down(tmp_path, bad_lines):
    settings = {"on_error": "quarantine", "quarantine": tmp_path / "bad.jsonl", "max_errors": 2}
    with pytest.warns(BadRecordWarning, match="record 1: "):
        made = tokenized(tmp_path, bad_lines, **settings)
    assert documents_of(made) == [[2, *ids(text), 3] for text in ("ab", "d", "e")]
    assert [(bad.record, bad.offset, bad.error) for bad in made.bad] == [
        (1, 4, "DecodeError"),
        (3, 8, "DecodeError"),
    ]
    assert [bad.record for bad in read_quarantine(tmp_path / "bad.jsonl")] == [1, 3]
    # The store is there now: who does not skip is told, and so is who skips.
    with pytest.raises(DecodeError, match="record 1: .*byte 0xff .* if it can be had now, delete '.*tokens-"):
        tokenized(tmp_path, bad_lines)
    with pytest.warns(BadRecordWarning):
        again = tokenized(tmp_path, bad_lines, **settings)
    assert documents_of(again) == documents_of(made)


def test_tokens_are_there_without_their_texts(tmp_path, bad_lines):
    with pytest.warns(BadRecordWarning):
        made = tokenized(tmp_path, bad_lines, on_error="skip", max_errors=2)
    bad_lines.unlink()
    again = open_tokens(str(made.folder))
    np.testing.assert_array_equal(again.tokens, made.documents.tokens)
    np.testing.assert_array_equal(again.lengths, made.documents.lengths)
    (made.folder / "manifest.json").write_text("[]")
    with pytest.raises(ConfigError, match="is damaged: its manifest is not one of version 1"):
        open_tokens(made.folder)
    (made.folder / "manifest.json").write_text('{"version": 1}')
    with pytest.raises(ConfigError, match="is damaged: its manifest is none: TypeError"):
        open_tokens(made.folder)
    with pytest.raises(ConfigError, match="has no manifest.json: it is no token store"):
        open_tokens(tmp_path)


def test_too_many_bad_texts(tmp_path, bad_lines):
    with (
        pytest.warns(BadRecordWarning),
        pytest.raises(TooManyBadRecordsError, match="2 of 5 samples of this epoch are bad"),
    ):
        tokenized(tmp_path, bad_lines, on_error="skip", max_errors=1)


class Away(TextReader):
    """Its second text cannot be read while it is `away`."""

    away = True

    def encode(self, indices):
        if self.away and 1 in indices:
            raise ReadError("the server is away", path="a.txt", record=1)
        return super().encode(indices)


def test_a_text_that_can_be_read_again_is_told(tmp_path, lines, monkeypatch):
    source = open_text(lines)
    reader = Away(source, ByteTokenizer(special=SPECIAL), Frame(8, SPECIAL), fold_case=False, identity={})
    settings = {
        "num_workers": 0,
        "vocab_size": 260,
        "cache_dir": tmp_path,
        "on_error": "skip",
        "max_errors": 2,
    }
    for _ in range(2):
        with pytest.warns(BadRecordWarning, match="the server is away"):
            assert len(tokenize_corpus(reader, SPECIAL, **settings).documents) == 2
    monkeypatch.setattr(Away, "away", False)
    with pytest.warns(BadRecordWarning) as told:
        made = tokenize_corpus(reader, SPECIAL, **settings)
    assert len(made.documents) == 2 and made.folder.name in str(told[0].message)
    assert "1 texts, the first of them record 1, were left out" in str(told[0].message)
    with pytest.warns(BadRecordWarning) as told, pytest.raises(TooManyBadRecordsError):
        tokenize_corpus(reader, SPECIAL, **settings | {"max_errors": 0})
    assert "now they can" in str(told[0].message)
    rmtree(made.folder)
    made = tokenize_corpus(reader, SPECIAL, **settings)
    assert len(made.documents) == 3 and made.bad == ()


def test_what_is_no_corpus(tmp_path, bad_lines):
    bad_lines.write_bytes(b"\xff\n")
    with (
        pytest.warns(BadRecordWarning),
        pytest.raises(ConfigError, match="no token in the 1 texts, of which 1"),
    ):
        tokenized(tmp_path, bad_lines, on_error="skip", max_errors=1)
    with pytest.raises(ConfigTypeError, match="`progress` must be True or False"):
        tokenized(tmp_path, bad_lines, progress=1)
