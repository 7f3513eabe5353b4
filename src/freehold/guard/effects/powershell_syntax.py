"""PowerShell's text to a tree: statements, pipelines, commands, expressions.

Decided here: where one token ends, which depends on whether a command or an expression is being read (Microsoft Learn,
"about_Parsing", "about_Operators", "about_Quoting_Rules"); how operators bind. What can't be read becomes a `Bad` with its
text, and reading goes on at the next statement: half a script is still a script. Why not by tree-sitter: its grammar has no
word such as `$env:TEMP\\x.exe`, the commonest way of writing a path, and gave errors for a quarter of real scripts. What is
done is `powershell.py`'s.
"""

import re
from collections.abc import Callable, Mapping

from freehold.guard.effects.powershell_expressions import (
    BLANK,
    BLANK_LINES,
    DASH,
    LIMIT_NODES,
    NAME,
    SPACE_LINES,
    TYPE,
    VARIABLE,
    Expressions,
    Unread,
    named,
)
from freehold.guard.effects.powershell_tree import (
    Array,
    Assign,
    Bad,
    Block,
    Branches,
    Command,
    Const,
    Function,
    Hash,
    Loop,
    Member,
    Node,
    Parameter,
    Pipeline,
    Sequence,
    Template,
    Var,
)

_REDIRECT = re.compile(r"(?:[1-6*]|)(>>?)(?:&[12]|)|<")
_PARAMETER = re.compile(r"[-\u2013\u2014\u2015]([A-Za-z_?][\w-]*)(:?)")
_SPLAT = re.compile(r"@(\w+)(?![({\"'])")
_ASSIGN = re.compile(r"(?:[+\-*/%]|\?\?)?=(?![=])")
_ATTRIBUTE = re.compile(r"\s*\[[A-Za-z]+\([^()]*\)\]\s*")
_PARAM = re.compile(r"param\s*(?=\()", re.IGNORECASE)
_BRACKETS = re.compile(r"[()]|'[^']*'|\"[^\"]*\"")
_ENUM = re.compile(r"[^{\n]*\{[^}]*\}?")
_CLASS_HEAD = re.compile(r"[^{\n]*\{")
_FUNCTION_NAME = re.compile(r"[^\s({]+")
_END = re.compile(r"[\n;|}]")
_REST_OF_LINE = re.compile(r"[^\n;]*")
_END_OF_WORDS = re.compile(r"[\n|]|$")
_BETWEEN = re.compile(r"[\s,]+")


