"""Token ids in rows: padded, bucketed, packed, in windows."""

import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from artifex.data import TokenArrays, create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, UnknownNameError
from artifex.data.reader import slots
from artifex.generative_models.modalities.text.config import TextParams
from artifex.generative_models.modalities.text.datasets import (
    SimpleTextDataset,
    SyntheticTextDataset,
    TextFileDataset,
)
from artifex.generative_models.modalities.text.token_datasets import TokenDataset
from artifex.testing.datasets import DatasetContract

PARAMS = TextParams(max_length=8, pad_token_id=9)
DOCUMENTS = [[2, 11, 3], [2, 3], [2, *range(20, 34), 3], [2, 12, 13, 14, 3]]


def dataset_of(documents=DOCUMENTS, params=PARAMS, seed=0, split="train"):
    return TokenDataset(params, TokenArrays.from_documents(documents), split, rngs=nnx.Rngs(seed))


class TestPadded(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return dataset_of(DOCUMENTS * 2, seed=seed, split=split)


class TestPacked(DatasetContract):
    def dataset(self, seed=0, split="train"):
        return dataset_of(DOCUMENTS * 2, seed=seed, split=split).packed()


def rows_of(dataset, name="text_tokens"):
    return [np.asarray(sample[name]).tolist() for sample in dataset]


def test_padded_by_hand():
    assert rows_of(dataset_of()) == [
        [2, 11, 3, 9, 9, 9, 9, 9],
        [2, 3, 9, 9, 9, 9, 9, 9],
        [2, 20, 21, 22, 23, 24, 25, 3],
        [2, 12, 13, 14, 3, 9, 9, 9],
    ]
    assert rows_of(dataset_of(), "length") == [3, 2, 8, 5]
    assert rows_of(dataset_of().padded(3)) == [[2, 11, 3], [2, 3, 9], [2, 20, 3], [2, 12, 3]]


def test_padded_to_the_longest_by_hand():
    loader = create_data_loader(dataset_of().padded((4, 16)), 2, shuffle=False)
    assert [batch["text_tokens"].shape for batch in loader] == [(2, 4), (2, 16)]


def test_bucketed_by_hand():
    loader = create_data_loader(dataset_of().bucketed((4, 16)), 2, shuffle=False)
    batches = [(batch["text_tokens"].shape, batch["index"].tolist()) for batch in loader]
    assert sorted(batches) == [((2, 4), [0, 1]), ((2, 16), [2, 3])]
    # Chosen lengths: at most that many, and none beyond `max_length`.
    assert {b["text_tokens"].shape[1] for b in create_data_loader(dataset_of().bucketed(2), 1)} == {8}
    chosen = dataset_of().bucketed(2, multiple=1)  # 3 and 8 take 22 tokens, 5 and 8 take 23
    assert {b["text_tokens"].shape[1] for b in create_data_loader(chosen, 1)} == {3, 8}


def test_packed_by_hand():
    packed = dataset_of().packed(shuffle=False)
    assert rows_of(packed) == [
        [2, 11, 3, 2, 12, 13, 14, 3],
        [2, 3, 9, 9, 9, 9, 9, 9],
        [2, 20, 21, 22, 23, 24, 25, 26],
        [27, 28, 29, 30, 31, 32, 33, 3],
    ]
    assert rows_of(packed, "segment_ids")[0] == [1, 1, 1, 2, 2, 2, 2, 2]
    assert rows_of(packed, "positions")[0] == [0, 1, 2, 0, 1, 2, 3, 4]
    assert packed.packing is not None and packed.packing.waste == 6 / 32
    concat = dataset_of().packed(16, method="concat", shuffle=False, with_segments=False)
    assert set(concat.spec) == {"text_tokens", "index"}
    joined = [token for document in DOCUMENTS for token in document]
    assert rows_of(concat) == [joined[:16], joined[16:] + [9] * 6]


def test_windows_by_hand():
    windows = dataset_of().windows(6, 4)
    starts = list(zip(rows_of(windows, "document"), rows_of(windows, "start"), strict=True))
    assert starts == [(0, 0), (1, 0), (2, 0), (2, 4), (2, 8), (2, 12), (3, 0)]
    assert rows_of(windows)[3] == DOCUMENTS[2][4:10]
    assert len(dataset_of().windows()) == 5  # of 8, one after the other


def numbered(lengths):
    """Documents whose tokens are all different, from 10 on."""
    edges = (10 + np.cumsum([0, *lengths])).tolist()
    return [list(range(begin, end)) for begin, end in pairwise(edges)]


def tokens_of(batch):
    return np.asarray(batch["text_tokens"])[np.asarray(batch["segment_ids"]) > 0].tolist()


@pytest.mark.parametrize("method", ["best_fit", "concat"])
@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=12).filter(any), seed=st.integers(0, 9))
def test_every_token_stands_in_one_row(method, lengths, seed):
    reader = dataset_of(numbered(lengths)).packed(7, method=method, seed=seed).reader()
    rows = slots(reader.spec, len(reader))
    reader.read_into(np.arange(len(reader)), rows)
    assert sorted(tokens_of(rows)) == list(range(10, 10 + sum(lengths)))


