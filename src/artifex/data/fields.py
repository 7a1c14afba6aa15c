"""The fields of one item of a user's dataset, whatever that is: a dict, a tuple, an array, a number.

A dict names its fields itself, and so does a named tuple. What has no names gets these:

    image                      x
    (image, label)             x, y
    (image, label, weight)     x0, x1, x2        and so on for more

A list is fields like a tuple, unless all that is in it are numbers, or lists of them: then it is one array.
`with_names` gives other names.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from artifex.data.errors import MismatchError, NoRecordError, ShapeError

Names: TypeAlias = tuple[str, ...]


@runtime_checkable
class HasArray(Protocol):
    """What NumPy can make an array of: `jax.Array`, tensors of other frameworks, tables."""

    def __array__(self) -> npt.NDArray[Any]: ...


def fields_of(item: Any, names: Names | None = None) -> Mapping[str, Any]:
    """An item's values by the names of its fields: its own ones, `names`, or else the usual ones.

    Raises:
        NoRecordError: it is None.
        MismatchError: it has not as many fields as there are `names`.
        ShapeError: `names` are given, and it is a dict.
    """
    if item is None:
        raise NoRecordError(
            "the dataset gives None for it, as filtered grain datasets do for what they drop: leave such records out "
            'with `keep`, which takes one boolean per record; or pass `on_error="skip"` and a `max_errors` that is '
            "large enough, to have their rows masked"
        )
    if isinstance(item, Mapping):
        if names is not None:
            raise ShapeError(
                f"the samples have names already: {', '.join(map(str, item))}; leave `with_names` out, or rename "
                f"them in the dataset"
            )
        return cast("Mapping[str, Any]", item)
    own = _own_names(item)
    values = _values(item, names)
    if names is None:
        names = own or _usual_names(len(values))
    if len(values) != len(names):
        raise MismatchError(
            f"it has {len(values)} fields, and {len(names)} are named: {', '.join(names)}; give one name for "
            f"each field"
        )
    return dict(zip(names, values, strict=True))


def as_array(name: str, value: Any) -> npt.NDArray[Any]:
    """The value of field `name` as a NumPy array.

    Raises:
        ShapeError: NumPy makes none of it; the message has NumPy's reason.
    """
    try:
        return np.asarray(value)
    except (
        Exception
    ) as error:  # a tensor on another device, a ragged list: what is raised is the value's affair
        raise ShapeError(
            f"`{name}` must be an array, a number or a string, and NumPy cannot make an array of this "
            f"{type(value).__name__}: {type(error).__name__}: {error}"
        ) from error


def _own_names(item: Any) -> Names | None:
    names: Any = getattr(type(item), "_fields", None) if isinstance(item, tuple) else None
    return tuple(names) if names else None


def _usual_names(count: int) -> Names:
    return ("x", "y")[:count] if count <= 2 else tuple(f"x{number}" for number in range(count))


def _values(item: Any, names: Names | None) -> Sequence[Any]:
    is_fields = isinstance(item, tuple) or (
        isinstance(item, list) and (not _is_numbers(item) if names is None else len(names) > 1)
    )
    return cast("Sequence[Any]", item) if is_fields else (item,)


def _is_numbers(item: Any) -> bool:
    """Whether it is a number, or a list of such, or a list of such lists."""
    if isinstance(item, list):
        return all(_is_numbers(part) for part in item)
    return isinstance(item, (bool, int, float, complex, np.number))
