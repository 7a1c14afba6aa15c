"""Byte-level BPE by `tiktoken`, which takes a fifth of the time of `tokenizers`, where both give the same ids.

`tokenizers` merges two neighbours where a merge says so; `tiktoken` where what they make is a token. Both take the
merge of the lowest rank first, the leftmost of equals. They differ only where a token's bytes come apart into two
others than its merge is of. Those two span the token and nothing beyond, so that merges within them went as they go
for the token's bytes alone: if these, by the merges, become the token, for every token, then the two always agree.
That is what is checked here, and as a check of the check some hundred texts are encoded by both.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from artifex.data.tokenizers import Ids

Encode: TypeAlias = Callable[[Sequence[str]], list[Ids]]

# How `tokenizers` cuts a text into words for a byte-level BPE, if it is not told otherwise: that of GPT-2.
_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# Regular expressions of models, of which it is known that they mean the same to both libraries, and that they leave
# no character out: of GPT-2, of GPT-4 and Llama 3, of Qwen 2, and of GPT-4o. Others differ where one would not look:
# in what `{1,3}+` is, in whether "ss" is like "\u00df", in sets, in alternatives that may be empty.
_SAME = frozenset(
    [
        _GPT2,
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        *(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
            + digits
            + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            for digits in (r"\p{N}{1,3}", r"\p{N}")
        ),
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ]
)

# A special token that no text is asked to have: what says its name is ordinary text. Without any, `tiktoken` looks
# for one at every character, which takes as long as encoding. It begins with ASCII: the search goes on a byte later.
_NOT_ALLOWED = "<a special token of no text>"

_RANDOM_TEXTS = 200


def fast_encoder(parsed: dict[str, Any], reference: Encode) -> Encode | None:
    """The same as `reference` by `tiktoken`; None where it is not installed, or not the same.

    Args:
        parsed: the JSON of a tokenizer.
        reference: what gives its ids.
    """
    pattern, ranks = _pattern(parsed), _ranks(parsed)
    if pattern is None or ranks is None:
        return None
    try:
        import tiktoken
    except ImportError:
        return None
    ids = np.array(list(ranks.values()), np.int32)
    in_order = bool((np.diff(ids) > 0).all())  # then they do as ranks themselves
    mergeable = ranks if in_order else {name: rank for rank, name in enumerate(ranks)}
    special = {_NOT_ALLOWED: max(mergeable.values()) + 1}
    encoding = tiktoken.Encoding(
        "artifex", pat_str=pattern, mergeable_ranks=mergeable, special_tokens=special
    )

    def encode_one(text: str) -> Ids:
        ranked = encoding.encode_to_numpy(text, disallowed_special=())
        return ranked.astype(np.int32) if in_order else ids[ranked]

    def encode(texts: Sequence[str]) -> list[Ids]:
        try:
            return [encode_one(text) for text in texts]
        except ValueError:  # its regular expressions run out of stack on very long runs of spaces
            return reference(texts)

    trial = _battery()
    try:
        same = all(map(np.array_equal, encode(trial), reference(trial)))
    except Exception:  # whatever goes wrong here goes wrong without a loss
        return None
    return encode if same else None


def _pattern(parsed: dict[str, Any]) -> str | None:
    """The regular expression that cuts texts into words; None where it may mean something else, or is not all."""
    if parsed.get("normalizer") is not None or any(not t["special"] for t in parsed.get("added_tokens", ())):
        return None
    steps = [parsed.get("pre_tokenizer") or {}]
    if steps[0].get("type") == "Sequence":
        steps = steps[0]["pretokenizers"]
    *cuts, last = steps
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if not cuts:
        return _GPT2 if last.get("use_regex", True) else None
    cut = cuts[0]
    plain = cut.get("type") == "Split" and cut.get("behavior") == "Isolated" and not cut.get("invert")
    if len(cuts) > 1 or not plain or last.get("use_regex", True):
        return None
    pattern = cut["pattern"].get("Regex")
    return pattern if pattern in _SAME else None


def _ranks(parsed: dict[str, Any]) -> dict[bytes, int] | None:
    """The bytes of each token -> its id, in the order in which they are merged; None where that is not all."""
    model = parsed.get("model", {})
    if model.get("type") != "BPE" or model.get("dropout") or model.get("byte_fallback"):
        return None
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return None
    vocabulary: dict[str, int] = model["vocab"]
    byte_of = _byte_of()
    ranks: dict[bytes, int] = {}
    order: dict[tuple[bytes, bytes], int] = {}
    for character, byte in byte_of.items():
        if character not in vocabulary:
            return None
        ranks[bytes([byte])] = vocabulary[character]
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        token = left + right
        if token not in vocabulary or not all(character in byte_of for character in token):
            return None
        first, second = (bytes(byte_of[character] for character in part) for part in (left, right))
        if first + second in ranks:  # two ways to one token: which comes first is a matter of the library
            return None
        order[first, second] = len(order)
        ranks[first + second] = vocabulary[token]
    if model.get("ignore_merges") and not all(_is_made(token, ranks, byte_of) for token in vocabulary):
        return None  # a word that is a token is taken as it is, and these are no merge's
    return ranks if all(_merged(name, order) == 1 for name in ranks) else None


def _is_made(token: str, ranks: dict[bytes, int], byte_of: dict[str, int]) -> bool:
    """Whether a token of the vocabulary is a byte or a merge's; those with other characters are no bytes at all."""
    if not all(character in byte_of for character in token):
        return True
    return bytes(byte_of[character] for character in token) in ranks


