"""What the stack machine for pickles keeps instead of values: names, short texts and small containers, as far as names are built
from them. The rest is opaque."""

from dataclasses import dataclass, field

ITEMS_LIMIT = 64  # of a tuple, a list or a dict: names are not built from longer ones


class Broken(Exception):
    """The stream is not a pickle from here on. Holds the reason."""


@dataclass(frozen=True, slots=True)
class Global:
    module: str
    name: str


@dataclass(slots=True)
class Call:
    function: object
    arguments: object
    state: object = None


@dataclass(slots=True)
class Items:
    """A dict, as far as it is short: what it holds under texts."""

    pairs: dict[str, object] = field(default_factory=dict)

    def put(self, key: object, value: object) -> None:
        if isinstance(key, str) and (len(self.pairs) < ITEMS_LIMIT or key in self.pairs):
            self.pairs[key] = value


class _Opaque:
    def __repr__(self) -> str:
        return "opaque"


OPAQUE = _Opaque()
MARK = _Opaque()
NONE = _Opaque()


def short(values: list[object]) -> object:
    """A tuple of them, where it is short enough to matter."""
    return tuple(values) if len(values) <= ITEMS_LIMIT else OPAQUE
