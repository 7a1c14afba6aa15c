"""Checks at the door: each raises, with the argument, its value, the rule and the way out, or returns."""

from enum import StrEnum
from typing import Any, TypeGuard, TypeVar

import numpy as np

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.registry import unknown

E = TypeVar("E", bound=StrEnum)

LARGEST_INT32 = 2**31 - 1


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """`value` as a Python int, if it is an integer from `low` to `high`.

    Raises:
        ConfigTypeError: it is no integer (True and 2.0 are none).
        ConfigError: it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ConfigTypeError(f"`{name}` must be an integer from {low} to {high}, got {value!r}")
    if not low <= value <= high:
        raise ConfigError(f"`{name}` must be from {low} to {high}, got {value}")
    return int(value)


def is_auto(value: Any) -> bool:
    """Whether it is "auto"; an array, which would be asked number by number, is not."""
    return isinstance(value, str) and value == "auto"


def check_count(name: str, value: Any, low: int) -> int:
    """`value` as a Python int from `low` to 1,024, of an argument that may also be "auto" (which is not for here)."""
    if isinstance(value, str):
        raise ConfigTypeError(f"`{name}` must be an integer from {low} to 1024, or 'auto', got {value!r}")
    return check_integer(name, value, low, 1024)


def check_size(name: str, value: Any, *, largest: int = LARGEST_INT32) -> int:
    """`value` as a Python int, if it is an integer from 1 to `largest`."""
    return check_integer(name, value, 1, largest)


def is_real(value: Any) -> TypeGuard[float | np.integer[Any] | np.floating[Any]]:
    """Whether it is a real number, of Python or NumPy; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, (int, float, np.integer, np.floating))


def check_positive(name: str, value: Any) -> float:
    """`value` as a float, if it is a finite number above 0."""
    if not is_real(value):
        raise ConfigTypeError(f"`{name}` must be a number above 0, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not 0 < number < float("inf"):
        raise ConfigError(f"`{name}` must be above 0, got {value}")
    return number


def check_fraction(name: str, value: Any) -> float:
    """`value` as a float, if it is a number from 0 to 1."""
    if not is_real(value):
        raise ConfigTypeError(f"`{name}` must be a number from 0 to 1, got {value!r}")
    if not 0 <= value <= 1:
        raise ConfigError(f"`{name}` must be from 0 to 1, got {value}")
    return float(value)


def check_bool(name: str, value: Any) -> None:
    """Raises unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ConfigTypeError(f"`{name}` must be True or False, got {value!r}")


def check_choice(choices: type[E], name: str, value: Any) -> E:
    """The member of `choices` that `value` is or spells, in upper or lower case.

    Raises:
        UnknownNameError: it spells none; the message lists them.
        ConfigTypeError: it is no string.
    """
    if isinstance(value, choices):
        return value
    if not isinstance(value, str):
        known = ", ".join(repr(c.value) for c in choices)
        raise ConfigTypeError(f"`{name}` must be one of {known}, got {value!r}")
    try:
        return choices(value.lower())
    except ValueError:
        raise UnknownNameError(unknown(f"`{name}`", value, (c.value for c in choices))) from None
