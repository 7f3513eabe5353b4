"""The expressions and words of PowerShell's text: what stands within a statement.

Decided here: where a token ends, how operators bind, what a string holds (Microsoft Learn, "about_Operators",
"about_Quoting_Rules", "about_Numeric_Literals"). Statements, which may stand in the middle of an expression, are
`powershell_syntax`'.
"""

import re
from abc import ABC, abstractmethod

from freehold.guard.effects.powershell_tree import (
    Array,
    Binary,
    Block,
    Cast,
    Const,
    Group,
    Index,
    Invoke,
    Member,
    Node,
    Template,
    Type,
    Unary,
    Var,
)
from freehold.guard.syntax import LIMIT_DEPTH

LIMIT_NODES = 12_000  # a script of 4 KB has some 1,200

SINGLE, DOUBLE, DASH = "'\u2018\u2019\u201a\u201b", '"\u201c\u201d\u201e', "-\u2013\u2014\u2015"
BLANK = re.compile(r"(?:[ \t\f\v\xa0]+|`\r?\n|<#.*?(?:#>|\Z)|#[^\n]*)+", re.DOTALL)
BLANK_LINES = re.compile(r"(?:[\s;\xa0]+|`\r?\n|<#.*?(?:#>|\Z)|#[^\n]*)+", re.DOTALL)
SPACE_LINES = re.compile(r"(?:[\s\xa0]+|`\r?\n|<#.*?(?:#>|\Z)|#[^\n]*)+", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][\w]*")
VARIABLE = re.compile(
    r"\$(?:\{([^}]*)\}|((?:env|global|script|local|private|using|variable|function|alias):[\w?]+|\w+|[?$^]))", re.IGNORECASE
)
_SPLAT = re.compile(r"@(\w+)(?![({\"'])")
_METHOD = re.compile(r"\.[A-Za-z]\w*\(")
_NUMBER = re.compile(r"(0x[0-9a-f]+|\d+\.\d+|\.\d+|\d+)(?:e[+-]?\d+)?(?:[lduns]|u?l)?(kb|mb|gb|tb|pb)?(?![\w])", re.IGNORECASE)
TYPE = re.compile(r"\[\s{0,9}([A-Za-z_][\w.+`]{0,120}(?:\[[\w.,\[\] ]{0,360}?\])?)(?:,[^\]\[]{0,200})?\s{0,9}\]")
_OPERATOR = re.compile(
    r"[-\u2013\u2014](?:and|or|xor|band|bor|bxor|[ci]?(?:eq|ne|ge|gt|lt|le|like|notlike|match|notmatch|replace|contains|notcontains|in|notin|split)"
    r"|is|isnot|as|join|f|shl|shr)(?![\w])",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\s'\"\u2018-\u201e`$(){};,|&<>#@]+|#")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}
_BINDING = dict.fromkeys(("and", "or", "xor"), 1) | dict.fromkeys(("band", "bor", "bxor"), 2) | {"f": 6}
_SIZES = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}
_UNARY = re.compile(r".(not|bnot|join|[ci]?split)(?![\w])", re.IGNORECASE)
_CODE_POINT = re.compile(r"`u\{([0-9a-fA-F]{1,6})\}")
_BETWEEN = re.compile(r"[\s,]+|<#.*?#>")


def named(variable: re.Match[str]) -> str:
    """The name, in lower case. `${}` has none: a shell refuses it, and what stands around it is read all the same."""
    return (variable[1] or variable[2] or "").lower()


class Unread(Exception):
    """What stands here is not PowerShell as it is known here."""


