"""The words of a shell command, from their nodes: quotes, variables, substitutions, braces, as far as their values are known.

Follows POSIX.1-2024 chapter 2 ("Shell Command Language") and bash(1), "EXPANSION". What is not known stands in a word as a mark
(`shell_state`). Globs stay as they are: which files there are is not known. Arithmetic is not computed.
"""

import itertools
import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from typing import NamedTuple, Protocol

from tree_sitter import Node

from freehold.guard.effects.payloads import unescaped
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.shell_state import LOCAL, SPLIT, STEP_CHARS, Body, Shell, filtered, marks_of

LIMIT_WORDS = 64  # words that braces make of one
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\([$`"\\\n])')
_NAMED = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*|[0-9]|\{[A-Za-z_][A-Za-z0-9_]*\})")
# A word, or quoted text with nothing but plain variables in it: what can be read without a look at its nodes.
PART = r"(?a:[\w@%+:,./~*?-]++|\"[^\"\\`$]*+(?:\$(?:[A-Za-z_]\w*+|\d|\{[A-Za-z_]\w*+\})[^\"\\`$]*+)*+\")"
_BLANKS = re.compile(r"\s+")
_RANGE = re.compile(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.-?\d+)?")
_QUOTED = str.maketrans("{},", "\ue00a\ue00b\ue00c")
PLAIN = frozenset(
    ("word", "number", "variable_name", "string_content", "heredoc_content", "regex", "extglob_pattern", "special_variable_name")
)


class Word(Protocol):
    """An argument as it was read from its nodes: once, however often the command runs."""

    def words(self, shell: Shell) -> list[str]:
        """What it becomes: most often one."""
        ...

    def value(self, shell: Shell) -> str:
        """As one text, as an assignment or a here-string takes it."""
        ...


class _Fixed:
    """The same whatever is known."""

    __slots__ = ("_value", "_words")

    def __init__(self, words: list[str], value: str) -> None:
        self._words, self._value = words, value

    def words(self, shell: Shell) -> list[str]:
        return self._words

    def value(self, shell: Shell) -> str:
        return self._value


class _Filled:
    """Quoted text with nothing but plain variables in it."""

    __slots__ = ("_texts", "names")

    def __init__(self, texts: list[str], names: list[str]) -> None:
        self._texts, self.names = texts, names  # text, name, text, and so on, to a last text

    def words(self, shell: Shell) -> list[str]:
        return [self.value(shell)]

    def value(self, shell: Shell) -> str:
        texts, names = self._texts, self.names
        if len(names) == 1:
            return f"{texts[0]}{_variable(names[0], shell)}{texts[1]}"
        return "".join([text + _variable(name, shell) for text, name in zip(texts, names, strict=False)]) + texts[-1]


class _Joined:
    """Text and plain variables, some quoted and some not: what these hold is cut into words."""

    __slots__ = ("_parts",)

    def __init__(self, parts: "list[str | _Name | _Filled]") -> None:
        self._parts = parts

    def words(self, shell: Shell) -> list[str]:
        return _cut(self._whole(shell))

    def value(self, shell: Shell) -> str:
        return _unquoted_braces(self._whole(shell).replace(SPLIT, " "))

    def _whole(self, shell: Shell) -> str:
        whole = ""
        for part in self._parts:
            if isinstance(part, str):
                whole += part
            elif isinstance(part, _Name):
                whole += _separated(_variable(part.name, shell), shell)
            else:
                whole += _quoted_braces(part.value(shell))
        return whole


class _Name(NamedTuple):
    """A variable outside of quotes."""

    name: str


class _Written:
    """Whatever else: its nodes are looked at each time."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def words(self, shell: Shell) -> list[str]:
        node = self._node
        kind = node.type
        if kind == "string":
            text = shell.text(node)
            return ("@" in text and _all_arguments(text, shell)) or [_filled(node, shell)]
        return _cut(_concatenated(node, shell) if kind == "concatenation" else _unquoted(node, shell))

    def value(self, shell: Shell) -> str:
        node = self._node
        kind = node.type
        if kind == "string":
            return " ".join(self.words(shell))
        if kind == "array":
            return " ".join(one for child in node.named_children for one in expand(child, shell))
        whole = _concatenated(node, shell) if kind == "concatenation" else _unquoted(node, shell)
        return _unquoted_braces(whole.replace(SPLIT, " "))


def _cut(whole: str) -> list[str]:
    """Into words, at what was cut there, and by braces."""
    if "{" not in whole:
        whole = _unquoted_braces(whole)
        return [part for part in whole.split(SPLIT) if part] if SPLIT in whole else [whole]
    return [_unquoted_braces(one) for part in whole.split(SPLIT) if part for one in braces(part)]


def _unescaped(text: str) -> str:
    return "".join(_ESCAPED.split(text)) if "\\" in text else text


def _quoted_braces(text: str) -> str:
    """What stands for a text in quotes while braces around it are expanded."""
    return text.translate(_QUOTED) if "{" in text or "}" in text or "," in text else text


def _unquoted_braces(text: str) -> str:
    return text if text.isascii() else text.replace("\ue00a", "{").replace("\ue00b", "}").replace("\ue00c", ",")


def read(node: Node, shell: Shell) -> str | Word:
    """An argument; a str where it is one word that is always the same."""
    kind = node.type
    if kind == "word" or kind == "number":
        text = _unescaped(shell.text(node))
        return _Fixed(braces(text), text) if "{" in text else text
    if kind == "raw_string":
        return shell.text(node)[1:-1]
    if kind == "string":
        return _read_string(node, shell)
    if kind == "simple_expansion":
        return _Joined([_Name(shell.text(node)[1:])])
    if kind == "concatenation":
        return _read_joined(node, shell)
    return _Written(node)


def _read_joined(node: Node, shell: Shell) -> Word:
    parts: list[str | _Name | _Filled] = []
    for child in node.children:
        kind = child.type
        if kind == "simple_expansion":
            parts.append(_Name(shell.text(child)[1:]))
        elif kind == "raw_string":
            parts.append(_quoted_braces(shell.text(child)[1:-1]))
        elif kind == "word" or kind == "number":
            parts.append(_unescaped(shell.text(child)))
        elif kind == "brace_expression":
            parts.append(shell.text(child))
        elif kind == "string" and (filled := _of_names(shell.text(child))) is not None:
            parts.append(filled)
        elif kind != "$":
            return _Written(node)
    return _Joined(parts)


def _read_string(node: Node, shell: Shell) -> str | Word:
    text = shell.text(node)
    if "$" not in text and "`" not in text and text[-1:] == '"' and len(text) > 1:
        return "".join(_ESCAPED_IN_QUOTES.split(text[1:-1])) if "\\" in text else text[1:-1]
    return _of_names(text) or _Written(node)


def expand(node: Node, shell: Shell) -> list[str]:
    """The words that an argument becomes: most often one."""
    word = read(node, shell)
    return [word] if isinstance(word, str) else word.words(shell)


def value_of(node: Node, shell: Shell) -> str:
    """An argument as one text, as an assignment or a here-string takes it."""
    word = read(node, shell)
    return word if isinstance(word, str) else word.value(shell)


def _concatenated(node: Node, shell: Shell) -> str:
    return "".join(_part(child, shell) for child in node.children)


def _part(node: Node, shell: Shell) -> str:
    """A part of a word. What was quoted keeps its braces from being expanded."""
    if node.type in ("string", "raw_string", "ansi_c_string", "translated_string"):
        return _quoted_braces(_text(node, shell))
    if node.type == "brace_expression":
        return shell.text(node)
    return "" if node.type == "$" else _unquoted(node, shell)


def _unquoted(node: Node, shell: Shell) -> str:
    if node.type in ("simple_expansion", "expansion", "command_substitution"):
        return _separated(_text(node, shell), shell)
    return _text(node, shell)


def _separated(value: str, shell: Shell) -> str:
    if "IFS" in shell.known:
        return _split(value, shell.known["IFS"])
    return value if value.split() == [value] else _BLANKS.sub(SPLIT, value)


def _split(value: str, separators: tuple[str, ...]) -> str:
    """By the characters that a script put into IFS; where it may have put several there, by blanks and all of them."""
    chars = separators[0] if len(separators) == 1 else "".join(separators) + " \t\n"
    if marks_of(chars):
        return _BLANKS.sub(SPLIT, value)
    return re.sub(f"[{re.escape(chars)}]+", SPLIT, value) if chars else value


def _text(node: Node, shell: Shell) -> str:
    kind = node.type
    if kind in ("word", "number"):
        return _unescaped(shell.text(node))
    if kind in PLAIN:
        return shell.text(node)
    if kind == "raw_string":
        return shell.text(node)[1:-1]
    if kind == "string":
        return _quoted(node, shell)
    if kind == "ansi_c_string":
        return unescaped(shell.text(node)[2:-1])
    if kind == "translated_string":
        return _text(node.named_children[0], shell) if node.named_children else ""
    if kind == "simple_expansion":
        return _variable(shell.text(node)[1:], shell)
    if kind == "expansion":
        return _expansion(node, shell)
    if kind == "command_substitution":
        return substituted(node, shell)
    if kind == "process_substitution":
        return _process(node, shell)
    if kind == "concatenation":
        return _concatenated(node, shell)
    if kind == "arithmetic_expansion":
        _walk_inside(node, shell)
        return "1"
    if node.named_child_count:
        return "".join(_text(child, shell) for child in node.named_children)
    return shell.text(node)


def _quoted(node: Node, shell: Shell) -> str:
    """What is in double quotes."""
    names = _of_names(shell.text(node))
    return _filled(node, shell) if names is None else names.value(shell)


def _filled(node: Node, shell: Shell) -> str:
    """What is in double quotes, or in a here-document. The text between the parts that have nodes is taken as it is."""
    source, base = (shell.source, 0) if shell.source else ((node.text or b"").decode("latin-1"), node.start_byte)
    out: list[str] = []
    at = node.start_byte
    for child in node.children:
        kind, start, end = child.type, child.start_byte, child.end_byte
        if start > at:
            out.append(_utf8(source[at - base : start - base]))
        at = end
        if kind == '"':
            continue
        if kind == "string_content":
            text = _utf8(source[start - base : end - base])
            out.append("".join(_ESCAPED_IN_QUOTES.split(text)) if "\\" in text else text)
        elif kind == "simple_expansion":
            out.append(_variable(_utf8(source[start + 1 - base : end - base]), shell))
        elif child.is_named and kind != "ERROR":
            out.append(_text(child, shell))
        else:
            out.append(_utf8(source[start - base : end - base]))
    if at < node.end_byte:
        out.append(_utf8(source[at - base : node.end_byte - base]))
    return "".join(out)


def _utf8(text: str) -> str:
    """Of a text in which each byte is a character."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def _of_names(text: str) -> _Filled | None:
    """Quoted text with nothing but plain variables in it, the usual one, without a look at its nodes; None for all other text."""
    if text[-1:] != '"' or "\\" in text or "`" in text or "$(" in text:
        return None
    filled = _named(text)
    return None if text.count("$") > len(filled.names) else filled


def _named(text: str) -> _Filled:
    pieces = _NAMED.split(text[1:-1])  # text, a name, text and so on
    names = pieces[1::2]
    return _Filled(pieces[::2], [name.strip("{}") for name in names] if "{" in text else names)


def read_part(text: str) -> str | Word:
    """An argument that is a `PART`."""
    if text[0] != '"':
        return text
    return _named(text) if "$" in text else text[1:-1]


def heredoc(node: Node, shell: Shell, *, raw: bool) -> str:
    """The body of a here-document; `raw` where its delimiter is quoted."""
    return shell.text(node) if raw or not node.child_count else _filled(node, shell)


def _all_arguments(text: str, shell: Shell) -> list[str] | None:
    """ "$@" and "${array[@]}" become as many words as there are."""
    if text in ('"$@"', '"${@}"') and shell.has_arguments:
        return shell.arguments or None
    if text.endswith('[@]}"') and text.startswith('"${'):
        value = shell.value(text[3:-5])
        return value.split() if value else None
    return None


def _variable(name: str, shell: Shell) -> str:
    values = shell.known.get(name)
    if values is None:
        if name in ("@", "*"):
            return " ".join(shell.arguments) if shell.has_arguments else HOLE
        if name.isdigit() and name != "0":
            if not shell.has_arguments:
                return HOLE
            return shell.arguments[int(name) - 1] if len(name) < 4 and int(name) <= len(shell.arguments) else ""
        if name == "PWD" and shell.folder:
            return shell.folder
    elif not shell.references:  # as `value` does it
        count, turn = len(values), shell.turn
        if count > shell.turns:
            shell.turns = count
        value = values[turn if turn < count else -1]
        if len(value) < STEP_CHARS:
            return value
    known = shell.value(name)
    return HOLE if known is None else known


def _expansion(node: Node, shell: Shell) -> str:
    """`${name}` and its forms."""
    children = [child for child in node.children if child.type not in ("${", "}")]
    if not children:
        return HOLE
    if children[0].type == "#" and len(children) > 1:
        return "1"
    indirect = children[0].type == "!"
    if indirect:
        children = children[1:]
    if not children:
        return HOLE
    name = shell.text(
        children[0].named_children[0] if children[0].type == "subscript" and children[0].named_children else children[0]
    )
    value: str | None = _item(shell.text(children[0]), shell) if children[0].type == "subscript" else None
    if value is None:
        value = _variable(name, shell)
    if indirect:
        value = _variable(value or "", shell) if value and HOLE not in value else HOLE
    if len(children) == 1:
        return value or ""
    rest = children[1:]
    signs = "".join(shell.text(child) for child in rest if not child.is_named)
    words = [_text(child, shell) for child in rest if child.is_named]
    return _formed(value or "", signs, words, assigned=name in shell.known)


def _item(text: str, shell: Shell) -> str | None:
    """One of an array, where the script names it as it did when it was set."""
    return shell.value(text.replace('"', "").replace("'", ""))


def _formed(value: str, signs: str, words: list[str], *, assigned: bool) -> str:
    word = words[0] if words else ""
    sign = signs.lstrip(":")[:1]
    if sign in ("-", "=", "?") or signs[:2] in (":-", ":=", ":?"):
        if not assigned or value == "":
            return word if sign != "?" else HOLE
        return value
    if sign == "+":
        return word
    if marks_of(value):
        return value
    if sign in ("#", "%") and len(word) < 100:
        return _trimmed(value, word, signs)
    if sign == "/":
        return _replaced(value, words, signs)
    if signs.startswith(":") and words:
        return _sliced(value, words)
    if sign == "^":
        return value.upper() if "^^" in signs else value[:1].upper() + value[1:]
    if sign == ",":
        return value.lower() if ",," in signs else value[:1].lower() + value[1:]
    return value


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str] | None:
    return re.compile(translate(glob)) if len(glob) < 100 and glob.count("*") < 4 else None


def _trimmed(value: str, glob: str, signs: str) -> str:
    """`${x#a}`, `${x##a}`, `${x%a}`, `${x%%a}`."""
    pattern = _pattern(glob)
    if pattern is None or len(value) > 1000:
        return filtered(value)
    lengths: Iterable[int] = range(len(value) + 1)
    if signs.startswith(("##", "%%")):
        lengths = reversed(range(len(value) + 1))
    for length in lengths:
        if signs[0] == "#" and pattern.match(value[:length]):
            return value[length:]
        if signs[0] == "%" and pattern.match(value[len(value) - length :]):
            return value[: len(value) - length]
    return value


def _replaced(value: str, words: list[str], signs: str) -> str:
    if not words or any(char in words[0] for char in "*?["):
        return filtered(value) if words else value
    new = words[1] if len(words) > 1 else ""
    return value.replace(words[0], new, -1 if "//" in signs else 1)


def _sliced(value: str, words: list[str]) -> str:
    try:
        start = int(words[0])
        stop = start + int(words[1]) if len(words) > 1 else len(value)
    except ValueError:
        return filtered(value)
    return value[start:stop]


def substituted(node: Node, shell: Shell) -> str:
    """What `$(...)` gives: the output of what is in it, without the line feeds at its end."""
    return _walk_inside(node, shell).rstrip("\n")


def _walk_inside(node: Node, shell: Shell) -> str:
    """Runs the statements in a node, in a subshell; gives their output."""
    left = shell.enter()
    outs = [
        shell.walk_node(shell, child, LOCAL) if child.type != "file_redirect" else _read_file(child, shell)
        for child in node.named_children
    ]
    shell.leave(left)
    return outs[0] if len(outs) == 1 else "".join(outs)


def _read_file(node: Node, shell: Shell) -> str:
    """`$(< file)`."""
    return shell.execute(shell, ["cat", *(word for child in node.named_children for word in expand(child, shell))], "")


def _process(node: Node, shell: Shell) -> str:
    """`<(command)` is a file with what the command prints; what is written to `>(command)` is its input."""
    name = f"/dev/fd/{node.start_byte + 63}"
    if node.children[0].type == "<(":
        shell.files[name] = _walk_inside(node, shell)
    else:
        inner = shell.child()
        for child in node.named_children:
            shell.walk_node(inner, child, LOCAL)
            shell.readers[name] = Body(child, shell.source)
    return name


def braces(text: str) -> list[str]:
    """`a{b,c}` as ab, ac; `{1..3}` as 1, 2, 3. At most `LIMIT_WORDS`: what is over stands as one word that is not known."""
    done: list[str] = []
    queue = [text]
    while queue:
        one = queue.pop(0)
        made = _first_brace(one) if len(one) < 1_000 and one.count("{") < 100 else None
        if made is None:
            done.append(one)
        elif len(queue) + len(done) + len(made) > LIMIT_WORDS:
            return [*done, *queue, HOLE]
        else:
            queue = made + queue
    return done


def _first_brace(text: str) -> list[str] | None:
    start = text.find("{")
    while start >= 0:
        end, commas = _brace_end(text, start)
        if end > 0:
            inner = text[start + 1 : end]
            parts = _parts(inner, commas, start + 1) if commas else _range(inner)
            if parts and not text[:start].endswith("$"):
                return [text[:start] + part + text[end + 1 :] for part in parts]
        start = text.find("{", start + 1)
    return None


def _brace_end(text: str, start: int) -> tuple[int, list[int]]:
    depth = 0
    commas: list[int] = []
    for at in range(start, len(text)):
        char = text[at]
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at, commas
        elif char == "," and depth == 1:
            commas.append(at)
    return -1, []


def _parts(inner: str, commas: list[int], offset: int) -> list[str]:
    cuts = [-1, *(comma - offset for comma in commas), len(inner)]
    return [inner[left + 1 : right] for left, right in itertools.pairwise(cuts)]


def _range(inner: str) -> list[str]:
    found = _RANGE.fullmatch(inner)
    if not found:
        return []
    first, last = found.group(1), found.group(2)
    if first.isalpha() != last.isalpha():
        return []
    low, high = (ord(first), ord(last)) if first.isalpha() else (int(first), int(last))
    if abs(high - low) > LIMIT_WORDS - 2:
        return [first, last]
    step = 1 if high >= low else -1
    numbers = range(low, high + step, step)
    return [chr(number) if first.isalpha() else str(number) for number in numbers]
