from importlib.metadata import EntryPoint

import pytest
from flax import nnx

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.registry import Registry
from artifex.generative_models.modalities import (
    ImageModality,
    ImageModalityConfig,
    create_modality,
    get_modality,
    list_modalities,
    register_modality,
    registry,
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Each test registers into a copy."""
    copy = Registry("modality")
    for name in registry._MODALITIES.names():
        copy.register(name, registry._MODALITIES[name])
    monkeypatch.setattr(registry, "_MODALITIES", copy)


class Smell(ImageModality):
    name = "smell"


def test_the_names_are_those_of_the_package_in_order_and_then_one_s_own():
    register_modality("smell", Smell)
    names = list_modalities()
    assert isinstance(names, list) and names[0] == "image" and names[-1] == "smell"
    assert get_modality("smell") is Smell and get_modality("image") is ImageModality


def test_the_same_again_and_another_under_its_name():
    register_modality("image", ImageModality)
    with pytest.raises(ConfigError, match="modality 'image' is already registered.*overwrite=True"):
        register_modality("image", Smell)
    register_modality("image", Smell, overwrite=True)
    assert get_modality("image") is Smell


def test_an_unknown_name():
    with pytest.raises(UnknownNameError, match="unknown modality 'imgae'; did you mean 'image'"):
        get_modality("imgae")


@pytest.mark.parametrize("thing", [int, 3, "ImageModality", Smell(rngs=nnx.Rngs(0))])
def test_what_is_no_modality(thing):
    with pytest.raises(ConfigTypeError, match="`modality` must be a class with the methods process"):
        register_modality("thing", thing)


def test_one_by_its_name():
    made = create_modality("image", ImageModalityConfig(height=8), rngs=nnx.Rngs(0))
    assert made.image_shape == (8, 8, 3)
    assert create_modality("image", rngs=nnx.Rngs(0)).image_shape == (64, 64, 3)


def test_entry_points_of_other_packages_are_found_on_the_first_look_up(monkeypatch):
    entry = EntryPoint("plugin", "artifex.generative_models.modalities:ImageModality", registry.ENTRY_POINTS)
    asked = []
    monkeypatch.setattr(registry, "entry_points", lambda group: (asked.append(group), [entry])[1])
    fresh = Registry("modality", discover=registry._discover)
    monkeypatch.setattr(registry, "_MODALITIES", fresh)
    register_modality("image", ImageModality)
    assert asked == []
    assert list_modalities() == ["image", "plugin"] and get_modality("plugin") is ImageModality
    assert asked == ["artifex.modalities"]


def test_a_broken_plugin_takes_nothing_else_away(monkeypatch):
    entries = [
        EntryPoint("broken", "no_such_package:Thing", registry.ENTRY_POINTS),
        EntryPoint("good", "artifex.generative_models.modalities:ImageModality", registry.ENTRY_POINTS),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    monkeypatch.setattr(registry, "_MODALITIES", Registry("modality", discover=registry._discover))
    register_modality("image", ImageModality)
    with pytest.warns(registry.PluginWarning, match="'broken' of another package .*ModuleNotFoundError"):
        assert get_modality("image") is ImageModality
    assert get_modality("good") is ImageModality
    with pytest.raises(UnknownNameError):
        get_modality(["image"])
