import pytest

from artifex.data.errors import ConfigError, UnknownNameError
from artifex.data.registry import Registry, unknown


@pytest.fixture
def registry():
    registry = Registry("colour")
    registry.register("red", 1)
    registry.register("green", 2)
    return registry


def test_names_stay_in_order(registry):
    registry.register("blue", 3)
    assert registry.names() == ["red", "green", "blue"] and registry["blue"] == 3 and "red" in registry


def test_an_unknown_name_lists_what_there_is_and_guesses(registry):
    with pytest.raises(UnknownNameError, match="unknown colour 'gren'; did you mean 'green'.*'red', 'green'"):
        registry["gren"]
    with pytest.raises(KeyError):
        registry["gren"]
    with pytest.raises(ValueError):
        registry["gren"]
    assert "mean" not in unknown("colour", "x", ["red"])


def test_the_same_again_is_a_no_op_and_another_is_refused(registry):
    registry.register("red", 1)
    with pytest.raises(ConfigError, match="'red' is already registered.*overwrite=True"):
        registry.register("red", 9)
    registry.register("red", 9, overwrite=True)
    assert registry["red"] == 9 and registry.names() == ["red", "green"]


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_a_name_is_a_string_with_something_in_it(registry, name):
    with pytest.raises(ConfigError, match="`name` of a colour"):
        registry.register(name, 1)


def test_what_is_discovered_comes_after_and_once():
    calls = []

    def discover(registry):
        calls.append(1)
        registry.register("found", 2)

    registry = Registry("thing", discover=discover)
    registry.register("own", 1)
    assert calls == []
    assert registry.names() == ["own", "found"] and registry["found"] == 2 and calls == [1]
