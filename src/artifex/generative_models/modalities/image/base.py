"""The image modality."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key, UInt8

from artifex.data.checks import LARGEST_INT32, check_bool, check_choice, check_integer
from artifex.data.errors import ConfigTypeError, KeyRequiredError, RangeError, ShapeError
from artifex.generative_models.modalities.base import (
    BaseModalityImplementation,
    RngStreams,
    check_key,
    draw_key,
)
from artifex.generative_models.modalities.image import losses, transforms
from artifex.generative_models.modalities.image.compose import compose, default_augmentation
from artifex.generative_models.modalities.image.config import ImageModalityConfig as ImageModalityConfig
from artifex.generative_models.modalities.image.config import ImageRepresentation as ImageRepresentation
from artifex.generative_models.modalities.image.config import ValueRange as ValueRange
from artifex.generative_models.modalities.image.prepare import (
    Augmentation,
    check_image,
    check_input_range,
    prepare,
    to_unit,
)

# How far a float may be out of its range before `validate=True` complains: rounding, not data.
_SLACK = 1e-4


class ImageModality(BaseModalityImplementation):
    """Makes images ready for a model, and a model's output into images again.

    Args:
        config: size, channels, range and whether training data are augmented.
        rngs: where keys come from when a method gets none.
        augment: what augmentation does: one function `f(key, image)` on an image in [0, 1], or a list of
            them, applied in order and clipped at the end; `default_augmentation()` where it is left out.
    """

    name = "image"
    config: ImageModalityConfig

    def __init__(
        self,
        config: ImageModalityConfig | None = None,
        *,
        rngs: RngStreams,
        augment: Augmentation | Sequence[Augmentation] | None = None,
    ) -> None:
        config = ImageModalityConfig() if config is None else config
        if not isinstance(config, ImageModalityConfig):
            raise ConfigTypeError(f"`config` must be an ImageModalityConfig, got {type(config).__name__}")
        super().__init__(config, rngs=rngs)
        self._augment = augmentation_of(augment)
        # The default is compiled once for all; what is the user's own is not kept longer than this object.
        self._process = partial(_process if augment is None else _compile_process(), config, self._augment)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a processed image."""
        return self.config.shape

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """The shape of what `process` makes of one image: that of `image_shape`."""
        return self.config.shape

    def process(
        self,
        data: Any,
        /,
        *,
        training: bool | None = None,
        key: Key[Array, ""] | None = None,
        input_range: tuple[float, float] | None = None,
        validate: bool = False,
    ) -> Float[Array, "*b height width channels"]:
        """Images in the config's size, channels and range; augmented, where the config says so.

        Args:
            data: (h, w, c) or (b, h, w, c) with 1, 3 or 4 channels; uint8 (0 to 255), uint16 (0 to 65535),
                or floats that are in the config's range already; any numbers with an `input_range`.
            training: False never augments. Otherwise the config's `augmentation` decides, whatever stands here.
            key: for the augmentation, if there is any; without one it is drawn from `rngs`, which cannot be done
                under `jax.jit`.
            input_range: the numbers for black and white, where dtype and config do not tell them.
            validate: also looks at the values; not under `jax.jit`.

        Returns:
            Floats of the same rank: float32, or the images' own dtype if that is a float.

        Raises:
            ShapeError: rank, channels or dtype are wrong.
            RangeError: with `validate`, a value is out of range or no number.
            KeyRequiredError: it is to be augmented under `jax.jit`, without a key.
        """
        images = self._checked(data, input_range)
        if training is not None:
            check_bool("training", training)
        if validate:
            self._check_values(images, input_range)
        single = images.ndim == 3
        batch = images[None] if single else images
        keys = (
            self._keys(key, images, len(batch))
            if self.config.augmentation and training is not False
            else None
        )
        limits = None if input_range is None else check_input_range(input_range)
        ready = self._process(limits, keys, batch)
        return ready[0] if single else ready

    def preprocess(
        self, data: Any, /, *, input_range: tuple[float, float] | None = None
    ) -> Float[Array, "*b height width channels"]:
        """What `process` does without augmentation."""
        return self.process(data, training=False, input_range=input_range)

    def postprocess(self, data: Any, /) -> UInt8[Array, "*b h w c"]:
        """Images (h, w, c) or (b, h, w, c) in the config's range as uint8: clipped, then rounded."""
        images = self._checked(data, None)
        if images.dtype == jnp.uint8:
            return images
        single = images.ndim == 3
        ready = _postprocess(self.config, images[None] if single else images)
        return ready[0] if single else ready

    def generate(
        self,
        n_samples: int = 1,
        *,
        sampler: Callable[[Key[Array, ""], tuple[int, ...]], Array],
        key: Key[Array, ""] | None = None,
    ) -> UInt8[Array, "n_samples h w c"]:
        """Images from a model: what `sampler(key, (n_samples, height, width, channels))` makes, as uint8.

        Args:
            n_samples: how many, > 0.
            sampler: draws images in the config's range, in the shape that it is given.
            key: drawn from `rngs` where it is left out.

        Raises:
            ShapeError: the sampler returned another shape.
        """
        n_samples = check_integer("n_samples", n_samples, 1, LARGEST_INT32)
        shape = (n_samples, *self.config.shape)
        images = sampler(draw_key(self.rngs) if key is None else check_key(key), shape)
        if np.shape(images) != shape:
            raise ShapeError(f"`sampler` must return shape {shape}, got {np.shape(images)}")
        return self.postprocess(images)

    def loss_fn(self, batch: Any, outputs: Any, *, kind: losses.LossKind | str = "mse") -> dict[str, Array]:
        """How far a model's images are from a batch's: the mean over the batch of a loss of `losses`.

        Args:
            batch: the images, (b, h, w, c), or a batch that has them as `images`.
            outputs: the model's images, the same shape, or a dict that has them as `images`.
            kind: "mse", "l1", "huber", "bce" or "bce_with_logits". The last two take the images for
                probabilities, scaled to [0, 1] from the config's range; outputs of the last are logits.

        Returns:
            {"loss": a scalar}.

        Raises:
            ShapeError: the shapes differ, or the images are not float.
        """
        target, prediction = _images(batch), _images(outputs)
        for name, images in (("batch", target), ("outputs", prediction)):
            if not jnp.issubdtype(images.dtype, jnp.floating):
                raise ShapeError(
                    f"images in `{name}` must be float, in the config's range, got {images.dtype}"
                )
        if target.shape != prediction.shape or target.ndim != 4:
            raise ShapeError(
                f"`batch` and `outputs` must be images of the same shape (b, h, w, c), got {target.shape} "
                f"and {prediction.shape}"
            )
        kind = check_choice(losses.LossKind, "kind", kind)
        if kind in (losses.LossKind.BCE, losses.LossKind.BCE_WITH_LOGITS):
            unit = jax.vmap(partial(to_unit, config=self.config))
            target = unit(target)
            prediction = unit(prediction) if kind is losses.LossKind.BCE else prediction
        return {"loss": jnp.mean(jax.vmap(losses.LOSSES[kind])(prediction, target))}

    def validate_data_shape(self, data: Any) -> None:
        """Raises ShapeError unless `data` is an image (h, w, c) or a batch of them, of a known dtype."""
        self._checked(data, None)

    def _checked(self, data: Any, input_range: tuple[float, float] | None) -> Array:
        if not isinstance(data, (jax.Array, np.ndarray)):
            raise ShapeError(f"images must be an array, got {type(data).__name__}")
        if data.dtype.kind in "iu" and data.dtype.itemsize > 4:
            # JAX would cut these to 32 bits without a word.
            limits = np.iinfo(np.int32)
            if data.size and not (limits.min <= data.min() and data.max() <= limits.max):
                raise RangeError(
                    f"images of {data.dtype} must have values that fit int32, got {data.min()} to {data.max()}; "
                    f"scale them to floats first"
                )
        images = jnp.asarray(
            data.astype(data.dtype.newbyteorder("=")) if isinstance(data, np.ndarray) else data
        )
        check_image(images, input_range=input_range)
        return images

    def _check_values(self, images: Array, input_range: tuple[float, float] | None) -> None:
        if isinstance(images, Tracer):
            raise RangeError("`validate=True` looks at values, which `jax.jit` has none of; validate outside")
        if input_range is None and not jnp.issubdtype(images.dtype, jnp.floating):
            return
        low, high = self.config.limits if input_range is None else input_range
        smallest, largest = float(images.min()), float(images.max())
        slack = _SLACK * (high - low)
        if not (low - slack <= smallest and largest <= high + slack):
            raise RangeError(
                f"images must have values from {low} to {high}, got {smallest} to {largest}; if they range over "
                f"something else, say so: `input_range=(black, white)`"
            )

    def _keys(self, key: Key[Array, ""] | None, images: Array, count: int) -> Key[Array, " b"]:
        if key is None:
            if isinstance(images, Tracer):
                raise KeyRequiredError(
                    "augmentation under `jax.jit` or `jax.vmap` needs a key of its own: `process(images, key=key)`; "
                    "or pass `training=False`"
                )
            key = draw_key(self.rngs)
        check_key(key)
        return jax.random.split(key, count)


