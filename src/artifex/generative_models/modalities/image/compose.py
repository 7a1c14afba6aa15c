"""Augmentations out of steps. A step is any function of (key, image) with an image as its result.

augmentation = compose([random_flip_horizontal, partial(random_brightness, max_delta=0.1)])
images = jax.vmap(augmentation)(keys, images)
"""

from collections.abc import Sequence
from functools import cache, partial

from artifex.generative_models.modalities import compose as shared
from artifex.generative_models.modalities.compose import Step as Step
from artifex.generative_models.modalities.compose import with_probability as with_probability
from artifex.generative_models.modalities.image.augment import (
    random_brightness,
    random_contrast,
    random_flip_horizontal,
    random_pad_and_crop,
)


def compose(steps: Sequence[Step]) -> Step:
    """One step out of many, in that order, whose result is clipped to [0, 1].

    Step number i gets the key with i folded in, so that a step that is added at the end leaves what the
    earlier ones draw as it was.

    Raises:
        ConfigTypeError: a step cannot be called.
    """
    return shared.compose(steps, limits=(0.0, 1.0), takes="image")


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
