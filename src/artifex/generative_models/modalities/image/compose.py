"""Augmentations out of steps. A step is any function of (key, image) with an image as its result.

augmentation = compose([random_flip_horizontal, partial(random_brightness, max_delta=0.1)])
images = jax.vmap(augmentation)(keys, images)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.data.device import describe_step, is_own
from artifex.data.errors import ConfigTypeError, ShapeError
from artifex.generative_models.modalities.image.augment import (
    random_brightness,
    random_contrast,
    random_flip_horizontal,
    random_pad_and_crop,
)
from artifex.generative_models.modalities.image.draws import chance
from artifex.generative_models.modalities.image.scalars import Number, check_number

Step: TypeAlias = Callable[[Array, Array], Array]
"""(key, image of shape (h, w, c)) -> image of shape (h2, w2, c)."""


def compose(steps: Sequence[Step]) -> Step:
    """One step out of many, in that order, whose result is clipped to [0, 1].

    Step number i gets the key with i folded in, so that a step that is added at the end leaves what the
    earlier ones draw as it was.

    Raises:
        ConfigTypeError: a step cannot be called.
    """
    steps = tuple(steps)
    for i, step in enumerate(steps):
        if not callable(step):
            raise ConfigTypeError(f"`steps[{i}]` must be a function of (key, image), got {step!r}")

    return _Composition(steps)


@dataclass(frozen=True)
class _Composition:
    steps: tuple[Step, ...]

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        return f"compose({', '.join(map(describe_step, self.steps))})"

    @property
    def is_own(self) -> bool:
        """Whether all its steps are this package's."""
        return all(map(is_own, self.steps))

    def __call__(self, key: Key[Array, ""], image: Float[Array, "h w c"]) -> Float[Array, "h2 w2 c2"]:
        for i, step in enumerate(self.steps):
            image = step(jax.random.fold_in(key, i), image)
        return jnp.clip(image, 0, 1)


def with_probability(step: Step, probability: Number) -> Step:
    """A step that does `step` with that probability, and else nothing.

    Both are computed, as `vmap` has it. Its result raises ShapeError where `step` changes shape or dtype.
    """
    check_number("probability", probability, low=0, high=1)

    def sometimes(key: Key[Array, ""], image: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
        for_chance, for_step = jax.random.split(key)
        changed = step(for_step, image)
        if changed.shape != image.shape or changed.dtype != image.dtype:
            raise ShapeError(
                f"`step` must keep shape and dtype, but makes {changed.dtype}{list(changed.shape)} of "
                f"{image.dtype}{list(image.shape)}; what changes the shape must be done always"
            )
        return jnp.where(chance(for_chance, probability), changed, image)

    sometimes.is_own = is_own(step)  # pyright: ignore[reportFunctionMemberAccess]
    return sometimes


@cache  # one and the same function each time, so that `jax.jit` compiles it once
def default_augmentation() -> Step:
    """What `augmentation=True` does: a flip, a shift of up to an eighth, mild brightness and contrast.

    What the shift uncovers is the image's mirror image, since a generative model would learn to draw
    black borders. Left and right are swapped half of the time: compose your own for digits or letters.
    """
    return compose(
        [
            random_flip_horizontal,
            partial(random_pad_and_crop, fill_mode="reflect"),
            partial(random_brightness, max_delta=0.1),
            partial(random_contrast, lower=0.9, upper=1.1),
        ]
    )
