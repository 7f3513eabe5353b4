"""Go: conversions of numbers, indices, contexts that nobody ends, secrets in what is written out.

A number's bounds are those of its type, narrowed by the conditions around it: a conversion to a type that does not hold them is
one that may lose bits. A slice's length and capacity are known where it is made with constants.
"""

import re
from collections.abc import Sequence

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Assign, Call, Group, Index, Loop, Name, Node, Slice
from freehold.guard.weaknesses.secrets import is_secret_name
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.values import CLEAN, UNSET, Value

_MADE = "make()"
_CONTEXTS = ("WithCancel", "WithTimeout", "WithDeadline", "WithCancelCause", "WithTimeoutCause", "WithDeadlineCause")
_WRITERS = frozenset(("Marshal", "MarshalIndent", "Encode"))
_CALLED = _WRITERS | library.INTEGERS.keys() | {"ParseInt", "ParseUint", "Atoi", "len", "range", "cap", "make", "go"}
_SEES_END = re.compile(r"<-|\.Done\(\)|\.Err\(\)|\bbreak\b|\breturn\b|\bgoto\b|\bpanic\(|os\.Exit|log\.Fatal")
_BACKGROUND = re.compile(r"context\.(?:Background|TODO)\(\)")
CONSTANTS = {
    **{f"math.MaxInt{bits}": 2 ** (bits - 1) - 1 for bits in (8, 16, 32, 64)},
    **{f"math.MinInt{bits}": -(2 ** (bits - 1)) for bits in (8, 16, 32, 64)},
    **{f"math.MaxUint{bits}": 2**bits - 1 for bits in (8, 16, 32, 64)},
    "math.MaxInt": 2**63 - 1,
    "math.MinInt": -(2**63),
    "math.MaxUint": 2**64 - 1,
}
_PARSED = {"ParseInt": "int64", "ParseUint": "uint64"}
_FIELD = re.compile(r'\b(\w++(?:\s*+,\s*\w++)*+)\s++(\[?\]?\*?\s*(?:string|\[\]byte))\s*(?:[`"]?(\w+:\\?"[^`\n]*))?')
_STRUCT = re.compile(r"type\s+(\w+)\s+struct\s*\{([^{}]*)\}")
_TAG = re.compile(r"\w+:\\?\"([^\"\\]*)")
_PLURAL = re.compile(r"(?i)^(?:api|access|refresh|auth|bearer)?_?(?:tokens|secrets|passwords|apikeys|api_keys|credentials)$")
_SAME_SIZE = frozenset(("int", "uint", "uintptr"))


