"""What is measured: a case is one piece of work, and its contenders are all who do it.

Nothing here imports a peer: the process of a contender does, in the environment that the contender names.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

Kind = Literal["hand", "artifex", "peer"]


@dataclass(frozen=True)
class Contender:
    """Who does the work of a case.

    Attributes:
        name: as it stands in the tables.
        kind: "hand" is what the others are held to: the best of them.
        function: "module:name" of a generator function; it takes what `Case.make` gives and `options`, and yields
            batches without end.
        environment: a name in `environments/`, or None for the one that the benchmark runs in.
        imports: modules that are imported before the clock of the first batch starts, with a clock of their own.
        setting: what one has to know to judge it, for the page.
        before: "module:name" of a function that is called before the clock of the first batch starts, for what a
            training program has done anyway by then.
        antialiased: False where a picture is made smaller without a filter, which is less work.
    """

    name: str
    kind: Kind
    function: str
    environment: str | None = None
    imports: tuple[str, ...] = ()
    setting: str = ""
    antialiased: bool = True
    before: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One piece of work.

    Attributes:
        name: `group` and what sets it apart, e.g. "arrays-32-128".
        group: what the command line calls it.
        title: as it stands above its table.
        item: the noun of what is counted.
        items_per_batch: how many items a batch is.
        make: from the folder for data to what contenders take. It reads files, and runs before any clock.
        contenders: in the order of the table.
        field: the name of the array that counts, where a batch is a dict; of a tuple it is the first.
        check: raises a TypeError or ValueError where that array of a contender's first batch is not what it must be.
            It is called in the contender's process, so it imports nothing but JAX and NumPy.
        compare: the same for what needs more: it is called by the bench itself, with what `make` gave and the array.
        warm_batches: are taken before each measurement, so that what was made ahead is used up.
        least_batches: are measured, however long they take.
        has_first_batch: whether the time to the first batch says anything.
        is_import: `Contender.function` is a module, and what is measured is to import it.
    """

    name: str
    group: str
    title: str
    item: str
    items_per_batch: int
    make: Callable[[Path], Any]
    contenders: tuple[Contender, ...]
    field: str = "images"
    check: Callable[[Any], None] | None = None
    compare: Callable[[Any, np.ndarray], None] | None = None
    warm_batches: int = 8
    least_batches: int = 4
    has_first_batch: bool = True
    is_import: bool = False


def find(where: str) -> Any:
    """What "module:name" names."""
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)


def selected(cases: list[Case], groups: list[str], only: list[str], *, with_peers: bool) -> list[Case]:
    """The cases of the groups (or case names) with the contenders that were asked for; all where nothing was.

    A word of `only` is a kind, an environment or how a contender's name begins.
    """
    known = {c.group for c in cases} | {c.name for c in cases}
    if unknown := [g for g in groups if g not in known]:
        raise SystemExit(f"no case is called {unknown[0]!r}; there are {', '.join(sorted(known))}")
    chosen = [c for c in cases if not groups or c.group in groups or c.name in groups]
    kept = [
        replace(c, contenders=tuple(x for x in c.contenders if _is_wanted(x, only, with_peers)))
        for c in chosen
    ]
    return [c for c in kept if c.contenders]


def _is_wanted(contender: Contender, only: list[str], with_peers: bool) -> bool:
    if not with_peers and contender.environment is not None:
        return False
    return not only or any(
        word in (contender.kind, contender.environment) or contender.name.startswith(word) for word in only
    )
