"""Image datasets: synthetic ones, arrays in memory, folders of files.

Samples have the fields `images` (height, width, channels), float32 in the config's range, `labels` where there
are any, `index`, and for files `path` (`paths` in a batch).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Key

from artifex.data.buckets import BucketReader
from artifex.data.checks import check_choice, check_integer
from artifex.data.codecs.image import (
    IMAGE_SUFFIXES,
    Fit,
    ImageCodec,
    ImageLimits,
    RandomResizedCrop,
    Resample,
)
from artifex.data.device import DeviceArrays, Step, describe_step, is_own
from artifex.data.errors import ConfigError, ConfigTypeError, ShapeError
from artifex.data.fingerprint import Fingerprint
from artifex.data.reader import ArrayReader, NumberReader, Reader, RecordReader
from artifex.data.sources.folder import FolderSource
from artifex.data.types import Split
from artifex.generative_models.modalities.base import RngStreams
from artifex.generative_models.modalities.dataset import MaterialisedReader, RecordDataset, sample_key
from artifex.generative_models.modalities.image import patterns
from artifex.generative_models.modalities.image.base import augmentation_of
from artifex.generative_models.modalities.image.buckets import (
    Shape,
    checked_buckets,
    nearest_buckets,
    picture_sizes,
)
from artifex.generative_models.modalities.image.compose import default_augmentation
from artifex.generative_models.modalities.image.config import ImageModalityConfig
from artifex.generative_models.modalities.image.prepare import Augmentation, check_image, from_unit, prepare

_MAX_RECORDS = 2**31 - 1

Generate: TypeAlias = Callable[[Key[Array, ""]], DeviceArrays]
"""Makes the fields of a sample from its key: `images` in [0, 1], and others."""


class UnusualConfigWarning(UserWarning):
    """A config is allowed, but not what the dataset is known for."""


class PatternType(StrEnum):
    """What a `SyntheticImageDataset` shows."""

    RANDOM = "random"
    GRADIENT = "gradient"
    CHECKERBOARD = "checkerboard"
    CIRCLES = "circles"


class ImageDataset(RecordDataset):
    """Images from any reader that has a field `images` (or from numbers, with `generate`).

    Args:
        config: size, channels, range and whether training data are augmented.
        split: "train", "val" or "test"; only train is ever augmented.
        rngs: one key is drawn from it.
        reader: uint8, uint16 or float images (h, w, c), floats in the config's range.
        augment: as for `ImageModality`.
        generate: makes the fields on the device, if the reader is a `NumberReader`.
    """

    config: ImageModalityConfig

    def __init__(
        self,
        config: ImageModalityConfig,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        reader: Reader | Callable[[RecordDataset], Reader],
        augment: Augmentation | Sequence[Augmentation] | None = None,
        generate: Generate | None = None,
    ) -> None:
        _check_config(config)
        super().__init__(config, split, rngs=rngs)
        self._augment = augmentation_of(augment)
        self._generate = generate
        self._reader = reader(self) if callable(reader) else reader

    def reader(self) -> Reader:
        return self._reader

    def host_reader(self) -> Reader:
        return self._reader if self._generate is None else MaterialisedReader(self)

    def device_steps(self, *, training: bool) -> Sequence[Step]:
        augment = self._augment if training and self.is_augmented else None
        return (_Prepare(self.config, augment, self._generate, isinstance(self.reader(), BucketReader)),)


@dataclass(frozen=True)
class _Prepare:
    """The step of all image datasets. Equal ones are compiled once."""

    config: ImageModalityConfig
    augment: Augmentation | None
    generate: Generate | None
    keeps_shape: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether it holds nothing of the user's, so that it may be kept for others."""
        return self._generates_own and (self.augment is None or self.augment is default_augmentation())

    @property
    def is_own(self) -> bool:
        """Whether it calls nothing of the user's."""
        return self._generates_own and (self.augment is None or is_own(self.augment))

    @property
    def _generates_own(self) -> bool:
        return self.generate is None or isinstance(self.generate, (_Pattern, _Numeral))

    @property
    def is_random(self) -> bool:
        """Whether it makes use of its key."""
        return self.augment is not None

    @property
    def description(self) -> str:
        """What a saved state says of it."""
        return "images" if self.augment is None else f"images, augmented: {describe_step(self.augment)}"

    def __call__(self, key: Key[Array, ""], sample: DeviceArrays) -> DeviceArrays:
        fields = dict(sample)
        if self.generate is not None and "root" in fields and "record" in fields:
            fields |= self.generate(sample_key(fields.pop("root"), fields.pop("record")))
            fields["images"] = from_unit(fields["images"], self.config)
        if "images" in fields:
            images, config = fields["images"], self.config
            if self.keeps_shape:
                config = replace(config, height=images.shape[0], width=images.shape[1])
            fields["images"] = prepare(images, config, key=key, augment=self.augment)
        return fields


