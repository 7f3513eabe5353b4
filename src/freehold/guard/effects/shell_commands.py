"""What one simple command does: its words are known, or marked where they are not.

Decided here: what a name is (a function, an alias, a builtin, a program with rules of its own in code, one of the table, or one
that nobody knows), and what a path, a pattern or a computed name runs. The rules in code are one line each in `HANDLERS`; the
table's entries are `shell_table`'s.
"""

import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, normal
from freehold.guard.effects.programs import program
from freehold.guard.effects.shell_builders import BUILDERS
from freehold.guard.effects.shell_builtins import BUILTINS
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_containers import CONTAINERS
from freehold.guard.effects.shell_editors import EDITORS
from freehold.guard.effects.shell_files import FILE_PROGRAMS
from freehold.guard.effects.shell_filters import FILTERS
from freehold.guard.effects.shell_git import git
from freehold.guard.effects.shell_handed import handed
from freehold.guard.effects.shell_interpreters import INTERPRETERS, SHELLS, run_script_file
from freehold.guard.effects.shell_network import NETWORK_PROGRAMS
from freehold.guard.effects.shell_state import DECODED, LIMIT_CALLS, NET, OUTPUT, STEP_CHARS, Shell, filtered, marks_of
from freehold.guard.effects.shell_table import by_table
from freehold.guard.effects.shell_unlisted import unlisted
from freehold.guard.effects.shell_wrappers import WRAPPERS
from freehold.guard.syntax import text_of

HANDLERS: dict[str, Handler] = {
    **INTERPRETERS,
    **FILTERS,
    **FILE_PROGRAMS,
    **EDITORS,
    **NETWORK_PROGRAMS,
    **WRAPPERS,
    **CONTAINERS,
    **BUILDERS,
    **BUILTINS,
    "git": git,
}

_DIRECTORIES = re.compile(
    r"(?:/usr|/usr/local|/opt/homebrew|/opt/local|/usr/pkg|/run/current-system/sw|/system)?/s?bin/|/usr/libexec/(?:.*/)?|/(?:usr/)?lib(?:exec)?/.*/|/System/.*/|/Applications/.*/|/etc/init\.d/"
)
_VERSIONED = re.compile(r"([a-z][a-z+-]*?)-?\d+(?:\.\d+)*$")


def execute(shell: Shell, argv: list[str], stdin: str) -> str:
    """Runs argv with an input, gives the output."""
    budget = shell.scene.budget
    if not budget.spend(1 + len(stdin) // STEP_CHARS):
        shell.unknown("more commands than are followed")
        return HOLE
    name = argv[0]
    if not name.isascii() and marks_of(name):
        return _computed(shell, argv, stdin)
    if name in shell.functions:
        return _function(shell, name, argv[1:], stdin)
    if name in shell.aliases and name not in shell.stack:
        return _alias(shell, argv, stdin)
    if (handler := HANDLERS.get(name)) is not None:
        shell.ran.append("shell" if name in SHELLS else name)
        return handler(Call(shell, name, argv[1:], stdin))
    return run_named(shell, argv, stdin)


def _function(shell: Shell, name: str, args: list[str], stdin: str) -> str:
    shell.called.add(name)
    if name in shell.stack:
        if shell.stack.count(name) > 1 or len(shell.stack) > LIMIT_CALLS:
            return HOLE
        node, source = shell.functions[name]
        if _doubles(name, source[node.start_byte : node.end_byte] or text_of(node)):
            shell.give(EffectKind.PROCESS, "a function that calls itself: it may start processes without end", place=Place.SYSTEM)
        return HOLE
    stack, before, had = shell.stack, shell.arguments, shell.has_arguments
    shell.stack, shell.arguments, shell.has_arguments = (*stack, name), args, True
    out = shell.walk_body(shell.functions[name], stdin)
    shell.stack, shell.arguments, shell.has_arguments = stack, before, had
    return out


def _doubles(name: str, body: str) -> bool:
    """Whether a function starts itself in a pipe or in the background, without end."""
    own = rf"(?:^|[\s;{{(&|]){re.escape(name)}"
    return re.search(rf"{own}[^\n;&]*\|\s*{re.escape(name)}(?![\w-])|{own}\s*&(?!&)", body[:4000]) is not None


def _alias(shell: Shell, argv: list[str], stdin: str) -> str:
    name = argv[0]
    shell.called.add(name)
    stack, shell.stack = shell.stack, (*shell.stack, name)
    out = shell.walk(shell, " ".join([shell.aliases[name], *(quoted(arg) for arg in argv[1:])]), stdin)
    shell.stack = stack
    return out


def quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'" if word else "''"


def _computed(shell: Shell, argv: list[str], stdin: str) -> str:
    """A command whose name is not known, or only in part."""
    name = argv[0]
    marks = marks_of(name)
    last = name.rpartition("/")[2]
    if NET in marks or DECODED in marks:
        shell.give(EffectKind.EXECUTE, "runs a command that came from a network or was decoded")
        return filtered(stdin) or OUTPUT
    if "/" in name and last and not marks_of(last):
        return run_named(shell, [last, *argv[1:]], stdin, elsewhere=True)
    shell.unknown("a command whose name is computed")
    return unlisted(Call(shell=shell, name="", args=argv[1:], stdin=stdin), quiet=True)


def _by_path(shell: Shell, path: str, name: str, args: list[str], stdin: str) -> str:
    """A program that is not where the system keeps its own. Where its name is known, what that one does counts besides."""
    out = run_script_file(Call(shell=shell, name=name or path, args=args, stdin=stdin), path)
    if (
        normal(shell.resolve(path)) not in shell.files
        and len(name) > 2
        and (name in HANDLERS or program(name.lower()) or _VERSIONED.fullmatch(name))
    ):
        return run_named(shell, [name, *args], stdin, elsewhere=True)
    handed(Call(shell, name or path, args, stdin), runs="." not in name)
    return out


def run_named(shell: Shell, argv: list[str], stdin: str, *, elsewhere: bool = False) -> str:
    """A program by its name or path, whichever it is."""
    name, args = argv[0], argv[1:]
    if name[:1] == "!" and (name[1:2].isalpha() or name[1:2] == "/" or (name == "!" and args)):
        words = [name[1:], *args] if name != "!" else args  # typed to a program that takes it for a way out
        return shell.nested(" ".join(map(quoted, words)), stdin)
    if "*" in name or "?" in name or "[" in name[1:]:
        shell.unknown("a command whose name is a pattern")
    if "/" in name and not elsewhere:
        path = name
        name = name.rpartition("/")[2]
        if not name or not _DIRECTORIES.match(path) or path in shell.files:
            return _by_path(shell, path, name, args, stdin)
    lower = name if name in HANDLERS or program(name) else name.removesuffix(".exe").lower()
    handler = HANDLERS.get(lower)
    entry = program(lower) if handler is None else None
    if handler is None and entry is None:
        versioned = _VERSIONED.fullmatch(lower)
        if versioned:
            lower = versioned.group(1)
            handler, entry = HANDLERS.get(lower), program(lower)
    shell.ran.append("shell" if lower in SHELLS else lower)
    call = Call(shell, lower, args, stdin)
    if handler is not None:
        return handler(call)
    if entry is None:
        return unlisted(call)
    return by_table(entry, call)
