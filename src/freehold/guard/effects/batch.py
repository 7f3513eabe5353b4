"""What a command line or a script of cmd.exe does: its commands one after the other, with what is known of its variables.

Decided here: which commands there are, in blocks, loops and pipes; what is cmd.exe's own (set, call, start, for, if, echo into
files); what flows through a pipe into an interpreter. What programs do is `windows_programs`'. A script's branches are all
taken: it is judged by what it could do.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.batch_words import LIMIT_EXPANDED, Line, assign, expanded, read_line
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_objects import objects
from freehold.guard.effects.scene import Scene, effect, unknown
from freehold.guard.effects.windows_programs import INTERPRETERS, name_of, program_effects
from freehold.guard.effects.windows_rules import at, where
from freehold.guard.syntax import LIMIT_DEPTH, Language

LIMIT_CHARS = 64 << 10
CHARS_A_STEP = 64
LIMIT_TURNS = 16  # of a loop over words that stand in the text
_OF_ENDING = {
    "bat": Language.BATCH,
    "cmd": Language.BATCH,
    "ps1": Language.POWERSHELL,
    "py": Language.PYTHON,
    "sh": Language.SHELL,
    "js": Language.JAVASCRIPT,
}
_QUIET = frozenset(  # cmd.exe's own commands that do nothing to anything
    (
        "echo", "rem", "cls", "cd", "chdir", "exit", "goto", "setlocal", "endlocal", "shift", "title", "color", "prompt", "pushd",
        "popd", "pause", "ver", "vol", "verify", "break",
    )
)  # fmt: skip

_OPERATOR = re.compile(r"[&|()\"^<>\n]")
_IF = re.compile(
    r"(?:/i\s+)?(?:not\s+)?(?:exist\s+(?:\"[^\"]*\"|\S+)|defined\s+\S+|errorlevel\s+\S+|cmdextversion\s+\d+"
    r"|(?:\"[^\"]*\"|[^\s=\"]+(?:\"[^\"]*\")?)\s*(?:==|\s(?:equ|neq|lss|leq|gtr|geq)\s)\s*(?:\"[^\"]*\"|[^\s(]+))\s*",
    re.IGNORECASE,
)
_FOR = re.compile(r"for\s+(/[dlrf](?:\s+(?:\"[^\"]*\"|[^\s(%]+))?\s+)?%{1,2}~?(\S)\s+in\s*\(", re.IGNORECASE)
_CALLS = re.compile(r"(?:call\s+){0,1000}", re.IGNORECASE)  # "call call x" is "call x"
_REDIRECTION = re.compile(r"[<>]+(?:&\d)?")
_WORD = re.compile(r"@*\s*([^\s&|()<>\"^;,=/]*)")


@dataclass(slots=True)
class Trail:
    """What the text has made so far: files by name in lower case, with what was written in them."""

    written: dict[str, str] = field(default_factory=dict)
    brought: set[str] = field(default_factory=set)


@lru_cache(maxsize=128)
def _variable_form(name: str) -> re.Pattern[str]:
    return re.compile(r"%{1,2}(?:~[a-z]*)?" + re.escape(name) + r"(?![\w%])")


class Batch:
    """One text of cmd.exe's. `found` is what it does."""

    def __init__(self, text: str, scene: Scene) -> None:
        self.text = text
        self.scene = scene
        self.found: list[Effect] = []
        self.variables = dict(scene.variables)
        self.trail = Trail()
        self.at = 0
        self.depth = 0

    # ---- the structure: blocks, operators, loops, branches ---------------------------------------

    def block(self, until_bracket: bool) -> None:
        """Commands up to the closing bracket, or to the end."""
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            raise RecursionError
        while self.at < len(self.text):
            if self.text[self.at] in " \t\r\n&;,":
                self.at += 1
            elif self.text[self.at] == ")":
                self.at += 1
                if until_bracket:
                    break
            else:
                if not self.scene.budget.spend():
                    self.found.append(unknown("more commands than are followed"))
                    self.at = len(self.text)
                    break
                self.pipeline(until_bracket)
        self.depth -= 1

    def pipeline(self, in_block: bool) -> None:
        before: Line | None = None
        while True:
            line = self.command(in_block)
            if before is not None and line is not None:
                self.flows(before, line)
            before = line
            if self.text[self.at : self.at + 1] != "|" or self.text[self.at : self.at + 2] == "||":
                break
            self.at += 1
        if self.text[self.at : self.at + 2] in ("&&", "||"):
            self.at += 2

    def command(self, in_block: bool) -> Line | None:
        """One command, which is read and judged; None where it is a block, a loop or a branch."""
        self.skip(" \t@")
        text = self.text
        if text[self.at : self.at + 1] == "(":
            self.at += 1
            self.block(True)
            return None
        found = _WORD.match(text, self.at)
        word = found[1].lower() if found else ""
        if word == "rem" or word.startswith(":"):
            self.at = self.line_end()
            return None
        if word == "if":
            return self.branch(in_block)
        if word == "else":
            self.at += 4
            return self.command(in_block)
        if word == "for" and (head := _FOR.match(text, self.at)):
            return self.loop(head, in_block)
        return self.simple(self.simple_text(in_block))

    def branch(self, in_block: bool) -> Line | None:
        self.at += 2
        self.skip(" \t")
        condition = _IF.match(self.text, self.at)
        if condition:
            self.at = condition.end()
        return self.command(in_block)

    def loop(self, head: re.Match[str], in_block: bool) -> Line | None:
        self.at = head.end()
        start = self.at
        end = self.closing(start)
        given, self.at = self.text[start:end], end + 1
        self.skip(" \t\n\r")
        if self.text[self.at : self.at + 2].lower() == "do":
            self.at += 2
        values = self.loop_values((head[1] or "").strip().lower(), given)
        body = self.loop_body(in_block)
        for value in values:
            self.part(_variable_form(head[2]).sub(value.replace("\\", "\\\\"), body))
        return None

    def loop_body(self, in_block: bool) -> str:
        """A loop does what is in its brackets, or all that is on its line."""
        self.skip(" \t@")
        start = self.at
        if self.text[start : start + 1] == "(":
            end = self.closing(start + 1)
            self.at = end + 1
            return self.text[start + 1 : end]
        end = min(self.line_end(), self.closing(start)) if in_block else self.line_end()
        self.at = end
        return self.text[start:end]

    def part(self, text: str) -> None:
        """Commands that came out of a loop or out of variables, with what is known here."""
        inner = Batch(text, self.scene)
        inner.variables, inner.trail, inner.depth = self.variables, self.trail, self.depth
        self.found += inner.all()

    def loop_values(self, switch: str, given: str) -> list[str]:
        if switch.startswith("/f"):
            command = given.strip()
            if command[:1] in ("'", "`") or "usebackq" in switch:
                inner = command.strip("'`")
                if command[:1] in ("'", "`"):
                    self.found += Batch(expanded(inner, self.variables), self.scene).all()
            else:
                self.found += at(EffectKind.READ, command, "reads a file line by line", self.scene)
            return [HOLE]
        if switch.startswith("/l"):
            return [HOLE]
        if switch.startswith("/r"):
            folder = switch[2:].strip(' "') or "."
            self.found += at(EffectKind.READ, folder, "goes through a folder with all that is in it", self.scene)
            return [f"{folder}\\{HOLE}"]
        words = read_line(expanded(given, self.variables).replace(",", " ")).words
        return words[:LIMIT_TURNS] or [HOLE]

    # ---- the text --------------------------------------------------------------------------------

    def skip(self, signs: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in signs:
            self.at += 1

    def line_end(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def closing(self, start: int) -> int:
        """Where the bracket closes that was opened before `start`."""
        depth, quoted, at_ = 1, False, start
        while at_ < len(self.text):
            sign = self.text[at_]
            if sign == '"':
                quoted = not quoted
            elif sign == "^":
                at_ += 1
            elif not quoted and sign == "(":
                depth += 1
            elif not quoted and sign == ")":
                depth -= 1
                if depth == 0:
                    return at_
            at_ += 1
        return len(self.text)

    def simple_text(self, in_block: bool) -> str:
        """Up to the operator that ends the command, which is not taken."""
        start, text = self.at, self.text
        while found := _OPERATOR.search(text, self.at):
            self.at = found.start()
            sign = found[0]
            if sign == '"':
                end = text.find('"', self.at + 1)
                line = self.line_end()
                self.at = end + 1 if 0 <= end < line else line
            elif sign == "^":
                self.at += 2
            elif sign in "<>":
                after = _REDIRECTION.match(text, self.at)
                self.at = after.end() if after else self.at + 1
            elif sign == "(" or (sign == ")" and not in_block):
                self.at += 1
            else:
                return text[start : self.at]
        self.at = len(text)
        return text[start:]

    # ---- one command -----------------------------------------------------------------------------

    def simple(self, raw: str) -> Line | None:
        text = expanded(raw, self.variables)
        if not self.scene.budget.spend(len(text) // CHARS_A_STEP) or len(text) >= LIMIT_EXPANDED:
            self.found.append(unknown("a line longer than is read"))
            return None
        if text != raw and _OPERATOR.search(text) and not _OPERATOR.search(raw):
            self.part(text)  # its operators came out of variables
            return None
        line = read_line(text)
        if not line.words:
            self.redirected(line)
            return None
        word = line.words[0].lower().lstrip("@")
        line.words[0] = line.words[0].lstrip("@")
        self.redirected(line)
        own = name_of(word)
        if word.startswith(("echo.", "echo:", "echo(", "echo/")):
            own = "echo"
        elif word.startswith(("cd.", "cd\\", "cd/")):
            own = "cd"
        if own in _QUIET:
            return line
        if own == "set" or own == "setx":
            self.set(own, line)
        elif own == "call":
            rest = _CALLS.sub("", line.rest, count=1)
            if rest and not rest.startswith(":"):
                return self.simple(rest)
        else:
            self.run(line)
        return line

    def set(self, own: str, line: Line) -> None:
        name = line.rest.lstrip('" ').partition("=")[0].strip().lower()
        if name in objects().loading:
            because = "sets a variable that decides which code programs load"
            self.found.append(Effect(kind=EffectKind.EXECUTE, because=because))
        if own == "set":
            assign(expanded(line.rest, self.variables).split("&")[0], self.variables)
            return
        self.run(line)

    def run(self, line: Line) -> None:
        name = name_of(line.words[0])
        came = len(self.found)
        inner = self.own_shell(name, line)
        self.found += program_effects(line.words, self.scene) if inner is None else inner
        self.made(self.found[came:])
        self.found += self.ran(line.words)

    def own_shell(self, name: str, line: Line) -> list[Effect] | None:
        """`cmd /c` takes the rest of the line as it stands."""
        if name != "cmd":
            return None
        found = re.search(r"(?:^|\s)/[cCkKrR]\s?(.*)$", line.rest, re.DOTALL)
        if found is None:
            return None
        inner = found[1].strip()
        if inner.startswith('"') and inner.endswith('"') and len(inner) > 1:
            inner = inner[1:-1]
        return self.scene.inside(Language.BATCH, inner, variables=dict(self.variables)) if inner else []

    # ---- files and pipes -------------------------------------------------------------------------

    def redirected(self, line: Line) -> None:
        for sign, file in line.redirections:
            if sign == "<":
                self.found += at(EffectKind.READ, file, "reads its input from a file", self.scene)
                continue
            kind = EffectKind.WRITE if sign == ">>" else EffectKind.OVERWRITE
            self.found += at(kind, file, "writes its output to a file", self.scene)
            if line.words and line.words[0].lower().lstrip("@").startswith("echo") and file:
                known = self.trail.written.get(file.lower(), "") if sign == ">>" else ""
                self.trail.written[file.lower()] = f"{known}{self.echoed(line)}\n"[:LIMIT_CHARS]

    def echoed(self, line: Line) -> str:
        rest = line.rest
        for sign, file in line.redirections:
            at_ = rest.rfind(sign)
            rest = rest[:at_] if at_ >= 0 and file in rest[at_:] else rest
        return re.sub(r"\^(.)", r"\1", rest.strip())

    def made(self, effects: Iterable[Effect]) -> None:
        """A file that is written where something was downloaded is what was downloaded."""
        brings = False
        for one in effects:
            brings = brings or one.kind is EffectKind.DOWNLOAD
            if one.target and brings and one.kind in (EffectKind.WRITE, EffectKind.OVERWRITE):
                self.trail.brought.add(one.target.lower())

    def ran(self, words: list[str]) -> list[Effect]:
        """What follows where a file is run that this text has made or brought."""
        for word in words[:8]:
            file = word.lower()
            if file in self.trail.brought:
                return [effect(EffectKind.EXECUTE, where(word, self.scene.folder), word, "runs what was downloaded before")]
            if file in self.trail.written:
                language = _OF_ENDING.get(file.rpartition(".")[2])
                if language is not None:
                    return self.scene.inside(language, self.trail.written[file])
                if word is words[0] or file.endswith((".vbs", ".hta", ".wsf", ".sct", ".inf")):
                    return [
                        effect(EffectKind.EXECUTE, where(word, self.scene.folder), word, "runs a script that was written before")
                    ]
        return []

    def flows(self, before: Line, after: Line) -> None:
        """What goes through a pipe into an interpreter is a script."""
        if not after.words:
            return
        language = INTERPRETERS.get(name_of(after.words[0]))
        if language is None:
            return
        if any(word.lower().lstrip("/-") in ("c", "command", "file", "f") for word in after.words[1:]):
            return
        if before.words and before.words[0].lower() == "echo":
            self.found += self.scene.inside(language, self.echoed(before))
        elif any(one.kind is EffectKind.DOWNLOAD for one in self.found):
            self.found.append(Effect(kind=EffectKind.EXECUTE, place=Place.HOST, because="runs what it downloads"))
        else:
            self.found.append(unknown("runs what comes through a pipe"))

    def all(self) -> list[Effect]:
        self.block(False)
        return self.found


def batch(text: str, scene: Scene) -> list[Effect]:
    """The analyser of `Language.BATCH`."""
    if len(text) > LIMIT_CHARS:
        return [unknown(f"longer than {LIMIT_CHARS} characters")]
    return Batch(text.replace("\r\n", "\n").replace("^\n", " "), scene).all()
