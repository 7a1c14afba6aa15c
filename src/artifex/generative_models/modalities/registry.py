"""Modalities by name."""

from importlib.metadata import entry_points
from typing import Any

from artifex.data.errors import ConfigTypeError
from artifex.data.registry import Registry
from artifex.data.warn import warn
from artifex.generative_models.modalities.base import Modality, RngStreams

ENTRY_POINTS = "artifex.modalities"
"""The entry-point group in which other packages name their modalities; read on the first look-up."""


class PluginWarning(UserWarning):
    """Another package's modality cannot be loaded."""


def register_modality(name: str, modality: type[Any], *, overwrite: bool = False) -> None:
    """Makes a class known under `name`. The same class again is a no-op.

    Raises:
        ConfigError: another class has that name, and `overwrite` is False.
        ConfigTypeError: it is no class with the methods of a `Modality`.
    """
    missing = [
        m for m in ("process", "preprocess", "postprocess") if not callable(getattr(modality, m, None))
    ]
    if not isinstance(modality, type) or missing:
        raise ConfigTypeError(
            f"`modality` must be a class with the methods process, preprocess and postprocess, got {modality!r}"
            + (f", which lacks {', '.join(missing)}" if missing else "")
        )
    _MODALITIES.register(name, modality, overwrite=overwrite)


def get_modality(name: str) -> type[Any]:
    """The class registered under `name`.

    Raises:
        UnknownNameError: there is none; the message lists the names that there are.
    """
    return _MODALITIES[name]


def list_modalities() -> list[str]:
    """All names, in the order of registration: those of this package first."""
    return _MODALITIES.names()


def create_modality(name: str, config: Any = None, *, rngs: RngStreams) -> Modality:
    """A modality by its name, with its default configuration where none is given."""
    modality = get_modality(name)
    return modality(rngs=rngs) if config is None else modality(config=config, rngs=rngs)


def _discover(registry: Registry[type[Any]]) -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name in registry:
            continue
        try:
            register_modality(entry.name, entry.load())
        except Exception as error:  # another package's fault must not take the others away
            warn(
                f"the modality {entry.name!r} of another package ({entry.value}) cannot be had: "
                f"{type(error).__name__}: {error}",
                PluginWarning,
            )


_MODALITIES: Registry[type[Any]] = Registry("modality", discover=_discover)
