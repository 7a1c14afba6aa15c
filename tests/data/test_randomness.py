import numpy as np
import pytest

from artifex.data.randomness import RecordRandom, threefry


def draws(seed, epoch, record):
    return RecordRandom(seed, np.array([epoch]), np.array([record])).generator(0).random(4).tolist()


def test_a_record_has_its_own_numbers_wherever_it_stands():
    whole = RecordRandom(1, np.array([2, 2, 2]), np.array([5, 9, 7]))
    assert whole.generator(1).random(4).tolist() == draws(1, 2, 9)
    assert whole.rows(1, 3).generator(1).random(4).tolist() == draws(1, 2, 7)
    assert whole.generator(1).random(4).tolist() == draws(1, 2, 9), "asked for again, it starts over"


def test_seed_epoch_and_record_all_matter():
    all_draws = {tuple(draws(s, e, r)) for s in (0, 1, 2**64 - 1) for e in (0, 1) for r in (0, 1, 2**31)}
    assert len(all_draws) == 18


def test_it_is_the_same_for_ever():
    # Philox4x64-10, key (0, 0), counter (0, 1, 0, 0): the first 53 bits, as NumPy makes a double of them.
    bits = np.random.Philox(key=[0, 0], counter=[0, 1, 0, 0]).random_raw(1)[0]
    assert draws(0, 0, 1)[0] == (int(bits) >> 11) / 2**53


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [  # the known answers that come with the generator's first implementation
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_known_answers(key, counter, expected):
    assert threefry(key, counter) == expected
