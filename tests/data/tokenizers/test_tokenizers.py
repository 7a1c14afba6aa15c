"""Tokenizers: what they give, against the libraries themselves and by hand."""

import json
import os
import pydoc_data.topics
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import tiktoken
import tokenizers

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.tokenizers import SpecialTokens, fast
from artifex.data.tokenizers.byte import ByteTokenizer
from artifex.data.tokenizers.library import LibraryTokenizer
from artifex.data.tokenizers.load import load_tokenizer, save_tokenizer
from artifex.data.tokenizers.train import TokenizerKind, train_tokenizer
from artifex.testing.tokenizer import TokenizerContract

SPREAD = SpecialTokens(pad=7, unk=0, bos=299, eos=5, mask=100, sentinels=(301, 300))
TEXTS = [*list(pydoc_data.topics.topics.values())[:12], *["the same text in a test"] * 50]


@cache
def trained(kind, special=SPREAD):
    return train_tokenizer(TEXTS, kind, vocab_size=600, special=special, progress=False)


class TestBytes(TokenizerContract):
    def tokenizer(self):
        return ByteTokenizer(SPREAD)


class TestBPE(TokenizerContract):
    def tokenizer(self):
        return trained("bpe")


class TestWord(TokenizerContract):
    is_exact = False

    def tokenizer(self):
        return trained("word")


class TestCharacter(TokenizerContract):
    is_exact = False

    def tokenizer(self):
        return trained("character")


class TestWordPiece(TokenizerContract):
    is_exact = False

    def tokenizer(self):
        return trained("wordpiece")


class TestUnigram(TokenizerContract):
    is_exact = False

    def tokenizer(self):
        return trained("unigram")


def test_bytes_by_hand():
    """Ids 0 to 3 are special: byte 0 has 4, "A" (65) has 69, "é" is the bytes 195 and 169."""
    tokenizer = ByteTokenizer()
    assert tokenizer.encode("\0Aé").tolist() == [4, 69, 199, 173]
    assert tokenizer.vocab_size == 260
    assert tokenizer.decode([2, 199, 69, 3, 0]) == "\ufffdA"
    spread = ByteTokenizer(SpecialTokens(pad=1, unk=None, bos=None, eos=300))
    assert spread.encode("\0\1\2").tolist() == [0, 2, 3] and spread.vocab_size == 301


@pytest.mark.parametrize("size", [259, 1])
def test_a_vocabulary_with_no_room_for_the_bytes_is_told(size):
    with pytest.raises(ConfigError, match=f"`vocab_size` {size} is too small .* make it 260 or more"):
        ByteTokenizer(vocab_size=size)


def test_bpe_by_hand():
    """Of "aab aab aab" the pair "aa" is merged first, then "aab", then " aab"."""
    special = SpecialTokens(pad=0, unk=None, bos=None, eos=None)
    tokenizer = train_tokenizer(["aab aab aab"], vocab_size=260, special=special, progress=False)
    vocabulary = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.describe()["tokenizer"])).get_vocab()
    assert [vocabulary[token] for token in ("aa", "aab", "Ġaab")] == [257, 258, 259]
    assert tokenizer.encode("aab aab aa").tolist() == [258, 259, vocabulary["Ġ"], 257]


def test_words_by_hand():
    special = SpecialTokens(pad=0, unk=1, bos=2, eos=3)
    tokenizer = train_tokenizer(["b b b a a c"], "word", vocab_size=6, special=special, progress=False)
    assert tokenizer.encode("a b c zebra").tolist() == [5, 4, 1, 1]
    assert tokenizer.decode([2, 5, 4, 3, 0]) == "a b"


def test_characters_by_hand():
    tokenizer = train_tokenizer(["aaab\nb c"], "character", vocab_size=7, progress=False)
    assert tokenizer.encode("ab?").tolist() == [4, 5, 1]
    assert tokenizer.decode(tokenizer.encode("abba")) == "abba"


@pytest.mark.parametrize("kind", TokenizerKind)
def test_special_ids_are_where_they_were_wanted(kind):
    tokenizer = trained(kind)
    assert tokenizer.special == SPREAD
    library = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.describe()["tokenizer"]))
    names = {
        "<pad>": 7,
        "<unk>": 0,
        "<bos>": 299,
        "<eos>": 5,
        "<mask>": 100,
        "<extra_id_0>": 301,
        "<extra_id_1>": 300,
    }
    assert {name: library.token_to_id(name) for name in names} == names
    if kind != "character":  # the texts have no 300 of them, so that there is a gap
        assert sorted(library.get_vocab().values()) == list(range(library.get_vocab_size()))


