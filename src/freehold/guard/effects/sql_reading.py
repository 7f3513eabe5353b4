"""Reads statements of SQL by their tokens: where one ends, which name stands where, which rows are meant."""

from collections.abc import Sequence

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.sql_tokens import NUMBER, QUOTED, SIGN, STRING, WORD, Token
from freehold.guard.effects.sql_values import is_true_of_all

# Two words that begin a statement wherever they stand, if what is before them does not take them for its own.
_STARTS = {
    "delete": ("from",),
    "drop": ("table", "database", "schema", "user", "login", "role", "view", "procedure", "function"),
    "truncate": ("table",),
    "insert": ("into",),
    "exec": (),
    "execute": ("xp_cmdshell", "immediate", "sp_executesql"),
    "shutdown": (),
    "alter": ("table", "user", "login", "role", "system", "database", "server"),
    "create": ("user", "login", "role", "table"),
    "grant": ("all", "select", "insert", "update", "delete", "execute", "control"),
    "reconfigure": (),
    "backup": ("database",),
    "restore": ("database",),
}
_TAKES = frozenset(
    ("on", "grant", "revoke", "before", "after", "explain", "or", "deny", "for", "of", ",", "then", "instead", "not")
)


def split(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """Statements that follow one another without ";"."""
    starts = [0]
    for at in range(1, len(tokens)):
        token = tokens[at]
        if token.kind == WORD and token.text in _STARTS and tokens[at - 1].text not in _TAKES:
            following = _STARTS[token.text]
            is_last = at + 1 == len(tokens)
            if (not following and (token.text != "shutdown" or is_last)) or (not is_last and tokens[at + 1].text in following):
                starts.append(at)
    return [tokens[start:end] for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True)]


def name_at(tokens: Sequence[Token], at: int) -> str:
    """A name that may have dots in it, in lower case; "" where there is none."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at].text in ("only", "if", "exists", "not", "lateral"):
        at += 1
    while at < len(tokens) and tokens[at].kind in (WORD, QUOTED, STRING):
        parts.append(tokens[at].text.lower())
        at += 1
        if at >= len(tokens) or tokens[at].text != ".":
            break
        at += 1
        if at < len(tokens) and tokens[at].text == ".":
            parts.append("")
            at += 1
    return ".".join(parts)


def name_ending(tokens: Sequence[Token], at: int) -> str:
    """The dotted name whose last part is at `at`."""
    parts = [tokens[at].text.lower()]
    while at >= 2 and tokens[at - 1].text == "." and tokens[at - 2].kind in (WORD, QUOTED) and len(parts) < 4:
        at -= 2
        parts.append(tokens[at].text.lower())
    return ".".join(reversed(parts))


def is_of_all_rows(tokens: Sequence[Token]) -> bool:
    """Of a DELETE or an UPDATE: whether it names no rows, or all."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")") if token.kind == SIGN else 0
        if depth < 0:
            return True
        if depth == 0 and token.kind == WORD:
            if token.text == "where":
                return is_true_of_all(tokens[at + 1 :])
            if token.text in ("limit", "top", "using", "join", "current") or (token.text == HOLE and at > 2):
                return False
    return True


def position(tokens: Sequence[Token], *words: str) -> int | None:
    return next((at for at, token in enumerate(tokens) if token.kind == WORD and token.text in words), None)


def after(tokens: Sequence[Token], *words: str) -> int:
    at = position(tokens, *words)
    return 1 if at is None else at + 1


_MODIFIERS = frozenset((
    "create", "drop", "alter", "or", "replace", "temporary", "temp", "global", "local", "unlogged", "unique", "clustered",
    "nonclustered", "foreign", "public", "private", "external", "definer", "aggregate", "if", "not", "exists", "shared",
    "bitmap", "fulltext", "spatial", "editionable", "noneditionable", "force", "recursive", "constraint", "hybrid",
))  # fmt: skip


def kind_of(tokens: Sequence[Token]) -> str:
    """ "table" of CREATE TEMPORARY TABLE."""
    for token in tokens:
        if token.kind == WORD and token.text not in _MODIFIERS:
            return token.text
    return ""


def is_text(token: Token) -> bool:
    """Whether it begins an expression that gives a text, and not a procedure's name."""
    return token.kind in (STRING, NUMBER) or token.text[:1] in ("(", "@", ":")


def closing(tokens: Sequence[Token], at: int) -> int:
    depth = 0
    for end in range(at, len(tokens)):
        depth += (tokens[end].text == "(") - (tokens[end].text == ")")
        if depth < 0:
            return end
    return len(tokens)
