"""Texts as rows of a batch, with a tokenizer that is worked by hand: the code points of letters."""

import numpy as np
import pytest

from artifex.data.errors import ConfigError, DecodeError
from artifex.data.reader import Reader, slots
from artifex.data.sequences import Frame
from artifex.data.text_reader import TextReader
from artifex.data.tokenizers import SpecialTokens, Tokenizer

TEXTS = ["ab", "", "Hello", "a very long text"]


class Letters:
    """Code points as ids; a "?" cannot be encoded."""

    vocab_size, special = 2**16, SpecialTokens()

    def encode(self, text):
        if "?" in text:
            raise ConfigError("`text` has a ?")
        return np.array([ord(c) for c in text], np.int32)

    def encode_many(self, texts):
        return [self.encode(text) for text in texts]

    def decode(self, ids):
        return "".join(map(chr, np.asarray(ids)))

    def stamp(self):
        return "letters"


def reader(texts, *, fold_case=False):
    source = [{"text": text, "path": "some/file.txt"} for text in texts]
    return TextReader(
        source, Letters(), Frame(8, SpecialTokens()), fold_case=fold_case, identity={"kind": "list"}
    )


def read(made, numbers):
    out = slots(made.spec, len(numbers))
    made.read_into(np.array(numbers), out)
    return out


def test_it_is_a_reader_and_has_a_tokenizer():
    assert isinstance(reader(TEXTS), Reader) and isinstance(Letters(), Tokenizer)


def test_rows():
    out = read(reader(TEXTS), [3, 0, 1])
    assert out["texts"].tolist() == ["a very long text", "ab", ""]
    assert out["length"].tolist() == [8, 4, 2]
    np.testing.assert_array_equal(out["text_tokens"][0], [2, *map(ord, "a very"), 3])
    np.testing.assert_array_equal(out["text_tokens"][1], [2, 97, 98, 3, 0, 0, 0, 0])


def test_case_is_folded_for_the_tokens_alone():
    out = read(reader(TEXTS, fold_case=True), [2])
    assert out["texts"].tolist() == ["Hello"]
    np.testing.assert_array_equal(out["text_tokens"][0], [2, *map(ord, "hello"), 3, 0])
    assert [ids.tolist() for ids in reader(TEXTS, fold_case=True).encode(np.array([2]))] == [
        list(map(ord, "hello"))
    ]


def test_a_text_that_cannot_be_encoded_is_told_by_its_record():
    with pytest.raises(DecodeError, match="record 2: some/file.txt: `text` has a ?"):
        read(reader(["a", "b", "why?"]), [0, 1, 2])


def test_the_fingerprint_tells_tokenizers_and_lengths_apart():
    print_ = reader(TEXTS).fingerprint()
    assert print_["tokenizer"] == "letters" and print_["sequence"]["length"] == 8
    assert print_ != reader(TEXTS, fold_case=True).fingerprint()