@pytest.mark.parametrize("kind", TokenizerKind)
def test_ids_are_those_of_the_library(kind):
    tokenizer = trained(kind)
    library = tokenizers.Tokenizer.from_str(json.dumps(tokenizer.describe()["tokenizer"]))
    library.encode_special_tokens = True
    for text in (*TEXTS, *TokenizerContract.texts):
        assert tokenizer.encode(text).tolist() == library.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", TokenizerKind)
def test_the_same_texts_give_the_same_tokenizer_in_another_process(kind):
    program = (
        "import pydoc_data.topics, sys\nfrom artifex.data.tokenizers.train import train_tokenizer\n"
        "from artifex.data.tokenizers import SpecialTokens\n"
        f"texts = [*list(pydoc_data.topics.topics.values())[:12], *['the same text in a test'] * 50]\n"
        f"print(train_tokenizer(texts, {kind.value!r}, vocab_size=600, special={SPREAD!r}, progress=False).stamp())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "5", "RAYON_NUM_THREADS": "3"}
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert said.stdout.strip() == trained(kind).stamp()


def test_a_byte_level_bpe_runs_through_tiktoken():
    assert trained("bpe").engine == "tiktoken"
    assert {trained(kind).engine for kind in TokenizerKind if kind != "bpe"} == {"tokenizers"}


def test_the_special_token_that_tiktoken_is_given_is_ordinary_text():
    name = fast._NOT_ALLOWED
    for text in (name, f"한{name}\u0301 {name}{name[1:]}", name[:-1] + "é" + name):
        expected = LibraryTokenizer._encode_by_library(trained("bpe"), [text])[0]
        assert trained("bpe").encode(text).tolist() == expected.tolist()
        assert trained("bpe").decode(expected) == text


def test_without_tiktoken_the_library_gives_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    slow = LibraryTokenizer(json.dumps(trained("bpe").describe()["tokenizer"]), SPREAD)
    assert slow.engine == "tokenizers"
    for text in TEXTS:
        np.testing.assert_array_equal(slow.encode(text), trained("bpe").encode(text))


def test_an_engine_that_gives_other_ids_is_not_used(monkeypatch):
    class Wrong(tiktoken.Encoding):
        def encode_to_numpy(self, text, **more):
            return super().encode_to_numpy(text.replace("Straße", "Strasse"), **more)

    monkeypatch.setattr(tiktoken, "Encoding", Wrong)
    tokenizer = LibraryTokenizer(json.dumps(trained("bpe").describe()["tokenizer"]), SPREAD)
    assert tokenizer.engine == "tokenizers"


@pytest.mark.parametrize(
    "change",
    [
        lambda parsed: parsed.update(normalizer={"type": "NFC"}),
        lambda parsed: parsed["pre_tokenizer"].update(add_prefix_space=True),
        lambda parsed: parsed["pre_tokenizer"].update(use_regex=False),
        lambda parsed: parsed["model"].update(dropout=0.1),
        lambda parsed: parsed["model"]["merges"].append(parsed["model"]["merges"][0]),
        lambda parsed: parsed["added_tokens"].append(
            {**parsed["added_tokens"][0], "id": 300, "content": "hello", "special": False}
        ),
    ],
)
def test_what_tiktoken_does_not_do_is_left_to_the_library(change):
    parsed = json.loads(json.dumps(trained("bpe").describe()["tokenizer"]))
    assert fast._pattern(parsed) and fast._ranks(parsed)
    change(parsed)
    assert fast.fast_encoder(parsed, lambda texts: pytest.fail("it was tried")) is None


def byte_level(merges, **model):
    """A byte-level BPE of these merges, its vocabulary in their order."""
    tokens = [*sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *("".join(merge) for merge in merges)]
    library = tokenizers.Tokenizer(
        tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges, **model)
    )
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return library


