"""Settings of the image modality."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from artifex.data.checks import check_bool, check_choice, check_size
from artifex.data.errors import ConfigError
from artifex.generative_models.core.configuration import BaseModalityConfig
from artifex.generative_models.modalities.image.transforms import ResizeMethod

# Sides that no photograph has, so that a slip (bytes for pixels, say) is told at once.
_LARGEST_SIDE = 2**15


class ImageRepresentation(StrEnum):
    """What the channels of an image mean."""

    RGB = "rgb"
    RGBA = "rgba"
    GRAYSCALE = "grayscale"

    @property
    def channels(self) -> int:
        """3, 4 or 1."""
        return {"rgb": 3, "rgba": 4, "grayscale": 1}[self.value]


class ValueRange(StrEnum):
    """What a model sees of a black-to-white scale."""

    UNIT = "unit"
    """0 to 1."""
    SYMMETRIC = "symmetric"
    """-1 to 1."""
    RAW = "raw"
    """0 to 255, as floats."""

    @property
    def limits(self) -> tuple[float, float]:
        """The numbers for black and white."""
        return {"unit": (0.0, 1.0), "symmetric": (-1.0, 1.0), "raw": (0.0, 255.0)}[self.value]


@dataclass(frozen=True, kw_only=True)
class ImageModalityConfig(BaseModalityConfig):
    """What images a model sees.

    Plain strings are taken for the choices. What is left out is filled in, so that every field can be read.

    Attributes:
        representation: "rgb" (3 channels), "rgba" (4) or "grayscale" (1).
        height: of the processed image, in pixels.
        width: of the processed image, in pixels; the height where it is left out.
        channels: follows from the representation; may be given, and must agree then.
        normalize: True for values in [0, 1], False for [-1, 1].
        augmentation: whether training data are augmented.
        resize_method: "bilinear", "nearest", "bicubic" or "lanczos"; all but nearest are antialiased.
        value_range: "unit", "symmetric" or "raw" (0 to 255); follows from `normalize`, and must agree with
            it where both are given ("raw" goes with `normalize=False`).

    Raises:
        ConfigError: a number is out of range, or two fields contradict each other.
        ConfigTypeError: a field is of the wrong type.
        UnknownNameError: a choice is none of those listed.
    """

    representation: ImageRepresentation = ImageRepresentation.RGB
    height: int = 64
    width: int | None = None
    channels: int | None = None
    normalize: bool | None = None
    augmentation: bool = False
    resize_method: ResizeMethod = ResizeMethod.BILINEAR
    value_range: ValueRange | None = None

    def __post_init__(self) -> None:
        derivable = ("width", "channels", "normalize", "value_range")
        self._set("_left_out", [name for name in derivable if getattr(self, name) is None])
        self._set("representation", check_choice(ImageRepresentation, "representation", self.representation))
        self._set("resize_method", check_choice(ResizeMethod, "resize_method", self.resize_method))
        self._set("height", check_size("height", self.height, largest=_LARGEST_SIDE))
        width = self.height if self.width is None else self.width
        self._set("width", check_size("width", width, largest=_LARGEST_SIDE))
        check_bool("augmentation", self.augmentation)
        self._set_channels()
        self._set_range()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a processed image."""
        assert self.width is not None
        assert self.channels is not None
        return self.height, self.width, self.channels

    @property
    def limits(self) -> tuple[float, float]:
        """The numbers for black and white in a processed image."""
        assert self.value_range is not None
        return self.value_range.limits

    def _given(self) -> dict[str, Any]:
        left_out: list[str] = self.__dict__["_left_out"]
        return {name: value for name, value in super()._given().items() if name not in left_out}

    def _set_channels(self) -> None:
        expected = self.representation.channels
        channels = expected if self.channels is None else self.channels
        self._set("channels", check_size("channels", channels))
        if self.channels != expected:
            raise ConfigError(
                f"`channels` is {self.channels}, but `representation` {self.representation.value!r} has {expected}; "
                f"leave `channels` out, or choose another representation"
            )

    def _set_range(self) -> None:
        if self.normalize is not None:
            check_bool("normalize", self.normalize)
        if self.value_range is None:
            self._set("value_range", ValueRange.SYMMETRIC if self.normalize is False else ValueRange.UNIT)
        value_range = check_choice(ValueRange, "value_range", self.value_range)
        self._set("value_range", value_range)
        unit = value_range is ValueRange.UNIT
        if self.normalize is not None and self.normalize != unit:
            raise ConfigError(
                f"`normalize={self.normalize}` contradicts `value_range={value_range.value!r}`: True means "
                f"'unit', False means 'symmetric' or 'raw'; give one of the two"
            )
        self._set("normalize", unit)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
