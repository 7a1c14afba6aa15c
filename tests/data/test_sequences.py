import numpy as np
import pytest

from artifex.data.sequences import Frame
from artifex.data.tokenizers import SpecialTokens

BOTH = SpecialTokens(pad=0, unk=1, bos=2, eos=3)


@pytest.mark.parametrize(
    ("special", "ids", "expected", "count"),
    [
        (BOTH, [7, 8], [2, 7, 8, 3, 0, 0], 4),
        (BOTH, [], [2, 3, 0, 0, 0, 0], 2),
        (BOTH, [4, 5, 6, 7], [2, 4, 5, 6, 7, 3], 6),
        (BOTH, [4, 5, 6, 7, 8], [2, 4, 5, 6, 7, 3], 6),
        (SpecialTokens(bos=None), [4, 5, 6, 7, 8, 9], [4, 5, 6, 7, 8, 3], 6),
        (SpecialTokens(eos=None), [4, 5, 6, 7, 8, 9], [2, 4, 5, 6, 7, 8], 6),
        (SpecialTokens(bos=None, eos=None, pad=9), [4], [4, 9, 9, 9, 9, 9], 1),
    ],
)
def test_sequences(special, ids, expected, count):
    out = np.full(6, -1, np.int32)
    assert Frame(6, special).write(np.array(ids, np.int32), out) == count
    np.testing.assert_array_equal(out, expected)


def test_what_a_fingerprint_says():
    assert Frame(6, BOTH).describe() == {"length": 6, "pad": 0, "unk": 1, "bos": 2, "eos": 3}
