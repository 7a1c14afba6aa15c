"""Records that take too long: their number, the stacks, and the end."""

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from artifex.data import create_data_loader
from artifex.data.errors import ConfigError, ConfigTypeError, StalledError


class Hangs:
    """Record 5 waits until it is let go."""

    def __init__(self):
        self.let_go = threading.Event()

    def __len__(self):
        return 12

    def __getitem__(self, number):
        if number == 5:
            self.let_go.wait(30)
        return {"x": np.int32(number)}


def test_a_record_that_hangs_in_a_thread_is_told_with_the_stacks(capfd):
    dataset = Hangs()
    loader = create_data_loader(dataset, 3, shuffle=False, num_workers=2, timeout=0.3)
    batches = iter(loader)
    assert next(batches)["x"].tolist() == [0, 1, 2]
    with pytest.raises(StalledError, match="record 5 has been read for more than `timeout` 0.3 s"):
        next(batches)
    dataset.let_go.set()
    assert "test_watch.py" in capfd.readouterr().err


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_is_quick_enough_is_as_without(num_workers):
    data = [{"x": np.int32(i)} for i in range(12)]
    with_limit = create_data_loader(data, 5, seed=1, num_workers=num_workers, timeout=20)
    without = create_data_loader(data, 5, seed=1, num_workers=num_workers)
    assert [b["x"].tolist() for b in with_limit] == [b["x"].tolist() for b in without]
    assert not [t for t in threading.enumerate() if t.name == "artifex-watch" and _is_left(t)]


def _is_left(thread):
    thread.join(2)
    return thread.is_alive()


def test_without_workers_the_program_is_ended(tmp_path):
    script = textwrap.dedent(
        """
        import time
        import numpy as np
        from artifex.data import create_data_loader

        class Hangs:
            def __len__(self):
                return 4

            def __getitem__(self, number):
                if number == 2:
                    time.sleep(60)
                return {"x": np.int32(number)}

        list(create_data_loader(Hangs(), 4, shuffle=False, num_workers=0, timeout=0.3))
        """
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert ended.returncode == 70
    assert "in __getitem__" in ended.stderr and "record 2 has been read for more than" in ended.stderr


def test_what_a_time_limit_must_be():
    with pytest.raises(ConfigError, match="`timeout` must be above 0, got 0"):
        create_data_loader({"x": np.zeros(4)}, 2, timeout=0)
    with pytest.raises(ConfigTypeError, match="`timeout` must be a number"):
        create_data_loader({"x": np.zeros(4)}, 2, timeout="1")
