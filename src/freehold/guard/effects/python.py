"""Python programs to effects. Read by `ast`; of a text that it does not take, what tree-sitter finds whole.

Decided here: what is taken for Python. Notebook magics (`!ls`, `%pip install`, `%%bash`) are commands; prompts (`>>> `) and the
words around a fenced block are left out; Python 2's `print x` and `exec x` are read as calls. Of a text that still does not
parse, what stands whole is walked (`python_salvage`), and the rest is unknown if there is a call in it that may do something. The
walk itself is `python_walk`.
"""

import re

from freehold.core.effects import Effect
from freehold.guard.effects.python_parse import parse
from freehold.guard.effects.python_salvage import salvage
from freehold.guard.effects.python_walk import Walk
from freehold.guard.effects.scene import Scene, unknown

_PYTHON_2 = re.compile(r"^([ \t]*)(print|exec)\b(?!\s*[(=.\[,:])[ \t]*(>>)?(.*)$", re.MULTILINE)
_ONE_TEXT = re.compile(r"""\s*(?:"[^"]*"|'[^']*')""")
_EXCEPT_2 = re.compile(r"^([ \t]*except[ \t]+[\w.()]{1,200}),[ \t]*(\w+)[ \t]*:", re.MULTILINE)
_OCTAL_2 = re.compile(r"(?<![\w.])0([0-7]{3})(?![\w.])")
_MAGIC = re.compile(r"(?:[\w, ]{1,200}=\s*)?(!{1,2}|%%?)(.*)$")
_SHELL_MAGICS = ("sh", "bash", "system", "sx", "script", "cmd", "%sh", "%bash")
_COMMAND_MAGICS = ("pip", "conda", "mamba", "uv", "rm", "cp", "mv", "ls", "cat", "mkdir", "rmdir", "man")
_PROMPT = re.compile(r"^[ \t]*(?:>>> ?|\.\.\. ?|In \[\d+\]: )", re.MULTILINE)
_FENCE = re.compile(r"```[ \t]*+(?:python3?|py)?[ \t]*+\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def python(text: str, scene: Scene) -> list[Effect]:
    """An `Analyser`."""
    walk = Walk(scene)
    try:
        _whole(text.replace("\x00", " "), walk)
    except RecursionError:
        walk.sinks.add_unknown("nested too deep to be followed")
    return walk.sinks.effects


def _whole(text: str, walk: Walk) -> None:
    module = parse(text)
    if module is None:
        text = _plain(text, walk)
        module = parse(text)
    if module is not None:
        walk.module(module.body)
        return
    salvaged = salvage(text)
    walk.statements(salvaged.body)
    if not salvaged.is_whole:
        walk.sinks.effects.append(unknown("text that could not be read as Python"))
    walk.finish()


def _plain(text: str, walk: Walk) -> str:
    """Without what notebooks, consoles and old versions have; commands of magics go to the shell."""
    fenced = _FENCE.findall(text)
    if fenced:
        text = "\n".join(fenced)
    if _PROMPT.search(text):
        text = _PROMPT.sub("", "\n".join(line for line in text.splitlines() if _PROMPT.match(line)))
    text = _magics(text, walk)
    text = _EXCEPT_2.sub(r"\1 as \2:", text)
    text = _OCTAL_2.sub(r"0o\1", text)
    return _PYTHON_2.sub(_as_call, text)


def _as_call(found: re.Match[str]) -> str:
    indent, word, into, rest = found.groups()
    if into:
        rest = rest.partition(",")[2]
    rest = rest.rstrip().rstrip(",")
    is_one = _ONE_TEXT.fullmatch(rest) or not (";" in rest or "#" in rest)
    return f"{indent}{word}({rest})" if is_one else found[0]


def _magics(text: str, walk: Walk) -> str:
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if "!" not in line and "%" not in line:
            continue
        found = _MAGIC.match(line.lstrip())
        if found is None:
            continue
        indent = line[: len(line) - len(line.lstrip())]
        sign, command = found[1], found[2].strip()
        word, _, rest = command.partition(" ")
        if sign == "%%" and word in _SHELL_MAGICS:
            walk.command("\n".join(lines[at + 1 :]))
            return "\n".join(lines[:at])
        if sign.startswith("!"):
            walk.command(command)
        elif word in _SHELL_MAGICS:
            walk.command(rest)
        elif word in _COMMAND_MAGICS:
            walk.command(command)
        elif word in ("run", "load", "edit"):
            walk.command(f"python {rest}")
        lines[at] = f"{indent}pass"
    return "\n".join(lines)
