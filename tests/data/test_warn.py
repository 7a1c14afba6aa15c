import subprocess
import sys

import pytest

from artifex.data.warn import warn

PROGRAM = """
from artifex.data.samples import reader_of


class Stream:
    def __iter__(self):
        return iter([{"x": 1}])


reader_of(Stream())
"""


def test_it_points_at_the_user_s_line(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert f"{program}:10: IteratedDatasetWarning: Stream has no" in done.stderr


@pytest.mark.filterwarnings("error")
def test_it_can_be_an_error():
    with pytest.raises(UserWarning, match="look out"):
        warn("look out", UserWarning)
