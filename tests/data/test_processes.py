"""Real processes under `jax.distributed`, two virtual devices each, on the loopback address."""

import json
import os
import socket
import subprocess
import sys
from functools import cache
from itertools import product

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
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from artifex.data import create_data_loader
from artifex.data.errors import ConfigError

class Items:
    read = []
    def __len__(self):
        return 80
    def __getitem__(self, index):
        Items.read.append(index)
        return {"x": np.full((3,), index, np.float32)}

mesh = jax.make_mesh((len(jax.devices()),), ("data",))
loader = create_data_loader(
    Items(), 24, seed=4, last="wrap", sharding=NamedSharding(mesh, PartitionSpec("data")),
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
read = len(Items.read)
first = Mesh([device for device in jax.devices() if device.process_index == 0], ("data",))
try:
    create_data_loader(Items(), 16, drop_last=True, sharding=(first, PartitionSpec("data")))
    told = None
except ConfigError as error:
    told = str(error)
print(json.dumps({"digests": digests, "read": read, "state": None if state else saved, "told": told}))
"""


@cache
def run(count, state="null"):
    """What each of `count` processes says, from the start or from a state as JSON."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port), str(rank), str(count), state],
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


COUNTS = (1, 2, 3, 4)
SHORT = [(1, 2)]  # of the others some start eight processes


@pytest.mark.parametrize("count", [2, *(pytest.param(count, marks=pytest.mark.slow) for count in (3, 4))])
def test_the_global_batch_is_the_same_for_any_number_of_processes(count):
    (alone,), together = run(1), run(count)
    assert [r["digests"] for r in together] == [alone["digests"]] * count
    assert [r["read"] for r in together] == [alone["read"] // count] * count, "each reads its own rows alone"
    assert all(r["state"] == alone["state"] for r in together)
    assert alone["told"] is together[0]["told"] is None
    for rank in range(1, count):
        assert f"`sharding` has no device of this process ({rank} of {count})" in together[rank]["told"]


@pytest.mark.parametrize(
    ("saved", "resumed"),
    [*SHORT, *(pytest.param(*p, marks=pytest.mark.slow) for p in product(COUNTS, COUNTS) if p not in SHORT)],
)
def test_saved_with_some_processes_and_resumed_with_others(saved, resumed):
    # Saved in the real run of so many processes: in this one, for the others there is nothing to tell it from.
    states = {json.dumps(result["state"]) for result in run(saved)}
    assert len(states) == 1
    for result in run(resumed, states.pop()):
        # The rest of epoch 0, then the whole of epoch 1.
        assert result["digests"] == run(1)[0]["digests"][3:]