class SyntheticImageDataset(ImageDataset):
    """Patterns that are made when they are asked for, a whole batch in one compiled call.

    Args:
        config: size, channels and range of the images.
        dataset_size: how many there are, > 0; they cost nothing until asked for.
        pattern_type: "random" (noise), "gradient" (at any angle and phase), "checkerboard" (any tile and phase)
            or "circles" (any centre and radius).
        split: folded into every sample's key: val shows other images than train.
        rngs: one key is drawn from it.
        tiles: smallest and largest side of a checkerboard's tile, in pixels.
        radius: smallest and largest radius of a circle, as a share of the image's shorter side.
        augment: as for `ImageModality`.
    """

    def __init__(
        self,
        config: ImageModalityConfig,
        dataset_size: int = 1000,
        pattern_type: str | PatternType = PatternType.RANDOM,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        tiles: tuple[int, int] = (4, 16),
        radius: tuple[float, float] = (0.1, 0.4),
        augment: Augmentation | Sequence[Augmentation] | None = None,
    ) -> None:
        _check_config(config)
        check_integer("dataset_size", dataset_size, 1, _MAX_RECORDS)
        kind = check_choice(PatternType, "pattern_type", pattern_type)
        if not 1 <= tiles[0] <= tiles[1]:
            raise ConfigError(f"`tiles` must be (smallest, largest) side in pixels, 1 or more, got {tiles}")
        if not 0 < radius[0] <= radius[1]:
            raise ConfigError(
                f"`radius` must be (smallest, largest) share of the shorter side, > 0, got {radius}"
            )
        self.pattern_type = kind
        settings = {"pattern_type": kind.value, "tiles": list(tiles), "radius": list(radius)}
        super().__init__(
            config,
            split,
            rngs=rngs,
            reader=partial(_numbers, size=dataset_size, kind="synthetic_images", settings=settings),
            augment=augment,
            generate=_Pattern(kind, tuple(tiles), tuple(radius), config.shape),
        )


class MNISTLikeDataset(ImageDataset):
    """Hand-drawn numerals with their labels, made when they are asked for; no download.

    Args:
        config: 28x28 grayscale is what MNIST has; any other is drawn as well, with a warning.
        dataset_size: how many there are, > 0; they cost nothing until asked for.
        num_classes: 1 to 10: the numerals 0 to num_classes - 1, equally likely.
        split: folded into every sample's key.
        rngs: one key is drawn from it.
        augment: as for `ImageModality`.
    """

    def __init__(
        self,
        config: ImageModalityConfig,
        dataset_size: int = 60000,
        num_classes: int = 10,
        split: str | Split = Split.TRAIN,
        *,
        rngs: RngStreams,
        augment: Augmentation | Sequence[Augmentation] | None = None,
    ) -> None:
        _check_config(config)
        check_integer("dataset_size", dataset_size, 1, _MAX_RECORDS)
        check_integer("num_classes", num_classes, 1, 10)
        if config.shape != (28, 28, 1):
            warnings.warn(
                f"MNIST has 28x28 grayscale images; the numerals are drawn at {config.shape} instead",
                UnusualConfigWarning,
                stacklevel=2,
            )
        self.num_classes = num_classes

        super().__init__(
            config,
            split,
            rngs=rngs,
            reader=partial(
                _numbers, size=dataset_size, kind="mnist_like", settings={"num_classes": num_classes}
            ),
            augment=augment,
            generate=_Numeral(num_classes, config.shape),
        )


