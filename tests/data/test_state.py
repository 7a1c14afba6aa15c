"""What becomes of the states of other releases."""

import numpy as np
import pytest

from artifex.data import StateError, create_data_loader, state
from artifex.data.state import OLDER_VERSIONS, STATE_VERSION, upgraded


def loader():
    return create_data_loader({"x": np.arange(10)}, 4)


def stepped(count):
    made = loader()
    batches = iter(made)
    for _ in range(count):
        next(batches)
    return made


def step_was_called_batch(old):
    """An upgrade: in the version before, `step` had another name."""
    return {**{name: value for name, value in old.items() if name != "batch"}, "step": old["batch"]}


@pytest.fixture
def third_version(monkeypatch):
    """This release as if it read version 3, could upgrade version 2, and had given up version 1."""
    monkeypatch.setattr(state, "STATE_VERSION", 3)
    versions = {
        1: "records were shuffled in another way before release 0.9",
        2: lambda old: {**old, "epoch": 7},
    }
    monkeypatch.setattr(state, "OLDER_VERSIONS", versions)
    return versions


def test_every_older_version_is_upgraded_or_refused():
    assert sorted(OLDER_VERSIONS) == list(range(1, STATE_VERSION))


def test_a_state_of_this_version_is_taken_as_it_is():
    saved = stepped(2).state()
    assert saved["version"] == STATE_VERSION and upgraded(saved) == saved


def test_an_older_state_is_upgraded(third_version):
    resumed, saved = loader(), stepped(2).state()
    resumed.restore(saved | {"version": 2})
    assert resumed.state() == saved | {"version": 3, "epoch": 7}


def test_upgrades_follow_one_another(third_version):
    seen = []
    third_version[1] = lambda old: seen.append(old["version"]) or {**old, "a": 1}
    third_version[2] = lambda old: seen.append(old["version"]) or {**old, "b": old["a"] + 1}
    new = upgraded(stepped(1).state() | {"version": 1})
    assert seen == [1, 2] and (new["version"], new["a"], new["b"]) == (3, 1, 2)


def test_an_older_state_that_cannot_be_upgraded_is_refused_with_the_reason(third_version):
    made = loader()
    before = made.state()
    with pytest.raises(
        StateError,
        match="version 1, and this release reads version 3: records were shuffled .* before release 0.9. Restore it "
        "with the release that saved it, or start over",
    ):
        made.restore(stepped(2).state() | {"version": 1})
    assert made.state() == before


def test_a_newer_state_is_refused_and_it_is_said_what_to_do():
    with pytest.raises(
        StateError, match=r"a newer release of artifex-data has saved it. Upgrade artifex-data"
    ):
        loader().restore(stepped(1).state() | {"version": STATE_VERSION + 1})


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.0, True])
def test_a_version_that_is_none_is_damage(version):
    with pytest.raises(StateError, match="damaged: `version` must be an integer of 1 or more"):
        loader().restore(stepped(1).state() | {"version": version})


def test_an_older_state_may_have_other_keys(monkeypatch):
    monkeypatch.setattr(state, "STATE_VERSION", 2)
    monkeypatch.setattr(state, "OLDER_VERSIONS", {1: step_was_called_batch})
    saved = stepped(2).state()
    old = {name: value for name, value in saved.items() if name != "step"} | {"version": 1, "batch": 2}
    resumed = loader()
    resumed.restore(old)
    assert resumed.state() == saved
    with pytest.raises(StateError, match=r"damaged: it has version 1, and not what .*KeyError\('batch'\)"):
        loader().restore(saved | {"version": 1})
