"""Every string of a document, keys included, with its place; and the same document with some of them replaced.

Nothing is left out because nobody knows the field: whatever a later dialect or provider adds is walked all the same. Only a
codec's own vocabulary, words that stand in its source, may be skipped: such a string can't hold what a guard looks for.

A tool's arguments and results are an object in one dialect and JSON text in another. So that both are judged alike, a string in
such an object is read behind the name of its member, and a number there is looked at, too: hidden, it becomes a string.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

import orjson

from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.wire.codec import Leaf

# The channel of what lies under a path, given the value there and the channel around it.
ChannelOf = Callable[[Path, Any, Channel], Channel]

NAME_CHARS = 64  # of a member's name that are read in front of its value
_NUMBERS = (int, float)
_LEAST = 100  # two digits say nothing of anybody, and the code on a card's back has three


def walk(value: Any, channel_of: ChannelOf, vocabulary: Container[str], objects: Container[str] = frozenset()) -> list[Leaf]:
    """Every string of `value` that is not in the vocabulary. The parser has bounded its depth.

    `objects` names the members that hold a tool's own objects.
    """
    leaves: list[Leaf] = []
    _walk(value, (), Channel.OTHER, None, channel_of, vocabulary, objects, leaves)
    return leaves


def _walk(
    value: Any,
    path: Path,
    around: Channel,
    name: str | None,
    channel_of: ChannelOf,
    vocabulary: Container[str],
    objects: Container[str],
    leaves: list[Leaf],
) -> None:
    """`value` is a string, an object, a list or a number: what holds no text is not come to. `name` is that of the member which
    `value` is, or is in, of a tool's own object; None outside of one. This runs for each payload of a stream.
    """
    channel = channel_of(path, value, around)
    if isinstance(value, str):
        before = f'"{name[-NAME_CHARS:]}":"' if name is not None else ""
        leaves.append(Leaf(path=path, channel=channel, text=value, before=before))
        return
    is_object = isinstance(value, dict)
    if not is_object and not isinstance(value, list):
        before = f'"{(name or "")[-NAME_CHARS:]}":'
        leaves.append(Leaf(path=path, channel=channel, text=orjson.dumps(value).decode(), before=before))
        return
    members: Iterable[tuple[Any, Any]] = value.items() if is_object else enumerate(value)
    for step, item in members:
        kind, own = type(item), name
        if is_object:
            if step and step not in vocabulary:
                leaves.append(Leaf(path=(*path, step), channel=channel, text=step, is_key=True))
            if name is not None:
                own = step
            elif kind is dict and step in objects:
                own = ""
        if (
            kind is dict
            or kind is list
            or (kind is str and item and item not in vocabulary)
            or (name is not None and kind in _NUMBERS and abs(item) >= _LEAST)
        ):
            _walk(item, (*path, step), channel, own, channel_of, vocabulary, objects, leaves)


def rewrite(document: Mapping[str, Any], changes: list[tuple[Leaf, str]]) -> dict[str, Any]:
    """A copy with each leaf replaced by its new text. Keys go last and deepest first: paths stay valid while they are used."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(document))
    for leaf, text in changes:
        if not leaf.is_key:
            _parent(copy, leaf.path)[leaf.path[-1]] = text
    for leaf, text in sorted(changes, key=lambda change: -len(change[0].path)):
        if leaf.is_key:
            _rename(_parent(copy, leaf.path), leaf.text, text)
    return copy


def faithful(data: bytes, document: Any) -> bytes:
    """`data`, or `document` written anew where `data` says more: of a key that comes twice, only the last value was looked at."""
    if orjson.dumps(document) == data:
        return data
    try:
        json.loads(data, object_pairs_hook=_refuse_twice)
    except (ValueError, RecursionError):
        return orjson.dumps(document)
    return data


def _refuse_twice(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key comes twice")


def strings(value: Any, path: Path, skipped: Container[object] = ()) -> Iterator[tuple[Path, str]]:
    """Every string of `value`, which stands at `path`, with its place; but for members of objects that `skipped` names."""
    if isinstance(value, str):
        if value and path[-1] not in skipped:
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key), skipped)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from strings(item, (*path, number), skipped)


def value_at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _parent(copy: Any, path: Path) -> Any:
    return value_at(copy, path[:-1])


def _rename(parent: dict[str, Any], old: str, new: str) -> None:
    """Rename a key in its place. Two keys masked alike stay two."""
    name, number = new, 2
    while name in parent and name != old:
        name, number = f"{new}_{number}", number + 1
    items = [(name if key == old else key, value) for key, value in parent.items()]
    parent.clear()
    parent.update(items)
