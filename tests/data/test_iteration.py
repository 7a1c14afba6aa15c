import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import DataLoader, create_data_loader, reuse
from artifex.data.errors import ConfigError, ConfigTypeError, DecodeError, StateError, TransformError
from artifex.data.types import ArraySpec
from small_loaders import SIZE, Items, bits, noise, seen


class Large:
    """Slots large enough to be used again."""

    spec = {"x": ArraySpec((80, 80), np.dtype(np.float32))}
    in_memory = False
    is_random = False

    def __len__(self):
        return SIZE

    def reader(self):
        return self

    def fingerprint(self):
        return {"kind": "large"}

    def read_into(self, indices, out, random=None):
        out["x"][...] = indices[:, None, None]


def test_an_epoch_is_every_record_once_with_what_belongs_to_it():
    batches = list(create_data_loader(Items(), 4, seed=1))
    assert sorted(i for b in batches for i in b["index"].tolist()) == list(range(SIZE))
    assert [len(b["index"]) for b in batches] == [4, 4, 2]
    for batch in batches:
        assert batch["x"][:, 0].tolist() == batch["index"].tolist()
        assert batch["name"] == [f"r{i}" for i in batch["index"].tolist()]
        assert isinstance(batch["x"], jax.Array) and batch["index"].dtype == jnp.int32


def test_epochs_differ_and_a_new_loader_repeats_them():
    loader = create_data_loader(Items(), 4, seed=5)
    epochs = [seen(loader) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert [seen(other) for other in [create_data_loader(Items(), 4, seed=5)] for _ in range(3)] == epochs
    assert seen(create_data_loader(Items(), 4, seed=6)) != epochs[0]


@pytest.mark.parametrize("num_workers", [0, 1, 8])
@pytest.mark.parametrize("prefetch", [1, 5])
def test_workers_and_prefetch_change_nothing(num_workers, prefetch):
    loader = create_data_loader(
        Items(), 4, seed=2, transform=noise, num_workers=num_workers, prefetch=prefetch
    )
    assert bits(loader) == bits(create_data_loader(Items(), 4, seed=2, transform=noise))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("step", range(8))
def test_restoring_at_every_step_gives_the_rest_bit_by_bit(num_workers, step):
    def loader():
        return create_data_loader(Items(), 3, seed=2, transform=noise, num_workers=num_workers, prefetch=3)

    def batches(loader):
        for _ in range(3):
            yield from loader

    whole = bits(batches(loader()))
    stopped, stream = loader(), None
    stream = batches(stopped)
    for _ in range(step):
        next(stream)
    state = json.loads(json.dumps(stopped.state()))
    stream.close()
    resumed = loader()
    resumed.restore(state)
    assert resumed.state() == state
    epoch, rest = divmod(step, 4)
    remaining = [b for _ in range(3 - epoch) for b in bits(resumed)]
    assert remaining == whole[step:] and (state["epoch"], state["step"]) == (epoch, rest)


def test_state_is_small_and_names_its_plan():
    state = create_data_loader({"x": np.zeros((1000, 3))}, 4).state()
    assert len(json.dumps(state)) < 4096
    assert (
        state.items()
        >= {
            "version": 1,
            "epoch": 0,
            "step": 0,
        }.items()
    )
    assert state["plan"]["arrangement"]["num_records"] == 1000
    assert state["plan"]["source"]["kind"] == "arrays"


def test_state_follows_the_newest_iterator():
    loader = create_data_loader(Items(), 4)
    first = iter(loader)
    next(first)
    assert (loader.state()["epoch"], loader.state()["step"]) == (0, 1)
    second = iter(loader)
    next(second), next(second)
    next(first)
    assert (loader.state()["epoch"], loader.state()["step"]) == (1, 2)
    next(second)
    assert (loader.state()["epoch"], loader.state()["step"]) == (2, 0), (
        "an epoch's end is the next one's start"
    )
    first.close(), second.close()


def test_leaving_an_epoch_early_goes_on_with_the_next():
    loader = create_data_loader(Items(), 4, seed=3)
    epochs = [seen(create_data_loader(Items(), 4, seed=3))]
    for batch in loader:
        assert batch["index"].tolist() == epochs[0][0]
        break
    other = create_data_loader(Items(), 4, seed=3)
    next(iter(other))
    assert seen(loader) == seen(other) != epochs[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 5}, "`batch_size` was 4 and is 5"),
        ({"seed": 1}, "`seed` was 0 and is 1"),
        ({"shuffle": False}, "`arrangement.shuffle` was True and is False"),
        ({"drop_last": True}, "`last` was 'short' and is 'drop'"),
        ({"dataset": {"x": np.ones((10, 2))}}, r"`source\.x` was 'float32\[10, 2\]"),
        ({"dataset": {"x": np.zeros((11, 2))}}, "`arrangement.num_records` was 10 and is 11"),
    ],
)
def test_a_state_of_another_plan_is_refused(change, message):
    arguments = {"dataset": {"x": np.zeros((10, 2))}, "batch_size": 4}
    state = create_data_loader(**arguments).state()
    loader = create_data_loader(**arguments | change)
    before = loader.state()
    with pytest.raises(StateError, match=message):
        loader.restore(state)
    assert loader.state() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": 99}, "version 99, and this release reads version 1 and older ones: a newer release"),
        ({"step": 3}, "`step` must be from 0 to 2"),
        ({"epoch": -1}, "`epoch` must be from 0"),
        ({"step": "1"}, "`step` must be an integer"),
        ({"plan": None}, "another plan"),
        ({"plan": 3}, "another plan"),
    ],
)
def test_a_damaged_state_is_refused(damage, message):
    loader = create_data_loader(Items(), 4)
    with pytest.raises(StateError, match=message):
        loader.restore(loader.state() | damage)


