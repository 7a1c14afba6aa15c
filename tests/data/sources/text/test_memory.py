"""What a file much larger than the memory that it may take costs, in a process of its own."""

import subprocess
import sys

import pytest

MEASURE = """
import sys, threading, time
import numpy as np
import psutil
from artifex.data import open_text

process = psutil.Process()
def held():
    # Pages of mapped files (the index) are the system's: they are counted as shared and go when it needs them.
    info = process.memory_info()
    return info.rss - info.shared

def watch():
    global peak
    while running:
        peak = max(peak, held())
        time.sleep(0.002)

open_text(sys.argv[2])[0]  # imports are done before the count begins
begin = peak = held()
running = True
thread = threading.Thread(target=watch)
thread.start()
source = open_text(sys.argv[1])
rng = np.random.default_rng(0)
for _ in range(300):
    numbers = rng.integers(0, len(source), 64)
    for number, record in zip(numbers.tolist(), source.read_many(numbers)):
        assert record["text"].startswith(f"{number % LINES} "), record
running = False
thread.join()
print(len(source), peak - begin)
"""


@pytest.mark.slow
def test_two_gigabytes_are_indexed_and_read_in_little_memory(tmp_path):
    lines, repeats = 2**15, 64
    block = "".join(f"{n} {'x' * 1000}\n" for n in range(lines)).encode()
    with (tmp_path / "a.txt").open("wb") as file:
        for _ in range(repeats):
            file.write(block)
    (tmp_path / "b.txt").write_text("one line")
    size = len(block) * repeats
    assert size > 2 * 10**9
    code = f"LINES = {lines}\n{MEASURE}"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.txt", tmp_path / "b.txt"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    count, grown = map(int, done.stdout.split())
    assert count == lines * repeats
    # The index alone has 24 MB, mapped; a block and what is made of it take some 20 MB.
    assert grown < 300 * 2**20, f"{grown / 2**20:.0f} MiB"
    print(f"grew by {grown / 2**20:.0f} MiB")
