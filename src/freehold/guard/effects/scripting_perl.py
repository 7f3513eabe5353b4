"""Perl programs to effects, read by tokens of our own: there is no grammar of Perl that a parser of a few lines could keep to.

Decided here: what is followed are texts, scalar variables, concatenation, and calls with their arguments; what a call does is in
`data/scripting_perl.toml`. Patterns and formats are skipped. A one-liner of a remote shell is three calls in a row, and is found.
"""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from freehold.core.effects import Effect, EffectKind
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_decode import Fold, decoded, decoders
from freehold.guard.effects.scripting_program import Program
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import calls_of
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    INPUT,
    NETWORK,
    NOTHING,
    SOCKET,
    Value,
    join,
    joined_path,
    known,
    marked,
    marks_of,
    variable,
)
from freehold.guard.syntax import Language

LIMIT_TOKENS = 20_000
LIMIT_NESTING = 60

_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
_TOKEN = re.compile(
    r"(?P<space>\s+|\#[^\n]*|^=[a-z]\w*\b.*?(?:^=cut[^\n]*|\Z))"
    r"|(?P<quote>\b(?:qq|qx|qw|q)\s*(?=[^\w\s,;=)]))"
    r"|(?P<pattern>\b(?:m|qr|s|tr|y)(?=[/{|!\#])|(?<=[=(~!&|,])\s*/(?=[^/\s]))"
    r"|(?P<single>'(?:[^'\\]|\\.)*'?)|(?P<double>\"(?:[^\"\\]|\\.)*\"?)|(?P<back>`(?:[^`\\]|\\.)*`?)"
    r"|(?P<read><\$?\w*>)"
    r"|(?P<variable>[$@%&]\#?(?:\w+(?:::\w+)*|\{\w+\}|[_!@0&;,./\\]))"
    r"|(?P<number>0[xX][0-9A-Fa-f]+|\d[\d_.]*)"
    r"|(?P<word>[A-Za-z_]\w*(?:::\w+)*)"
    r"|(?P<sign>=>|->|\.=|==|=~|\|\||&&|.)",
    re.DOTALL | re.MULTILINE,
)
_INSIDE = re.compile(
    r"\\(?:x\{?([0-9A-Fa-f]{1,6})\}?|([0-7]{1,3})|(.))|[$@]\{?(\w+(?:::\w+)*)\}?((?:->)?[\[{][^\]}]{0,200}[\]}])?", re.DOTALL
)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "e": "\x1b", "0": "\0"}
_PLAIN = frozenset(("print", "say", "printf", "die", "warn", "push", "system", "exec", "open", "eval", "connect", "sprintf"))
_ENDS = frozenset((";", ")", "]", "}", "or", "and", "if", "unless", "while", "until", "for", "foreach", "||", "&&", "?", ":"))


class Token(NamedTuple):
    kind: str
    text: str


def tokens_of(text: str) -> list[Token]:
    """Never raises. Texts are without their quotes; kinds are those of `_TOKEN`, with "text", "words" and "command"."""
    found: list[Token] = []
    at = 0
    while at < len(text) and len(found) < LIMIT_TOKENS:
        match = _TOKEN.match(text, at)
        if match is None:
            break
        kind, at = match.lastgroup or "", match.end()
        if kind == "space":
            continue
        if kind == "quote":
            body, at = _delimited(text, at)
            name = match[0].strip()
            found.append(Token({"q": "single", "qq": "double", "qw": "words", "qx": "back"}[name], f"'{body}'"))
        elif kind == "pattern":
            name = match[0].strip()
            start = at - 1 if name == "/" else at
            _, at = _delimited(text, start)
            if name in ("s", "tr", "y"):
                _, at = _delimited(text, at - 1 if text[start : start + 1] not in _CLOSING else at)
            found.append(Token("pattern", ""))
        else:
            found.append(Token(kind, match[0]))
    return found


def _delimited(text: str, at: int) -> tuple[str, int]:
    """What stands between a delimiter at `at` and its end, and where that is."""
    while at < len(text) and text[at].isspace():
        at += 1
    if at >= len(text):
        return "", at
    opening = text[at]
    closing = _CLOSING.get(opening, opening)
    depth, start = 1, at + 1
    at += 1
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1
        elif letter == closing:
            depth -= 1
            if depth == 0:
                return text[start:at], at + 1
        elif letter == opening:
            depth += 1
        at += 1
    return text[start:], at


