"""What one language alone needs beyond rules: a place to look at each call, index, assignment and loop as it is read.

`flow.py` calls these; what they find they report to it. A language without one has `Special` itself, which does nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from freehold.guard.weaknesses.ir import Assign, Call, Index, Loop, Node, Slice
from freehold.guard.weaknesses.values import Value

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow


class Special:
    """`kinds` are the kinds of weakness that it finds."""

    kinds: ClassVar[tuple[str, ...]] = ()

    def __init__(self, flow: "Flow") -> None:
        self.flow = flow

    def called(self, node: Call, name: str, path: str, of: Value | None, args: Sequence[Value]) -> Value | None:
        """What the call gives, where that is known here; rules have been asked."""
        return None

    def named(self, path: str) -> Value | None:
        """What a name of a library stands for, where that is known here."""
        return None

    def indexed(self, node: Index, of: Value, key: Value) -> None: ...

    def sliced(self, node: Slice, of: Value, bounds: Sequence[Value]) -> Value | None:
        return None

    def assigned(self, node: Assign, value: Value) -> None: ...

    def looped(self, node: Loop) -> None: ...

    def used(self, node: Node, value: Value) -> None:
        """A value is used as an object: a field of it, what it points to."""
