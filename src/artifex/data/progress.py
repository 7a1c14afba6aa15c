"""A bar for work that takes longer than a moment."""

import sys
import time
from types import TracebackType
from typing import Any, Self

_PATIENCE = 1.0  # seconds


class Progress:
    """A bar on the standard error, if that is a terminal, from a second after the start on.

    Args:
        what: the words before it.
        total: how much work there is.
        in_bytes: whether that is bytes, or pieces.
    """

    def __init__(self, what: str, total: int, *, in_bytes: bool = False) -> None:
        self._what, self._total, self._in_bytes = what, total, in_bytes
        self._done = 0
        self._since = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def advance(self, done: int) -> None:
        """Notes so much more as done."""
        self._done += done
        if self._bar is None and sys.stderr.isatty() and time.monotonic() - self._since > _PATIENCE:
            self._show()
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bar

        done = DownloadColumn() if self._in_bytes else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), done, TimeRemainingColumn())
        self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
