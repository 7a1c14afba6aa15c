"""The run-time checker of the tests: shapes and dtypes of arrays, as the annotations give them.

Constructors, and functions without arrays in their signature, are left alone. What they take is checked at the
door, with messages of their own, and the tests look at those.
"""

from collections.abc import Callable
from typing import Any, get_args, get_origin

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception
from jaxtyping import AbstractArray


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the arrays among its arguments and results checked at each call."""
    if function.__name__ == "__init__":
        return function
    arrays = {name: kind for name, kind in function.__annotations__.items() if _has_array(kind)}
    if not arrays:
        return function
    function.__annotations__ = arrays
    try:
        return beartype(function)
    except BeartypeDecorHintPep673Exception:
        # jaxtyping's import hook hands over methods one by one, so `Self` has no class here.
        # The static checker sees these.
        return function


def _has_array(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    if get_origin(annotation) is Callable:
        return False  # what a function will be called with cannot be seen from it
    return any(_has_array(argument) for argument in get_args(annotation))
