"""Names for things that users may add: modalities, codecs, sources, metrics."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Generic, TypeVar

from artifex.data.errors import ConfigError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table name -> thing, in the order of registration, with one spelling of its errors.

    `discover`, if given, is called once, before the first look-up: it registers what other
    installed packages bring along.
    """

    def __init__(self, kind: str, *, discover: Callable[["Registry[T]"], None] | None = None) -> None:
        self._kind = kind
        self._items: dict[str, T] = {}
        self._discover = discover

    def register(self, name: str, item: T, *, overwrite: bool = False) -> None:
        """Adds `item` under `name`.

        The same item again is a no-op.

        Raises:
            ConfigError: another item has that name and `overwrite` is False, or `name` is empty.
        """
        if not isinstance(name, str) or not name.strip():
            raise ConfigError(f"`name` of a {self._kind} must be a non-empty string, got {name!r}")
        taken = self._items.get(name)
        if taken is not None and taken is not item and not overwrite:
            raise ConfigError(
                f"{self._kind} {name!r} is already registered, as {taken!r}; "
                f"choose another name or pass `overwrite=True` (taken: {', '.join(self._items)})"
            )
        self._items[name] = item

    def __getitem__(self, name: str) -> T:
        self._find_plugins()
        if isinstance(name, str) and name in self._items:
            return self._items[name]
        raise UnknownNameError(unknown(self._kind, name, self._items))

    def __contains__(self, name: object) -> bool:
        self._find_plugins()
        return name in self._items

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        self._find_plugins()
        return list(self._items)

    def _find_plugins(self) -> None:
        if self._discover is not None:
            discover, self._discover = self._discover, None
            discover(self)


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """The message for a name that is not there: what was meant, and what there is."""
    names = list(known)
    close = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(map(repr, names))})"
