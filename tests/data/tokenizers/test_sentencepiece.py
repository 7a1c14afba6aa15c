"""SentencePiece models, against the library itself."""

import io
import pydoc_data.topics
from functools import cache

import pytest
import sentencepiece

from artifex.data.errors import ConfigError
from artifex.data.tokenizers import SpecialTokens
from artifex.data.tokenizers.load import load_tokenizer
from artifex.data.tokenizers.sentencepiece import SentencePieceTokenizer
from artifex.testing.tokenizer import TokenizerContract


@cache
def model():
    out = io.BytesIO()
    texts = [line for text in list(pydoc_data.topics.topics.values())[:8] for line in text.splitlines()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=out,
        vocab_size=500,
        byte_fallback=True,
        model_type="bpe",
        pad_id=3,
        minloglevel=2,
    )
    return out.getvalue()


class TestSentencePiece(TokenizerContract):
    is_exact = False

    def tokenizer(self):
        return SentencePieceTokenizer(model())


def test_ids_are_those_of_the_library(tmp_path):
    (tmp_path / "a.model").write_bytes(model())
    tokenizer = load_tokenizer(tmp_path / "a.model")
    library = sentencepiece.SentencePieceProcessor(model_proto=model())
    assert tokenizer.special == SpecialTokens(pad=3, unk=0, bos=1, eos=2)
    for text in TokenizerContract.texts:
        assert tokenizer.encode(text).tolist() == library.encode(text)
        assert tokenizer.decode(tokenizer.encode(text)) == library.decode(library.encode(text))


def test_a_special_id_that_stands_for_text_is_told():
    with pytest.raises(ConfigError, match="`eos` is 300, which is"):
        SentencePieceTokenizer(model(), SpecialTokens(pad=3, unk=0, bos=1, eos=300))
    assert SentencePieceTokenizer(model(), SpecialTokens(pad=600, unk=0, bos=1, eos=2)).vocab_size == 601


@pytest.mark.parametrize("data", [b"", b"no model"])
def test_what_is_no_model_is_told(data, tmp_path):
    (tmp_path / "a.model").write_bytes(data)
    with pytest.raises(ConfigError, match="this is no model of SentencePiece"):
        load_tokenizer(tmp_path / "a.model")
