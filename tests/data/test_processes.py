"""Real processes under `jax.distributed`, two virtual devices each, on the loopback address."""

import json
import os
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, json, sys
import jax
port, rank, count, state = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
jax.config.update("jax_num_cpu_devices", 2)
if count > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", count, rank)
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from artifex.data import create_data_loader

class Items:
    read = []
    def __len__(self):
        return 50
    def __getitem__(self, index):
        Items.read.append(index)
        return {"x": np.full((3,), index, np.float32)}

mesh = jax.make_mesh((len(jax.devices()),), ("data",))
loader = create_data_loader(
    Items(), 12, seed=4, last="wrap", sharding=NamedSharding(mesh, PartitionSpec("data")),
    transform=lambda key, sample: {**sample, "noise": jax.random.uniform(key)},
)
if state:
    loader.restore(state)
Items.read.clear()
digests = []
for epoch in range(2):
    for batch in loader:
        whole = multihost_utils.process_allgather(batch, tiled=True) if count > 1 else batch
        parts = [np.asarray(whole[name]).tobytes() for name in sorted(whole)]
        digests.append(hashlib.sha256(b"".join(parts)).hexdigest()[:16])
        if not state and len(digests) == 3:
            saved = loader.state()
print(json.dumps({"digests": digests, "read": len(Items.read), "state": None if state else saved}))
"""


def run(count, state=None):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port), str(rank), str(count), json.dumps(state)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for rank in range(count)
    ]
    try:
        outputs = [program.communicate(timeout=240) for program in programs]
    finally:
        for program in programs:
            program.kill()
    assert all(p.returncode == 0 for p in programs), outputs[0][1].decode()[-2000:]
    return [json.loads(out.decode().splitlines()[-1]) for out, _ in outputs]


@pytest.fixture(scope="module")
def alone():
    return run(1)[0]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_global_batch_is_the_same_for_any_number_of_processes(alone, count):
    together = run(count)
    assert [r["digests"] for r in together] == [alone["digests"]] * count
    assert [r["read"] for r in together] == [alone["read"] // count] * count, "each reads its own rows alone"
    assert all(r["state"] == alone["state"] for r in together)


@pytest.mark.parametrize(
    ("saved", "resumed"),
    [(1, 2), pytest.param(2, 3, marks=pytest.mark.slow), pytest.param(3, 1, marks=pytest.mark.slow)],
)
def test_saved_with_some_processes_and_resumed_with_others(alone, saved, resumed):
    state = alone["state"] if saved == 1 else run(saved)[0]["state"]
    for result in run(resumed, state):
        # The rest of epoch 0, then the whole of epoch 1.
        assert result["digests"] == alone["digests"][3:]
