"""What every codec keeps to."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from artifex.data.codecs import Codec
from artifex.data.errors import DecodeError

_PATTERNS = (85, 170)


class CodecContract:
    """Subclass it in a test; override `codec`, and `good`: a value with the array that it decodes to.

    Attributes:
        tolerance: how far a decoded number may be from the expected one.
        garbage: values that are none of this codec's.
        cuts: shares of a good value's bytes that are left when it is cut off; empty for a payload that is
            valid at any length.
    """

    tolerance: float = 0
    garbage: ClassVar[tuple[Any, ...]] = (
        b"",
        b"\0",
        b"\0" * 4096,
        b"\xff" * 64,
        b"garbage, no payload\n" * 50,
    )
    cuts: ClassVar[tuple[float, ...]] = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999)

    def codec(self) -> Codec:
        raise NotImplementedError

    def good(self) -> tuple[Any, npt.NDArray[Any]]:
        raise NotImplementedError

    def test_is_a_codec(self) -> None:
        codec, (_, expected) = self.codec(), self.good()
        assert isinstance(codec, Codec), f"{type(codec).__name__} lacks `spec`, `is_random` or `decode`"
        assert codec.spec.shape == expected.shape, f"spec {codec.spec} for a value of {expected.shape}"
        assert codec.spec.dtype == expected.dtype, f"spec {codec.spec} for a value of {expected.dtype}"

    def test_fills_its_slot_and_no_other(self) -> None:
        codec, (value, expected) = self.codec(), self.good()
        # Of two patterns at least one differs from a pixel that was not written.
        for pattern in _PATTERNS:
            batch = _slots(codec, 3, pattern)
            untouched = batch[0].tobytes()
            codec.decode(value, batch[1, ...])
            self.assert_close(batch[1, ...], expected)
            outside = (batch[0].tobytes(), batch[2].tobytes())
            assert outside == (untouched, untouched), "wrote outside of its slot"

    def test_fills_a_slot_with_gaps(self) -> None:
        codec, (value, expected) = self.codec(), self.good()
        wide = np.zeros((*codec.spec.shape, 2), codec.spec.dtype)
        codec.decode(value, wide[..., 0])
        self.assert_close(wide[..., 0], expected)
        assert not wide[..., 1].any(), "wrote into the gaps of its slot"

    def test_leaves_the_value_alone(self) -> None:
        codec, (value, _) = self.codec(), self.good()
        before = pickle.dumps(value)
        codec.decode(value, _slots(codec, 1)[0, ...])
        assert pickle.dumps(value) == before, "changed the value it was given"

    def test_the_same_generator_gives_the_same(self) -> None:
        codec, (value, _) = self.codec(), self.good()
        batch = _slots(codec, 2)
        for row in range(2):
            codec.decode(value, batch[row, ...], rng=np.random.Generator(np.random.Philox(key=5)))
        np.testing.assert_array_equal(batch[0], batch[1])

    def test_draws_only_if_it_says_so(self) -> None:
        codec, (value, expected) = self.codec(), self.good()
        if codec.is_random:
            return
        for key in range(3):
            batch = _slots(codec, 1)
            codec.decode(value, batch[0, ...], rng=np.random.Generator(np.random.Philox(key=key)))
            self.assert_close(batch[0, ...], expected, "drew although `is_random` is False")

    def test_survives_pickling(self) -> None:
        codec, (value, expected) = pickle.loads(pickle.dumps(self.codec())), self.good()
        batch = _slots(codec, 1)
        codec.decode(value, batch[0, ...])
        self.assert_close(batch[0, ...], expected)

    def test_threads_do_not_meet(self) -> None:
        codec, (value, expected) = self.codec(), self.good()
        batch = _slots(codec, 32)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda row: codec.decode(value, batch[row, ...]), range(len(batch))))
        for slot in batch:
            self.assert_close(slot, expected)

    def test_garbage_is_a_decode_error(self) -> None:
        codec = self.codec()
        for value in self.garbage:
            try:
                codec.decode(value, _slots(codec, 1)[0, ...])
            except DecodeError as error:
                assert error.reason, "a DecodeError without a reason"
                continue
            raise AssertionError(f"no DecodeError for {value[:20]!r}")

    def test_what_is_cut_off_is_a_decode_error_or_right(self) -> None:
        codec, (value, expected) = self.codec(), self.good()
        for share in self.cuts:
            slot = _slots(codec, 1)[0, ...]
            try:
                codec.decode(value[: int(len(value) * share)], slot)
            except DecodeError:
                continue
            self.assert_close(slot, expected, f"silently wrong with {share:.1%} of the bytes")

    def assert_close(self, got: npt.NDArray[Any], expected: npt.NDArray[Any], message: str = "") -> None:
        np.testing.assert_allclose(
            got.astype(np.float64), expected.astype(np.float64), rtol=0, atol=self.tolerance, err_msg=message
        )


def _slots(codec: Codec, rows: int, pattern: int = _PATTERNS[0]) -> npt.NDArray[Any]:
    """A batch whose bytes are all `pattern`."""
    batch = np.empty((rows, *codec.spec.shape), codec.spec.dtype)
    batch.reshape(-1).view(np.uint8)[...] = pattern
    return batch
