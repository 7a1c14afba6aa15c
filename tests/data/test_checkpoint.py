import json
import subprocess
import sys
import textwrap

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from artifex.data import (
    LoaderCheckpointHandler,
    LoaderRestore,
    LoaderSave,
    StateError,
    create_data_loader,
)
from artifex.data.errors import ConfigTypeError

DATA = {"x": np.arange(40, dtype=np.float32).reshape(20, 2)}

# What another process runs: it restores both, and tells the rest of the epoch and the next one.
PROGRAM = """
    import json, sys
    import jax, numpy as np
    import orbax.checkpoint as ocp
    from flax import nnx
    from artifex.data import LoaderRestore, create_data_loader

    data = {"x": np.arange(40, dtype=np.float32).reshape(20, 2)}
    loader = create_data_loader(data, 3, seed=5)
    model = nnx.Linear(2, 3, rngs=nnx.Rngs(1))  # other weights than the saved ones
    with ocp.CheckpointManager(sys.argv[1]) as manager:
        restored = manager.restore(
            manager.latest_step(),
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(jax.tree.map(jax.numpy.zeros_like, nnx.state(model))),
                data=LoaderRestore(loader),
            ),
        )
    nnx.update(model, restored.model)
    rest = [[batch["x"].tolist(), batch["index"].tolist()] for _ in range(2) for batch in loader]
    print(json.dumps({"rest": rest, "kernel": model.kernel[...].tolist(), "step": restored.data["step"]}))
"""


def loader(**settings):
    return create_data_loader(DATA, 3, **{"seed": 5, **settings})


def test_a_model_and_its_data_go_on_in_another_process(tmp_path):
    model, ours = nnx.Linear(2, 3, rngs=nnx.Rngs(0)), loader()
    batches = iter(ours)
    for _ in range(4):
        next(batches)
    with ocp.CheckpointManager(tmp_path / "run") as manager:
        saved = ocp.args.Composite(model=ocp.args.StandardSave(nnx.state(model)), data=LoaderSave(ours))
        manager.save(4, args=saved)
        rest = [[batch["x"].tolist(), batch["index"].tolist()] for batch in [*batches, *ours]]
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"rest": rest, "kernel": model.kernel[...].tolist(), "step": 4}
    assert len(rest) == 3 + 7


def test_on_disk_it_is_json(tmp_path):
    ours = loader()
    next(iter(ours))
    with ocp.CheckpointManager(tmp_path / "run") as manager:
        manager.save(0, args=ocp.args.Composite(data=LoaderSave(ours)))
    (file,) = (tmp_path / "run" / "0" / "data").glob("*.json")
    assert json.loads(file.read_text()) == ours.state()


def test_what_is_saved_is_where_the_loader_stood_when_it_was_told(tmp_path):
    ours = loader()
    batches = iter(ours)
    next(batches)
    save = LoaderSave(ours)
    next(batches)
    handler = LoaderCheckpointHandler()
    handler.save(tmp_path, args=save)
    assert handler.restore(tmp_path)["step"] == 1 and ours.state()["step"] == 2
    handler.save(tmp_path, args=LoaderSave(ours.state()))
    assert handler.restore(tmp_path, args=LoaderRestore())["step"] == 2


def test_process_0_alone_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    LoaderCheckpointHandler().save(tmp_path, args=LoaderSave(loader()))
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(jax, "process_index", lambda: 0)
    LoaderCheckpointHandler().save(tmp_path, args=LoaderSave(loader()))
    assert len(list(tmp_path.iterdir())) == 1


def test_the_state_of_another_loader_is_refused(tmp_path):
    other = loader(seed=6)
    with ocp.CheckpointManager(tmp_path / "run") as manager:
        manager.save(0, args=ocp.args.Composite(data=LoaderSave(loader())))
        with pytest.raises(StateError, match="`seed` was 5 and is 6"):
            manager.restore(0, args=ocp.args.Composite(data=LoaderRestore(other)))


def test_what_is_not_there_or_damaged_is_told(tmp_path):
    handler = LoaderCheckpointHandler()
    with pytest.raises(
        StateError, match=r"no state of a loader in this item of the checkpoint: .*loader\.json"
    ):
        handler.restore(tmp_path, args=LoaderRestore(loader()))
    handler.save(tmp_path, args=LoaderSave(loader()))
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:20])
    with pytest.raises(StateError, match="damaged: .* is no JSON"):
        handler.restore(tmp_path, args=LoaderRestore(loader()))


def test_what_is_no_loader_is_told():
    with pytest.raises(ConfigTypeError, match="`loader` must be a DataLoader or the state of one, got int"):
        LoaderSave(3)
    with pytest.raises(ConfigTypeError, match="`loader` must be a DataLoader or None, got dict"):
        LoaderRestore({})


def test_without_orbax_it_is_said_what_to_install():
    code = """
        import sys
        sys.modules["orbax"] = sys.modules["orbax.checkpoint"] = None
        import artifex.data, artifex.data.pipeline
        from artifex.data.errors import MissingPackageError
        try:
            artifex.data.LoaderSave
        except MissingPackageError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install orbax-checkpoint" in done.stdout
