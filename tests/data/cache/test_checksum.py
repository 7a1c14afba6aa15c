import numpy as np
import pytest

from artifex.data.cache.checksum import Checksum

SIZES = {"x": 22, "label": 4}
ROWS = {
    "x": np.random.default_rng(0).integers(0, 2**16, (5, 11), np.uint16),
    "label": np.arange(5, dtype=np.int32),
}
NUMBERS = np.array([0, 3, 7, 2, 2**31])


def test_it_is_the_sum_of_weighted_words():
    """Against Python's whole numbers, from the words as the bytes spell them."""
    checksum = Checksum(b"key", SIZES)
    for row, number in enumerate(NUMBERS.tolist()):
        total = (number + 1) * int(checksum._of_numbers)
        for name, rows in ROWS.items():
            data = rows[row : row + 1].tobytes()
            data += bytes(-len(data) % 4)
            words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
            total += sum(w * x for w, x in zip(map(int, checksum._weights[name]), words, strict=True))
        assert int(checksum(NUMBERS, ROWS)[row]) == total % 2**64


def test_every_flipped_bit_and_every_pair_of_high_bits_shows():
    checksum = Checksum(b"key", SIZES)
    data = ROWS["x"][:1].view(np.uint8)
    flipped = [data[0]]
    for bit in range(8 * data.shape[1]):
        other = data[0].copy()
        other[bit // 8] ^= 1 << bit % 8
        flipped.append(other)
    for first in range(3, 22, 4):
        for second in range(first + 4, 22, 4):
            other = data[0].copy()
            other[[first, second]] ^= 128
            flipped.append(other)
    rows = {"x": np.array(flipped), "label": np.zeros(len(flipped), np.int32)}
    sums = checksum(np.zeros(len(flipped), np.int64), rows)
    assert len(set(sums.tolist())) == len(flipped)


def test_key_number_and_place_of_a_field_count():
    one = Checksum(b"key", SIZES)(NUMBERS, ROWS)
    assert (one != Checksum(b"kez", SIZES)(NUMBERS, ROWS)).all()
    assert (one != Checksum(b"key", SIZES)(NUMBERS + 1, ROWS)).all()
    same = {"a": np.ones((1, 1), np.int32), "b": np.zeros((1, 1), np.int32)}
    swapped = {"a": same["b"], "b": same["a"]}
    checksum = Checksum(b"key", {"a": 4, "b": 4})
    assert checksum(NUMBERS[:1], same) != checksum(NUMBERS[:1], swapped)


@pytest.mark.parametrize("dtype", [np.bool_, np.float32, np.complex64])
def test_any_dtype_and_rows_of_no_bytes(dtype):
    rows = {"x": np.ones((5, 3), dtype), "none": np.zeros((5, 0), dtype)}
    checksum = Checksum(b"key", {"x": 3 * np.dtype(dtype).itemsize, "none": 0})
    assert len(set(checksum(NUMBERS, rows).tolist())) == 5


def test_the_weights_stay_what_they_are():
    """Stored sums are of no use to a release that has others."""
    checksum = Checksum(b"key", {"x": 8})
    sums = checksum(np.array([0]), {"x": np.array([[1, 2]], np.uint32)})
    assert sums.tolist() == [2489611140351370788]
