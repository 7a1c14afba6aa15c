import gc
import subprocess
import sys
import threading
import time

import pytest

from artifex.data.workers import Workers


def test_tasks_run_and_threads_end(worker_threads):
    workers, done = Workers(3), []
    for i in range(100):
        workers.submit(lambda i=i: done.append(i))
    while len(done) < 100:
        time.sleep(0.001)
    assert sorted(done) == list(range(100)) and len(worker_threads()) == 3
    workers.close()
    assert worker_threads() == []


def test_close_drops_what_has_not_begun(worker_threads):
    workers, begun, go = Workers(1), threading.Event(), threading.Event()
    done = []
    workers.submit(lambda: (begun.set(), go.wait(5), done.append(1)))
    workers.submit(lambda: done.append(2))
    begun.wait(5)
    threading.Timer(0.05, go.set).start()
    workers.close()
    assert done == [1] and worker_threads() == []


def test_a_task_that_hangs_does_not_keep_the_program():
    code = (
        "import time; from artifex.data.workers import Workers\n"
        "w = Workers(2); w.submit(lambda: time.sleep(60)); time.sleep(0.05); w.close()"
    )
    started = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
    assert time.monotonic() - started < 20


def test_an_interrupt_while_threads_start_leaves_nothing_to_complain_of(monkeypatch):
    start, count = threading.Thread.start, []

    def interrupted(thread):
        count.append(thread)
        if len(count) == 2:
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Workers(3)
    monkeypatch.undo()
    gc.collect()  # an error in a finaliser would be a warning, and warnings are errors here
    count[0].join(5)
    assert not count[0].is_alive()
