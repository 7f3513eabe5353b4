"""JavaScript and TypeScript programs to effects, read by tree-sitter.

Decided here: what is taken for a program. Fenced blocks and the scripts of a page are taken out of the words around them. A text
that is no JavaScript is tried as TypeScript. What does not parse is walked as far as it goes; the rest is unknown if it has a
name in it that can do anything. A text of signs with hardly a word is no program that anybody wrote to be read: unknown.
"""

import re

from tree_sitter import Node

from freehold.core.effects import Effect
from freehold.guard.effects.javascript_walk import Walk
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.syntax import Language, parse, text_of

_FENCE = re.compile(r"```[ \t]*+(?:javascript|jsx?|tsx?|typescript|node)?[ \t]*+\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_SCRIPT = re.compile(r"<script\b[^>]{0,1000}>(.*?)(?:</script|\Z)", re.DOTALL | re.IGNORECASE)
_MAY_HIDE = re.compile(
    r"\b(?:eval|Function|require|import|process|exec\w*|spawn\w*|child_process|fetch|constructor|Deno|Bun|unlink\w*|rm|rmSync)\b\s*[.(\[`]"
)
_SIGN = re.compile(r"[\[\](){}!+]")
LIMIT_ERRORS = 50  # places that do not parse, looked into
SIGNS_CHARS = 100  # from here on, a text of signs alone is no program of a person's


def javascript(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    walk = Walk(scene)
    for part in _programs(text):
        source = part.encode("utf-8", "replace")
        root = _parsed(source)
        if root is None:
            walk.sinks.effects.append(unknown("a program too long, or made to take long to read"))
            continue
        try:
            walk.module(root, source)
        except RecursionError:
            walk.sinks.add_unknown("nested too deep to be followed")
        if root.has_error and _hides(root):
            walk.sinks.add_unknown("text that could not be read as JavaScript")
        if len(part) > SIGNS_CHARS and len(_SIGN.findall(part)) * 10 > len(part) * 9:
            walk.sinks.add_unknown("signs with hardly a word: a program written so as not to be read")
    return walk.sinks.effects


def _programs(text: str) -> list[str]:
    if "```" in text:
        return _FENCE.findall(text) or [text]
    if "<script" in text and text.lstrip()[:1] == "<":
        return _SCRIPT.findall(text)
    return [text]


def _parsed(source: bytes) -> Node | None:
    tree = parse(Language.JAVASCRIPT, source)
    if tree is None:
        return None
    if tree.root_node.has_error:
        other = parse(Language.TSX, source)
        if other is not None and not other.root_node.has_error:
            return other.root_node
        typed = parse(Language.TYPESCRIPT, source)
        if typed is not None and not typed.root_node.has_error:
            return typed.root_node
    return tree.root_node


def _hides(root: Node) -> bool:
    """Whether there is a name that can do anything in what did not parse."""
    found, rest = 0, [root]
    while rest and found < LIMIT_ERRORS:
        node = rest.pop()
        if node.type == "ERROR":
            found += 1
            if _MAY_HIDE.search(text_of(node)):
                return True
        elif node.has_error:
            rest.extend(node.children)
    return found >= LIMIT_ERRORS
