"""What a condition tells of the values it asks about, in a branch where it came out true, or false.

A comparison with a constant makes a value that constant; one of numbers narrows their bounds; a list of allowed values, a pattern
that is tied down or a check by name makes a value safe; "contains '..'" that came out false makes a path safe. What was asked of
a part of an address or a path (`urlparse(url).hostname`) is told of the whole. An expression without a name of its own
(`params[:sort]`) is known again by how it is written.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Assign, Binary, Call, Group, Index, Join, Member, Name, Node, Unary
from freehold.guard.weaknesses.values import CLEAN, FALSY, UNKNOWN, Value, whole

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow


class Conditions:
    """Those of one program."""

    def __init__(self, flow: "Flow") -> None:
        self.flow = flow

    def assume(self, test: Node, truth: bool) -> None:
        """In a branch where `test` came out as `truth`."""
        if isinstance(test, Unary) and test.op in ("!", "not"):
            self.assume(test.value, not truth)
        elif isinstance(test, Binary):
            self._assume_binary(test, truth)
        elif isinstance(test, Call):
            self._assume_call(test, truth)
        elif isinstance(test, Group) and len(test.items) == 1:
            self.assume(test.items[0], truth)
        elif isinstance(test, Assign) and test.value is not None:
            self.assume(test.value, truth)
        elif isinstance(test, Index) and truth:  # `allowed[host]`
            if whole(self.flow.value(test.obj)).level <= UNKNOWN:
                self._clean(test.key, ("*",))
        elif isinstance(test, Name) and test.id in self.flow.tests:
            self.assume(self.flow.tests[test.id], truth)

    def _assume_binary(self, test: Binary, truth: bool) -> None:
        op = test.op
        if op in library.AND | library.OR:
            if truth == (op in library.AND):
                self.assume(test.left, truth)
                self.assume(test.right, truth)
            return
        left, right = self.flow.value(test.left), self.flow.value(test.right)
        if isinstance(test.left, Call) and right.is_known:
            is_no = right.const in (*FALSY, -1)
            if op in library.EQUAL | library.UNEQUAL:
                self._assume_call(test.left, truth == ((op in library.EQUAL) != is_no))
            elif op in (">", ">=", "<") and right.const in (0, -1, 1):
                self._assume_call(test.left, truth == (op != "<"))
        if op in ("in", "not in"):
            if truth == (op == "in"):
                if whole(right).level <= UNKNOWN:
                    self._clean(test.left, ("*",))
                elif isinstance(test.right, Member) and test.right.name == "parents":
                    self._clean(test.right.obj, library.PLACES)
            elif left.const in library.UPWARDS:
                self._clean(test.right, ("path-traversal",))
            return
        if op in library.EQUAL | library.UNEQUAL and truth == (op in library.EQUAL):
            for side, other in ((test.left, right), (test.right, left)):
                if isinstance(side, Call) and library.name_of(side) in library.COMMON and other.level == CLEAN:
                    self._clean(side, library.PLACES)
        for node, value, other, sign in ((test.left, left, right, op), (test.right, right, left, library.MIRRORED.get(op, op))):
            if value.is_known:
                continue
            key = self.flow.key_of(node)
            if key is None:
                self.narrow(node, sign if truth else library.OPPOSITE.get(sign, ""), other)
                continue
            is_same = truth == (sign in library.EQUAL) and sign in library.EQUAL | library.UNEQUAL
            if is_same and other.is_known and other.const not in FALSY:
                self.flow.env[key] = Value(const=other.const, path=value.path, bounds=value.bounds)
            self.narrow(node, sign if truth else library.OPPOSITE.get(sign, ""), other)

    def narrow(self, node: Node, sign: str, other: Value) -> None:
        """What a comparison that holds says of the numbers in `node`: of `x + 10 < 30` that x is below 20."""
        if isinstance(node, Group) and len(node.items) == 1:
            self.narrow(node.items[0], sign, other)
            return
        parts = node.parts if isinstance(node, Join) else (node.left, node.right) if isinstance(node, Binary) else ()
        if len(parts) == 2:
            first, second = (self.flow.value(part) for part in parts)
            inverse = library.inverted("+" if isinstance(node, Join) else getattr(node, "op", ""), first, second, other)
            if inverse is not None:
                self.narrow(parts[1 if first.is_known else 0], sign, inverse)
            return
        key = self.flow.key_of(node)
        if key is None:
            return
        value = self.flow.value(node)
        bounds = library.narrowed(sign, value, other)
        if bounds is not None:
            self.flow.env[key] = Value(value.level, value.clean, value.const, value.path, value.items, bounds)

    def _assume_call(self, test: Call, truth: bool) -> None:
        callee = test.callee
        of = self.flow.value(callee.obj) if isinstance(callee, Member) else None
        name = callee.name if isinstance(callee, Member) else callee.id if isinstance(callee, Name) else ""
        path = f"{of.path}.{name}" if of is not None else self.flow.imports.get(name, name)
        args = [self.flow.value(arg) for arg in test.args]
        subjects = [*test.args, *([callee.obj] if isinstance(callee, Member) else [])]
        constants = [value.const for value in (*args, *([of] if of is not None else [])) if value.is_known]
        if not truth:
            if name in library.FINDS and any(const in library.UPWARDS for const in constants):
                self._clean_all(subjects, ("path-traversal",))
            return
        if name == "isset":
            for arg in test.args:
                self.assume(arg, truth)
        elif name in library.STARTS and all(library.is_place(const) for const in constants if isinstance(const, str)):
            self._clean_all(
                subjects[-1:] if isinstance(callee, Member) and of is not None and of.level else subjects, library.PLACES
            )
        elif name in library.MEMBERSHIP and (of is None or whole(of).level <= UNKNOWN):
            self._clean_all(test.args, ("*",))
        elif (self.flow.rules.checks.has(name, path) and not _is_loose(constants)) or library.is_check(name):
            self._clean_all(subjects, ("*",))

    def _clean_all(self, nodes: Sequence[Node], kinds: Sequence[str]) -> None:
        for node in nodes:
            self._clean(node, kinds)

    def _clean(self, node: Node, kinds: Sequence[str]) -> None:
        flow = self.flow
        root = library.root_of(node)
        origin = flow.origins.pop(root, None)
        key = flow.key_of(node)
        if key is not None and key in flow.env:
            if (value := flow.env[key]).level:
                flow.env[key] = value.made_clean(frozenset(kinds))
        elif (
            isinstance(node, Member | Index | Call) and len(flow.asked) < library.LIMIT_TOLD and (value := flow.value(node)).level
        ):
            key = flow.written(node)
            flow.asked.add(key)
            flow.env[key] = value.made_clean(frozenset(kinds))
        if isinstance(node, Call):
            for inner in (*node.args, *((node.callee.obj,) if isinstance(node.callee, Member) else ())):
                self._clean(inner, kinds)
        elif isinstance(node, Group):
            self._clean_all(node.items, kinds)
        if origin is not None:
            if root != key and root in flow.env:
                flow.env[root] = flow.env[root].made_clean(frozenset(library.PLACES))
            self._clean(origin, library.PLACES)


def _is_loose(constants: Sequence[object]) -> bool:
    """A pattern that lets anything through is no check: one that is not tied to both ends, or has a dot that repeats."""
    patterns = [const for const in constants if isinstance(const, str) and library.PATTERN_SIGNS.search(const)]
    return any(".*" in const or ".+" in const for const in patterns)
