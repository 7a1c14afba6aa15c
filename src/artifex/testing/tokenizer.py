"""What every tokenizer keeps to."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np

from artifex.data.errors import ConfigError, RangeError
from artifex.data.tokenizers import Tokenizer
from artifex.data.tokenizers.load import load_tokenizer, save_tokenizer

_IN_ANOTHER_PROCESS = """
import sys
from artifex.data.tokenizers.load import load_tokenizer
for text in sys.stdin.read().split(chr(30)):
    print(load_tokenizer(sys.argv[1]).encode(text).tolist())
"""


class TokenizerContract:
    """Subclass it in a test; override `tokenizer`, which is made once for each class.

    Attributes:
        is_exact: whether every text comes back as it was; else the words of `known` do, in their order.
        known: a text that is within the vocabulary.
        texts: of all kinds.
    """

    is_exact: ClassVar[bool] = True
    known: ClassVar[str] = "the same text in a test"
    texts: ClassVar[tuple[str, ...]] = (
        "",
        "a",
        " ",
        "Hello world, this is a test.",
        "  two  spaces\tand\ttabs\n\nand lines\r\n",
        "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈",
        "안녕하세요",
        "e\u0301 a\u0308\u0323 ﬁ",
        "null\0byte",
        "مرحبا שלום",
    )

    def tokenizer(self) -> Tokenizer:
        raise NotImplementedError

    def test_is_a_tokenizer(self) -> None:
        assert isinstance(self.tokenizer(), Tokenizer)

    def test_texts_come_back(self) -> None:
        tokenizer = self.tokenizer()
        for text in self.texts:
            found = tokenizer.decode(tokenizer.encode(text))
            assert isinstance(found, str)
            if self.is_exact:
                assert found == text
        assert tokenizer.decode(tokenizer.encode(self.known)).split() == self.known.split()

    def test_a_megabyte_comes_back(self) -> None:
        tokenizer = self.tokenizer()
        text = (self.known + " ") * (2**20 // len(self.known))
        found = tokenizer.decode(tokenizer.encode(text))
        assert found == text if self.is_exact else found.split() == text.split()

    def test_a_long_run_of_one_character_comes_back(self) -> None:
        tokenizer = self.tokenizer()
        for character in ("a", " "):
            ids = tokenizer.encode(character * 2**18)
            if self.is_exact:
                assert tokenizer.decode(ids) == character * 2**18

    def test_ids_are_int32_in_range_and_not_special(self) -> None:
        tokenizer = self.tokenizer()
        special = set(tokenizer.special.ids) - {tokenizer.special.unk}
        assert max(tokenizer.special.ids) < tokenizer.vocab_size
        for text in self.texts:
            ids = tokenizer.encode(text)
            assert ids.dtype == np.int32
            assert ids.ndim == 1
            assert not special & set(ids.tolist())
            assert all(0 <= token < tokenizer.vocab_size for token in ids.tolist())

    def test_many_texts_are_as_one_by_one(self) -> None:
        tokenizer = self.tokenizer()
        for many, text in zip(tokenizer.encode_many(self.texts), self.texts, strict=True):
            np.testing.assert_array_equal(many, tokenizer.encode(text))
        assert tokenizer.encode_many([]) == []

    def test_no_text_can_forge_a_special_token(self) -> None:
        tokenizer = self.tokenizer()
        names = "<pad> <unk> <s> </s> <bos> <eos> [PAD] [UNK] [CLS] [SEP] [MASK] <mask> <|endoftext|> <extra_id_0>"
        ids = tokenizer.encode(names)
        assert not (set(tokenizer.special.ids) - {tokenizer.special.unk}) & set(ids.tolist())
        if self.is_exact:
            assert tokenizer.decode(ids) == names

    def test_special_tokens_are_left_out_of_texts(self) -> None:
        tokenizer = self.tokenizer()
        ids = tokenizer.encode(self.known)
        mixed = np.concatenate([list(tokenizer.special.ids), ids, [tokenizer.special.pad] * 3])
        assert tokenizer.decode(mixed) == tokenizer.decode(ids)

    def test_ids_out_of_range_are_told(self) -> None:
        tokenizer = self.tokenizer()
        for wrong in (-1, tokenizer.vocab_size):
            try:
                tokenizer.decode(np.array([wrong]))
            except RangeError as error:
                assert str(wrong) in str(error)
            else:
                raise AssertionError(f"the id {wrong} was decoded")

    def test_half_a_surrogate_pair_is_told(self) -> None:
        try:
            self.tokenizer().encode("ab\ud800c")
        except ConfigError as error:
            assert "character 2" in str(error)
        else:
            raise AssertionError("half a surrogate pair was encoded")

    def test_saved_and_loaded_it_is_the_same(self, tmp_path: Path) -> None:
        tokenizer = self.tokenizer()
        save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
        loaded = load_tokenizer(tmp_path / "tokenizer.json")
        assert (loaded.stamp(), loaded.special) == (tokenizer.stamp(), tokenizer.special)
        assert loaded.vocab_size == tokenizer.vocab_size
        self.assert_same(loaded)

    def test_a_copy_by_pickle_is_the_same(self) -> None:
        copy = pickle.loads(pickle.dumps(self.tokenizer()))
        assert copy.stamp() == self.tokenizer().stamp()
        self.assert_same(copy)

    def test_threads_get_the_same(self) -> None:
        tokenizer = self.tokenizer()
        with ThreadPoolExecutor(4) as pool:
            for ids in pool.map(tokenizer.encode_many, [self.texts] * 16):
                for one, text in zip(ids, self.texts, strict=True):
                    np.testing.assert_array_equal(one, tokenizer.encode(text))

    def test_another_process_gets_the_same(self, tmp_path: Path) -> None:
        tokenizer = self.tokenizer()
        save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
        program = [sys.executable, "-c", _IN_ANOTHER_PROCESS, str(tmp_path / "tokenizer.json")]
        environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
        texts = [text for text in self.texts if "\r" not in text]
        said = subprocess.run(  # noqa: S603  (this Python, with a program of ours)
            program,
            input=chr(30).join(texts),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
            env=environment,
        ).stdout
        assert said.splitlines() == [str(tokenizer.encode(text).tolist()) for text in texts]

    def assert_same(self, other: Tokenizer) -> None:
        """Raises unless another tokenizer gives the same ids."""
        for text in (*self.texts, self.known):
            np.testing.assert_array_equal(other.encode(text), self.tokenizer().encode(text))