@pytest.mark.parametrize("state", [{}, {"version": 1}, [], None, 3])
def test_what_is_no_state_is_refused(state):
    with pytest.raises(StateError, match="no state of a loader"):
        create_data_loader(Items(), 4).restore(state)


def test_any_step_by_itself():
    loader = create_data_loader(Items(), 4, seed=1, transform=noise)
    whole = bits([*loader, *loader])
    state = loader.state()
    assert bits(loader.batch(step) for step in range(6)) == whole
    assert loader.state() == state
    with pytest.raises(ConfigError, match="`step` must be from 0"):
        loader.batch(-1)
    with pytest.raises(ConfigTypeError, match="`step` must be an integer"):
        loader.batch(1.0)


def test_the_records_of_any_step_of_huge_data():
    class Huge(Large):
        def __len__(self):
            return 2**31 - 1

    batch = create_data_loader(Huge(), 4, seed=1).batch(12345)
    assert (batch["x"][:, 0, 0] == batch["index"].astype(jnp.float32)).all()

    class TooHuge(Large):
        def __len__(self):
            return 2**31

    with pytest.raises(ConfigError, match="numbers them in int32"):
        create_data_loader(TooHuge(), 4)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_batch_that_is_kept_does_not_change(num_workers):
    kept = [
        b for b in create_data_loader(Large(), 2, num_workers=num_workers, prefetch=2) for _ in range(1)
    ] + [b["x"] for b in create_data_loader(Large(), 2, num_workers=num_workers)]
    for batch in kept[:5]:
        assert (batch["x"] == batch["index"].astype(jnp.float32)[:, None, None]).all()
    assert sorted(float(x[i, 0, 0]) for x in kept[5:] for i in range(2)) == list(range(SIZE))


def test_a_record_s_randomness_does_not_depend_on_its_batch():
    def by_record(batch_size):
        loader = create_data_loader(Items(), batch_size, seed=5, transform=noise)
        return {i: n for b in loader for i, n in zip(b["index"].tolist(), b["noise"].tolist(), strict=True)}

    assert by_record(3) == by_record(7)


def test_an_error_in_a_thread_is_the_typed_one_and_the_threads_end(worker_threads):
    class Bad(Items):
        def __getitem__(self, index):
            if index == 7:
                raise DecodeError("cut short", path="7.jpg")
            if index == 8:
                return {"x": 1 / 0}
            return super().__getitem__(index)

    loader = create_data_loader(Bad(), 2, False, num_workers=4)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    with pytest.raises(DecodeError, match="record 7: 7.jpg: cut short"):
        next(batches)
    assert loader.state()["step"] == 3 and worker_threads() == []
    loader.restore(loader.state() | {"step": 4})
    with pytest.raises(TransformError, match="record 8: .*ZeroDivisionError"):
        next(iter(loader))


def test_threads_end_with_the_iterator(worker_threads):
    loader = create_data_loader(Items(), 1, num_workers=3, prefetch=4)
    for end in ("exhaust", "close", "drop"):
        batches = iter(loader)
        next(batches)
        assert len(worker_threads()) == 3
        if end == "exhaust":
            list(batches)
        if end == "close":
            batches.close()
        if end == "drop":
            del batches
            gc.collect()
        deadline = time.monotonic() + 5
        while worker_threads() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert worker_threads() == [], end