class Go(Special):
    kinds = ("integer-conversion", "out-of-bounds", "context-leak", "secret-exposed")
    _secrets: dict[str, bool] | None = None

    def called(self, node: Call, name: str, path: str, of: Value | None, args: Sequence[Value]) -> Value | None:
        if name not in _CALLED:
            return None
        if isinstance(node.callee, Name) and len(args) == 1 and (bounds := library.bounds_of(name)) is not None:
            return self._converted(node, name, bounds, args[0])
        if name in _PARSED and path.startswith("strconv."):
            return self._parsed(name, args)
        if path == "strconv.Atoi":
            return Value(CLEAN, path="int", bounds=library.bounds_of("int"))
        if name == "len" and of is None:
            length = args[0].bounds if args and args[0].path == _MADE else None
            known = length is not None and length[0] == length[1]
            return Value(CLEAN, const=int(length[0]) if known and length else UNSET, path="int", bounds=(0.0, 2.0**63 - 1))
        if name in ("range", "cap") and of is None:
            return Value(CLEAN, path="int", bounds=(0.0, 2.0**63 - 1))
        if name == "make" and of is None:
            return self._made(args)
        if name in _WRITERS and args and of is not None and of.path.removesuffix("()") not in self.flow.functions.classes:
            self._written(node, args[0])
        if name == "go" and self._has_context():
            self._started(node)
        return None

    # Numbers.

    def _converted(self, node: Call, name: str, bounds: tuple[float, float], value: Value) -> Value:
        given = value.bounds
        const = value.const if isinstance(value.const, int | float) else UNSET
        if const is not UNSET and isinstance(const, int | float):
            given = (float(const), float(const))
        if given is not None and value.path != _MADE:
            if given[0] < bounds[0] or given[1] > bounds[1]:
                is_same_size = name in _SAME_SIZE and value.path in _SAME_SIZE
                if not is_same_size:
                    self.flow.matching.report("integer-conversion", node, 0.7)
                given = bounds
            return Value(CLEAN, const=const, path=name, bounds=given)
        return Value(CLEAN, const=const, path=name, bounds=bounds)

    def _parsed(self, name: str, args: Sequence[Value]) -> Value:
        size = args[2].const if len(args) > 2 and isinstance(args[2].const, int) else 64
        bits = size if 0 < size <= 64 else 64
        bounds = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if name == "ParseInt" else (0.0, 2.0**bits - 1)
        return Value(CLEAN, path=_PARSED[name], bounds=bounds)

    # Slices.

    def _made(self, args: Sequence[Value]) -> Value:
        sizes = [arg.const for arg in args[1:]]
        length, room = (sizes[0], sizes[-1]) if sizes else (UNSET, UNSET)
        if isinstance(length, int) and isinstance(room, int):
            return Value(CLEAN, path=_MADE, bounds=(float(length), float(room)))
        return Value(CLEAN, path=_MADE)

    def indexed(self, node: Index, of: Value, key: Value) -> None:
        size = self._size(of)
        if size is not None and isinstance(key.const, int) and not isinstance(key.const, bool) and key.const >= size[0]:
            self.flow.matching.report("out-of-bounds", node, 0.8)

    def named(self, path: str) -> Value | None:
        number = CONSTANTS.get(path)
        return None if number is None else Value(CLEAN, const=number, path=path)

    def sliced(self, node: Slice, of: Value, bounds: Sequence[Value]) -> Value | None:
        size = self._size(of)
        if size is None:
            return None
        length, room = size
        ends = [bound.const for bound in bounds]
        start = ends[0] if isinstance(ends[0], int) else 0 if ends[0] is None else None
        stop = ends[1] if len(ends) > 1 and isinstance(ends[1], int) else length if ends[1] is None else None
        if start is None or stop is None:
            return Value(of.level, of.clean, path=of.path)
        if stop > room or start > max(length, stop):
            self.flow.matching.report("out-of-bounds", node, 0.8)
            return Value(of.level, of.clean, path=of.path)
        return Value(of.level, of.clean, path=_MADE, bounds=(stop - start, room - start))

    def _size(self, of: Value) -> tuple[float, float] | None:
        """Length and capacity."""
        if of.path == _MADE:
            return of.bounds
        if of.items is not None and of.items and all(isinstance(key, int) for key in of.items) and of.path.startswith("["):
            return float(len(of.items)), float(len(of.items))
        return None

    # Contexts.

    def assigned(self, node: Assign, value: Value) -> None:
        if not isinstance(node.target, Group) or len(node.target.items) != 2 or not isinstance(node.value, Call):
            return
        head, _, made = value.path.removesuffix("()").rpartition(".")
        if made not in _CONTEXTS or not head.endswith("context"):
            return
        cancel = node.target.items[1]
        if isinstance(cancel, Name) and (cancel.id == "_" or not self._is_used(cancel.id, node)):
            self.flow.matching.report("context-leak", node, 0.7)

    def _is_used(self, name: str, node: Node) -> bool:
        """Called, returned, passed on or kept in something that is called: anything but `_ = cancel`."""
        func = self.flow.frames[-1].func
        source = self.flow.source[node.end : func.end] if func is not None else self.flow.source[node.end :]
        if name in self.flow.globals:
            source = self.flow.source[: node.at] + self.flow.source[node.end :]
        self.flow.steps -= len(source) >> 6  # it is read whole
        text = re.sub(rf"_\s*=\s*{re.escape(name)}\b", "", source.decode("utf-8", "replace"))
        return re.search(rf"(?<![\w.]){re.escape(name)}\b(?!\s*:?=)", text) is not None

    def _has_context(self) -> bool:
        """Whether a function around has a context to pass on."""
        for frame in self.flow.frames:
            for param in frame.func.params if frame.func is not None else ():
                if param.type == "context.Context":
                    return True
                if param.type == "*http.Request" and f"{param.name}.Context()" in self.flow.text:
                    return True
        return False

    def _started(self, node: Call) -> None:
        text = self.flow.source[node.at : node.end]
        callee = node.args[0] if node.args else None
        if isinstance(callee, Call) and isinstance(callee.callee, Name):
            for func in self.flow.functions.by_name.get(callee.callee.id, ()):
                text += self.flow.source[func.at : func.end]
        if _BACKGROUND.search(text.decode("utf-8", "replace")):
            self.flow.matching.report("context-leak", node, 0.65)

    def looped(self, node: Loop) -> None:
        if node.test is not None or node.before is not None or node.after is not None or not self._has_context():
            return
        text = self.flow.source[node.at : node.end].decode("utf-8", "replace")
        if not _SEES_END.search(text):
            self.flow.matching.report("context-leak", node, 0.6)

    # What is written out.

    def _written(self, node: Call, value: Value) -> None:
        if self._secrets is None:
            self._secrets = _structs(self.flow.text)
        kind = value.path.removesuffix("()")
        if value.items and not self._secrets.get(kind):
            kind = next((item.path for item in value.items.values() if item.path), kind)
        kind = re.sub(r"^(?:map\[\w+\]|\[\d*\]|[*&])+", "", kind)
        writes_itself = re.search(rf"func \(\w+ \*?{re.escape(kind)}\) Marshal", self.flow.text)
        if self._secrets.get(kind) and not self._is_masked(value) and not writes_itself:
            self.flow.matching.report("secret-exposed", node, 0.65)

    def _is_masked(self, value: Value) -> bool:
        """Its secret fields are given something that a function made of them, or a constant."""
        secret = [item for key, item in (value.items or {}).items() if isinstance(key, str) and is_secret_name(key)]
        return bool(secret) and all(item.path.endswith("()") or item.is_known for item in secret)


def _structs(text: str) -> dict[str, bool]:
    """Which of the file's structs have a field with the name of a secret that is written out."""
    found: dict[str, bool] = {}
    for struct in _STRUCT.finditer(text):
        found[struct[1]] = found.get(struct[1], False) or any(_is_exposed(field) for field in _FIELD.finditer(struct[2]))
    return found


def _is_exposed(field: re.Match[str]) -> bool:
    tag = _TAG.search(field[3] or "")
    written = tag[1].split(",")[0] if tag is not None else ""
    if tag is not None and tag[1] == "-":
        return False
    names = [name.strip() for name in field[1].split(",")]
    exported = [name for name in names if name[:1].isupper()]
    if not exported:
        return False
    return any(_is_secret(name) for name in ([written] if written else exported)) or any(_is_secret(name) for name in exported)


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or _PLURAL.match(name) is not None