class ArrayImageDataset(ImageDataset):
    """Images that are in memory, or memory-mapped: a batch is one gather.

    Args:
        images: (n, h, w, c), or (n, h, w) for grey ones; uint8, uint16, or float in the config's range. Other
            sizes and channels than the config's are converted on the device, batch by batch.
        labels: (n, ...) numbers, or None.
        config: size, channels, range and whether training data are augmented.
        split: "train", "val" or "test".
        rngs: one key is drawn from it.
        augment: as for `ImageModality`.

    Raises:
        ShapeError: `images` has another rank, channels or dtype, or `labels` another length.
    """

    def __init__(
        self,
        images: npt.NDArray[Any],
        labels: npt.ArrayLike | None = None,
        *,
        config: ImageModalityConfig,
        split: str | Split = Split.TRAIN,
        rngs: RngStreams,
        augment: Augmentation | Sequence[Augmentation] | None = None,
    ) -> None:
        _check_config(config)
        array = np.asarray(images)
        if array.ndim == 3:
            array = array[..., None]
        if array.ndim != 4:
            raise ShapeError(f"`images` must have shape (n, h, w, c) or (n, h, w), got {array.shape}")
        check_image(array)
        arrays: dict[str, npt.ArrayLike] = {"images": array}
        if labels is not None:
            arrays["labels"] = np.asarray(labels)
        reader = ArrayReader(arrays, identity={"kind": "image_arrays", "config": config.to_dict()})
        super().__init__(config, split, rngs=rngs, reader=reader, augment=augment)


