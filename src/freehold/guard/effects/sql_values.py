"""Texts that SQL puts together: literals, concatenation, CHAR(), hexadecimal numbers, and the variables that hold them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_values import LIMIT_TEXT, Value
from freehold.guard.effects.sql_tokens import NUMBER, QUOTED, SIGN, STRING, WORD, Token

_JOINING = frozenset(("+", "||", "(", ")", ","))
_LETTERS = frozenset(("char", "chr", "nchar"))
_AROUND = frozenset(
    ("concat", "cast", "convert", "unhex", "as", "n", "from_base64", "decode", "concat_ws", "to_char", "lower", "upper")
)
_TYPES = frozenset(("varchar", "nvarchar", "char", "text", "varbinary", "max", "using", "utf8", "utf8mb4", "sysname"))
_TRUE = re.compile(r"[1-9]\d*")


@dataclass(slots=True)
class Variables:
    """Of one text: `texts` by name, `prepared` statements by theirs."""

    texts: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, str] = field(default_factory=dict)

    def follow(self, tokens: Sequence[Token]) -> None:
        """Takes note of `SET @a = …`, `DECLARE @a type = …`, `SELECT @a = …`, `a := …`."""
        for at in range(1, len(tokens) - 1):
            name = tokens[at - 1] if tokens[at].text in ("=", ":=") else None
            if tokens[at].text == "=" and at >= 2 and tokens[0].text == "declare":
                name = next((token for token in tokens[:at] if token.text[:1] == "@"), None)
            if name is not None and name.kind == WORD and (name.text[:1] == "@" or tokens[at].text == ":="):
                value = self.text_of(_up_to_comma(tokens[at + 1 :]))
                if value is not None:
                    self.texts[name.text] = value

    def text_of(self, tokens: Sequence[Token]) -> str | None:
        """With holes where it is not known; None where nothing of it is."""
        parts: list[str] = []
        for at, token in enumerate(tokens):
            if token.kind == STRING or token.kind == QUOTED:
                parts.append(token.text)
            elif token.kind == NUMBER:
                parts.append(_number(tokens, at))
            elif token.kind == WORD:
                if token.text in _LETTERS or token.text in _AROUND or token.text in _TYPES:
                    continue
                if token.text in ("using", "into", "with"):
                    break
                parts.append(self.texts.get(token.text, HOLE))
            elif token.text not in _JOINING:
                break
        text = "".join(parts)[:LIMIT_TEXT]
        return text if text.strip(HOLE) else None

    def is_hidden(self, tokens: Sequence[Token]) -> bool:
        """Whether the text was written in numbers, so as not to be read."""
        return any(
            (token.kind == NUMBER and token.text[:2] == "0x") or token.text in _LETTERS or token.text == "unhex"
            for token in tokens
        )


def _number(tokens: Sequence[Token], at: int) -> str:
    text = tokens[at].text
    if text[:2] == "0x":
        raw = bytes.fromhex(text[2:] if len(text) % 2 == 0 else "0" + text[2:])
        wide = len(raw) > 2 and raw[1::2].count(0) * 2 > len(raw) - 2
        return raw.decode("utf-16-le" if wide else "latin-1", "replace")
    is_letter = any(token.text in _LETTERS for token in tokens[max(0, at - 40) : at])
    return chr(int(text)) if is_letter and text.isascii() and text.isdigit() and int(text[:7]) < 0x110000 else ""


def _up_to_comma(tokens: Sequence[Token]) -> Sequence[Token]:
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and token.kind == SIGN and depth == 0:
            return tokens[:at]
    return tokens


def arguments_of(tokens: Sequence[Token], at: int, variables: Variables) -> list[Value]:
    """Of the call whose "(" is at `at`. Names of arguments (`@query = `, `job_action => `) are left out."""
    depth, start = 0, at + 1
    found: list[Value] = []
    for end in range(at, len(tokens)):
        token = tokens[end]
        if token.kind != SIGN:
            continue
        depth += (token.text == "(") - (token.text == ")")
        if (depth == 1 and token.text == ",") or depth == 0:
            part = tokens[start:end]
            start = end + 1
            if len(part) > 1 and part[1].text in ("=", "=>"):
                part = part[3:] if part[1].text == "=" and len(part) > 2 and part[2].text == ">" else part[2:]
            if part:
                text = variables.text_of(part)
                found.append(Value(HOLE) if text is None else Value(text))
            if depth == 0:
                break
    return found


def is_true_of_all(tokens: Sequence[Token]) -> bool:
    """Of what follows WHERE: whether one of its ways to be met is met by every row."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == SIGN:
            depth += (token.text == "(") - (token.text == ")")
            if depth < 0:
                break
        if depth == 0 and token.kind == WORD and token.text in ("returning", "order", "limit", "option"):
            break
        if depth == 0 and token.text in ("or", "||"):
            parts.append([])
        else:
            parts[-1].append(token)
    return any(_all_true(part) for part in parts if part)


def _all_true(tokens: Sequence[Token]) -> bool:
    conditions: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")") if token.kind == SIGN else 0
        if token.text in ("and", "&&") and depth == 0:
            conditions.append([])
        else:
            conditions[-1].append(token)
    return all(_is_true(condition) for condition in conditions)


def _is_true(condition: Sequence[Token]) -> bool:
    while len(condition) > 2 and condition[0].text == "(" and condition[-1].text == ")":
        if is_true_of_all(condition[1:-1]):
            return True
        condition = condition[1:-1]
    texts = [token.text for token in condition]
    match texts:
        case [one]:
            return one == "true" or (condition[0].kind == NUMBER and _TRUE.fullmatch(one) is not None)
        case ["not", one]:
            return one in ("false", "0")
        case [left, "=" | "==" | "<=" | ">=" | "like" | "is", right] if HOLE not in left:
            return (left == right and condition[0].kind == condition[2].kind) or (texts[1] == "like" and right == "%")
        case [left, "<>" | "!=" | "<" | ">", right] if condition[0].kind == condition[2].kind and condition[0].kind in (
            NUMBER,
            STRING,
        ):
            return left != right if texts[1] in ("<>", "!=") else (left < right) == (texts[1] == "<")
        case [_, "is", "not", "null"]:
            return True
        case ["exists", "(", "select", _, ")"]:
            return True
    return False
