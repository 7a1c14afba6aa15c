from dataclasses import is_dataclass, replace

import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.generative_models.modalities import ImageModalityConfig, ImageRepresentation, ValueRange


def test_defaults():
    config = ImageModalityConfig()
    assert is_dataclass(config)
    assert config.shape == (64, 64, 3) and config.limits == (0, 1)
    assert (config.representation, config.channels, config.normalize, config.augmentation) == (
        ImageRepresentation.RGB,
        3,
        True,
        False,
    )


@pytest.mark.parametrize(("name", "channels"), [("RGB", 3), ("RGBA", 4), ("GRAYSCALE", 1)])
def test_channels_follow_from_the_representation(name, channels):
    member = ImageRepresentation[name]
    for given in (member, name, name.lower()):
        config = ImageModalityConfig(representation=given, height=8)
        assert config.representation is member and config.channels == channels
    assert member == name.lower(), "it compares equal to the plain string"


@pytest.mark.parametrize(
    ("fields", "value_range", "normalize", "limits"),
    [
        ({}, "unit", True, (0, 1)),
        ({"normalize": True}, "unit", True, (0, 1)),
        ({"normalize": False}, "symmetric", False, (-1, 1)),
        ({"value_range": "symmetric"}, "symmetric", False, (-1, 1)),
        ({"value_range": "raw"}, "raw", False, (0, 255)),
        ({"value_range": "raw", "normalize": False}, "raw", False, (0, 255)),
        ({"value_range": ValueRange.UNIT, "normalize": True}, "unit", True, (0, 1)),
    ],
)
def test_normalize_and_value_range_agree(fields, value_range, normalize, limits):
    config = ImageModalityConfig(**fields)
    assert (config.value_range, config.normalize, config.limits) == (value_range, normalize, limits)


def test_width_is_the_height_where_it_is_left_out():
    assert ImageModalityConfig(height=8).shape == (8, 8, 3)
    assert replace(ImageModalityConfig(), width=5).shape == (64, 5, 3)


def test_replacing_derives_anew_what_was_not_given():
    config = ImageModalityConfig(height=64)
    assert config.replace(height=32).shape == (32, 32, 3)
    assert config.replace(representation="grayscale").shape == (64, 64, 1)
    assert config.replace(normalize=False).limits == (-1, 1)
    assert config.replace(value_range="raw").replace(height=8).limits == (0, 255)
    assert ImageModalityConfig(width=64).replace(height=32).shape == (32, 64, 3)
    with pytest.raises(UnknownNameError, match="unknown field of ImageModalityConfig 'hight'"):
        config.replace(hight=3)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"height": 0}, ConfigError, "`height` must be from 1"),
        ({"width": -3}, ConfigError, "`width` must be from 1 to 32768, got -3"),
        ({"height": 40_000}, ConfigError, "`height` must be from 1 to 32768"),
        ({"height": 64.0}, ConfigTypeError, "`height` must be an integer"),
        ({"height": True}, ConfigTypeError, "`height` must be an integer"),
        ({"width": "64"}, ConfigTypeError, "`width` must be an integer"),
        (
            {"channels": 4},
            ConfigError,
            "`channels` is 4, but `representation` 'rgb' has 3; leave `channels` out",
        ),
        ({"representation": "grayscale", "channels": 3}, ConfigError, "'grayscale' has 1"),
        ({"representation": "cmyk"}, UnknownNameError, "unknown `representation` 'cmyk'.*'rgb', 'rgba'"),
        ({"representation": 3}, ConfigTypeError, "`representation` must be one of 'rgb'"),
        ({"resize_method": "magic"}, UnknownNameError, "unknown `resize_method` 'magic'.*'bilinear'"),
        ({"resize_method": "nearst"}, UnknownNameError, "did you mean 'nearest'"),
        ({"value_range": "percent"}, UnknownNameError, "unknown `value_range`"),
        ({"value_range": "raw", "normalize": True}, ConfigError, "contradicts `value_range='raw'`"),
        ({"normalize": 1}, ConfigTypeError, "`normalize` must be True or False"),
        ({"augmentation": "yes"}, ConfigTypeError, "`augmentation` must be True or False"),
    ],
)
def test_bad_fields_are_told(fields, error, message):
    with pytest.raises(error, match=message):
        ImageModalityConfig(**fields)
