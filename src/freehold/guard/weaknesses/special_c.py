"""C and C++: what fits into what, what was freed, what is null; Java and C#: what is null.

A buffer's size is known where it is made with a constant, the length of what is in it where that was set or copied with one; a
copy is too long where the one is known not to fit into the other, or where it comes from outside and nobody looked at its length.
"""

from collections.abc import Sequence
from typing import ClassVar

from freehold.guard.weaknesses.ir import Call, Index, Name, Node, Unary
from freehold.guard.weaknesses.library import COUNTED
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.values import CLEAN, CLEAN_VALUE, LOCAL, PARAMETER, UNSET, Value

_BUFFER = "buffer()"  # its bounds: the length of the text in it, -1 where it is not known, and its size
_FREED = "freed()"
_MAKERS = frozenset(("malloc", "alloca", "ALLOCA", "_alloca", "xmalloc", "array", "char", "g_malloc"))
_COPIES = frozenset(("strcpy", "wcscpy", "lstrcpy", "stpcpy"))
_APPENDS = frozenset(("strcat", "wcscat"))
_SIZED = frozenset(("memcpy", "memmove", "strncpy", "wcsncpy", "wmemcpy", "wmemmove"))
_SIZED_APPENDS = frozenset(("strncat", "wcsncat"))
_PRINTS = frozenset(("snprintf", "_snprintf", "swprintf", "SNPRINTF", "vsnprintf", "fgets", "fgetws"))
_SIZES = {
    "char": 1,
    "wchar_t": 1,
    "int": 4,
    "short": 2,
    "long": 8,
    "float": 4,
    "double": 8,
    "int64_t": 8,
    "int32_t": 4,
    "void": 1,
}


class Nulls(Special):
    """A local variable that holds nothing but null is used as if it held an object."""

    kinds: ClassVar[tuple[str, ...]] = ("null-dereference",)

    def used(self, node: Node, value: Value) -> None:
        if isinstance(node, Name) and value.const is None and node.id in self.flow.env and len(self.flow.frames) > 1:
            self.flow.matching.report("null-dereference", node, 0.7)


