import io

from artifex.data import progress
from artifex.data.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stream, seconds):
    now = [0.0]
    monkeypatch.setattr(progress.sys, "stderr", stream)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("indexing text", 100) as bar:
        for _ in range(2):
            now[0] += seconds
            bar.advance(25)
    return stream.getvalue()


def test_a_bar_only_on_a_terminal_and_only_for_long_work(monkeypatch):
    assert "indexing text" in shown(monkeypatch, Terminal(), 0.8)
    assert shown(monkeypatch, Terminal(), 0.4) == ""
    assert shown(monkeypatch, io.StringIO(), 0.8) == ""
