"""SQL to tokens and statements, for five dialects at once.

PostgreSQL, MySQL, SQLite, Transact-SQL and Oracle do not agree what a comment, a quotation or the end of a statement is, and a
text does not say which of them reads it. Decided here: where they differ, the reading that shows more as code is taken; where a
backslash before a quote makes two readings, both are given. A comment that MySQL executes (`/*! … */`) is code.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from freehold.guard.effects.places import HOLE

LIMIT_TOKENS = 30_000

WORD, QUOTED, STRING, NUMBER, SIGN, LINE = "word", "quoted", "string", "number", "sign", "line"


class Token(NamedTuple):
    """`text` is without quotes; of a word, in lower case. LINE is a line for a database's own console."""

    kind: str
    text: str


_FORM = (
    r"(?P<space>\s+)"
    r"|(?P<comment>--(?=[\s!-])[^\n]*|--[^\n;]{{0,300}}(?=\n|\Z)|(?<![^\n])[ \t]*\#[^\n;]{{0,300}}(?=\n|\Z)"
    r"|/\*(?!!)(?:[^*]|\*(?!/))*(?:\*/|\Z))"
    r"|(?P<open>/\*!\d*)|(?P<close>\*/)"
    r"|(?P<dollar>\$(?P<tag>[A-Za-z_\x80-\uffff][\w]*)?\$)"
    r"|(?P<oracle>[nN]?[qQ]'(?P<mark>[\[({{<!|\#])(?P<body>.{{0,1000}}?)[\])}}>!|\#]')"
    r"|(?P<hexadecimal>0[xX][0-9A-Fa-f]+|[xX]'[0-9A-Fa-f\s]*')"
    r"|(?P<string>(?:[nNeEbB]|[uU]&|_utf8\w*\s*)?'(?:{string}|'')*(?:'|\Z))"
    r"|(?P<double>\"(?:[^\"]|\"\")*(?:\"|\Z))"
    r"|(?P<back>`(?:[^`]|``)*(?:`|\Z))"
    r"|(?P<bracket>\[[A-Za-z_\#][^\]\n]{{0,128}}\])"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<word>[@\#:$]*[A-Za-z_{hole}\x80-\uffff][\w$\#{hole}]*)"
    r"|(?P<sign>\|\||[<>!=]=|<>|::|:=|.)"
)
_STANDARD = re.compile(_FORM.format(string=r"[^']", hole=HOLE), re.DOTALL)
_BACKSLASH = re.compile(_FORM.format(string=r"\\(?:.|\Z)|[^'\\]", hole=HOLE), re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# psql and mysql: \! \i \copy; sqlite3: .shell; sqlplus: ! host @file; mysql: system, source. At the margin, as consoles want it.
_CONSOLE = re.compile(
    r"^[ \t]*(?:\\(?:!|i\b|ir\b|o\b|copy\b|w\b|g\b|gexec\b|\.|include|out|write|setenv)|\.[a-z]{2,}\b|!|@@?(?=[\w./])"
    r"|(?:host|system|source)[ \t])[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)


def readings(text: str) -> Iterator[list[list[Token]]]:
    """The statements of a text, once for each way of reading its quotations."""
    yield statements(text, _STANDARD)
    if "\\'" in text or "\\\\" in text:
        yield statements(text, _BACKSLASH)


def statements(text: str, form: re.Pattern[str]) -> list[list[Token]]:
    found: list[list[Token]] = [[]]
    depth = 0
    for token in _tokens(text, form):
        if token.kind == LINE:
            found += [[token], []]
            depth = 0
            continue
        if token.kind == SIGN:
            if token.text == ";":
                found.append([])
                depth = 0
                continue
            depth += (token.text == "(") - (token.text == ")")
        elif token.text == "go" and depth == 0 and token.kind == WORD and found[-1]:
            found.append([])  # Transact-SQL's batches
            continue
        found[-1].append(token)
    return [one for one in found if one]


def _tokens(text: str, form: re.Pattern[str]) -> Iterator[Token]:
    at, end, count = 0, len(text), 0
    lines = {found.start(): found for found in _CONSOLE.finditer(text)}
    is_start = True  # of a statement: where a console takes a line as its own
    while at < end and count < LIMIT_TOKENS:
        if is_start and at in lines:
            yield Token(LINE, lines[at][0].strip())
            at = lines[at].end()
            continue
        found = form.match(text, at)
        if found is None:
            break
        at = found.end()
        kind = found.lastgroup
        if kind == "space":
            if at in lines and "\n" in found[0] and _is_alone(lines[at][0]):
                is_start = True
            continue
        if kind in ("comment", "open", "close"):
            continue
        if kind == "dollar":
            token, at = _dollar(text, found)
            yield token
        elif kind == "word":
            yield Token(WORD, found[0].lower())
        else:
            yield _token(kind or "", found)
        count += 1
        is_start = found[0] == ";"
    if at < end:
        yield Token(SIGN, HOLE)  # more than is read


def _is_alone(line: str) -> bool:
    """A backslash or a dot at the margin is no operator, even in the middle of a statement that was not ended."""
    return line.lstrip()[:1] in ("\\", "!")


def _dollar(text: str, found: re.Match[str]) -> tuple[Token, int]:
    """PostgreSQL's $tag$ … $tag$."""
    mark = found[0]
    stop = text.find(mark, found.end())
    if stop < 0:
        return Token(SIGN, mark), found.end()
    return Token(STRING, text[found.end() : stop]), stop + len(mark)


def _token(kind: str, found: re.Match[str]) -> Token:
    text = found[0]
    match kind:
        case "string":
            body = text[text.index("'") + 1 :]
            body = body[:-1] if body.endswith("'") else body
            return Token(
                STRING, _ESCAPE.sub(r"\1", body.replace("''", "'")) if found.re is _BACKSLASH else body.replace("''", "'")
            )
        case "double" | "back" | "bracket":
            return Token(QUOTED, text[1:-1])
        case "hexadecimal":
            digits = "".join(letter for letter in text[2:] if letter in "0123456789abcdefABCDEF")
            return Token(NUMBER, "0x" + digits)
        case "mark" | "body" | "oracle":
            return Token(STRING, found["body"] or "")
        case "number":
            return Token(NUMBER, text)
    return Token(SIGN, text)