def _merged(name: bytes, order: dict[tuple[bytes, bytes], int]) -> int:
    """How many tokens the merges make of these bytes, the first merge first, the leftmost of equals."""
    parts = [name[i : i + 1] for i in range(len(name))]
    while len(parts) > 1:
        rank, place = min((order.get(pair, len(order)), i) for i, pair in enumerate(pairwise(parts)))
        if rank == len(order):
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return len(parts)


@cache
def _byte_of() -> dict[str, int]:
    """The characters that byte-level tokenizers write bytes with: printable as they are, others from U+0100 on."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def _battery() -> list[str]:
    """Texts in which tokenizers may differ: scripts, spaces, contractions, digits, and whatever comes at random."""
    texts = [
        "",
        " ",
        "a",
        "Hello world, this isn't a test; they'll've gone. I'M HERE'S IT'D",
        "  two  spaces   three\n\nlines\r\n\ttabs \u00a0\u2003\u3000wide\u200b\u2028",
        "1234567890 3.14159 1,000,000 ١٢٣ ½ Ⅳ ²",
        "def f(x):\n    return {'a': [1, 2]}[x] != None  # why?",
        "naïve café e\u0301 ß ſ Straße İstanbul ﬁ",  # noqa: RUF001
        "안녕하세요 こんにちは 你好 สวัสดี नमस्ते שלום مرحبا Привет γειά",
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 \U0001f600\ufe0f",
        "\x00\x01\x7f\x85\ufeff\uffff",
        "x" * 300,
        "é" * 100 + " " * 100 + "." * 100,
        "".join(map(chr, range(32, 0x250))),
        f"{_NOT_ALLOWED} and a{_NOT_ALLOWED}{_NOT_ALLOWED[:-1]}",
    ]
    rng = np.random.Generator(np.random.Philox(key=2026))
    pieces = [
        *"  \n\t'.,-_0123456789eariotnslcudpmhgbfywkvxzjqEARIOTñéßжλ中あ한🙂",
        "'s",
        "'ll",
        " the",
        "  ",
        "\r\n",
    ]
    sizes = rng.integers(1, 80, size=_RANDOM_TEXTS).tolist()
    return texts + ["".join(pieces[i] for i in rng.integers(len(pieces), size=size)) for size in sizes]
