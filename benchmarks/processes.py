"""One contender's process, as the bench sees it.

    start -> ready -> (run -> run ...) -> quit

Between its turns a process is stopped, with all that it has started: it neither disturbs the others nor works
ahead. One that says an error, dies or is late is ended.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]

_LOOK_EVERY = 0.5  # seconds between two looks at the memory of a process


class FailedError(Exception):
    """A contender cannot go on; the message says why."""


class Child:
    """A started contender.

    Args:
        python: the interpreter of its environment.
        arguments: of `benchmarks.child`.
        log: the file that gets what it prints.
        limit: seconds that it may take for the first batch, and longer than asked for a measurement.
        environment: more variables of the environment.
    """

    def __init__(
        self,
        python: Path,
        arguments: list[str],
        log: Path,
        *,
        limit: float,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._limit, self._log = limit, log
        log.parent.mkdir(parents=True, exist_ok=True)
        variables = os.environ | _VARIABLES | (environment or {})
        variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [variables.get("PYTHONPATH")])])
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(python), "-m", "benchmarks.child", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=variables,
                process_group=0,  # to be stopped and ended as a whole; the kernel ends it if this one dies
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.peak_mb = 0.0

    def ready(self) -> dict[str, Any]:
        """Waits for the first batch: {"import_s", "first_batch_s"}."""
        answer = self._answer(self._limit, "for the first batch")
        self._signal(signal.SIGSTOP)
        return answer

    def run(self, seconds: float) -> dict[str, Any]:
        """One measurement: {"wall", "cpu"} in microseconds per item, {"items"}."""
        self._signal(signal.SIGCONT)
        self._say(f"run {seconds}")
        answer = self._answer(self._limit + seconds, "for a measurement")
        self._signal(signal.SIGSTOP)
        return answer

    def quit(self) -> None:
        """Asks for the peak of memory, and ends the process and all that it has started."""
        try:
            self._signal(signal.SIGCONT)
            self._say("quit")
            self.peak_mb = max(self.peak_mb, self._answer(10, "to end")["peak_mb"])
        except FailedError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the process and all that it has started, at once."""
        family = self._family()
        self._signal(signal.SIGKILL)
        for process in family:  # some workers make a group of their own
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        psutil.wait_procs(family, timeout=5)
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise FailedError(self._last_words()) from None

    def _answer(self, limit: float, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + limit
        while True:
            try:
                line = self._lines.get(timeout=min(_LOOK_EVERY, limit))
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise FailedError(f"took over {limit:g} s {what}") from None
                # Workers that live on may hold the pipe open.
                if self._process.poll() is not None:
                    raise FailedError(self._last_words()) from None
                self._look()
                continue
            self._look()
            if line is None:
                raise FailedError(self._last_words())
            answer = json.loads(line)
            if "error" in answer:
                raise FailedError(answer["error"])
            return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        lines = self._log.read_text().strip().splitlines()
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return f"died {how}" + (f": {lines[-1][:200]}" if lines else "")

    def _look(self) -> None:
        total = 0
        for process in self._family():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak_mb = max(self.peak_mb, total / 2**20)

    def _family(self) -> list[psutil.Process]:
        try:
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, number: int) -> None:
        # A process that has ended and was waited for has a number that may be another's by now.
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return


_VARIABLES = {
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "HF_HUB_OFFLINE": "1",
}
