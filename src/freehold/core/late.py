"""Tables of what is imported when it is first asked for: who never needs it has neither its memory nor its start."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Late(Mapping[K, V], Generic[K, V]):
    """`places` says of each where it is in `package`, as "module:name". Any thread may ask.

    Raises what the import raises, each time: nothing stands in for what is not there.
    """

    def __init__(self, package: str, places: Mapping[K, str]) -> None:
        self._package, self._places = package, places
        self._loaded: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._loaded:
            module, _, name = self._places[key].partition(":")
            self._loaded[key] = getattr(importlib.import_module(f"{self._package}.{module}"), name)
        return self._loaded[key]

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[K]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