def test_a_token_that_only_tiktoken_would_make_is_seen():
    """Of "qzj" the merges make "q" and "zj", which no merge joins; but together they are a token."""
    merges = [("z", "j"), ("q", "z"), ("qz", "j")]
    library = byte_level(merges)
    assert library.encode("qzj").tokens == ["q", "zj"]
    assert tiktoken.Encoding(
        "x",
        pat_str=r".+",
        mergeable_ranks={**{bytes([i]): i for i in range(256)}, b"zj": 256, b"qz": 257, b"qzj": 258},
        special_tokens={},
    ).encode_ordinary("qzj") == [258]
    assert LibraryTokenizer(library.to_str()).engine == "tokenizers"
    assert LibraryTokenizer(byte_level(merges[1:]).to_str()).engine == "tiktoken"


def test_a_pattern_that_both_understand_otherwise_is_left_to_the_library():
    r"""U+200D, which joins emoji, is in `\w` for one of them, and the merge of its first byte with "a" shows it."""
    library = byte_level([("a", "â")])
    library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\w+|\W"), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    ranks = {**{bytes([i]): i for i in range(256)}, b"a\xe2": 256}
    other = tiktoken.Encoding("x", pat_str=r"\w+|\W", mergeable_ranks=ranks, special_tokens={})
    assert 256 in other.encode_ordinary("a\u200d") and 256 not in library.encode("a\u200d").ids
    tokenizer = LibraryTokenizer(library.to_str())
    assert tokenizer.encode("a\u200d").tolist() == library.encode("a\u200d").ids


@pytest.mark.parametrize(
    ("pattern", "is_same"),
    [
        (fast._GPT2, True),
        (  # of Llama 3
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
            r"|\s*[\r\n]+|\s+(?!\S)|\s+",
            True,
        ),
        (r"\w+", False),
        (r"\p{N}{1,3}+|[^\p{N}]+", False),  # possessive to one, repeated to the other
        (r"[~~b]+|\S|\s", False),
        (r"(?i:stra\u00dfe)|\S|\s", False),
        (r"\p{L}*", False),
        (r"\p{L}{1,1000}|\S|\s", False),
        (r" ?[\p{L}\p{M}]+| ?\p{N}+|\s+", False),  # leaves characters out
    ],
)
def test_patterns_that_mean_the_same_to_both(pattern, is_same):
    assert (pattern in fast._SAME) is is_same


@pytest.mark.parametrize("pattern", sorted(fast._SAME))
def test_known_patterns_give_the_ids_of_the_library(pattern):
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    levels = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([split, levels])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>"],
        show_progress=False,
    )
    library.train_from_iterator([*TEXTS, "in 2026 and 2025 STRASSE stra\u00dfe b~b they'LL"] * 10, trainer)
    tokenizer = LibraryTokenizer(library.to_str())
    assert tokenizer.engine == "tiktoken"
    everything = ["".join(map(chr, range(n, n + 500))) for n in range(0, 0xD800 - 500, 500)]
    for text in (*TEXTS, *TokenizerContract.texts, *everything, "20262026 b~b \uf8ff pear QQQ"):
        ids = tokenizer.encode(text)
        assert ids.tolist() == library.encode(text, add_special_tokens=False).ids
        ids[:1] = 0  # they are the caller's


def test_added_tokens_that_the_library_numbers_otherwise():
    parsed = json.loads(json.dumps(trained("bpe").describe()["tokenizer"]))
    parsed["added_tokens"].append({**parsed["added_tokens"][0], "id": 12_000, "content": "<|end|>"})
    with pytest.raises(ConfigError, match=r"'<\|end\|>' the id 12000, and the library"):
        LibraryTokenizer(json.dumps(parsed))


def test_ids_in_another_order_than_the_merges():
    parsed = json.loads(byte_level([("a", "b"), ("ab", "c")]).to_str())
    vocabulary = parsed["model"]["vocab"]
    vocabulary["ab"], vocabulary["abc"] = vocabulary["abc"], vocabulary["ab"]
    tokenizer = LibraryTokenizer(json.dumps(parsed))
    assert tokenizer.engine == "tiktoken"
    assert tokenizer.encode("abcab").tolist() == [256, 257]


def test_a_word_that_is_a_token_without_a_merge():
    parsed = json.loads(byte_level([("a", "b")], ignore_merges=True).to_str())
    assert LibraryTokenizer(json.dumps(parsed)).engine == "tiktoken"
    parsed["model"]["vocab"]["abba"] = 257
    tokenizer = LibraryTokenizer(json.dumps(parsed))
    assert (tokenizer.engine, tokenizer.encode("abba").tolist()) == ("tokenizers", [257])


