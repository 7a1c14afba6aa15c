import numpy as np

from artifex.data.randomness import RecordRandom, record_words


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


def test_the_words_of_a_record_are_its_own_wherever_it_stands():
    turns, index = np.array([0, 1, 1]), np.array([5, 5, 2**31 - 1])
    words = record_words(7, turns, index)
    assert words.shape == (3, 2) and words.dtype == np.uint32
    np.testing.assert_array_equal(record_words(7, turns[1:2], index[1:2].astype(np.int32)), words[1:2])


def test_seed_turn_and_record_all_matter_for_the_words():
    seeds = (0, 1, 2**32, 2**32 + 1, 2**64 - 1)
    turns, index = (x.ravel() for x in np.meshgrid(np.arange(100), np.arange(1000)))
    words = np.concatenate([record_words(seed, turns, index) for seed in seeds])
    assert len(np.unique(words.view(np.uint64))) == len(seeds) * 100_000


def test_each_bit_of_the_words_is_set_by_half_of_the_records():
    words = record_words(0, np.zeros(100_000, np.int64), np.arange(100_000))
    share = np.unpackbits(words.view(np.uint8), axis=1).mean(0)
    np.testing.assert_allclose(share, 0.5, atol=0.007)  # 4 standard deviations


def test_the_words_are_the_same_for_ever():
    # Written down once: a release that changes them changes what is random of every saved run.
    assert record_words(3, np.array([1]), np.array([2])).tolist() == [[946176553, 3015475397]]
