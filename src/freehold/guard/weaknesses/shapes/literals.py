"""Constants as they are written: numbers, truths, and strings with the expressions in them."""

from collections.abc import Iterable

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Const, Join, Node
from freehold.guard.weaknesses.lower import Lowering, Shape, rest

_ENDS = frozenset(("string_start", "string_end", "interpolation_start", "interpolation_end"))
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


def number(lo: Lowering, node: Tree) -> Node:
    written = lo.text(node).replace("_", "").replace("'", "")
    return Const(node.start_byte, node.end_byte, number_of(written))


def number_of(written: str) -> int | float | None:
    low = written.lower()
    is_hex = low.startswith("0x")
    trimmed = low.rstrip("ul" if is_hex else "ulfdmnjir")
    if len(trimmed) > 40:
        return None
    try:
        if len(trimmed) > 1 and trimmed[0] == "0" and trimmed.isdigit():
            return int(trimmed, 8)
        return int(trimmed, 0)
    except ValueError:
        try:
            return float(trimmed)
        except ValueError:
            return None


def literal(value: bool | None) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        return Const(node.start_byte, node.end_byte, value)

    return shape


def truth(lo: Lowering, node: Tree) -> Node:
    return Const(node.start_byte, node.end_byte, lo.text(node).lower() == "true")


def unescaped(written: str) -> str:
    """What an escape of a source text stands for, as far as it matters here."""
    code = written[1:]
    return _ESCAPES.get(code, code)


def string(holes: Iterable[str] = (), quotes: str = "\"'`") -> Shape:
    """A string. Its children are pieces of text, escapes, and holes: what of `holes`, or is not named so, is an expression."""
    kinds = frozenset(holes)

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        children = node.named_children
        if not children:
            return Const(at, end, bare(lo.text(node), quotes))
        if len(children) == 1 and children[0].type not in kinds and "escape" not in children[0].type:
            return Const(at, end, lo.text(children[0]))
        parts: list[Node] = []
        said = ""
        is_template = False
        for child in children:
            kind = child.type
            if kind in _ENDS:
                continue
            if kind in kinds:
                is_template = True
                if said:
                    parts.append(Const(child.start_byte, child.start_byte, said))
                    said = ""
                parts.append(rest(lo, child) if child.named_children and kind not in lo.shapes else lo.low(child))
            elif "escape" in kind:
                said += unescaped(lo.text(child))
            else:
                said += lo.text(child)
        if not is_template:
            return Const(at, end, said)
        if said:
            parts.append(Const(end, end, said))
        return Join(at, end, parts)

    return shape


def bare(written: str, quotes: str) -> str:
    """A literal without its prefix and quotes."""
    inner = written.lstrip("rRbBuUfFlL8@$")
    if inner[:1] not in (*quotes, '"', "'"):
        return written
    if inner[:3] in ('"""', "'''"):
        return inner[3:-3] if len(inner) >= 6 else ""
    if inner[:1] and inner[0] in quotes:
        return inner[1:-1] if len(inner) >= 2 else ""
    return inner


def joined_strings(lo: Lowering, node: Tree) -> Node:
    """Strings one after the other that count as one."""
    return joined(node.start_byte, node.end_byte, lo.each(node.named_children))


def joined(at: int, end: int, parts: list[Node]) -> Node:
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Join) else [part]
    if all(isinstance(part, Const) and isinstance(part.value, str) for part in flat):
        return Const(at, end, "".join(str(part.value) for part in flat if isinstance(part, Const)))
    return Join(at, end, flat)