class Expressions(ABC):
    """Reads expressions of one text. Raises Unread where there is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.nodes = 0

    @abstractmethod
    def statements(self, closing: str) -> list[Node]:
        """Statements up to the closing sign, which is taken."""

    @abstractmethod
    def block(self) -> Block:
        """A script block, whose opening bracket is taken."""

    @abstractmethod
    def hash(self) -> Node:
        """A table of names and values, whose opening bracket is taken."""

    @abstractmethod
    def inside(self, text: str) -> "Expressions":
        """A reader of a text that lies in this one."""

    def word(self) -> Node:
        """A word of a command: literal text, strings and variables next to each other."""
        parts: list[Node] = []
        begins = self.at
        while self.at < len(self.text):
            sign = self.text[self.at]
            if found := _WORD.match(self.text, self.at):
                if found[0] == "#" and self.at == begins:
                    break
                parts.append(Const(found[0]))
                self.at = found.end()
            elif sign == "`":
                if self.text[self.at + 1 : self.at + 2] in ("\r", "\n", ""):
                    break
                parts.append(Const(self.text[self.at + 1]))
                self.at += 2
            elif sign in SINGLE or sign in DOUBLE:
                node = self.string()
                parts.append(self.postfix(node) if len(parts) == 0 and self.text[self.at : self.at + 1] in ".[" else node)
            elif sign == "$":
                if self.text.startswith("$(", self.at):
                    self.at += 2
                    parts.append(Group(self.statements(")")))
                elif found := VARIABLE.match(self.text, self.at):
                    self.at = found.end()
                    node = Var(named(found))
                    parts.append(self.postfix(node) if not parts else node)
                else:
                    parts.append(Const("$"))
                    self.at += 1
            elif (sign == "@" and parts) or sign in "@":
                parts.append(Const(sign))
                self.at += 1
            else:
                break
        if self.at == begins:
            raise Unread
        return _joined(parts)

    # ---- expressions -----------------------------------------------------------------------------

    def expression(self, binding: int, *, in_call: bool = False) -> Node:
        """What binds at least so tight. Between a method's brackets a comma ends it, and a line's end does not."""
        self.deeper()
        blank = SPACE_LINES if in_call else BLANK
        left = self.unary()
        while True:
            here = self.at
            self.skip(blank)
            op, strength, end = self.operator()
            if not op or strength < binding or (in_call and op == ","):
                self.at = here
                break
            self.at = end
            self.skip(SPACE_LINES)
            right = self.expression(strength + 1, in_call=in_call)
            if op != ",":
                left = Binary(op, left, right)
            else:
                left = Array([*left.items, right]) if isinstance(left, Array) else Array([left, right])
        self.depth -= 1
        return left

    def operator(self) -> tuple[str, int, int]:
        sign = self.text[self.at : self.at + 1]
        if sign == ",":
            return ",", 8, self.at + 1
        if sign == "." and self.text.startswith("..", self.at):
            return "..", 7, self.at + 2
        if sign in DASH and sign:
            found = _OPERATOR.match(self.text, self.at)
            if found:
                op = found[0][1:].lower()
                op = op[1:] if op[:1] in "ci" and op[1:] in _COMPARED else op
                return op, _BINDING.get(op, 3), found.end()
        if sign in ("+", "*", "/", "%") or (sign in DASH and sign):
            if self.text[self.at + 1 : self.at + 2] == "=" or self.text[self.at + 1 : self.at + 2] == sign:
                return "", 0, self.at
            return "-" if sign in DASH else sign, 4 if sign in "+" + DASH else 5, self.at + 1
        return "", 0, self.at

    def unary(self) -> Node:
        self.deeper()
        node = self._unary()
        self.depth -= 1
        return node

    def _unary(self) -> Node:
        sign = self.text[self.at : self.at + 1]
        if sign == "!":
            self.at += 1
            self.skip(BLANK)
            return Unary("not", self.unary())
        if sign == ",":
            self.at += 1
            self.skip(SPACE_LINES)
            return Array([self.unary()])
        if sign in DASH and sign:
            if found := _UNARY.match(self.text, self.at):
                self.at = found.end()
                self.skip(SPACE_LINES)
                return Unary(found[1].lower().removeprefix("i").removeprefix("c"), self.expression(4))
            self.at += 2 if self.text[self.at + 1 : self.at + 2] == "-" else 1
            return Unary("-", self.unary())
        if sign == "+":
            self.at += 2 if self.text[self.at + 1 : self.at + 2] == "+" else 1
            return self.unary()
        if sign == "[" and (found := TYPE.match(self.text, self.at)):
            self.at = found.end()
            after = self.at
            name = re.sub(r"\s", "", found[1]).lower()
            if not self.text.startswith("::", self.at):
                self.skip(BLANK)
                if (
                    self.text[self.at : self.at + 1] in tuple("$@'\"([{!\u2018\u201c")
                    or self.text[self.at : self.at + 1].isdigit()
                    or (self.text[self.at : self.at + 1] in ("-", "+") and self.text[self.at + 1 : self.at + 2].isdigit())
                ):
                    return Cast(name, self.unary())
                self.at = after
            return self.postfix(Type(name))
        return self.postfix(self.primary())

    def primary(self) -> Node:
        self.nodes += 1
        if self.nodes > LIMIT_NODES:
            raise RecursionError
        text, sign = self.text, self.text[self.at : self.at + 1]
        if sign == "$":
            if text.startswith("$(", self.at):
                self.at += 2
                return Group(self.statements(")"))
            if found := VARIABLE.match(text, self.at):
                self.at = found.end()
                return Var(named(found))
        elif sign == "(":
            self.at += 1
            return Group(self.statements(")"))
        elif sign == "@":
            after = text[self.at + 1 : self.at + 2]
            if after == "(":
                self.at += 2
                return Array([Group(self.statements(")"))])
            if after == "{":
                self.at += 2
                return self.hash()
            if after in SINGLE + DOUBLE and after:
                return self.here_string()
            if found := _SPLAT.match(text, self.at):
                self.at = found.end()
                return Var(found[1].lower(), splat=True)
        elif sign == "{":
            self.at += 1
            return self.block()
        elif sign and sign in SINGLE + DOUBLE:
            return self.string()
        elif found := _NUMBER.match(text, self.at):
            self.at = found.end()
            return Const(_number(found))
        raise Unread

    def postfix(self, node: Node) -> Node:
        while self.at < len(self.text):
            text, sign = self.text, self.text[self.at]
            static = text.startswith("::", self.at)
            if static or (sign == "." and self.begins_member(node)):
                self.at += 2 if static else 1
                self.skip(BLANK)
                name = self.member_name()
                if self.text.startswith("(", self.at):
                    self.at += 1
                    node = Invoke(node, name, static, self.call_arguments())
                else:
                    node = Member(node, name, static)
            elif sign == "[" and not isinstance(node, Type):
                self.at += 1
                self.skip(SPACE_LINES)
                at = self.expression(0)
                self.skip(SPACE_LINES)
                if not self.text.startswith("]", self.at):
                    raise Unread
                self.at += 1
                node = Index(node, at)
            elif text.startswith(("++", "--"), self.at) and isinstance(node, (Var, Member, Index)):
                self.at += 2
            else:
                break
        return node

    def begins_member(self, node: Node) -> bool:
        """Whether the point here is that of a member: "a.exe" is a word, "text".Length is none."""
        if isinstance(node, (Const, Template)):
            return _METHOD.match(self.text, self.at) is not None
        return self.text[self.at + 1 : self.at + 2] not in (".", "", " ", "\\", "/")

    def member_name(self) -> Node:
        if found := NAME.match(self.text, self.at):
            self.at = found.end()
            return Const(found[0].lower())
        return self.primary()

    def call_arguments(self) -> list[Node]:
        arguments: list[Node] = []
        while True:
            self.skip(_BETWEEN)
            if self.at >= len(self.text):
                return arguments
            if self.text[self.at] == ")":
                self.at += 1
                return arguments
            arguments.append(self.expression(0, in_call=True))
            self.skip(SPACE_LINES)
            if self.text[self.at : self.at + 1] not in (",", ")"):
                raise Unread

    # ---- strings ---------------------------------------------------------------------------------

    def string(self) -> Node:
        sign = self.text[self.at]
        if sign in SINGLE:
            found = re.compile(
                r".((?:[^'\u2018-\u201b]|['\u2018-\u201b]['\u2018-\u201b])*)(?:['\u2018-\u201b]|\Z)", re.DOTALL
            ).match(self.text, self.at)
            assert found is not None  # a quote begins it
            self.at = found.end()
            return Const(re.sub(r"(['\u2018-\u201b])\1", r"\1", found[1]))
        self.at += 1
        return self.expandable(None)

    def here_string(self) -> Node:
        quote = self.text[self.at + 1]
        start = self.text.find("\n", self.at)
        if start < 0:
            raise Unread
        found = re.compile(r"\n[ \t]*" + ("['\u2018\u2019]" if quote in SINGLE else '["\u201c\u201d]') + "@").search(
            self.text, start
        )
        end = found.start() if found else len(self.text)
        inner = self.text[start + 1 : end].removesuffix("\r")
        after = found.end() if found else len(self.text)
        self.at = after
        if quote in SINGLE:
            return Const(inner)
        return self.inside(inner).expandable("")

    def expandable(self, until: str | None) -> Node:
        """What is between double quotes. `until` is "" for a here-string, which ends with its text."""
        parts: list[Node] = []
        plain = re.compile(r"[^`$\"\u201c-\u201e]+" if until is None else r"[^`$]+")
        while self.at < len(self.text):
            sign = self.text[self.at]
            if found := plain.match(self.text, self.at):
                parts.append(Const(found[0]))
                self.at = found.end()
            elif sign == "`":
                after = self.text[self.at + 1 : self.at + 2]
                if code := _CODE_POINT.match(self.text, self.at):
                    parts.append(Const(chr(min(int(code[1], 16), 0x10FFFF))))
                    self.at = code.end()
                    continue
                parts.append(Const(_ESCAPES.get(after, after)))
                self.at += 2
            elif sign == "$":
                if self.text.startswith("$(", self.at):
                    self.at += 2
                    parts.append(Group(self.statements(")")))
                elif found := VARIABLE.match(self.text, self.at):
                    self.at = found.end()
                    parts.append(Var(named(found)))
                else:
                    parts.append(Const("$"))
                    self.at += 1
            elif self.text[self.at + 1 : self.at + 2] and self.text[self.at + 1] in DOUBLE:
                parts.append(Const('"'))
                self.at += 2
            else:
                self.at += 1
                break
        return _joined(parts) if parts else Const("")

    # ---- the text --------------------------------------------------------------------------------

    def skip(self, form: re.Pattern[str]) -> None:
        if found := form.match(self.text, self.at):
            self.at = found.end()

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            raise RecursionError


_COMPARED_WORDS = "eq ne ge gt lt le like notlike match notmatch replace contains notcontains in notin split"
_COMPARED = frozenset(_COMPARED_WORDS.split())


def _joined(parts: list[Node]) -> Node:
    """Literal text next to literal text is one."""
    if len(parts) == 1:
        return parts[0]
    out: list[Node] = []
    for part in parts:
        before = out[-1] if out else None
        if isinstance(part, Const) and isinstance(before, Const):
            out[-1] = Const(f"{before.value}{part.value}")
        else:
            out.append(part)
    return out[0] if len(out) == 1 else Template(out)


def _number(found: re.Match[str]) -> int | float:
    text = found[1].lower()
    value: int | float = int(text[:20], 16) if text.startswith("0x") else float(text[:40]) if "." in text else int(text[:40])
    return value * _SIZES.get((found[2] or "").lower(), 1)
