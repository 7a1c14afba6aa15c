import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.generative_models.modalities.image.scalars import (
    check_bounds,
    check_count,
    check_number,
    on_colour,
    working,
)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.float64(1), np.int64(1), jnp.float32(7)])
def test_numbers_in_range_and_arrays_pass(value):
    check_number("x", value, low=0, high=1)


@pytest.mark.parametrize("value", [-1, 1.5, float("nan"), float("inf"), -float("inf"), np.float32(2)])
def test_numbers_out_of_range(value):
    with pytest.raises(ConfigError, match=r"`x` must be at least 0 and at most 1, got"):
        check_number("x", value, low=0, high=1)


def test_a_bound_can_be_left_out_or_be_open():
    check_number("x", -1e30)
    with pytest.raises(ConfigError, match="`x` must be finite, got nan"):
        check_number("x", float("nan"))
    with pytest.raises(ConfigError, match="`x` must be greater than 0, got 0"):
        check_number("x", 0, low=0, above=True)
    check_number("x", 1e-9, low=0, above=True)


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1.0]])
def test_what_is_no_number(value):
    with pytest.raises(ConfigTypeError, match="`x` must be a number"):
        check_number("x", value)


def test_an_array_must_be_a_scalar():
    with pytest.raises(ShapeError, match=r"`x` must be one number.*\(2,\)"):
        check_number("x", jnp.zeros(2))


def test_bounds_are_in_order():
    check_bounds(0.5, 0.5, low=0)
    with pytest.raises(ConfigError, match=r"`lower` 0.6 must not be more than `upper` 0.5"):
        check_bounds(0.6, 0.5, low=0)


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ConfigError), (1.0, ConfigTypeError), (True, ConfigTypeError)]
)
def test_counts(value, error):
    with pytest.raises(error, match="`n` must be"):
        check_count("n", value)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_colour_is_worked_on_in_float32_and_alpha_kept(dtype):
    image = jnp.full((2, 2, 4), 0.25, dtype)
    seen = []

    def double(colour):
        seen.append((colour.shape, colour.dtype))
        return colour * 2

    result = on_colour(image, double)
    assert seen == [((2, 2, 3), jnp.float32)]
    assert result.dtype == dtype
    np.testing.assert_array_equal(result[0, 0].astype(jnp.float32), [0.5, 0.5, 0.5, 0.25])
    assert working(image).dtype == jnp.float32


@pytest.mark.parametrize("channels", [2, 5])
def test_other_channels_are_refused(channels):
    with pytest.raises(ShapeError, match=f"1 .grey., 3 .RGB. or 4 .RGBA. channels, last, got {channels}"):
        on_colour(jnp.zeros((2, 2, channels)), lambda x: x)
