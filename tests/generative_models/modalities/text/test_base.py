"""The text modality: texts as sequences and back, with the settings that a user writes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from artifex.data.errors import ConfigError, ConfigTypeError, RangeError, ShapeError, UnknownNameError
from artifex.data.tokenizers import SpecialTokens
from artifex.data.tokenizers.byte import ByteTokenizer
from artifex.data.tokenizers.load import save_tokenizer
from artifex.generative_models.core.configuration import BaseModalityConfig, ModalityConfiguration
from artifex.generative_models.modalities import (
    BaseModalityImplementation,
    Modality,
    TextModality,
    TextParams,
    create_modality,
)

PARAMS = {"vocab_size": 300, "max_length": 16}


def config(**params):
    return ModalityConfiguration(name="text", modality_type="text", metadata={"text_params": params})


def modality(tokenizer=None, **params):
    return TextModality(config=config(**PARAMS | params), rngs=nnx.Rngs(0), tokenizer=tokenizer)


def test_it_is_a_modality():
    made = create_modality("text", config(**PARAMS), rngs=nnx.Rngs(0))
    assert (
        isinstance(made, TextModality)
        and isinstance(made, BaseModalityImplementation)
        and isinstance(made, Modality)
    )
    assert (made.vocab_size, made.max_length, made.output_shape) == (300, 16, (16,))
    assert TextModality(rngs=nnx.Rngs(0)).vocab_size == 260
    assert isinstance(TextParams(), BaseModalityConfig)


def test_a_text_by_hand():
    """Byte b has the id b + 4, since 0 to 3 are special; "A" is folded to "a" (97)."""
    tokens = modality().tokenize("Ab")
    np.testing.assert_array_equal(tokens, [2, 101, 102, 3, *[0] * 12])
    assert tokens.dtype == jnp.int32 and isinstance(tokens, jax.Array)
    np.testing.assert_array_equal(modality(case_sensitive=True).tokenize("Ab")[:3], [2, 69, 102])


def test_several_texts():
    texts = ["one", "", "a text that is longer than sixteen tokens"]
    tokens = modality().tokenize(texts)
    assert tokens.shape == (3, 16)
    assert tokens[2, 15] == 3, "the end of a text that is cut stays"
    assert modality().detokenize(tokens) == ["one", "", "a text that is"]
    assert modality().process(texts).tolist() == modality().preprocess(texts).tolist() == tokens.tolist()
    assert modality().postprocess(tokens[0]) == "one"


@pytest.mark.parametrize("text", ["", "é ü", "한국어", "a\0b", "🙂"])
def test_texts_come_back(text):
    made = modality(case_sensitive=True)
    assert made.detokenize(made.tokenize(text)) == text


def test_what_comes_behind_the_end_is_left_out():
    assert modality().detokenize([2, 101, 3, 102, 3]) == "a"
    assert modality(eos_token_id=None).detokenize([2, 100, 101]) == "ab"


def test_special_ids_may_be_anywhere():
    made = modality(pad_token_id=299, bos_token_id=100, eos_token_id=298, unk_token_id=0)
    tokens = np.asarray(made.tokenize("ab"))
    assert (tokens[0], tokens[3], tokens[4]) == (100, 298, 299)
    assert made.detokenize(tokens) == "ab"


def test_masks():
    made = modality()
    tokens = made.tokenize(["ab", "c"])
    np.testing.assert_array_equal(made.attention_mask(tokens).sum(1), [4, 3])
    np.testing.assert_array_equal(made.causal_mask(3), np.tril(np.ones((3, 3), bool)))
    assert made.causal_mask().shape == (16, 16)


def test_the_loss_of_even_logits_is_that_of_guessing():
    """Each of 300 tokens is as likely: log(300) nats, whatever the padding."""
    made = modality()
    tokens = made.tokenize(["ab", "c"])
    result = made.loss_fn({"text_tokens": tokens}, jnp.zeros((2, 16, 300)))
    np.testing.assert_allclose(result["loss"], np.log(300), rtol=1e-5)
    np.testing.assert_allclose(result["perplexity"], 300, rtol=1e-4)
    right = 100 * jax.nn.one_hot(jnp.roll(tokens, -1, axis=1), 300)
    assert made.loss_fn(tokens, right)["loss"] < 1e-6
    with pytest.raises(ShapeError, match="the key 'text_tokens', got"):
        made.loss_fn({"tokens": tokens}, right)


def test_what_is_generated_follows_the_model():
    """A model that goes on with the next letter, and ends behind "e"."""
    made = modality()

    def next_letter(tokens, length):
        last = tokens[:, length - 1]
        return 100 * jax.nn.one_hot(jnp.where(last == 105, 3, last + 1), 300)

    assert made.generate(2, sampler=next_letter, prompt="A") == ["abcde", "abcde"]
    with pytest.raises(ConfigError, match="`prompt` has 17 tokens, and must have from 1 to 15"):
        made.generate(sampler=next_letter, prompt="a" * 16)


def test_a_tokenizer_of_ones_own(tmp_path):
    tokenizer = ByteTokenizer(SpecialTokens(), 280)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    for given in (tokenizer, tmp_path / "tokenizer.json", str(tmp_path / "tokenizer.json")):
        assert modality(given).tokenizer.stamp() == tokenizer.stamp()
    assert modality(tokenizer, vocab_size=None).vocab_size == 280
    with pytest.raises(ConfigError, match="`vocab_size` 270 is less than the 280 ids of the tokenizer"):
        modality(tokenizer, vocab_size=270)
    with pytest.raises(ConfigError, match="`eos_token_id` is 5 in `text_params`, and 3 in the tokenizer"):
        modality(tokenizer, eos_token_id=5)
    with pytest.raises(ConfigTypeError, match="`tokenizer` must be a tokenizer, a path of one, or None"):
        modality(3)
    with pytest.raises(ConfigError, match="`vocab_size` 270 is less than the 280 ids of the tokenizer"):
        modality(tmp_path / "tokenizer.json", vocab_size=270)


def test_a_special_id_that_is_text_to_the_tokenizer_is_refused():
    """Without BOS and UNK the bytes begin at 2: "b" (98) has 100."""
    tokenizer = ByteTokenizer(SpecialTokens(pad=0, unk=None, bos=None, eos=1))
    settings = {"vocab_size": None, "pad_token_id": 0, "eos_token_id": 1, "unk_token_id": None}
    with pytest.raises(ConfigError, match="`bos_token_id` is 100 .* stands for text in the tokenizer .*'b'"):
        modality(tokenizer, **settings, bos_token_id=100)
    with pytest.raises(ConfigError, match="`unk_token_id` is 100 .* stands for text"):
        modality(tokenizer, **{**settings, "unk_token_id": 100}, bos_token_id=None)


def test_ids_beyond_those_of_the_tokenizer():
    """A special id behind all others makes the vocabulary as large; what a model writes there is no text."""
    tokenizer = ByteTokenizer(SpecialTokens(pad=0, unk=None, bos=None, eos=1))
    settings = {"pad_token_id": 0, "eos_token_id": 1, "unk_token_id": None, "bos_token_id": 70_000}
    made = modality(tokenizer, vocab_size=None, **settings)
    assert made.vocab_size == 70_001
    assert made.tokenize("b").tolist()[:4] == [70_000, 100, 1, 0]
    assert made.detokenize(made.tokenize("b")) == "b"
    assert modality(tokenizer, vocab_size=80_000, **settings).detokenize(np.array([75_000, 100])) == "b"


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"vocab_size": 100}, ConfigError, "`vocab_size` 100 is too small for the 256 bytes"),
        ({"vocab_size": 3}, ConfigError, "`eos` 3 must be below `vocab_size` 3"),
        ({"max_length": 2}, ConfigError, "`max_length` must be from 3"),
        ({"max_length": "16"}, ConfigTypeError, "`max_length` must be an integer"),
        ({"pad_token_id": 2}, ConfigError, "`bos` and `pad` are both 2"),
        ({"pad_token_id": None}, ConfigTypeError, "`pad` must be an integer from 0 .*, got None"),
        ({"case_sensitive": 1}, ConfigTypeError, "`case_sensitive` must be True or False"),
        ({"vocabsize": 300}, UnknownNameError, "vocab_size"),
    ],
)
def test_wrong_settings_are_told(params, error, match):
    with pytest.raises(error, match=match):
        modality(**params)


def test_wrong_configs_are_told():
    with pytest.raises(ConfigTypeError, match="`config` must be a ModalityConfiguration"):
        TextModality(BaseModalityConfig(), rngs=nnx.Rngs(0))
    wrong = ModalityConfiguration(name="text", modality_type="text", metadata={"text_params": 3})
    with pytest.raises(ConfigTypeError, match="`text_params` must be a mapping, got int"):
        TextModality(wrong, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("tokens", [[0.5], [[[1]]], 3, "text"])
def test_what_are_no_tokens_is_told(tokens):
    with pytest.raises(ShapeError, match="`tokens` must be integers of shape"):
        modality().detokenize(tokens)


@pytest.mark.parametrize("token", [-1, 300])
def test_ids_out_of_the_vocabulary_are_told(token):
    with pytest.raises(RangeError, match=f"`tokens` must be ids from 0 to 299, got .*{token}"):
        modality().detokenize([2, token, 3])


def test_what_is_no_text_is_told():
    with pytest.raises(ConfigTypeError, match="`text` must be a str or a list of them, got int at 1"):
        modality().tokenize(["a", 3])
    modality().validate_data_shape([[1, 2]])


def test_params_survive_json():
    params = TextParams(vocab_size=400, sentinel_token_ids=(398, 399), mask_token_id=300)
    assert TextParams.from_json(params.to_json()) == params
    assert params.special == SpecialTokens(sentinels=(398, 399), mask=300)