def test_a_tokenizer_json_of_others_is_read_and_its_special_tokens_are_recognised(tmp_path):
    library = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]")
    )
    library.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    library.add_special_tokens(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"])
    library.enable_padding(length=50)
    library.enable_truncation(2)
    library.save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        tokenizer = load_tokenizer(path)
        assert tokenizer.special == SpecialTokens(pad=3, unk=0, bos=4, eos=5, mask=6)
        assert tokenizer.encode("a b c a").tolist() == [1, 2, 0, 1]
    with pytest.raises(ConfigError, match=r"`eos` is 2, which is 'b' in this tokenizer: .*'\[SEP\]': 5"):
        load_tokenizer(tmp_path, SpecialTokens(pad=3, unk=0, bos=4, eos=2))


def forgeable(model, pre_tokenizer, names):
    """A tokenizer whose model itself makes special tokens of text with their names."""
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer = pre_tokenizer
    library.add_special_tokens(names)
    return library


PIECES = {"<unk>": 0, "</s>": 1, "<": 2, "/": 3, "s": 4, ">": 5, "</": 6, "s>": 7, "a": 8}
MERGES = [("<", "/"), ("s", ">")]
SPLITS = tokenizers.pre_tokenizers


@pytest.mark.parametrize(
    ("library", "text", "ids"),
    [
        (  # as in T5: the name is the likeliest piece
            forgeable(
                tokenizers.models.Unigram([(t, 0.0 if i < 2 else -3.0) for t, i in PIECES.items()], 0),
                SPLITS.Metaspace(prepend_scheme="never"),
                ["<unk>", "</s>"],
            ),
            "a</s>a<unk>",
            [8, 6, 7, 8, 0],
        ),
        (
            forgeable(
                tokenizers.models.BPE(PIECES, [*MERGES, ("</", "s>")], unk_token="<unk>"),
                SPLITS.WhitespaceSplit(),
                ["<unk>", "</s>"],
            ),
            "a </s> a",
            [8, 6, 7, 8],
        ),
        (
            forgeable(
                tokenizers.models.BPE(PIECES, MERGES, unk_token="<unk>", ignore_merges=True),
                SPLITS.WhitespaceSplit(),
                ["<unk>", "</s>"],
            ),
            "a </s>",
            [8, 6, 7],
        ),
        (  # the pieces are those of bytes where nothing else fits
            forgeable(
                tokenizers.models.BPE(
                    {"<unk>": 0, "é": 1, **{f"<0x{byte:02X}>": 2 + byte for byte in range(256)}},
                    [],
                    unk_token="<unk>",
                    byte_fallback=True,
                ),
                SPLITS.WhitespaceSplit(),
                ["<unk>", "é"],
            ),
            "é",
            [2 + 0xC3, 2 + 0xA9],
        ),
        (
            forgeable(
                tokenizers.models.WordLevel({"[UNK]": 0, "[MASK]": 1, "a": 2}, "[UNK]"),
                SPLITS.WhitespaceSplit(),
                ["[UNK]", "[MASK]"],
            ),
            "a [MASK] a",
            [2, 0, 2],
        ),
        (
            forgeable(
                tokenizers.models.WordPiece(
                    {"[UNK]": 0, "[M]": 1, "[": 2, "##M": 3, "a": 4}, unk_token="[UNK]"
                ),
                SPLITS.WhitespaceSplit(),
                ["[UNK]", "[M]"],
            ),
            "[M] a",
            [2, 3, 0, 4],
        ),
    ],
)
def test_no_model_makes_a_special_token_of_a_text(library, text, ids):
    library.encode_special_tokens = True
    assert library.encode(text).ids != ids
    tokenizer = LibraryTokenizer(library.to_str())
    assert tokenizer.encode(text).tolist() == ids
    assert [some.tolist() for some in tokenizer.encode_many([text, "a"])] == [
        ids,
        library.encode("a").ids,
    ]


def test_added_tokens_that_are_special_here_are_looked_for_in_no_text():
    """They are marked as special or not in the file, which says whether a text can have them."""
    library = byte_level([])
    library.add_tokens(["<pad>", "<|other|>"])
    other = library.token_to_id("<|other|>")
    assert library.encode("<pad>").ids == [256]
    tokenizer = LibraryTokenizer(library.to_str())
    assert tokenizer.special.pad == 256
    assert tokenizer.encode("<pad>").tolist() == byte_level([]).encode("<pad>").ids
    assert tokenizer.encode("<|other|>").tolist() == [other]
    forged = LibraryTokenizer(library.to_str(), SpecialTokens(pad=256, unk=None, bos=None, eos=other))
    assert forged.encode("<|other|>").tolist() == byte_level([]).encode("<|other|>").ids


def test_the_stamp_is_the_same_however_the_json_was_written(tmp_path):
    library = byte_level([("a", "é")])
    library.save(str(tmp_path / "pretty.json"), pretty=True)
    tokenizer = load_tokenizer(tmp_path / "pretty.json")
    save_tokenizer(tokenizer, tmp_path / "own.json")
    assert load_tokenizer(tmp_path / "own.json").stamp() == tokenizer.stamp()
    assert LibraryTokenizer(library.to_str()).stamp() == tokenizer.stamp()


def test_one_token_for_begin_and_end_is_the_end():
    parsed = json.loads(tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a")).to_str())
    parsed["added_tokens"] = [
        {
            "id": 1,
            "content": "<|endoftext|>",
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
    ]
    special = LibraryTokenizer(json.dumps(parsed)).special
    assert special == SpecialTokens(pad=2, unk=None, bos=None, eos=1)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is no tokenizer"),
        (b"[]", "is no tokenizer: it is no object"),
        (b"{}", "this is no JSON of a tokenizer"),
        (b"\xff\xfe", "is no tokenizer"),
        (b'{"format": "artifex-tokenizer", "version": 9}', "is of version 9, and this release reads 1"),
        (b'{"format": "artifex-tokenizer", "version": 1}', "is damaged: KeyError"),
        (
            b'{"format": "artifex-tokenizer", "version": 1, "special": {}, "kind": "magic"}',
            "does not know: 'magic'",
        ),
        (b"[" * 100_000, "is no tokenizer"),
    ],
)
def test_files_that_are_no_tokenizer_are_told(tmp_path, content, match):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=match):
        load_tokenizer(path)