class Reader(Expressions):
    """Reads one text. Never fails: what can't be read is in `Bad`."""

    def inside(self, text: str) -> Expressions:
        reader = Reader(text)
        reader.depth, reader.nodes = self.depth, self.nodes
        return reader

    # ---- statements ------------------------------------------------------------------------------

    def statements(self, closing: str) -> list[Node]:
        """Up to the closing sign, which is taken, or to the end."""
        body: list[Node] = []
        self.deeper()
        while True:
            self.skip(BLANK_LINES)
            if self.at >= len(self.text):
                break
            sign = self.text[self.at]
            if sign in ")}":
                self.at += 1
                if sign == closing:
                    break
                continue
            start, depth = self.at, self.depth
            try:
                body.append(self.statement())
                self.skip(BLANK)
                if self.at < len(self.text) and self.text[self.at] not in "\r\n;)}":
                    if self.text.startswith("&&", self.at) or self.text.startswith("||", self.at):
                        self.at += 2
                    elif self.text[self.at] == "&":
                        self.at += 1
                    else:
                        raise Unread
            except Unread:
                self.depth = depth
                body.append(Bad(self.resume(start)))
        self.depth -= 1
        return body

    def resume(self, start: int) -> str:
        """Skips what could not be read: to the end of its line, or to a sign that ends a statement."""
        begin = max(self.at, start)
        found = _END.search(self.text, begin)
        self.at = max(found.start() if found else len(self.text), start + 1)
        if found and found[0] == "|":
            self.at += 1
        return self.text[begin : self.at]

    def statement(self) -> Node:
        self.nodes += 1
        if self.nodes > LIMIT_NODES:
            raise RecursionError
        found = _KEYWORD.match(self.text, self.at)
        if found:
            self.at = found.end()
            node = _STATEMENTS[found[1].lower()](self)
            if node is not None:
                return node
            self.at = found.start()
        elif self.text.startswith(":", self.at):  # a label
            self.at += 1
            self.word()
            self.skip(SPACE_LINES)
            return self.statement()
        return self.pipeline()

    def body(self) -> list[Node]:
        self.skip(SPACE_LINES)
        if not self.text.startswith("{", self.at):
            return []
        self.at += 1
        return self.statements("}")

    def condition(self) -> list[Node]:
        self.skip(SPACE_LINES)
        if not self.text.startswith("(", self.at):
            return []
        self.at += 1
        return self.statements(")")

    def _if(self) -> Node:
        before, bodies = self.condition(), [self.body()]
        while True:
            here = self.at
            self.skip(SPACE_LINES)
            found = NAME.match(self.text, self.at)
            word = found[0].lower() if found else ""
            if word == "elseif" and found:
                self.at = found.end()
                before += self.condition()
                bodies.append(self.body())
            elif word == "else" and found:
                self.at = found.end()
                bodies.append(self.body())
            else:
                self.at = here
                return Branches(before, bodies)

    def _while(self) -> Node:
        source = self.condition()
        return Loop("", source, self.body())

    def _do(self) -> Node | None:
        body = self.body()
        here = self.at
        self.skip(SPACE_LINES)
        found = NAME.match(self.text, self.at)
        if found and found[0].lower() in ("while", "until"):
            self.at = found.end()
            return Loop("", self.condition(), body)
        self.at = here
        return Sequence(body)

    def _for(self) -> Node:
        source = self.condition()
        return Loop("", source, self.body())

    def _foreach(self) -> Node | None:
        self.skip(BLANK)
        if self.text[self.at : self.at + 1] == "-":  # -parallel
            self.word()
            self.skip(BLANK)
        if not self.text.startswith("(", self.at):
            return None  # the alias of ForEach-Object
        self.at += 1
        self.skip(SPACE_LINES)
        found = VARIABLE.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self.skip(SPACE_LINES)
        if self.text[self.at : self.at + 2].lower() != "in":
            return None
        self.at += 2
        source = self.statements(")")
        return Loop(named(found), source, self.body())

    def _switch(self) -> Node:
        self.skip(BLANK)
        while self.text[self.at : self.at + 1] == "-":
            self.word()
            self.skip(BLANK)
        before = self.condition()
        self.skip(SPACE_LINES)
        bodies: list[list[Node]] = []
        if self.text.startswith("{", self.at):
            self.at += 1
            while self.at < len(self.text):
                self.skip(BLANK_LINES)
                if self.text.startswith("}", self.at) or self.at >= len(self.text):
                    self.at += 1
                    break
                here = self.at
                if self.text[self.at] != "{":
                    before.append(self.argument())
                bodies.append(self.body())
                if self.at == here:
                    raise Unread
        return Branches(before, bodies)

    def _try(self) -> Node:
        bodies = [self.body()]
        while True:
            here = self.at
            self.skip(SPACE_LINES)
            found = NAME.match(self.text, self.at)
            if not found or found[0].lower() not in ("catch", "finally"):
                self.at = here
                return Sequence([node for body in bodies for node in body])
            self.at = found.end()
            self.skip(SPACE_LINES)
            while types := TYPE.match(self.text, self.at):
                self.at = types.end()
                self.skip(_BETWEEN)
            bodies.append(self.body())

    def _function(self) -> Node | None:
        self.skip(BLANK)
        found = _FUNCTION_NAME.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self.skip(SPACE_LINES)
        parameters = self.parameters() if self.text.startswith("(", self.at) else []
        self.skip(SPACE_LINES)
        if not self.text.startswith("{", self.at):
            return None
        self.at += 1
        block = self.block()
        block.parameters = parameters or block.parameters
        return Function(found[0].lower().rpartition(":")[2], block)

    def _param(self) -> Node | None:
        self.skip(SPACE_LINES)
        if not self.text.startswith("(", self.at):
            return None
        start = self.at
        self.parameters()
        return Sequence([Const(None)]) if self.at > start else None

    def parameters(self) -> list[str]:
        """The names in a list of parameters. Their types and defaults are passed over."""
        start = self.at
        depth = 0
        for found in _BRACKETS.finditer(self.text, start):
            depth += {"(": 1, ")": -1}.get(found[0], 0)
            if depth == 0:
                self.at = found.end()
                break
        else:
            self.at = len(self.text)
        listed = re.sub(r"\[[^\[\]]*(?:\[\][^\[\]]*)?\]", " ", self.text[start + 1 : self.at - 1])
        return [name.lower() for name in re.findall(r"(?:^|,)\s*\$(\w+)", listed)]

    def _return(self) -> Node:
        self.skip(BLANK)
        if self.at >= len(self.text) or self.text[self.at] in "\r\n;)}":
            return Sequence([])
        return self.pipeline()

    def _break(self) -> Node:
        self.skip(BLANK)
        if found := NAME.match(self.text, self.at):
            self.at = found.end()
        return Sequence([])

    def _begin(self) -> Node | None:
        self.skip(SPACE_LINES)
        return Sequence(self.body()) if self.text.startswith("{", self.at) else None

    def _trap(self) -> Node:
        self.skip(SPACE_LINES)
        if types := TYPE.match(self.text, self.at):
            self.at = types.end()
        return Sequence(self.body())

    def _class(self) -> Node | None:
        found = _CLASS_HEAD.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return Sequence(self.statements("}"))

    def _enum(self) -> Node | None:
        found = _ENUM.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return Sequence([])

    def _using(self) -> Node:
        found = _REST_OF_LINE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return Sequence([])

    # ---- pipelines and commands ------------------------------------------------------------------

    def pipeline(self) -> Node:
        first = self.stage()
        if isinstance(first, Assign):
            return first
        stages: list[Node] = [first]
        while True:
            here = self.at
            self.skip(BLANK)
            if self.text[self.at : self.at + 1] in ("\r", "\n"):  # PowerShell 7: a line may begin with the pipe
                self.skip(SPACE_LINES)
            if self.text.startswith("|", self.at) and not self.text.startswith("||", self.at):
                self.at += 1
                self.skip(SPACE_LINES)
                stages.append(self.stage())
                continue
            self.at = here
            return stages[0] if len(stages) == 1 else Pipeline(stages)

    def stage(self) -> Node:
        self.deeper()
        sign = self.text[self.at : self.at + 1]
        node: Node
        if sign == "&" or (sign == "." and self.text[self.at + 1 : self.at + 2] in " \t\"'$({"):
            self.at += 1
            self.skip(BLANK)
            node = self.command(sign)
        elif sign in "$@'\"({[0123456789+!,\u2018\u2019\u201c\u201d" or (
            sign in DASH and not self.text[self.at + 1 : self.at + 2].isspace()
        ):
            node = self.expression_statement()
        else:
            node = self.command("")
        self.depth -= 1
        return node

    def expression_statement(self) -> Node:
        start = self.at
        left = self.expression(0)
        self.skip(BLANK)
        if found := _ASSIGN.match(self.text, self.at):
            self.at = found.end()
            self.skip(SPACE_LINES)
            return Assign(left, found[0], self.statement())
        after = self.text[self.at : self.at + 1]
        if after in ("", "\r", "\n", ";", "|", ")", "}", "&", ",", "]") and after != ",":
            return left
        if after == ">" or _REDIRECT.match(self.text, self.at):
            command = Command(left, "value")
            self.arguments(command)
            return command
        # `"C:\a b\x.exe" -arg` and `$folder\x.exe` are no expressions: people mean a command.
        if isinstance(left, (Const, Var, Template, Member)):
            self.at = start
            return self.command("")
        raise Unread

    def command(self, operator: str) -> Command:
        if self.text.startswith("{", self.at):
            self.at += 1
            name: Node = self.block()
        elif operator and self.text[self.at : self.at + 1] in ("(", "$"):
            name = self.argument()
        else:
            name = self.word()
        command = Command(name, operator)
        self.arguments(command)
        return command

    def arguments(self, command: Command) -> None:
        while True:
            self.skip(BLANK)
            if self.at >= len(self.text) or self.text[self.at] in "\r\n;|)}":
                return
            if self.text[self.at] == "&":
                return
            self.nodes += 1
            if self.nodes > LIMIT_NODES:
                raise RecursionError
            if self.text.startswith("--%", self.at):
                end = _END_OF_WORDS.search(self.text, self.at)
                stop = end.start() if end else len(self.text)
                command.arguments += [Const(word) for word in self.text[self.at + 3 : stop].split()]
                self.at = stop
                return
            if found := _REDIRECT.match(self.text, self.at):
                self.at = found.end()
                if "&" in found[0]:
                    continue
                self.skip(BLANK)
                if self.at < len(self.text) and self.text[self.at] not in "\r\n;|)}":
                    command.redirections.append((found[1] or "<", self.argument()))
                continue
            command.arguments.append(self.parameter() or self.argument())

    def parameter(self) -> Parameter | None:
        found = _PARAMETER.match(self.text, self.at)
        if found is None:
            return None
        after = self.text[found.end() : found.end() + 1]
        if found[2]:
            self.at = found.end()
            self.skip(BLANK)
            if self.at >= len(self.text) or self.text[self.at] in "\r\n;|)}":
                return Parameter(found[1].lower(), None, found[0])
            return Parameter(found[1].lower(), self.argument(), found[0])
        if after and after not in " \t\r\n;|(){}&,'\"$[":
            return None
        if after and after in "'\"$[":  # -Path"$x" is the parameter and its value
            self.at = found.end()
            return Parameter(found[1].lower(), self.argument(), found[0])
        self.at = found.end()
        return Parameter(found[1].lower(), None, found[0])

    def argument(self) -> Node:
        """One argument; with commas between them, an array."""
        items = [self.one_argument()]
        while True:
            here = self.at
            self.skip(BLANK)
            if not self.text.startswith(",", self.at):
                self.at = here
                break
            self.at += 1
            self.skip(SPACE_LINES)
            if self.at >= len(self.text) or self.text[self.at] in ";|)}":
                break
            items.append(self.one_argument())
        return items[0] if len(items) == 1 else Array(items)

    def one_argument(self) -> Node:
        sign = self.text[self.at]
        if sign == "{":
            self.at += 1
            return self.block()
        if sign in "(@" and (sign == "(" or self.text[self.at + 1 : self.at + 2] in "({\"'\u2018\u201c"):
            return self.postfix(self.primary())
        if sign == "@" and (found := _SPLAT.match(self.text, self.at)):
            self.at = found.end()
            return Var(found[1].lower(), splat=True)
        if sign == ",":
            self.at += 1
            self.skip(SPACE_LINES)
            return self.one_argument() if self.at < len(self.text) and self.text[self.at] not in ";|)}" else Const(None)
        return self.word()

    def hash(self) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while True:
            self.skip(BLANK_LINES)
            if self.at >= len(self.text) or self.text[self.at] == "}":
                self.at += 1
                return Hash(pairs)
            found = NAME.match(self.text, self.at)
            if found:
                self.at = found.end()
                key: Node = Const(found[0])
            else:
                key = self.unary()
            self.skip(SPACE_LINES)
            if not self.text.startswith("=", self.at):
                raise Unread
            self.at += 1
            self.skip(SPACE_LINES)
            pairs.append((key, self.statement()))

    def block(self) -> Block:
        self.skip(SPACE_LINES)
        parameters: list[str] = []
        here = self.at
        while attribute := _ATTRIBUTE.match(self.text, self.at):
            self.at = attribute.end()
        if found := _PARAM.match(self.text, self.at):
            self.at = found.end()
            parameters = self.parameters()
        else:
            self.at = here
        return Block(parameters, self.statements("}"))


