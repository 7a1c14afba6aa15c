"""Settings of a modality: frozen dataclasses, checked when they are made, that survive JSON and YAML."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, Self

from artifex.data.errors import ConfigError, ConfigTypeError, UnknownNameError
from artifex.data.registry import unknown


@dataclass(frozen=True, kw_only=True)
class BaseModalityConfig:
    """What the configuration of every modality can do: be written down and be read back."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain dicts, lists, strings and numbers, ready for JSON or YAML."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    def to_json(self) -> str:
        """The same as a JSON object."""
        return json.dumps(self.to_dict())

    def replace(self, **changes: Any) -> Self:
        """The same with some fields changed, and those derived anew that were not given.

        `dataclasses.replace` would take what was derived for given.

        Raises:
            UnknownNameError: a name is no field of this config.
        """
        return type(self).from_dict({**self._given(), **changes})

    def _given(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The config that `to_dict` described. Fields that are left out take their defaults.

        Raises:
            UnknownNameError: a key is no field of this config.
        """
        if not isinstance(data, Mapping):
            raise ConfigTypeError(f"{cls.__name__}.from_dict takes a mapping, got {type(data).__name__}")
        known = [f.name for f in fields(cls)]
        for name in data:
            if name not in known:
                raise UnknownNameError(unknown(f"field of {cls.__name__}", name, known))
        return cls(**data)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The config that `to_json` described."""
        return cls.from_dict(json.loads(text))


@dataclass(frozen=True, kw_only=True)
class ModalityConfiguration(BaseModalityConfig):
    """Settings by name, for modalities whose own table stands in `metadata`.

    Attributes:
        name: a name for this configuration, not empty.
        modality_type: the modality it is for, e.g. "text".
        metadata: the modality's own table, e.g. `{"text_params": {...}}`; read-only, of plain values
            (mappings, lists, strings, numbers, booleans, None). The modality checks what is in it.
    """

    name: str = "custom"
    modality_type: str = "custom"
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name in ("name", "modality_type"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ConfigTypeError(f"`{name}` must be a string, got {value!r}")
            if not value.strip():
                raise ConfigError(f"`{name}` must not be empty; name the modality, e.g. 'text'")
        if not isinstance(self.metadata, Mapping):
            raise ConfigTypeError(f"`metadata` must be a mapping, got {type(self.metadata).__name__}")
        object.__setattr__(self, "metadata", _frozen(self.metadata, "metadata"))

    def __hash__(self) -> int:
        return hash((self.name, self.modality_type))

    def __reduce__(self) -> tuple[Any, ...]:  # a read-only mapping does not pickle by itself
        return type(self).from_dict, (self.to_dict(),)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, BaseModalityConfig):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _frozen(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ConfigTypeError(f"keys of `{path}` must be strings, got {key!r}")
        return MappingProxyType({key: _frozen(item, f"{path}.{key}") for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item, f"{path}[{i}]") for i, item in enumerate(value))
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ConfigTypeError(f"`{path}` must be of plain values that JSON knows, got {type(value).__name__}")
