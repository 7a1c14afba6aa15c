"""A loader's state as an item of an Orbax checkpoint, beside the model's.

    manager.save(step, args=ocp.args.Composite(model=ocp.args.StandardSave(state), data=LoaderSave(loader)))
    manager.restore(step, args=ocp.args.Composite(model=..., data=LoaderRestore(loader)))

Importing this module imports Orbax.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax

from artifex.data.errors import ConfigTypeError, MissingPackageError, StateError
from artifex.data.iteration import DataLoader

try:
    import orbax.checkpoint as ocp
except ImportError as error:
    raise MissingPackageError(
        "saving a loader's state with Orbax needs the package orbax-checkpoint: pip install orbax-checkpoint"
    ) from error

_FILE = "loader.json"


class _Folder(Protocol):
    """What is needed of the `etils.epath.Path` that Orbax hands out, which may lie in a bucket."""

    def __truediv__(self, name: str, /) -> Any: ...


class LoaderCheckpointHandler(ocp.CheckpointHandler):
    """Writes the state of a loader as JSON, and reads it; Orbax makes one for `LoaderSave` and `LoaderRestore`.

    The state is that of all processes, and process 0 alone writes it. It is written at once, asynchronous
    checkpointing or not: it has less than 4 kB.
    """

    def save(self, directory: _Folder, args: "LoaderSave") -> None:
        """Writes the state into the folder."""
        if jax.process_index() == 0:
            (directory / _FILE).write_text(json.dumps(args.state, indent=1))

    def restore(self, directory: _Folder, args: "LoaderRestore | None" = None) -> dict[str, Any]:
        """The state in the folder, after the loader in `args` was restored to it.

        Raises:
            StateError: there is none, or it is of another plan or version, or damaged.
        """
        file = directory / _FILE
        try:
            state = json.loads(file.read_text())
        except FileNotFoundError as error:
            raise StateError(
                f"there is no state of a loader in this item of the checkpoint: {file}"
            ) from error
        except ValueError as error:
            raise StateError(f"the state is damaged: {file} is no JSON: {error}") from error
        if args is not None and args.loader is not None:
            args.loader.restore(state)
        return state


@ocp.args.register_with_handler(LoaderCheckpointHandler, for_save=True)
@dataclass
class LoaderSave(ocp.args.CheckpointArgs):
    """What of a checkpoint is the loader's.

    Attributes:
        loader: it, or a state that it gave (as in `stop_on`'s `save`).
        state: where the loader stands when this is made, whenever it is written.
    """

    loader: DataLoader | dict[str, Any]
    state: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.loader, (DataLoader, dict)):
            raise ConfigTypeError(
                f"`loader` must be a DataLoader or the state of one, got {type(self.loader).__name__}"
            )
        self.state = self.loader.state() if isinstance(self.loader, DataLoader) else self.loader


@ocp.args.register_with_handler(LoaderCheckpointHandler, for_restore=True)
@dataclass
class LoaderRestore(ocp.args.CheckpointArgs):
    """Which loader goes on where the checkpoint was saved.

    Attributes:
        loader: its `restore` is called; None only reads the state.
    """

    loader: DataLoader | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.loader, (DataLoader, type(None))):
            raise ConfigTypeError(f"`loader` must be a DataLoader or None, got {type(self.loader).__name__}")
