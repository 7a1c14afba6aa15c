import numpy as np

from artifex.data.fingerprint import digest, of_arrays


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
