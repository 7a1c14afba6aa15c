"""The contracts can fail: each test of theirs, on a thing that is broken in that one way."""

import itertools
import threading

import numpy as np
import pytest

from artifex.data.errors import DecodeError
from artifex.data.types import ArraySpec
from artifex.testing import CodecContract, SourceContract

# -- a codec: four bytes and their sum


class Good:
    spec = ArraySpec((4,), np.dtype(np.int16))
    is_random = False

    def decode(self, value, out, *, rng=None):
        out[...] = self.parsed(value)

    def parsed(self, value):
        if len(value) != 5 or sum(value[:4]) % 256 != value[4]:
            raise DecodeError("not four bytes and their sum")
        return np.frombuffer(value[:4], np.uint8)


class WrongSpec(Good):
    spec = ArraySpec((4,), np.dtype(np.int32))


class Spills(Good):
    def decode(self, value, out, *, rng=None):
        super().decode(value, out)
        if out.base is not None and out.base.ndim == 2:
            out.base[0] = 0


class LeavesAHole(Good):
    def decode(self, value, out, *, rng=None):
        out[:3] = self.parsed(value)[:3]


class NeedsContiguous(Good):
    def decode(self, value, out, *, rng=None):
        np.frombuffer(out, np.int16)[...] = self.parsed(value)


class Consumes(Good):
    def decode(self, value, out, *, rng=None):
        super().decode(value, out)
        if isinstance(value, bytearray):
            value.clear()


class Draws(Good):
    count = itertools.count()

    def decode(self, value, out, *, rng=None):
        out[...] = self.parsed(value) if rng is None else next(self.count)


class DrawsInSecret(Good):
    def decode(self, value, out, *, rng=None):
        out[...] = self.parsed(value) if rng is None else rng.integers(100, size=4)


class HoldsALock(Good):
    def __init__(self):
        self.lock = threading.Lock()


class SharesABuffer(Good):
    def __init__(self):
        self.buffer = np.zeros(4, np.int16)
        self.inside = 0

    def decode(self, value, out, *, rng=None):
        self.inside += 1
        self.buffer[...] = self.parsed(value)
        threading.Event().wait(0.001)
        if self.inside > 1:  # someone came in between
            self.buffer += 1
        out[...] = self.buffer
        self.inside -= 1


class RaisesWhateverItIs(Good):
    def parsed(self, value):
        return np.frombuffer(value, np.uint8, 4)


class GuessesTheRest(Good):
    def parsed(self, value):
        if len(value) < 2 or value[:1] in b"\0\xffg":
            raise DecodeError("garbage")
        return np.frombuffer((value + bytes(4))[:4], np.uint8)


class Silent(Good):
    def parsed(self, value):
        try:
            return super().parsed(value)
        except DecodeError:
            raise DecodeError("") from None


def codec_contract(build, value=bytes((9, 1, 2, 3, 15))):
    contract = CodecContract()
    contract.codec = build
    contract.good = lambda: (type(value)(value), np.array([9, 1, 2, 3], np.int16))
    return contract


CODEC_TESTS = [name for name in dir(CodecContract) if name.startswith("test_")]


@pytest.mark.parametrize("test", CODEC_TESTS)
def test_a_good_codec_passes(test):
    getattr(codec_contract(Good), test)()


BROKEN_CODECS = [
    (WrongSpec, "test_is_a_codec"),
    (object, "test_is_a_codec"),
    (Spills, "test_fills_its_slot_and_no_other"),
    (LeavesAHole, "test_fills_its_slot_and_no_other"),
    (NeedsContiguous, "test_fills_a_slot_with_gaps"),
    (Consumes, "test_leaves_the_value_alone"),
    (Draws, "test_the_same_generator_gives_the_same"),
    (DrawsInSecret, "test_draws_only_if_it_says_so"),
    (HoldsALock, "test_survives_pickling"),
    (SharesABuffer, "test_threads_do_not_meet"),
    (RaisesWhateverItIs, "test_garbage_is_a_decode_error"),
    (Silent, "test_garbage_is_a_decode_error"),
    (GuessesTheRest, "test_what_is_cut_off_is_a_decode_error_or_right"),
]


@pytest.mark.parametrize(("build", "test"), BROKEN_CODECS)
def test_a_broken_codec_fails(build, test):
    contract = codec_contract(build, bytearray((9, 1, 2, 3, 15)))
    with pytest.raises((AssertionError, TypeError, ValueError)):
        getattr(contract, test)()


def test_every_test_of_the_codec_contract_is_shown_to_fail():
    assert {test for _, test in BROKEN_CODECS} == set(CODEC_TESTS)


# -- a source: squares


class Squares:
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return {"n": range(5)[index] ** 2, "a": np.full(2, index, np.int16)}


class Forgets(Squares):
    def __init__(self):
        self.seen = set()

    def __getitem__(self, index):
        new = index not in self.seen
        self.seen.add(index)
        return super().__getitem__(index) | {"n": int(new)}


class OtherEachTime(Squares):
    made = itertools.count()

    def __init__(self):
        self.number = next(self.made)

    def __getitem__(self, index):
        return super().__getitem__(index) | {"n": self.number}


class KeysVary(Squares):
    def __getitem__(self, index):
        return super().__getitem__(index) | ({"extra": 1} if index else {})


class NeverEnds(Squares):
    def __getitem__(self, index):
        return super().__getitem__(index % 5)


class Locked(Squares):
    def __init__(self):
        self.lock = threading.Lock()


class Seeks(Squares):
    """Remembers its place, like a file that is shared."""

    place = 0

    def __getitem__(self, index):
        self.place = index
        threading.Event().wait(0.001)
        return super().__getitem__(self.place)


class ReadsOther(Squares):
    def read_many(self, indices):
        return [self[int(i)] for i in sorted(indices)]


class Empty(Squares):
    def __len__(self):
        return 0


SOURCE_TESTS = [name for name in dir(SourceContract) if name.startswith("test_")]


def source_contract(build):
    contract = SourceContract()
    contract.source = build
    return contract


@pytest.mark.parametrize("test", SOURCE_TESTS)
def test_a_good_source_passes(test):
    getattr(source_contract(Squares), test)()


BROKEN_SOURCES = [
    (object, "test_is_a_source_with_records"),
    (Empty, "test_is_a_source_with_records"),
    (Forgets, "test_gives_the_same_record_twice"),
    (OtherEachTime, "test_is_built_the_same_twice"),
    (KeysVary, "test_records_share_their_keys"),
    (NeverEnds, "test_ends"),
    (Locked, "test_survives_pickling"),
    (Seeks, "test_threads_see_the_same"),
    (ReadsOther, "test_reads_many_as_it_reads_one"),
]


@pytest.mark.parametrize(("build", "test"), BROKEN_SOURCES)
def test_a_broken_source_fails(build, test):
    with pytest.raises((AssertionError, TypeError)):
        getattr(source_contract(build), test)()


def test_every_test_of_the_source_contract_is_shown_to_fail():
    assert {test for _, test in BROKEN_SOURCES} == set(SOURCE_TESTS)
