"""Augmentations out of steps. A step is any function of (key, waveform) with a waveform as its result.

augmentation = compose([random_polarity, partial(random_gain, upper=3.0), with_probability(random_noise, 0.5)])
waveforms = jax.vmap(augmentation)(keys, waveforms)
"""

from collections.abc import Sequence
from functools import cache, partial

from artifex.generative_models.modalities import compose as shared
from artifex.generative_models.modalities.audio.augment import (
    random_gain,
    random_noise,
    random_polarity,
    random_time_shift,
)
from artifex.generative_models.modalities.compose import Step as Step
from artifex.generative_models.modalities.compose import with_probability as with_probability


def compose(steps: Sequence[Step]) -> Step:
    """One step out of many, in that order; of spectrograms as well as of waveforms.

    Step number i gets the key with i folded in, so that a step that is added at the end leaves what the
    earlier ones draw as it was. Nothing is clipped.

    Raises:
        ConfigTypeError: a step cannot be called.
    """
    return shared.compose(steps, takes="waveform")


@cache  # one and the same function each time, so that `jax.jit` compiles it once
def default_augmentation() -> Step:
    """What `augmentation=True` does: polarity, a shift of up to 5 %, a gain of up to 6 dB down, mild white noise.

    None of them changes what is heard by much, nor leaves [-1, 1] by more than the noise, 20 to 50 dB below.
    """
    return compose(
        [
            random_polarity,
            partial(random_time_shift, max_fraction=0.05),
            partial(random_gain, lower=-6.0, upper=0.0),
            partial(random_noise, lower=20.0, upper=50.0),
        ]
    )
