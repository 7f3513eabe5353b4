"""YAML text to plain values, in bounded work.

Decided here: events are read one by one, so that nothing of a text's depth is on the stack; aliases are shared and not spelled
out, so that a few lines cannot become gigabytes. Scalars stay text, as they are written: nobody here needs numbers. What is
larger or deeper than people write is not read.
"""

import yaml

Value = str | list["Value"] | dict[str, "Value"]

LIMIT_CHARS = 64 << 10
LIMIT_DEPTH = 60
LIMIT_SLOW_CHARS = 2 << 10  # without libyaml: PyYAML's own scanner takes time in the square of a text of brackets


class _Builder:
    """Puts events together. `documents` are those that are whole."""

    def __init__(self) -> None:
        self.documents: list[Value] = []
        self.open: list[tuple[list[Value] | dict[str, Value], list[str]]] = []  # with the keys that wait for a value
        self.anchors: dict[str, Value] = {}

    def take(self, event: yaml.Event) -> bool:
        """False where it lies too deep."""
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            made: list[Value] | dict[str, Value] = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self.put(made, event.anchor)
            self.open.append((made, []))
            return len(self.open) <= LIMIT_DEPTH
        if isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self.open.pop()
        elif isinstance(event, yaml.ScalarEvent):
            self.put(str(event.value), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self.put(self.anchors.get(event.anchor, ""), None)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.anchors = {}
        return True

    def put(self, value: Value, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = value
        if not self.open:
            self.documents.append(value)
            return
        holder, keys = self.open[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif not keys:
            keys.append(value if isinstance(value, str) else "")
        else:
            _set(holder, keys.pop(), value)


def _set(holder: dict[str, Value], key: str, value: Value) -> None:
    """`<<` brings the members of another mapping."""
    if key != "<<":
        holder[key] = value
        return
    for source in value if isinstance(value, list) else [value]:
        if isinstance(source, dict) and source is not holder:
            for name, one in list(source.items()):
                holder.setdefault(name, one)


def documents(text: str) -> list[Value] | None:
    """The documents of a text; None where it is no YAML, or more of it than is read."""
    loader = getattr(yaml, "CSafeLoader", None)
    if len(text) > (LIMIT_CHARS if loader is not None else LIMIT_SLOW_CHARS):
        return None
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=loader or yaml.SafeLoader):
            if not builder.take(event):
                return None
    except (yaml.YAMLError, ValueError):  # ValueError: a lone surrogate, a character YAML does not allow
        return None
    return builder.documents


def texts(value: Value | None) -> list[str]:
    """The strings of a scalar or of a list of scalars."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def member(value: Value | None, *path: str) -> Value | None:
    """What lies at a path of keys; None where it leads nowhere."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def mappings(value: Value | None) -> list[dict[str, Value]]:
    """The mappings of a list, or those that a mapping holds."""
    found = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    return [one for one in found if isinstance(one, dict)]
