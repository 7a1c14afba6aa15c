import numpy as np
import pytest
from scipy import signal

from artifex.data.errors import ConfigError, UnknownNameError
from artifex.generative_models.modalities.audio.windows import Window, window_weights

SCIPY = {"blackman_harris": "blackmanharris", "rectangular": "boxcar"}


@pytest.mark.parametrize("length", [1, 2, 255, 400])
@pytest.mark.parametrize("window", list(Window))
def test_windows_are_scipys(window, length):
    expected = signal.get_window(SCIPY.get(window, window.value), length, fftbins=True)
    np.testing.assert_allclose(window_weights(window.value, length), expected, atol=1e-14)


def test_a_short_window_stands_in_the_middle():
    weights = window_weights("rectangular", 3, n_fft=8)
    assert weights.tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert not weights.flags.writeable


def test_bad_windows_are_told():
    with pytest.raises(ConfigError, match="`win_length` 9 must not be more than `n_fft` 8"):
        window_weights("hann", 9, n_fft=8)
    with pytest.raises(UnknownNameError, match="unknown `window` 'han'.*did you mean 'hann'"):
        window_weights("han", 8)