def test_an_interrupt_ends_it_at_once():
    code = textwrap.dedent(
        """
        import signal, sys, time
        from artifex.data import create_data_loader

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it

        class Hangs:
            def __len__(self):
                return 8
            def __getitem__(self, index):
                if index == 5:
                    print("waiting", flush=True)
                    time.sleep(600)
                return {"x": index}

        try:
            for _ in create_data_loader(Hangs(), 2, False, num_workers=2):
                pass
        except KeyboardInterrupt:
            sys.exit(130)
        """
    )
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert program.stdout.readline() == b"waiting\n"
        time.sleep(0.2)
        os.kill(program.pid, signal.SIGINT)
        _, errors = program.communicate(timeout=20)
    finally:
        program.kill()
    assert program.returncode == 130 and errors == b""


@pytest.mark.parametrize("reads", ["np.float32(i)", "jnp.float32(i) + 1"])
def test_a_program_may_end_with_an_iterator_alive(reads):
    code = f"""
import jax.numpy as jnp, numpy as np
from artifex.data import create_data_loader
class Items:
    def __len__(self): return 200
    def __getitem__(self, i): return {{"x": {reads}}}
it = iter(create_data_loader(Items(), 5, num_workers=4, prefetch=4)); next(it); next(it)
"""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


def test_an_iterator_that_the_garbage_collector_finds_in_a_worker():
    class Collects(Items):
        def __getitem__(self, index):
            gc.collect()
            return super().__getitem__(index)

    class Trainer:
        pass

    for _ in range(5):
        trainer = Trainer()
        trainer.me, trainer.batches = trainer, iter(create_data_loader(Collects(), 2, num_workers=2))
        next(trainer.batches)
        del trainer
    assert len(list(create_data_loader(Collects(), 2, num_workers=2))) == 5


def test_a_callable_that_cannot_be_hashed():
    class Step:
        __hash__ = None

        def __call__(self, key, sample):
            return sample

    assert len(list(create_data_loader(Items(), 5, transform=Step()))) == 2


def test_it_says_what_it_is():
    assert repr(create_data_loader(Items(), 4, num_workers=2, prefetch=2)) == (
        "DataLoader(10 records, batch_size=4, 3 batches an epoch, num_workers=2, prefetch=2)"
    )


def test_batches_as_numpy_arrays_are_the_same_and_move_the_state_alike():
    settings = {"transform": noise, "last": "pad", "seed": 2}
    ours, numpy = (create_data_loader(Items(), 4, **settings) for _ in range(2))
    for _ in range(2):
        count = 0
        for batch, arrays in zip(ours, numpy.as_numpy_iterator(), strict=True):
            assert numpy.state() == ours.state() and batch.keys() == arrays.keys()
            for name, array in arrays.items():
                if name == "name":
                    assert array == batch[name] and isinstance(array, list)
                    continue
                assert (
                    type(array) is np.ndarray and array.flags.writeable and array.dtype == batch[name].dtype
                )
                np.testing.assert_array_equal(array, batch[name], strict=True)
            count += 1
        assert count == len(ours)


def test_numpy_batches_begin_an_epoch_when_they_are_asked_for_and_end_their_threads():
    loader = create_data_loader(Items(), 4, num_workers=2)
    before = set(threading.enumerate())
    first, second = loader.as_numpy_iterator(), loader.as_numpy_iterator()
    next(second), next(first)
    assert loader.state()["epoch"] == 1
    assert set(threading.enumerate()) - before
    del first, second
    assert not set(threading.enumerate()) - before


def test_numpy_batches_stay_what_they_are(monkeypatch):
    monkeypatch.setattr(reuse, "LEAST_BYTES", 1)  # the memory of a batch is used again for a later one
    loader = create_data_loader(
        Large(), 2, dtype="bfloat16", shuffle=False, transform=lambda key, sample: sample
    )
    kept = list(loader.as_numpy_iterator())
    assert [batch["x"][:, 0, 0].tolist() for batch in kept] == [[i, i + 1] for i in range(0, SIZE, 2)]
    assert kept[0]["x"].dtype.name == "bfloat16"


def test_numpy_batches_need_whole_batches(monkeypatch):
    mesh = jax.make_mesh((2,), ("data",))
    loader = create_data_loader(
        {"x": np.arange(8)}, 4, sharding=(mesh, jax.sharding.PartitionSpec("data")), shuffle=False
    )
    assert [batch["x"].tolist() for batch in loader.as_numpy_iterator()] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    before = loader.state()
    monkeypatch.setattr(loader, "_is_whole", False)
    with pytest.raises(ConfigError, match="`as_numpy_iterator` needs whole batches"):
        loader.as_numpy_iterator()
    assert loader.state() == before


def test_a_dataset_is_no_plan():
    with pytest.raises(ConfigTypeError, match="`create_data_loader"):
        DataLoader([{"x": 1.0}], 2)
