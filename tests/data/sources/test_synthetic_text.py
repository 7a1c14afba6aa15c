"""Made-up texts: as their pattern says, and hardly ever the same."""

import pickle
from itertools import pairwise

import pytest

from artifex.data.sources.synthetic_text import SyntheticTexts, TextPattern

ROOT = (1234, 5678)


def texts(pattern, count=2000, root=ROOT):
    source = SyntheticTexts(pattern, count, root)
    return [source[i]["text"] for i in range(count)]


def test_palindromes_read_the_same_from_both_ends():
    assert all(text == text[::-1] and len(text) >= 12 for text in texts(TextPattern.PALINDROMES))


def test_sequences_grow_by_one_step():
    for text in texts(TextPattern.SEQUENCES, 200):
        numbers = list(map(int, text.split()))
        assert len({b - a for a, b in pairwise(numbers)}) == 1 and numbers[1] > numbers[0]


def test_phrases_are_repeated():
    for text in texts(TextPattern.REPEATED_PHRASES, 200):
        words = text.split()
        assert any(len(words) // n >= 3 and words == words[:n] * (len(words) // n) for n in (4, 5, 6)), text


def test_sentences_begin_with_a_capital_and_end_with_a_full_stop():
    for text in texts(TextPattern.RANDOM_SENTENCES, 200):
        sentences = text.split(". ")
        assert 2 <= len(sentences) <= 5 and text.endswith(".")
        assert all(sentence[0].isupper() for sentence in sentences)


@pytest.mark.parametrize("pattern", TextPattern)
def test_texts_hardly_repeat_within_a_split_or_between(pattern):
    train, val = texts(pattern), texts(pattern, root=(1234, 5679))
    assert len(set(train)) >= 1998
    assert len(set(train) & set(val)) <= 2


@pytest.mark.parametrize("pattern", TextPattern)
def test_a_million_cost_nothing_and_each_is_a_function_of_its_number(pattern):
    source = SyntheticTexts(pattern, 10**6, ROOT)
    assert source[999_999] == pickle.loads(pickle.dumps(source))[999_999]
    assert source[7] == SyntheticTexts(pattern, 10, ROOT)[7]
    for index in (-1, 10**6):
        with pytest.raises(IndexError):
            source[index]
