"""Settings of device functions: a Python number, which is checked, or a traced scalar, which cannot be."""

from math import inf, isfinite
from numbers import Real
from typing import Any, TypeAlias

import jax
from jaxtyping import Array, Float

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError

Number: TypeAlias = int | float | Float[Array, ""]
"""A setting: a Python number or a scalar array."""


def check_number(
    name: str, value: Any, *, low: int | float = -inf, high: int | float = inf, above: bool = False
) -> None:
    """Raises unless `value` is a scalar array or a number from `low` (or, with `above`, over it) to `high`.

    Raises:
        ConfigTypeError: it is neither a number nor an array.
        ConfigError: it is a number out of range, or not finite.
        ShapeError: it is an array that is no scalar.
    """
    if isinstance(value, jax.Array):
        if value.shape:
            raise ShapeError(f"`{name}` must be one number, got an array of shape {value.shape}")
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigTypeError(f"`{name}` must be a number, got {value!r} ({type(value).__name__})")
    number = float(value)
    if not isfinite(number) or number > high or number < low or (above and number == low):
        rules = [f"{'greater than' if above else 'at least'} {low:g}"] if isfinite(low) else []
        rules += [f"at most {high:g}"] if isfinite(high) else []
        raise ConfigError(f"`{name}` must be {' and '.join(rules) or 'finite'}, got {value}")


def check_bounds(
    lower: Any,
    upper: Any,
    *,
    names: tuple[str, str] = ("lower", "upper"),
    low: int | float,
    above: bool = False,
) -> None:
    """Raises unless both are numbers from `low` (or over it) on and `lower` <= `upper`."""
    check_number(names[0], lower, low=low, above=above)
    check_number(names[1], upper, low=low, above=above)
    if not isinstance(lower, jax.Array) and not isinstance(upper, jax.Array) and lower > upper:
        raise ConfigError(f"`{names[0]}` {lower} must not be more than `{names[1]}` {upper}; swap them")


def check_count(name: str, value: Any) -> None:
    """Raises unless `value` is an integer >= 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigTypeError(f"`{name}` must be an integer >= 0, got {value!r} ({type(value).__name__})")
    if value < 0:
        raise ConfigError(f"`{name}` must be at least 0, got {value}")
