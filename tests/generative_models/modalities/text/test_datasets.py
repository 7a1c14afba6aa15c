"""Datasets of texts."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, UnknownNameError
from artifex.data.faults import BadRecordWarning
from artifex.generative_models.core.configuration import ModalityConfiguration
from artifex.generative_models.modalities.text.datasets import SimpleTextDataset, SyntheticTextDataset
from artifex.testing.datasets import DatasetContract

CONFIG = ModalityConfiguration(
    name="text", modality_type="text", metadata={"text_params": {"vocab_size": 300, "max_length": 24}}
)
TEXTS = ["one", "Two", "three and more", "", "five is a text that is cut", "six"]


def simple(texts=TEXTS, **settings):
    return SimpleTextDataset(config=CONFIG, texts=texts, rngs=nnx.Rngs(0), **settings)


class TestSimple(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return SimpleTextDataset(config=CONFIG, texts=TEXTS, split=split, rngs=nnx.Rngs(seed))


class TestSynthetic(DatasetContract):
    has_random_content = True

    def dataset(self, seed=0, split="train"):
        return SyntheticTextDataset(config=CONFIG, dataset_size=7, split=split, rngs=nnx.Rngs(seed))


def test_fields():
    batch = simple().get_batch(4)
    assert batch.keys() == {"text_tokens", "length", "texts", "index"}
    assert batch["text_tokens"].shape == (4, 24) and batch["text_tokens"].dtype == jnp.int32
    assert [sample["text"] for sample in simple()] == TEXTS
    np.testing.assert_array_equal([sample["length"] for sample in simple()], [5, 5, 16, 2, 24, 5])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_gives_what_the_dataset_has(num_workers):
    dataset = simple()
    for batch in create_data_loader(dataset, 2, seed=1, num_workers=num_workers):
        for row, number in enumerate(batch["index"]):
            np.testing.assert_array_equal(batch["text_tokens"][row], dataset[int(number)]["text_tokens"])
            assert batch["texts"][row] == TEXTS[int(number)]


def test_the_text_of_a_sample():
    assert (simple().get_sample_text(1), simple().get_sample_text(-1)) == ("Two", "six")
    with pytest.raises(IndexError, match="`index` must be from -6 to 5, got 6"):
        simple().get_sample_text(6)


@pytest.mark.parametrize("half", [chr(0xD800), chr(0xDC80)])
def test_a_text_that_is_none_is_a_bad_record(half):
    dataset = simple(["a", half, "b"])
    with pytest.raises(DecodeError, match="record 1: `text` has half of a surrogate pair"):
        dataset[1]
    with pytest.warns(BadRecordWarning):
        batch = next(iter(create_data_loader(dataset, 3, shuffle=False, on_error="skip", max_errors=1)))
    assert batch["valid"].tolist() == [True, False, True] and batch["texts"] == ["a", "", "b"]


def test_statistics_by_hand():
    """ "aab" and "b": two "a" (101) and two "b" (102), whatever the case."""
    stats = simple(["aAb", "b"]).get_vocab_stats()
    assert stats == {
        "vocab_size": 300,
        "unique_tokens": 2,
        "total_tokens": 4,
        "mean_length": 2.0,
        "max_length": 3,
        "unknown_tokens": 0.0,
        "most_common": [(101, 2), (102, 2)],
    }
    assert simple(["aAb", "b"]).get_vocab_stats(most=1)["total_tokens"] == 3


def test_made_up_texts_are_made_when_they_are_asked_for():
    dataset = SyntheticTextDataset(
        config=CONFIG, dataset_size=10**6, pattern_type="palindromes", rngs=nnx.Rngs(0)
    )
    text = dataset[999_999]["text"]
    assert text == text[::-1] == dataset.get_sample_text(-1)


def test_what_is_refused():
    with pytest.raises(UnknownNameError, match="palindromes"):
        SyntheticTextDataset(config=CONFIG, pattern_type="palindrome", rngs=nnx.Rngs(0))
    with pytest.raises(ConfigError, match="`texts` is empty"):
        simple([])
    with pytest.raises(ConfigTypeError, match="`texts` must be a list of strings, got str"):
        simple("a text")
    with pytest.raises(ConfigTypeError, match="got int at 1"):
        simple(["a", 3])


def test_a_state_of_other_texts_is_refused():
    state = create_data_loader(simple(), 2).state()
    with pytest.raises(ValueError, match="digest"):
        create_data_loader(simple([*TEXTS[:-1], "other"]), 2).restore(state)