@pytest.mark.parametrize("method", ["best_fit", "concat"])
def test_every_token_comes_once_in_an_epoch_wherever_it_was_interrupted(method):
    packed = dataset_of(numbered([5, 0, 20, 3, 7, 1, 2, 6, 6])).packed(7, method=method)
    whole = [tokens_of(batch) for batch in create_data_loader(packed, 2)]
    assert sorted(token for batch in whole for token in batch) == list(range(10, 60))
    loader = create_data_loader(packed, 2)
    steps = iter(loader)
    for step in range(len(whole)):
        other = create_data_loader(packed, 2)
        other.restore(json.loads(json.dumps(loader.state())))
        assert [tokens_of(batch) for batch in other] == whole[step:]
        next(steps)


def test_they_pickle():
    again = pickle.loads(pickle.dumps(dataset_of().packed()))
    assert rows_of(again) == rows_of(dataset_of().packed())


def test_what_is_wrong_is_told():
    with pytest.raises(ConfigTypeError, match="`documents` must be documents of token ids"):
        TokenDataset(PARAMS, [[1, 2]], rngs=nnx.Rngs(0))
    with pytest.raises(UnknownNameError, match="did you mean 'concat'"):
        dataset_of().packed(method="conct")
    with pytest.raises(ConfigError, match="`row_length` must be from 1"):
        dataset_of().packed(0)
    with pytest.raises(ConfigError, match="`edges` must be lengths that rise"):
        dataset_of().padded((8, 4))
    with pytest.raises(ConfigError, match="`stride`"):
        dataset_of().windows(4, 5)


TEXTS = ["one", "Two", "", "a longer text than fits"]


def simple(max_length=12, seed=0):
    return SimpleTextDataset(TextParams(max_length=max_length), TEXTS, rngs=nnx.Rngs(seed))


def test_tokenized_once_it_is_what_it_was(tmp_path):
    for max_length in (5, 12, 40):
        dataset = simple(max_length)
        tokens = dataset.tokenized(tmp_path)
        assert tokens.root_key == dataset.root_key and tokens.split is dataset.split
        for sample, expected in zip(tokens, dataset, strict=True):
            np.testing.assert_array_equal(sample["text_tokens"], expected["text_tokens"])
            assert sample["length"] == expected["length"]
    assert len(list((tmp_path / "tokens").iterdir())) == 1
    assert tokens.lengths.tolist() == [5, 5, 2, 25]


def test_synthetic_texts_and_other_seeds_have_stores_of_their_own(tmp_path):
    for seed in (0, 0, 1):
        dataset = SyntheticTextDataset(PARAMS, 20, rngs=nnx.Rngs(seed))
        for sample, expected in zip(dataset.tokenized(tmp_path), dataset, strict=True):
            np.testing.assert_array_equal(sample["text_tokens"][:7], expected["text_tokens"][:7])
    assert len(list((tmp_path / "tokens").iterdir())) == 2


def test_files_to_packed_batches(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "One"}\n{"body": "and two"}\n')
    (tmp_path / "b.txt").write_text("three\n")
    with pytest.raises(ConfigError, match="body"):
        TextFileDataset(PARAMS, tmp_path / "b.txt", rngs=nnx.Rngs(0), field="body")
    short = TextFileDataset(
        PARAMS, tmp_path / "a.jsonl", rngs=nnx.Rngs(0), field="body", max_document_bytes=16
    )
    assert short[0]["text"] == "One"
    with pytest.raises(DecodeError, match="record 1: .* over `max_document_bytes` 16"):
        short[1]
    dataset = TextFileDataset(PARAMS, tmp_path / "a.jsonl", rngs=nnx.Rngs(0), field="body")
    assert [dataset.get_sample_text(i) for i in range(2)] == ["One", "and two"]
    assert dataset.get_vocab_stats()["total_tokens"] == 10
    assert dataset[1]["text"] == "and two" and dataset[1]["length"] == 8
    packed = dataset.tokenized(tmp_path / "cache").packed(14, shuffle=False)
    assert rows_of(packed) == [[2, *(b + 4 for b in b"one"), 3, 2, *(b + 4 for b in b"and two"), 3]]
