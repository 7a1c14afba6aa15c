"""Who takes part in the cases: by hand, this package, and each peer, with its environment and its imports."""

from collections.abc import Callable
from typing import Any

from benchmarks.registry import Contender, Kind

MODALITIES = "artifex.generative_models.modalities"


def _who(kind: Kind, environment: str | None, *imports: str, before: str = "") -> Callable[..., Contender]:
    def contender(
        name: str, function: str, setting: str = "", *, antialiased: bool = True, **options: Any
    ) -> Contender:
        where = f"benchmarks.contenders.{function}"
        return Contender(name, kind, where, environment, imports, setting, antialiased, before, options)

    return contender


hand = _who("hand", None)


def _artifex(module: str) -> Callable[..., Contender]:
    before = "benchmarks.contenders.of_artifex:draw_a_key"
    return _who("artifex", None, "artifex.data", f"{MODALITIES}.{module}", "flax.nnx", before=before)


artifex = _artifex("image.datasets")
artifex_with_texts = _artifex("text.datasets")
artifex_with_sounds = _artifex("audio.datasets")
grain = _who("peer", "grain", "grain")
torch = _who("peer", "torch", "torch.utils.data")
tensorflow = _who("peer", "tensorflow", "tensorflow")
datasets = _who("peer", "datasets", "datasets")
jax_dataloader = _who("peer", "jax-dataloader", "jax_dataloader")
datarax = _who("peer", "datarax", "datarax", "datarax.operators", "datarax.sources")
spdl = _who("peer", "spdl", "spdl.pipeline")
