"""Ending at a batch boundary when the system asks for it, with the state of the loader at hand.

Machines that may be taken away send SIGTERM some seconds before. Training is consistent between two batches
alone: so the iteration ends there, and the state is handed over for a last checkpoint.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Self

from artifex.data.errors import ConfigError, ConfigTypeError

State = dict[str, Any]
_Handler = Callable[[int, FrameType | None], Any] | int | None


class _StopNow(BaseException):
    """Raised by the signal handler in the thread that waits for a batch: it is at a boundary already."""


class StopOnSignal:
    """As a context manager it handles `signals`, and puts the former handlers back at its end.

    Made by `DataLoader.stop_on`, which says what happens.
    """

    def __init__(
        self, state: Callable[[], State], save: Callable[[State], None] | None, signals: Sequence[int]
    ) -> None:
        if save is not None and not callable(save):
            raise ConfigTypeError(f"`save` must be a function of the state or None, got {save!r}")
        if not signals:
            raise ConfigError("`stop_on` needs a signal, e.g. `signal.SIGTERM`")
        self._state, self._save, self._signals = state, save, signals
        self._before: dict[int, _Handler] = {}
        self._is_waiting = False
        self._is_handed_over = False
        self.is_requested = False

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("`stop_on` handles signals, which Python allows in the main thread alone")
        for number in self._signals:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if self.is_requested:  # the loop was left before it came to a boundary
            self.hand_over()

    def next(self, batches: Any) -> Any:
        """The next of an iterator's batches.

        Raises:
            StopIteration: a signal came, now or before.
        """
        if self.is_requested:
            raise StopIteration
        try:
            self._is_waiting = True
            try:
                return next(batches)
            finally:
                self._is_waiting = False
        except _StopNow:
            raise StopIteration from None

    def hand_over(self) -> None:
        """Gives the state to `save`, once."""
        if not self._is_handed_over:
            self._is_handed_over = True
            if self._save is not None:
                self._save(self._state())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.is_requested = True
        if self._is_waiting:
            self._is_waiting = False
            raise _StopNow
