"""How long a fresh process takes to import a package: each time another process, so nothing is loaded yet."""

import json
import os
import subprocess
from pathlib import Path

# VmHWM, since what `getrusage` calls the peak is inherited from the process that started this one.
_CODE = """
import json, sys, time
sys.path.pop(0)
clock, cpu = time.perf_counter(), time.process_time()
import {module}
wall, cpu = time.perf_counter() - clock, time.process_time() - cpu
try:
    peak = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
except OSError:
    peak = 0.0
print(json.dumps(dict(wall=wall * 1e6, cpu=cpu * 1e6, peak_mb=peak)))
"""


def time_import(python: Path, module: str, limit: float) -> dict[str, float]:
    """Microseconds of wall clock and CPU, and the peak of memory in MB, of `import module`.

    Raises:
        RuntimeError: it failed, or took longer than `limit` seconds.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "HF_HUB_OFFLINE": "1"}
    command = [str(python), "-c", _CODE.format(module=module)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"`import {module}` took over {limit:g} s") from None
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip() or "no message").splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])