class ImageFolderDataset(ImageDataset):
    """Image files under a folder, decoded when they are asked for.

    Args:
        root: the folder; files are found below it, in an order that does not depend on machine or locale.
        config: files of other sizes are resized on the host, by `resize_method`, and converted to its channels.
        labels: "folder" (the names of the first sub-folders, sorted; none without sub-folders), None, or a
            mapping from relative path to class name or number.
        fit: how a file of another shape fills the image: "cover" (scaled, centre cut out), "contain" (scaled,
            padded with black) or "stretch".
        crop: a random part of each image instead, with the record's own random numbers, while a loader trains;
            needs `augmentation=True` in the config.
        buckets: (height, width) of a few shapes, instead of the config's one, e.g. `aspect_ratio_buckets(256)`:
            each image comes in the one most like it, by width / height, and each batch of a loader has one shape.
            The beginning of every file is read for its size when the dataset is made. `crop`'s ratio is that to the
            bucket's.
        antialias: False leaves out the filter where a file is made smaller, with `resize_method` "bilinear" alone:
            a tenth faster, and fine structure comes out as coarse structure that is not there.
        limits: how large a file may be, in bytes and pixels, before it is refused.
        split: "train", "val" or "test".
        rngs: one key is drawn from it.
        augment: as for `ImageModality`.

    Attributes:
        buckets: (height, width) of each bucket; the config's alone where none were given.
        bucket_of: the bucket of each image, int32 (number of files,).
        classes: names of the classes, sorted; empty without labels.
        class_to_idx: name -> label.
        labels: int32 (number of files,), e.g. for `balance` of a loader; None without labels.
        skipped: (path, reason) for all that bears an image's name and is no regular file.

    Raises:
        ConfigError: the folder is not there, or has no images.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        config: ImageModalityConfig,
        labels: str | Mapping[str, int | str] | None = "folder",
        fit: str | Fit = Fit.COVER,
        crop: RandomResizedCrop | None = None,
        buckets: Sequence[Shape] | None = None,
        antialias: bool = True,
        limits: ImageLimits | None = None,
        split: str | Split = Split.TRAIN,
        rngs: RngStreams,
        augment: Augmentation | Sequence[Augmentation] | None = None,
    ) -> None:
        _check_config(config)
        if crop is not None and not config.augmentation:
            raise ConfigError(
                "`crop` is random, so it needs a config with `augmentation=True`; leave one of the two out "
                "(`augment=[]` turns off all other augmentation)"
            )
        limits = ImageLimits() if limits is None else limits
        for name, value, kind in (("limits", limits, ImageLimits), ("crop", crop, RandomResizedCrop)):
            if value is not None and not isinstance(value, kind):
                raise ConfigTypeError(f"`{name}` must be of type {kind.__name__}, got {value!r}")
        source = FolderSource(root, IMAGE_SUFFIXES, labels=labels, max_bytes=limits.max_bytes)
        self.classes, self.class_to_idx, self.skipped = source.classes, source.class_to_idx, source.skipped
        self.labels = source.labels
        self.buckets: tuple[Shape, ...] = (config.shape[:2],) if buckets is None else checked_buckets(buckets)
        codec = ImageCodec(
            *self.buckets[0],
            config.shape[2],
            fit=check_choice(Fit, "fit", fit),
            resample=Resample(config.resize_method.value),
            crop=crop,
            limits=limits,
            antialias=antialias,
        )
        self.bucket_of = np.zeros(len(source), np.int32)
        if buckets is None:
            reader: Reader = _folder_reader(source, config, codec)
        else:
            sizes = picture_sizes(source, limits, otherwise=(config.shape[1], config.shape[0]))
            self.bucket_of = nearest_buckets(sizes, self.buckets)
            codecs = [_in_shape(codec, shape) for shape in self.buckets]
            reader = BucketReader([_folder_reader(source, config, c) for c in codecs], self.bucket_of)
        super().__init__(config, split, rngs=rngs, reader=reader, augment=augment)


def _in_shape(codec: ImageCodec, shape: Shape) -> ImageCodec:
    """The codec for another slot; a random crop keeps its ratios to those of the slot."""
    height, width = shape
    crop = codec.crop
    if crop is not None:
        crop = replace(crop, ratio=(crop.ratio[0] * width / height, crop.ratio[1] * width / height))
    return replace(codec, height=height, width=width, crop=crop)


def _folder_reader(source: FolderSource, config: ImageModalityConfig, codec: ImageCodec) -> RecordReader:
    return RecordReader(
        source,
        codecs={"images": ("data", codec)},
        numbers={"labels": "label"} if source.labels is not None else {},
        texts={"paths": "path"},
        identity=_folder_identity(source, config, codec),
    )


def _check_config(config: Any) -> None:
    if not isinstance(config, ImageModalityConfig):
        raise ConfigTypeError(f"`config` must be an ImageModalityConfig, got {type(config).__name__}")


def _folder_identity(source: FolderSource, config: ImageModalityConfig, codec: ImageCodec) -> Fingerprint:
    crop = None if codec.crop is None else {"scale": list(codec.crop.scale), "ratio": list(codec.crop.ratio)}
    return {
        "kind": "image_folder",
        "files": len(source),
        "digest": source.fingerprint(),
        "config": config.to_dict(),
        "fit": codec.fit.value,
        "crop": crop,
        "shape": [codec.height, codec.width],
    }


def _numbers(dataset: RecordDataset, size: int, kind: str, settings: dict[str, Any]) -> NumberReader:
    identity = {
        "kind": kind,
        "split": dataset.split.value,
        "key": "{:08x}{:08x}".format(*dataset.sample_root),
        "config": dataset.config.to_dict(),
        **settings,
    }
    return NumberReader(size, dataset.sample_root, identity)


@dataclass(frozen=True)
class _Pattern:
    kind: PatternType
    tiles: tuple[int, ...]
    radius: tuple[float, ...]
    shape: tuple[int, int, int]

    def __call__(self, key: Key[Array, ""]) -> DeviceArrays:
        if self.kind is PatternType.CHECKERBOARD:
            return {"images": patterns.checkerboard(key, *self.shape, tiles=self.tiles)}
        if self.kind is PatternType.CIRCLES:
            return {"images": patterns.circle(key, *self.shape, radius=self.radius)}
        draw = patterns.noise if self.kind is PatternType.RANDOM else patterns.gradient
        return {"images": draw(key, *self.shape)}


@dataclass(frozen=True)
class _Numeral:
    num_classes: int
    shape: tuple[int, int, int]

    def __call__(self, key: Key[Array, ""]) -> DeviceArrays:
        k_label, k_image = jax.random.split(key)
        label = jax.random.randint(k_label, (), 0, self.num_classes)
        return {"images": patterns.digit(k_image, label, *self.shape), "labels": label}
