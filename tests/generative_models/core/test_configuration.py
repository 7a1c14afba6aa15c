import json
import pickle
from copy import deepcopy

import pytest
import yaml

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.generative_models.core.configuration import BaseModalityConfig, ModalityConfiguration
from artifex.generative_models.modalities import ImageModalityConfig

TEXT = ModalityConfiguration(
    name="text",
    modality_type="text",
    metadata={"text_params": {"vocab_size": 100, "specials": ["a", "b"], "case": None}},
)
CONFIGS = [
    BaseModalityConfig(),
    ModalityConfiguration(),
    TEXT,
    ImageModalityConfig(),
    ImageModalityConfig(representation="grayscale", height=28, normalize=False, resize_method="nearest"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
@pytest.mark.parametrize(
    "there_and_back",
    [
        lambda c: type(c).from_dict(c.to_dict()),
        lambda c: type(c).from_json(c.to_json()),
        lambda c: type(c).from_dict(json.loads(json.dumps(c.to_dict()))),
        lambda c: type(c).from_dict(yaml.safe_load(yaml.safe_dump(c.to_dict()))),
        lambda c: pickle.loads(pickle.dumps(c)),
        deepcopy,
    ],
    ids=["dict", "json", "dict-json", "yaml", "pickle", "deepcopy"],
)
def test_it_survives(config, there_and_back):
    copy = there_and_back(config)
    assert copy == config and type(copy) is type(config) and hash(copy) == hash(config)


def test_unknown_fields_are_told_with_a_guess():
    with pytest.raises(
        UnknownNameError, match="unknown field of ImageModalityConfig 'hieght'.*mean 'height'"
    ):
        ImageModalityConfig.from_dict({"hieght": 3})
    with pytest.raises(ConfigTypeError, match="takes a mapping, got list"):
        ImageModalityConfig.from_dict([("height", 3)])


def test_metadata_is_read_only_through_and_through():
    given = {"text_params": {"vocab_size": 100}}
    config = ModalityConfiguration(name="text", modality_type="text", metadata=given)
    given["text_params"]["vocab_size"] = 5
    assert config.metadata["text_params"]["vocab_size"] == 100
    for change in (
        lambda: config.metadata.update({}),
        lambda: config.metadata["text_params"].update({}),
        lambda: setattr(config, "name", "x"),
    ):
        with pytest.raises((AttributeError, TypeError)):
            change()


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"name": ""}, ConfigError, "`name` must not be empty"),
        ({"name": 3}, ConfigTypeError, "`name` must be a string, got 3"),
        ({"modality_type": " "}, ConfigError, "`modality_type` must not be empty"),
        ({"metadata": [1]}, ConfigTypeError, "`metadata` must be a mapping, got list"),
        ({"metadata": {"a": {"b": {1, 2}}}}, ConfigTypeError, r"`metadata\.a\.b` must be of plain values"),
        ({"metadata": {"a": [1, object()]}}, ConfigTypeError, r"`metadata\.a\[1\]` must be of plain values"),
        ({"metadata": {3: 1}}, ConfigTypeError, "keys of `metadata` must be strings, got 3"),
    ],
)
def test_bad_fields_are_told(fields, error, message):
    with pytest.raises(error, match=message):
        ModalityConfiguration(**{"name": "text", "modality_type": "text"} | fields)
