"""Names for the fields of a dataset whose items have none."""

from typing import Any

from artifex.data.errors import ConfigError, ConfigTypeError
from artifex.data.fields import Names, fields_of
from artifex.data.samples import HasItems, ItemReader, items_of, own_reader, refuse_class


class NamedDataset:
    """Another dataset's items as dicts; made by `with_names`."""

    def __init__(self, items: HasItems, names: Names) -> None:
        self._items, self._names = items, names

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample as a dict, its values as they are."""
        return dict(fields_of(self._items[index], self._names))

    def __repr__(self) -> str:
        return f"with_names({type(self._items).__name__}, {', '.join(map(repr, self._names))})"

    def reader(self) -> ItemReader:
        """What a loader reads it with."""
        return ItemReader(self._items, self._names)


def with_names(dataset: Any, *names: str) -> NamedDataset:
    """The same dataset, its fields named: for items that are tuples or lists, or one array or number each.

        loader = create_data_loader(with_names(torch_dataset, "images", "labels"), batch_size=32)

    Without it `(image, label)` comes as `x` and `y`, `(a, b, c)` as `x0`, `x1`, `x2`, a bare array as `x`, and a
    named tuple under its own names.

    Args:
        dataset: anything with `__len__` and `__getitem__` (or `__iter__`) that does not give dicts.
        names: one for each field, in the order of the items.

    Raises:
        ConfigError: there are no names, or one comes twice.
        ConfigTypeError: a name is no string, or `dataset` has names of its own, or is a class.
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"`names` must be one name or more, each once, got {names!r}")
    for name in names:
        if not isinstance(name, str):
            raise ConfigTypeError(f"`names` must be strings, got {name!r}")
    refuse_class(dataset)
    if isinstance(dataset, dict) or own_reader(dataset) is not None:
        raise ConfigTypeError(
            f"the samples of this {type(dataset).__name__} have names already; leave `with_names` out"
        )
    return NamedDataset(items_of(dataset, names), names)
