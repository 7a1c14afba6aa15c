import numpy as np
import pytest

from artifex.data.errors import ConfigTypeError
from artifex.data.fingerprint import digest, of_arrays, stamp_of, stamp_of_arrays


def test_parts_do_not_run_together():
    assert digest(["ab", "c"]) != digest(["a", "bc"]) != digest(["abc"])
    assert digest([b"x"]) == digest(["x"]) and len(digest([])) == 16


def test_arrays_by_shape_dtype_and_sampled_rows():
    x = np.arange(1000 * 3, dtype=np.uint8).reshape(1000, 3)
    assert of_arrays({"x": x}) == of_arrays({"x": x.copy()})
    changed = x.copy()
    changed[0, 0] += 1
    others = [x.astype(np.int8), x[:999], x.reshape(1000, 3, 1), changed]
    assert len({of_arrays({"x": a})["x"] for a in [x, *others]}) == 5
    assert of_arrays({"x": x}) != of_arrays({"y": x})


def test_strings_have_a_digest_of_their_own():
    a, b = (np.array(words, object) for words in (["one", "two"], ["one", "three"]))
    assert of_arrays({"x": a}) != of_arrays({"x": b})


def test_a_stamp_of_arrays_sees_every_number():
    arrays = {"x": np.arange(6000, dtype=np.int16).reshape(3000, 2), "s": np.array(["a"] * 3000, object)}
    stamps = {stamp_of_arrays(arrays)}
    for name, row, value in (("x", (0, 0), 9), ("x", (1500, 1), 9), ("x", (2999, 1), 9), ("s", 2000, "b")):
        other = {n: a.copy() for n, a in arrays.items()}
        other[name][row] = value
        stamps.add(stamp_of_arrays(other))
    stamps.add(stamp_of_arrays({**arrays, "x": arrays["x"].reshape(3000, 1, 2)}))
    assert len(stamps) == 6 and stamp_of_arrays({n: a.copy() for n, a in arrays.items()}) in stamps


def test_without_a_stamp_it_is_empty():
    class Stamped:
        def stamp(self):
            return "s"

    assert (stamp_of(Stamped()), stamp_of(object())) == ("s", "")


@pytest.mark.parametrize("stamp", [None, 7, b"s"])
def test_a_stamp_is_a_string(stamp):
    class Readings:
        def stamp(self):
            return stamp

    with pytest.raises(ConfigTypeError, match=r"`Readings.stamp\(\)` must return a string"):
        stamp_of(Readings())
