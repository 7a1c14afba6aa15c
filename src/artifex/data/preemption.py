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
        self.is_requested = self._is_in_force = False

    @property
    def ends_now(self) -> bool:
        """Whether there are no more batches: a signal came, and the context has not ended."""
        return self.is_requested and self._is_in_force

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("`stop_on` handles signals, which Python allows in the main thread alone")
        for number in self._signals:
            try:
                self._before[number] = signal.signal(number, self._handle)
            except (TypeError, ValueError, OSError) as error:
                self._put_back()
                raise ConfigError(
                    f"`stop_on` takes signals that a program may handle, as `signal.SIGTERM`, got {number!r}: {error}"
                ) from error
        self._is_in_force = True
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()
        self._is_in_force = False
        if self.is_requested:  # the loop was left before it came to a boundary
            self.hand_over()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def next(self, batches: Any) -> Any:
        """The next of an iterator's batches.

        Raises:
            StopIteration: a signal came, now or before.
        """
        if self.ends_now:
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
            if self._save is not None:
                self._save(self._state())
            self._is_handed_over = True  # not before: what fails is tried again at the end of the context

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.is_requested = True
        before = self._before.get(number)
        # Another loader's, or the program's own. Python's for Ctrl-C would end the program here and now.
        if callable(before) and before is not signal.default_int_handler:
            before(number, frame)
        if self._is_waiting:
            self._is_waiting = False
            raise _StopNow
