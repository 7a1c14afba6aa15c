"""Checks that all tokenizers share."""

import numpy as np
import numpy.typing as npt

from artifex.data.errors import ConfigError, ConfigTypeError, RangeError, ShapeError


def checked_ids(ids: npt.ArrayLike, vocab_size: int) -> npt.NDArray[np.int64]:
    """`ids` as int64 (n,), if they are integers from 0 to vocab_size - 1.

    Raises:
        ShapeError: they are of another rank or dtype.
        RangeError: one is out of range.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ShapeError(f"`ids` must be integers of shape (n,), got {array.dtype}{list(array.shape)}")
    if array.size and not 0 <= array.min() <= array.max() < vocab_size:
        raise RangeError(f"`ids` must be from 0 to {vocab_size - 1}, got {array.min()} to {array.max()}")
    return array.astype(np.int64)


def checked_text(text: str) -> bytes:
    """A text as UTF-8.

    Raises:
        ConfigTypeError: it is no str.
        ConfigError: it has half of a surrogate pair, which no encoding knows.
    """
    if not isinstance(text, str):
        raise ConfigTypeError(f"`text` must be a str, got {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"`text` has half of a surrogate pair, {text[error.start]!r}, at character {error.start}, which stands "
            f"for nothing by itself: read it with `errors='replace'`"
        ) from None
