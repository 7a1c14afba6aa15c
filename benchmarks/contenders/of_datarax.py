"""datarax: arrays in memory, converted by a stage of the pipeline."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.data import Arrays


def arrays(work: Arrays, shuffle: bool) -> Iterator[Any]:
    import jax.numpy as jnp
    from datarax import Pipeline
    from datarax.operators import ElementOperator, ElementOperatorConfig
    from datarax.sources import MemorySource, MemorySourceConfig
    from flax import nnx

    def to_unit(element: Any, key: Any = None) -> Any:
        images = element.data["images"].astype(jnp.float32) * np.float32(1 / 255)
        return element.update_data({"images": images})

    data = {"images": work.images, "labels": work.labels}
    source = MemorySource(MemorySourceConfig(shuffle=shuffle), data=data, rngs=nnx.Rngs(0))
    stage = ElementOperator(ElementOperatorConfig(stochastic=False), fn=to_unit, rngs=nnx.Rngs(0))
    pipeline = Pipeline(
        source=source,
        stages=[stage],
        batch_size=work.batch_size,
        rngs=nnx.Rngs(0),
        drop_last=True,
        num_epochs=None,
    )
    for batch in pipeline:
        yield batch["images"], batch["labels"]