def _process_batch(
    config: ImageModalityConfig,
    augment: Augmentation,
    input_range: tuple[float, float] | None,
    keys: Key[Array, " b"] | None,
    images: Array,
) -> Array:
    def one(key: Key[Array, ""] | None, image: Array) -> Array:
        return prepare(image, config, key=key, augment=augment, input_range=input_range)

    return jax.vmap(one, in_axes=(None if keys is None else 0, 0))(keys, images)


def _compile_process() -> Callable[..., Array]:
    return jax.jit(partial(_process_batch), static_argnums=(0, 1, 2))


_process = _compile_process()


@partial(jax.jit, static_argnums=0)
def _postprocess(config: ImageModalityConfig, images: Array) -> Array:
    return jax.vmap(lambda image: transforms.to_uint8(to_unit(image, config)))(images)


def augmentation_of(augment: Augmentation | Sequence[Augmentation] | None) -> Augmentation:
    """One function of what a user may give: a function, a list of them, or None for the default."""
    if augment is None:
        return default_augmentation()
    steps = list(augment) if isinstance(augment, Sequence) else [augment]
    for step in steps:
        if not callable(step):
            raise ConfigTypeError(f"`augment` must be functions f(key, image), got {step!r}")
    return compose(steps)


def _images(value: Any) -> Array:
    if isinstance(value, Mapping):
        if "images" not in value:
            raise ShapeError(f"a batch of images must have the key 'images', got {sorted(value)}")
        value = value["images"]
    return jnp.asarray(value)
