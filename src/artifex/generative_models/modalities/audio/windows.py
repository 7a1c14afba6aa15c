"""Windows: the weights of the samples of a frame, made in NumPy, once for each name and length."""

from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from artifex.data.checks import check_choice, check_size
from artifex.data.errors import ConfigError


class Window(StrEnum):
    """The shape of a window. All but Bartlett's, a triangle, are sums of cosines (Harris, 1978)."""

    HANN = "hann"
    HAMMING = "hamming"
    BLACKMAN = "blackman"
    BLACKMAN_HARRIS = "blackman_harris"
    BARTLETT = "bartlett"
    RECTANGULAR = "rectangular"


# a0 - a1 cos(x) + a2 cos(2 x) - a3 cos(3 x)
_COSINES = {
    Window.HANN: (0.5, 0.5),
    Window.HAMMING: (0.54, 0.46),
    Window.BLACKMAN: (0.42, 0.5, 0.08),
    Window.BLACKMAN_HARRIS: (0.35875, 0.48829, 0.14128, 0.01168),
    Window.RECTANGULAR: (1.0,),
}


def window_weights(window: Window | str, length: int, *, n_fft: int | None = None) -> NDArray[np.float64]:
    """The weights, periodic (as for a DFT: the sample after the last is the first), read-only.

    Args:
        window: its name.
        length: samples, > 0; of one, which has no shape, the weight is 1.
        n_fft: the window stands in the middle of so many samples, zeros around it; None means `length`.

    Raises:
        ConfigError: `length` is more than `n_fft`.
        UnknownNameError: there is no such window.
    """
    check_size("win_length", length)
    size = check_size("n_fft", length if n_fft is None else n_fft)
    if length > size:
        raise ConfigError(
            f"`win_length` {length} must not be more than `n_fft` {size}; make `n_fft` larger, or leave "
            f"`win_length` out"
        )
    return _weights(check_choice(Window, "window", window), length, size)


@lru_cache(maxsize=64)
def _weights(window: Window, length: int, size: int) -> NDArray[np.float64]:
    place = np.arange(length) / length
    if length == 1:
        weights = np.ones(1)
    elif window is Window.BARTLETT:
        weights = 1 - np.abs(2 * place - 1)
    else:
        terms = enumerate(_COSINES[window])
        weights = sum(((-1) ** k * a * np.cos(2 * np.pi * k * place) for k, a in terms), np.zeros(length))
    before = (size - length) // 2
    weights = np.pad(weights, (before, size - length - before))
    weights.setflags(write=False)
    return weights
