from collections import namedtuple

import numpy as np
import pytest

from artifex.data.errors import MismatchError, NoRecordError, ShapeError
from artifex.data.fields import as_array, fields_of

Pair = namedtuple("Pair", ["image", "label"])
IMAGE = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("item", "names", "expected"),
    [
        ({"a": 1}, None, ["a"]),
        ((IMAGE,), None, ["x"]),
        ((IMAGE, 3), None, ["x", "y"]),
        ((IMAGE, 3, "text"), None, ["x0", "x1", "x2"]),
        ([IMAGE, 3], None, ["x", "y"]),
        (Pair(IMAGE, 3), None, ["image", "label"]),
        (Pair(IMAGE, 3), ("a", "b"), ["a", "b"]),
        (IMAGE, None, ["x"]),
        (2.5, None, ["x"]),
        (np.float32(2), None, ["x"]),
        ("text", None, ["x"]),
        ([1, 2, 3], None, ["x"]),
        ([[1, 2], [3, 4]], None, ["x"]),
        ([1, 2, 3], ("a", "b", "c"), ["a", "b", "c"]),
        ([1, 2, 3], ("tokens",), ["tokens"]),
        ((1, 2), ("a", "b"), ["a", "b"]),
        (IMAGE, ("images",), ["images"]),
    ],
)
def test_the_names_of_an_items_fields(item, names, expected):
    fields = fields_of(item, names)
    assert list(fields) == expected
    values = list(fields.values())
    if isinstance(item, dict):
        assert fields is item
    elif len(values) == 1 and not isinstance(item, tuple):
        assert values[0] is item
    else:
        assert all(value is part for value, part in zip(values, item, strict=True))


def test_what_does_not_fit_its_names_is_told():
    with pytest.raises(MismatchError, match="it has 2 fields, and 1 are named: images"):
        fields_of((IMAGE, 3), ("images",))
    with pytest.raises(MismatchError, match="it has 1 fields, and 2 are named: a, b"):
        fields_of(IMAGE, ("a", "b"))
    with pytest.raises(ShapeError, match="the samples have names already: a, b"):
        fields_of({"a": 1, "b": 2}, ("x", "y"))
    with pytest.raises(NoRecordError, match='`keep`.*`on_error="skip"`'):
        fields_of(None)


def test_what_numpy_cannot_read_is_told_with_its_reason():
    class OnAnotherDevice:
        def __array__(self, dtype=None, copy=None):
            raise TypeError("copy it to host memory first")

    with pytest.raises(ShapeError, match="`x` must be .* OnAnotherDevice: TypeError: copy it to host memory"):
        as_array("x", OnAnotherDevice())
    with pytest.raises(ShapeError, match="`x` must be .* this list: ValueError"):
        as_array("x", [[1, 2], [3]])
