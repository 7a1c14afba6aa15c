"""The state of a loader: what it says, and what becomes of one that another release has saved.

A state has a version. It goes up when a state of before would no longer give the same stream: a key is renamed, or
the plan arranges the records otherwise, or a record's random numbers are others. For each older version stands here
either a function, which makes it a state of the next version with the same stream, or the reason why there is none.
So a state is taken with the stream that it was saved in, or refused; it never goes on with another one in silence.
`tests/data/test_golden.py` holds this against the streams of each release.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from artifex.data.checks import check_integer
from artifex.data.errors import ConfigError, ConfigTypeError, StateError
from artifex.data.plan import Plan

Upgrade: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From a state to the same one in the next version, whose number is filled in by the caller."""

STATE_VERSION = 1

# Version -> how it becomes the next one, or why it cannot. Each version below `STATE_VERSION` stands here.
OLDER_VERSIONS: dict[int, Upgrade | str] = {}


@dataclass
class Position:
    """Where an iterator stands.

    Attributes:
        epoch: of the batch that it hands out next, from 0.
        step: of that epoch, from 0.
        samples: of that epoch that were handed out, where bad ones are counted.
        errors: bad ones among them.
    """

    epoch: int
    step: int
    samples: int = 0
    errors: int = 0


def make_state(plan: Plan, position: Position) -> dict[str, Any]:
    """The state of a loader that stands there: a dict for JSON, under 4 kB."""
    at = {"epoch": position.epoch, "step": position.step}
    bad = {"bad": [position.errors, position.samples]} if position.samples else {}
    return {"version": STATE_VERSION, "plan": plan.describe(), **at, **bad}


def read_state(state: Any, plan: Plan) -> Position:
    """Where a loader stood, after all that its state says was checked.

    Raises:
        StateError: it is none, of a version that cannot be read, of another plan, or damaged.
    """
    if not isinstance(state, Mapping):
        raise StateError(f"this is no state of a loader: it is a {type(state).__name__}, not a dict")
    if "version" in state:  # first: other versions may have other keys
        state = upgraded(state)
    missing = [key for key in ("version", "plan", "epoch", "step") if key not in state]
    if missing:
        raise StateError(f"this is no state of a loader: it has no {', '.join(map(repr, missing))}")
    differences = plan.difference(state["plan"])
    if differences:
        raise StateError(
            "the state belongs to another plan: " + "; ".join(differences) + ". Make the loader as it was, "
            "or start over without restoring"
        )
    try:
        epoch = check_integer("epoch", state["epoch"], 0, 2**32 - 1)
        step = check_integer("step", state["step"], 0, plan.num_steps - 1)
        # A loader that raises the errors of bad records does not count them.
        errors, samples = state.get("bad", (0, 0))
        check_integer("bad", samples, 0, 2**63)
        check_integer("bad", errors, 0, samples)
    except (ConfigError, ConfigTypeError, TypeError, ValueError) as error:
        raise StateError(f"the state is damaged: {error}") from None
    return Position(epoch, step, samples, errors)


def upgraded(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state as this release would have saved it.

    Raises:
        StateError: its version is newer, or none, or cannot be brought to this one; the message says why.
    """
    saved = state["version"]
    if isinstance(saved, bool) or not isinstance(saved, int) or saved < 1:
        raise StateError(f"the state is damaged: `version` must be an integer of 1 or more, got {saved!r}")
    if saved > STATE_VERSION:
        raise StateError(
            f"the state has version {saved}, and this release reads version {STATE_VERSION} and older ones: a newer "
            f"release of artifex-data has saved it. Upgrade artifex-data to that release or a later one, or start "
            f"over without restoring"
        )
    for version in range(saved, STATE_VERSION):
        upgrade = OLDER_VERSIONS[version]
        if isinstance(upgrade, str):
            raise StateError(
                f"the state has version {saved}, and this release reads version {STATE_VERSION}: {upgrade}. Restore "
                f"it with the release that saved it, or start over without restoring"
            )
        try:
            state = {**upgrade(state), "version": version + 1}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StateError(
                f"the state is damaged: it has version {version}, and not what such a state has: {error!r}"
            ) from error
    return state