def _flat(given: Given) -> list[Value]:
    return [one for value in given.values for one in (value.items if isinstance(value.items, list) else [value])]


def _joined(given: Given) -> Value:
    between, *parts = _flat(given) or [NOTHING]
    return known((between.text() or "").join(part.shown() for part in parts), marks_of(parts))


def _chr(given: Given) -> Value:
    code = given.first().const
    return known(chr(code), DECODED) if isinstance(code, int) and 0 <= code < 0x110000 else Value(HOLE, given.marks() | DECODED)


def _pack(given: Given) -> Value:
    form, *rest = _flat(given) or [NOTHING]
    letter = (form.text() or "")[:1]
    if letter == "H" and rest:
        return decoded("hex", rest[0])
    codes = [one.const for one in rest if isinstance(one.const, int) and 0 <= one.const < 256]
    if letter in ("C", "c", "U", "W") and len(codes) == len(rest):
        return known("".join(map(chr, codes)), DECODED)
    return marked(given.marks() | DECODED)


def _unpack(given: Given) -> Value:
    form = given.first().text() or ""
    value = given.values[1] if len(given.values) > 1 else NOTHING
    return decoded("uu" if form[:1] == "u" else "hex", value) if form[:1] == "u" else marked(given.marks() | DECODED)


def _reversed(given: Given) -> Value:
    text = given.first().text()
    return marked(given.marks()) if text is None else known(text[::-1], given.marks())


_FOLDS: Mapping[str, Fold] = {
    **decoders({"base64": "decode_base64 MIME::Base64::decode_base64 MIME::Base64::decode"}),
    **dict.fromkeys(("lc", "uc", "scalar", "quotemeta", "inet_aton"), Given.first),
    "pack": _pack,
    "unpack": _unpack,
    "chr": _chr,
    "join": _joined,
    "reverse": _reversed,
    "glob": lambda given: Value(given.first().text() or HOLE, given.marks(), "<paths>"),
    "catfile": lambda given: joined_path(given.values),
    "sockaddr_in": lambda given: given.values[-1] if given.values else NOTHING,
}


