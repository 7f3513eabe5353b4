"""A text that Python's own parser does not take, read by tree-sitter: what stands whole in it, and whether more was lost.

Decided here: a statement without an error in it is given to `ast` as it stands, a call likewise where a statement is broken
around it, and what is left over counts as lost if there is a call in it that may do something. A broken `def` or `if` is left
out and its body kept, as if it ran: to read too much into a text is asked about, to read too little is not.
"""

import ast
import builtins
import re
from dataclasses import dataclass, field

from tree_sitter import Node

from freehold.guard.effects.python_parse import parse
from freehold.guard.syntax import LIMIT_DEPTH, Language
from freehold.guard.syntax import parse as tree_of

LIMIT_PIECES = 400  # given to `ast`, each: some 10 us; beyond it the rest is lost

_CALL = re.compile(r"(?:(?<!\w)(\w++)|[\])])\s*+\(")
# Calls that do nothing to anything outside the program, whatever they are given.
_HARMLESS = frozenset((
    "print", "len", "range", "str", "int", "float", "bool", "list", "dict", "set", "tuple", "sorted", "sum", "min", "max",
    "abs", "enumerate", "zip", "round", "format", "append", "join", "split", "lower", "upper", "strip", "replace",
    "reversed", "items", "isinstance", "type", "any", "all", "chr", "ord", "pop", "keys", "values", "extend", "isdigit",
    "isalpha", "in", "and", "or", "if", "while", "not", "return", "for", "elif", "def", "is", "input", "reverse", "sort",
    "count", "index", "title", "pow",
))  # fmt: skip
_DEFINED = re.compile(r"\b(?:def|class)\s+(\w+)")
_BOUND = re.compile(
    r"\b(?:import|as|for)\s+([\w., \t]{1,200})|\bdef\s+\w+\s*\(([^()]{1,400})\)|^[ \t]*([\w, \t]{1,200})=(?!=)", re.MULTILINE
)
_WORD = re.compile(r"\w+")
_CALLED = re.compile(r"(?<![\w.])([A-Za-z_]\w*+)(?:\.\w++)*+\s*+\(")  # the name it begins with
_BUILT_IN = frozenset(dir(builtins))
_STATEMENTS = ("statement", "definition", "comment")


@dataclass(slots=True)
class Salvaged:
    """Statements in the order of the text. `is_whole` is False where something that may act could not be read."""

    body: list[ast.stmt] = field(default_factory=list)
    is_whole: bool = True


def salvage(text: str) -> Salvaged:
    tree = tree_of(Language.PYTHON, text.encode("utf-8", "replace"))
    if tree is None:
        return Salvaged(is_whole=False)
    reading = _Reading(text)
    reading.read(tree.root_node, 0)
    return reading.found


class _Reading:
    def __init__(self, text: str) -> None:
        self.found = Salvaged()
        self._source = text.encode("utf-8", "replace")
        self._harmless = _HARMLESS.union(_DEFINED.findall(text))
        # In a text of another language what looks like a call of Python's is none: what is called must be known, too.
        known = self._harmless.union(_BUILT_IN, _WORD.findall(" ".join("".join(found) for found in _BOUND.findall(text))))
        self.found.is_whole = known.issuperset(_CALLED.findall(text))
        self._pieces = 0

    def read(self, node: Node, depth: int) -> None:
        """What of the node stands whole, and what is left between."""
        left, at = [], node.start_byte
        for child in node.named_children:
            if self._take(child, depth):
                left.append(self._source[at : child.start_byte])
                at = child.end_byte
        left.append(self._source[at : node.end_byte])
        rest = b"\n".join(left).decode("utf-8", "replace")
        if not self._harmless.issuperset(found or "" for found in _CALL.findall(rest)):
            self.found.is_whole = False

    def _take(self, node: Node, depth: int) -> bool:
        """Whether the node was dealt with. A name alone is not: with what stands behind it, it may be a call that is broken."""
        source = self._source[node.start_byte : node.end_byte]
        has_call = b"(" in source
        acts = has_call or (node.type.endswith(_STATEMENTS) and (node.type != "expression_statement" or b"=" in source))
        if acts and not node.has_error:
            body = self._parsed(node)
            if body is not None:
                self.found.body += body
                return True
        if depth >= LIMIT_DEPTH or not (has_call or node.has_error) or not node.named_child_count:
            return False
        self.read(node, depth + 1)
        return True

    def _parsed(self, node: Node) -> list[ast.stmt] | None:
        if self._pieces >= LIMIT_PIECES:
            return None
        self._pieces += 1
        start = self._source.rfind(b"\n", 0, node.start_byte) + 1
        indent = self._source[start : node.start_byte]
        text = self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")
        if not node.start_point.column:
            module = parse(text)
            return None if module is None else module.body
        module = parse(f"if 1:\n{(indent if not indent.strip() else b' ').decode()}{text}")
        if module is None:
            module = parse(f"({text}\n)")
            return None if module is None else module.body
        block = module.body[0]
        return block.body if isinstance(block, ast.If) else None
