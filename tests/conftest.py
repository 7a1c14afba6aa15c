"""Stricter than users are: promotions that JAX would do silently raise here, and there are two devices."""

import threading

import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture
def worker_threads():
    """A function that gives the worker threads begun since the test began.

    A test before this one may have left a loader with threads of its own in the traceback of an error.
    """
    others = set(threading.enumerate())
    return lambda: [
        t for t in threading.enumerate() if t.name.startswith("artifex-worker") and t not in others
    ]