_STATEMENTS: Mapping[str, Callable[[Reader], Node | None]] = {
    "if": Reader._if,
    "while": Reader._while,
    "do": Reader._do,
    "for": Reader._for,
    "foreach": Reader._foreach,
    "switch": Reader._switch,
    "try": Reader._try,
    "trap": Reader._trap,
    "function": Reader._function,
    "filter": Reader._function,
    "workflow": Reader._function,
    "configuration": Reader._function,
    "param": Reader._param,
    "return": Reader._return,
    "throw": Reader._return,
    "exit": Reader._return,
    "break": Reader._break,
    "continue": Reader._break,
    "begin": Reader._begin,
    "process": Reader._begin,
    "end": Reader._begin,
    "dynamicparam": Reader._begin,
    "class": Reader._class,
    "enum": Reader._enum,
    "using": Reader._using,
    "data": Reader._begin,
    "parallel": Reader._begin,
    "sequence": Reader._begin,
    "inlinescript": Reader._begin,
}
_KEYWORD = re.compile("(" + "|".join(_STATEMENTS) + r")(?![\w-])", re.IGNORECASE)


def read(text: str) -> list[Node]:
    """The statements of a script. Raises RecursionError where it is nested deeper, or has more in it, than is looked at."""
    return Reader(text).statements("")