def test_paths_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_tokenizer(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_tokenizer(ByteTokenizer(), tmp_path / "no" / "folder.json")


def test_what_training_refuses():
    with pytest.raises(UnknownNameError, match="bpe"):
        train_tokenizer(["a"], "bbpe", vocab_size=300)
    with pytest.raises(ConfigError, match="`vocab_size` must be from 260"):
        train_tokenizer(["a"], vocab_size=100)
    with pytest.raises(ConfigError, match="`texts` is empty"):
        train_tokenizer([], vocab_size=300, progress=False)
    with pytest.raises(ConfigTypeError, match="`texts` must be several texts"):
        train_tokenizer("a text", vocab_size=300)
    with pytest.raises(ConfigTypeError, match="`texts` must be several texts, got one int"):
        train_tokenizer(5, vocab_size=300)
    for kind in TokenizerKind:
        with pytest.raises(ConfigTypeError, match="^`text` must be a str, got bytes"):
            train_tokenizer(["a", b"a"], kind, vocab_size=300, progress=False)
    with pytest.raises(ConfigError, match="needs an `unk`"):
        train_tokenizer(["a"], "word", vocab_size=300, special=SpecialTokens(unk=None))
    # Four special tokens, "a", "b", "c" and "d", and "##b" and "##d" within words.
    with pytest.raises(ConfigError, match="`vocab_size` must be at least 10 for the 4 characters .* got 9"):
        train_tokenizer(["ab bd c"], "wordpiece", vocab_size=9, progress=False)
    assert train_tokenizer(["ab bd c"], "wordpiece", vocab_size=10, progress=False).vocab_size == 10
    with pytest.raises(ConfigError, match="special ids must be below `vocab_size` 300"):
        train_tokenizer(["a"], vocab_size=300, special=SpecialTokens(mask=400))


def test_a_million_spaces_are_encoded_by_the_library_where_tiktoken_cannot():
    text = " " * 10**6
    assert trained("bpe").decode(trained("bpe").encode(text)) == text
