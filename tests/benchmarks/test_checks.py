"""What a first batch is held to: the right one passes, and each way to be wrong is found."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.data import Documents, Lengths

from benchmarks import checks

# Ids of three documents with BOS (1) and EOS (2); the second is longer than a row of 6.
DOCUMENTS = ([1, 10, 11, 2], [1, 20, 21, 22, 23, 24, 25, 2], [1, 30, 2])


@pytest.fixture
def work(tmp_path: Path) -> Documents:
    np.save(tmp_path / "d-tokens.npy", np.concatenate(DOCUMENTS).astype(np.uint16))
    np.save(tmp_path / "d-offsets.npy", np.cumsum([0, *map(len, DOCUMENTS)]))
    return Documents(tmp_path / "none", tmp_path / "none", str(tmp_path / "d"), 2, 6, tmp_path)


def test_arrays():
    good = jnp.zeros((2, 3), jnp.int32)
    checks.array(good, (2, 3), "int32")
    with pytest.raises(TypeError, match="a batch is a ndarray"):
        checks.array(np.zeros((2, 3), np.int32), (2, 3), "int32")
    with pytest.raises(TypeError, match=r"int32 \(2, 3\), not int32 \(2, 4\)"):
        checks.array(good, (2, 4), "int32")
    with pytest.raises(TypeError, match="not float32"):
        checks.array(good, (2, 3), "float32")


def test_pixels():
    good = jnp.linspace(0, 1, 6, dtype=jnp.float32).reshape(2, 3)
    checks.pixels(good, (2, 3))
    for scale in (2.0, 0.5):
        with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
            checks.pixels(good * np.float32(scale), (2, 3))


def test_padded_rows(work: Documents):
    rows = np.array([[1, 30, 2, 0, 0, 0], [1, 20, 21, 22, 23, 2], [1, 10, 11, 2, 0, 0]], np.int32)
    checks.padded(work, rows)
    wrong = {
        "another id": [1, 31, 2, 0, 0, 0],
        "no EOS": [1, 20, 21, 22, 23, 24],
        "ids exchanged": [1, 11, 10, 2, 0, 0],
        "two documents": [1, 30, 2, 1, 30, 2],
        "padding in front": [0, 1, 30, 2, 0, 0],
    }
    for row in wrong.values():
        with pytest.raises(ValueError, match="1 of 2 rows are no document's ids"):
            checks.padded(work, np.array([rows[0], row], np.int32))


def test_packed_rows(work: Documents):
    # The second document goes on in the second row; the rest of the last is padding.
    rows = np.array([[1, 30, 2, 1, 20, 21], [22, 23, 24, 25, 2, 1], [10, 11, 2, 0, 0, 0]], np.int32)
    checks.packed(work, rows)
    for place, token, message in [
        ((0, 1), 31, "1 of 1 whole documents are none that there are"),
        ((0, 1), 0, "padding within a row"),
        ((0, 2), 29, "0 whole documents"),
    ]:
        wrong = rows.copy()
        wrong[place] = token
        with pytest.raises(ValueError, match=message):
            checks.packed(work, wrong)
    with pytest.raises(ValueError, match="padding within a row"):
        checks.packed(work, np.zeros_like(rows))


def test_as_many_rows_as_by_hand():
    # 4 + 2, 3 + 3, 5: three rows of 6.
    work = Lengths(np.array([3, 4, 5, 2, 3], np.int32), 6)
    checks.as_many_rows(work, np.int32(3))
    with pytest.raises(ValueError, match="there are 4 rows, and 3 by hand"):
        checks.as_many_rows(work, np.int32(4))
