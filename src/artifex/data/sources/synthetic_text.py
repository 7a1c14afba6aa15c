"""Made-up texts, each from its own number."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from artifex.data.types import Record

_SUBJECTS = (
    "the cat",
    "a child",
    "the river",
    "my neighbour",
    "an old robot",
    "the moon",
    "a small bird",
    "the teacher",
)
_VERBS = ("watches", "follows", "paints", "remembers", "builds", "crosses", "finds", "sings to")
_OBJECTS = (
    "the garden",
    "a red door",
    "two mountains",
    "the empty street",
    "a paper boat",
    "the last train",
    "some bread",
)
_ENDS = (
    "in the morning",
    "without a sound",
    "every winter",
    "for the first time",
    "near the sea",
    "again and again",
    "",
)
# fmt: off
_WORDS = (
    "blue", "stone", "window", "light", "seven", "forest", "salt", "echo", "paper", "north",
    "glass", "rain", "copper", "field", "quiet", "bridge", "summer", "ladder", "violet", "engine",
    "harbour", "needle", "orange", "planet", "silver", "thunder", "velvet", "whistle", "yellow",
    "anchor", "button", "candle", "desert", "eagle", "feather", "garden", "hammer", "island",
    "jungle", "kettle",
)
# fmt: on
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class TextPattern(StrEnum):
    """What made-up texts look like."""

    RANDOM_SENTENCES = "random_sentences"
    """Two to five sentences of subject, verb, object and circumstance."""
    REPEATED_PHRASES = "repeated_phrases"
    """A phrase of four to six words, several times over."""
    SEQUENCES = "sequences"
    """Whole numbers that grow by the same step."""
    PALINDROMES = "palindromes"
    """Letters that read the same from both ends."""


@dataclass(frozen=True)
class SyntheticTexts:
    """A source of made-up texts: record i is a function of (root, i) alone, and is made when it is asked for.

    Attributes:
        pattern: what they look like.
        num_records: how many there are.
        root: the two words of a key.
    """

    pattern: TextPattern
    num_records: int
    root: tuple[int, int]

    def __len__(self) -> int:
        return self.num_records

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < self.num_records:
            raise IndexError(index)
        key = np.array(self.root, np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=np.array([0, index, 0, 0], np.uint64)))
        return {"text": _MAKERS[self.pattern](rng)}


def _sentences(rng: np.random.Generator) -> str:
    sentences: list[str] = []
    for _ in range(int(rng.integers(2, 6))):
        parts = [group[int(rng.integers(len(group)))] for group in (_SUBJECTS, _VERBS, _OBJECTS, _ENDS)]
        sentence = " ".join(filter(None, parts))
        sentences.append(f"{sentence[0].upper()}{sentence[1:]}.")
    return " ".join(sentences)


def _phrases(rng: np.random.Generator) -> str:
    words = [_WORDS[i] for i in rng.integers(len(_WORDS), size=int(rng.integers(4, 7)))]
    return " ".join([" ".join(words)] * int(rng.integers(3, 9)))


def _numbers(rng: np.random.Generator) -> str:
    first, step, count = int(rng.integers(0, 10**6)), int(rng.integers(1, 1000)), int(rng.integers(5, 21))
    return " ".join(str(first + step * i) for i in range(count))


def _palindrome(rng: np.random.Generator) -> str:
    half = "".join(_LETTERS[i] for i in rng.integers(len(_LETTERS), size=int(rng.integers(6, 21))))
    middle = _LETTERS[int(rng.integers(len(_LETTERS)))] if rng.integers(2) else ""
    return half + middle + half[::-1]


_MAKERS = {
    TextPattern.RANDOM_SENTENCES: _sentences,
    TextPattern.REPEATED_PHRASES: _phrases,
    TextPattern.SEQUENCES: _numbers,
    TextPattern.PALINDROMES: _palindrome,
}