class Perl(Program):
    """One program."""

    language = Language.PERL
    folds = _FOLDS
    special: ClassVar[Mapping[str, Callable[..., Value]]] = {}
    showing = frozenset(("print", "say"))

    def __init__(self, scene: Scene, tokens: list[Token]) -> None:
        super().__init__(scene)
        self.table = calls_of("scripting_perl")
        self.tokens = tokens
        self.at = 0
        self.level = 0
        self.is_connected = False

    def program(self) -> None:
        while self.at < len(self.tokens):
            if not self.sinks.scene.budget.spend():
                self.sinks.add_unknown("more of a program than is followed")
                return
            before = self.at
            self.expression()
            if self.at == before:
                self.at += 1
        if len(self.tokens) >= LIMIT_TOKENS:
            self.sinks.add_unknown("more of a program than is followed")

    def look(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("", "")

    # Expressions.

    def expression(self) -> Value:
        self.level += 1
        if self.level > LIMIT_NESTING:
            self.level -= 1
            self.at += 1
            return NOTHING
        value = self._assigned()
        self.level -= 1
        return value

    def _assigned(self) -> Value:
        while self.look().text in ("my", "our", "local", "return"):
            self.at += 1
        target = self.look()
        value = self._term()
        while True:
            sign = self.look().text
            if sign in ("=", ".=") and self.look().kind == "sign":
                self.at += 1
                right = self.expression()
                value = join([value, right]) if sign == ".=" else right
                if target.kind == "variable":
                    self.names[target.text[1:].strip("{}")] = value
            elif sign in (".", "x") and self.look().kind in ("sign", "word"):
                self.at += 1
                other = self._term()
                value = join([value, other]) if sign == "." else self._repeated(value, other)
            else:
                return value

    def _repeated(self, value: Value, times: Value) -> Value:
        text, count = value.text(), times.const
        if text is not None and isinstance(count, int) and 0 <= count * len(text) < 1 << 16:
            return known(text * count, value.marks)
        return marked(value.marks)

    def _term(self) -> Value:
        token = self.look()
        if token.text in _ENDS or not token.kind:
            return NOTHING
        self.at += 1
        match token.kind:
            case "single":
                return known(token.text.strip("'") if token.text[:1] == "'" else token.text)
            case "double":
                return self._filled(token.text[1:-1] if token.text[-1:] == '"' or token.text[:1] == "'" else token.text[1:])
            case "back":
                before = len(self.sinks.effects)
                self.sinks.command("a command in backticks", self._filled(token.text[1:-1]), is_shell=True)
                return marked(self.printed(before))
            case "words":
                return Value(items=[known(word) for word in token.text[1:-1].split()])
            case "number":
                return self._number(token.text)
            case "read":
                name = token.text.strip("<>$")
                found = self.names.get(name)
                value = (
                    marked(found.marks | (SOCKET | NETWORK if self.is_connected else 0)) if found is not None else self._input()
                )
                self.names["_"] = value
                return value
            case "variable":
                return self._followed(self._variable(token.text))
            case "word":
                return self._followed(self._word(token.text))
        if token.text in ("(", "[", "{"):
            return self._followed(self._group(token.text))
        if token.text in ("-", "!", "\\", "+"):
            return self._term()
        return NOTHING

    def _input(self) -> Value:
        return marked(SOCKET | NETWORK if self.is_connected else INPUT)

    def _number(self, text: str) -> Value:
        try:
            return Value(int(text.replace("_", ""), 16 if text[:2] in ("0x", "0X") else 10)) if len(text) < 20 else NOTHING
        except ValueError:
            return NOTHING

    def _variable(self, text: str) -> Value:
        name = text[1:].strip("{}")
        if name == "ENV":
            if self.look().text == "{":
                self.at += 1
                key = self.look().text.strip("'\"")
                self._group("{")
                return variable(Value(key))
            return Value(marks=ENVIRONMENT, name="ENV")
        if name in ("ARGV", "STDIN"):
            return marked(INPUT)
        return self.names.get(name, NOTHING)

    def _filled(self, text: str) -> Value:
        """A text in double quotes."""
        marks = 0
        hidden = 0

        def put(found: re.Match[str]) -> str:
            nonlocal marks, hidden
            code, octal, letter, name, index = found.groups()
            if code or octal:
                hidden += 1
                number = int(code, 16) if code else int(octal, 8)
                return chr(number) if number < 0x110000 else HOLE
            if letter is not None:
                return _SIMPLE.get(letter, letter)
            is_environment = name == "ENV" and index
            value = variable(Value(index.strip("->{}'\""))) if is_environment else self.names.get(name, NOTHING)
            marks |= marks_of([value])
            return HOLE if index and name != "ENV" else value.shown()

        filled = _INSIDE.sub(put, text)
        return known(filled, marks | (DECODED if hidden > 3 else 0))

    def _followed(self, value: Value) -> Value:
        """Methods and elements: `$x->y(…)`, `$x->{a}[0]`."""
        while True:
            text = self.look().text
            if text == "->" and self.look(1).kind in ("word", "variable"):
                name = self.look(1).text
                self.at += 2
                values = self._arguments() if self.look().text == "(" else []
                value = self._method(value, name, values)
            elif text in ("->", "[", "{") and (text == "->" or value is not NOTHING):
                self.at += 1
                if text != "->":
                    self._group(text)
                elif self.look().text in ("[", "{", "("):
                    opening = self.look().text
                    self.at += 1
                    self._group(opening)
                value = self.element(value) if value.items is not None else marked(value.marks)
            else:
                return value

    def _method(self, owner: Value, name: str, values: list[Value]) -> Value:
        full = f"{owner.name or '?'}.{name}"
        named: dict[object, Value] = {}
        for at in range(len(values) - 1):
            key = values[at].text()
            if key is not None:
                named[key.lower()] = values[at + 1]
        if full == "IO::Socket::INET.new" or full.startswith("IO::Socket"):
            self.is_connected = self.is_connected or "peeraddr" in named or "peerhost" in named or not named
        if name == "fdopen" and owner.name in ("STDIN", "STDOUT", "STDERR") and self.is_connected:
            self.sinks.add(EffectKind.REMOTE_SHELL, because="ties the program's input and output to a connection")
        return self.call(Value(name=full, marks=owner.marks), Given(values, named, owner), name)

    def _group(self, opening: str) -> Value:
        closing = _CLOSING[opening]
        items: list[Value] = []
        while self.look().kind and self.look().text != closing:
            before = self.at
            value = self.expression()
            if self.look().text in (",", "=>"):
                self.at += 1
            elif self.at == before:
                self.at += 1
                continue
            items.append(value)
        self.at += 1
        return items[0] if len(items) == 1 and opening == "(" else Value(items=items)

    def _arguments(self) -> list[Value]:
        """In parentheses, or up to what ends a list."""
        if self.look().text == "(":
            self.at += 1
            value = self._group("(")
            return value.items if isinstance(value.items, list) else [] if value is NOTHING else [value]
        values: list[Value] = []
        while self.look().kind and self.look().text not in _ENDS:
            before = self.at
            values.append(self.expression())
            if self.look().text in (",", "=>"):
                self.at += 1
            elif self.at == before or self.look().text not in (",", "=>"):
                break
        return values

    def _word(self, name: str) -> Value:
        following = self.look().text
        if following == "=>":
            return known(name)
        if name == "sub":
            if self.look().kind == "word":
                self.at += 1
            return NOTHING
        if name in ("eval", "do") and following == "{":
            return NOTHING
        if name in ("if", "unless", "while", "until", "for", "foreach", "else", "elsif", "use", "no", "package"):
            return NOTHING
        known_name = name.removeprefix("CORE::").removeprefix("GLOBAL::")
        if name == "new" and self.look().kind == "word":
            self.at += 1  # new Class(…) is Class->new(…)
            return self._method(Value(name=following), name, self._arguments())
        is_function = known_name in self.table or known_name in _FOLDS or known_name in _PLAIN or following == "("
        if following == "->" or not is_function:
            return Value(name=name)
        values = self._arguments()
        return self._called(known_name, values)

    def _called(self, name: str, values: list[Value]) -> Value:
        given = Given(values)
        match name:
            case "eval":
                value = values[0] if values else self.names.get("_", NOTHING)
                self.sinks.code(name, value, Language.PERL)
                return NOTHING
            case "open":
                self._open(values)
                return NOTHING
            case "connect":
                self.is_connected = True
            case "system" | "exec":
                if not values:
                    values = [self.names.get("_", NOTHING)]
                if self.is_connected and (values[0].marks & SOCKET or values[0] is NOTHING):
                    self.sinks.add(EffectKind.REMOTE_SHELL, because=f"{name} runs what comes over a connection")
                    return NOTHING
                self.sinks.command(name, values[0] if len(values) == 1 else Value(items=values), is_shell=True)
                return NOTHING
        fold = _FOLDS.get(name)
        return fold(given) if fold is not None else self.call(Value(name=name), given, "")

    def _open(self, values: list[Value]) -> None:
        """open(F, ">file"), open(F, ">", "file"), open(F, "command |"), open(F, "-|", "command"), open(STDIN, ">&S")."""
        texts = [value.text() or "" for value in values[1:]]
        mode = texts[0].strip() if texts else ""
        if ">&" in mode or "<&" in mode:
            if self.is_connected:
                self.sinks.add(EffectKind.REMOTE_SHELL, because="ties the program's input and output to a connection")
        elif len(texts) > 1 and mode in ("-|", "|-"):
            rest = values[2:]
            self.sinks.command("open", rest[0] if len(rest) == 1 else Value(items=rest), is_shell=True)
        elif len(texts) > 1:
            letter = "w" if mode.startswith((">", "+>")) and not mode.startswith(">>") else "a" if ">>" in mode else "r"
            self.sinks.open("open", values[2], Value(letter))
        elif mode.endswith("|") or mode.startswith("|"):
            self.sinks.command("open", Value(mode.strip("|"), values[1].marks), is_shell=True)
        elif texts:
            letter = "a" if mode.startswith(">>") else "w" if mode.startswith(">") else "r"
            self.sinks.open("open", Value(mode.lstrip("+<> ") or HOLE, values[1].marks), Value(letter))
        name = values[0].name if values else ""
        if name and texts:
            self.names[name] = marked(self.sinks.marks_of_file(values[-1]))


def effects_of_perl(text: str, scene: Scene) -> list[Effect]:
    """Of a script, or of a one-liner of `perl -e`."""
    walk = Perl(scene, tokens_of(text))
    walk.program()
    return walk.sinks.effects