class Memory(Nulls):
    kinds = ("null-dereference", "use-after-free", "double-free", "buffer-overflow", "out-of-bounds")

    def used(self, node: Node, value: Value) -> None:
        if value.path == _FREED:
            self.flow.matching.report("use-after-free", node, 0.75)
        super().used(node, value)

    def called(self, node: Call, name: str, path: str, of: Value | None, args: Sequence[Value]) -> Value | None:
        if name in ("free", "delete") and args:
            self._freed(node, args[0])
            return CLEAN_VALUE
        for arg in node.args:
            if isinstance(arg, Unary) and arg.op == "&" and (key := self.flow.key_of(arg)) is not None:
                known = self.flow.env.get(key)
                if known is not None and known.const is None:  # the callee may have set it
                    self.flow.env[key] = Value(path=known.path)
        for arg, value in zip(node.args, args, strict=True):
            if value.path == _FREED and isinstance(arg, Name):
                self.flow.matching.report("use-after-free", arg, 0.75)
        if name == "array" and len(args) == 2:
            return self._filled_with(args[0], args[1])
        if name in _MAKERS:
            return self._made(args[0].const if args else UNSET)
        if name in ("calloc", "realloc") and len(args) == 2:
            counts = [arg.const for arg in args]
            is_known = name == "calloc" and all(isinstance(count, int) for count in counts)
            return self._made(int(str(counts[0])) * int(str(counts[1])) if is_known else UNSET)
        if name == "sizeof":
            return self._size(node, args)
        if name in ("strlen", "wcslen") and args:
            return self._length(args[0])
        self._copied(node, name, args)
        return None

    def indexed(self, node: Index, of: Value, key: Value) -> None:
        self.used(node.obj, of)
        if of.path != _BUFFER or of.bounds is None:
            return
        size = of.bounds[1]
        if isinstance(key.const, int) and not isinstance(key.const, bool):
            if key.const < 0 or key.const >= size:
                self.flow.matching.report("out-of-bounds", node, 0.75)
        elif key.path == COUNTED and key.bounds is not None and key.bounds[1] >= size:
            self.flow.matching.report("out-of-bounds", node, 0.75)
        elif key.level >= LOCAL and not (key.bounds and key.bounds[0] >= 0 and key.bounds[1] < size):
            self.flow.matching.report("out-of-bounds", node, 0.7)

    # Memory.

    def _made(self, size: object) -> Value:
        if isinstance(size, int) and not isinstance(size, bool):
            return Value(CLEAN, path=_BUFFER, bounds=(-1.0, float(size)))
        return Value(CLEAN, path=_BUFFER)

    def _filled_with(self, size: Value, given: Value) -> Value:
        made = self._made(size.const)
        if made.bounds is not None and isinstance(given.const, str):
            made.bounds = (float(len(given.const)), made.bounds[1])
        made.const = given.const if isinstance(given.const, str) and given.const else UNSET
        return made

    def _size(self, node: Call, args: Sequence[Value]) -> Value:
        written = node.args[0].id if node.args and isinstance(node.args[0], Name) else ""
        if args and args[0].path == _BUFFER and args[0].bounds is not None:
            return Value(const=int(args[0].bounds[1]))
        return Value(const=_SIZES[written]) if written in _SIZES else CLEAN_VALUE

    def _length(self, value: Value) -> Value:
        length = _length_of(value)
        return Value(value.level, frozenset(("*",)), path="strlen()") if length is None else Value(const=int(length))

    def _freed(self, node: Call, value: Value) -> None:
        if value.path == _FREED:
            self.flow.matching.report("double-free", node, 0.8)
        target = node.args[0]
        key = self.flow.key_of(target)
        if key is not None and isinstance(target, Name):
            self.flow.env[key] = Value(path=_FREED)

    # Copies.

    def _copied(self, node: Call, name: str, args: Sequence[Value]) -> None:
        if name in _COPIES | _APPENDS and len(args) >= 2:
            self._copied_whole(node, name, args[0], args[1])
        elif name in _SIZED | _SIZED_APPENDS and len(args) >= 3:
            self._copied_sized(node, args[0], args[1], args[2])
        elif name in _PRINTS and len(args) >= 2:
            size = _size_of(args[0])
            if size is not None and isinstance(args[1].const, int) and args[1].const > size:
                self.flow.matching.report("buffer-overflow", node, 0.75)
        elif name in ("memset", "wmemset") and len(args) >= 3:
            self._filled(node, args[0], args[2])

    def _copied_whole(self, node: Call, name: str, target: Value, source: Value) -> None:
        size, length = _size_of(target), _length_of(source)
        if length is not None and name in _APPENDS and target.bounds is not None:
            length += max(target.bounds[0], 0.0)
        if size is not None and length is not None:
            if length >= size and target is not source:
                self.flow.matching.report("buffer-overflow", node, 0.8)
        elif source.level >= PARAMETER and length is None:
            self.flow.matching.report("buffer-overflow", node, 0.8 if source.level >= LOCAL else 0.55)

    def _copied_sized(self, node: Call, target: Value, source: Value, count: Value) -> None:
        size, room = _size_of(target), _size_of(source)
        if isinstance(count.const, int):
            if (size is not None and count.const > size) or (room is not None and count.const > room):
                self.flow.matching.report("buffer-overflow", node, 0.8)
        elif count.level >= LOCAL and not (count.bounds and size is not None and count.bounds[1] <= size):
            self.flow.matching.report("buffer-overflow", node, 0.65)

    def _filled(self, node: Call, target: Value, count: Value) -> None:
        size = _size_of(target)
        if size is None or not isinstance(count.const, int):
            return
        if count.const > size:
            self.flow.matching.report("buffer-overflow", node, 0.8)
        elif target.bounds is not None:
            target.bounds = (float(count.const), size)  # whoever holds the buffer sees it


def _size_of(value: Value) -> float | None:
    return value.bounds[1] if value.path == _BUFFER and value.bounds is not None else None


def _length_of(value: Value) -> float | None:
    """Of the text in it, without its end."""
    if isinstance(value.const, str) and value.is_known:
        return float(len(value.const))
    if value.path != _BUFFER or value.bounds is None:
        return None
    length, size = value.bounds
    return min(length, size) if length >= 0 else None
