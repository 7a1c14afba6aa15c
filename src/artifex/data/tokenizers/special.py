"""Special tokens: ids that stand for no text."""

from dataclasses import dataclass, fields

from artifex.data.checks import LARGEST_INT32, check_integer
from artifex.data.errors import ConfigError, ConfigTypeError


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """The ids that have a meaning of their own, each another; None where there is none.

    Attributes:
        pad: fills sequences up.
        unk: stands for what a closed vocabulary does not have.
        bos: begins a sequence.
        eos: ends a sequence.
        mask: hides a token that is to be guessed.
        sentinels: stand for spans that were taken out, in their order.
        fim_prefix: before the part in front of a hole, in filling in the middle.
        fim_middle: before what fills the hole.
        fim_suffix: before the part behind the hole.
    """

    pad: int = 0
    unk: int | None = 1
    bos: int | None = 2
    eos: int | None = 3
    mask: int | None = None
    sentinels: tuple[int, ...] = ()
    fim_prefix: int | None = None
    fim_middle: int | None = None
    fim_suffix: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.sentinels, tuple):
            raise ConfigTypeError(f"`sentinels` must be a tuple of ids, got {self.sentinels!r}")
        check_integer("pad", self.pad, 0, LARGEST_INT32)
        owners: dict[int, str] = {}
        for name, token in self.named():
            check_integer(name, token, 0, LARGEST_INT32)
            if token in owners:
                raise ConfigError(
                    f"`{name}` and `{owners[token]}` are both {token}; each needs an id of its own"
                )
            owners[token] = name

    def named(self) -> list[tuple[str, int]]:
        """(name, id) of those that there are; the sentinels are `sentinels[0]`, `sentinels[1]`, ..."""
        single = [(f.name, getattr(self, f.name)) for f in fields(self) if f.name != "sentinels"]
        several = [(f"sentinels[{i}]", token) for i, token in enumerate(self.sentinels)]
        return [(name, token) for name, token in (*single, *several) if token is not None]

    @property
    def ids(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted(token for _, token in self.named()))
