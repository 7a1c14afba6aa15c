"""Augmentations out of steps, whatever the modality. A step is any function of (key, array) that gives an array."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Shaped

from artifex.data.device import describe_step, is_own
from artifex.data.errors import ConfigTypeError, ShapeError
from artifex.generative_models.modalities.draws import chance
from artifex.generative_models.modalities.settings import Number, check_number

Step: TypeAlias = Callable[[Array, Array], Array]
"""(key, array of one sample) -> array."""


def compose(
    steps: Sequence[Step], *, limits: tuple[float, float] | None = None, takes: str = "array"
) -> Step:
    """One step out of many, in that order.

    Step number i gets the key with i folded in, so that a step that is added at the end leaves what the
    earlier ones draw as it was.

    Args:
        steps: the steps.
        limits: what the result is clipped to; None leaves it as it is.
        takes: what an error calls that which a step is a function of.

    Raises:
        ConfigTypeError: a step cannot be called.
    """
    steps = tuple(steps)
    for i, step in enumerate(steps):
        if not callable(step):
            raise ConfigTypeError(f"`steps[{i}]` must be a function of (key, {takes}), got {step!r}")
    return _Composition(steps, limits)


@dataclass(frozen=True)
class _Composition:
    steps: tuple[Step, ...]
    limits: tuple[float, float] | None

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        return f"compose({', '.join(map(describe_step, self.steps))})"

    @property
    def is_own(self) -> bool:
        """Whether all its steps are this package's."""
        return all(map(is_own, self.steps))

    def __call__(self, key: Key[Array, ""], array: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
        for i, step in enumerate(self.steps):
            array = step(jax.random.fold_in(key, i), array)
        return array if self.limits is None else jnp.clip(array, *self.limits)


def with_probability(step: Step, probability: Number) -> Step:
    """A step that does `step` with that probability, and else nothing.

    Both are computed, as `vmap` has it. Its result raises ShapeError where `step` changes shape or dtype.
    """
    check_number("probability", probability, low=0, high=1)

    def sometimes(key: Key[Array, ""], array: Shaped[Array, "*s"]) -> Shaped[Array, "*s"]:
        for_chance, for_step = jax.random.split(key)
        changed = step(for_step, array)
        if changed.shape != array.shape or changed.dtype != array.dtype:
            raise ShapeError(
                f"`step` must keep shape and dtype, but makes {changed.dtype}{list(changed.shape)} of "
                f"{array.dtype}{list(array.shape)}; what changes the shape must be done always"
            )
        return jnp.where(chance(for_chance, probability), changed, array)

    sometimes.is_own = is_own(step)  # pyright: ignore[reportFunctionMemberAccess]
    return sometimes
