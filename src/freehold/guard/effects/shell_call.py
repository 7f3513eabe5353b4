"""One call of a program, as its handler sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, host_place
from freehold.guard.effects.programs import Flags, parted
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import DECODED, LOCAL, NET, OUTPUT, SECRET, Shell, filtered, marks_of
from freehold.guard.syntax import Language

_PREFIXES = frozenset(("exec", "command", "builtin"))  # the shell's own: what they open is the shell itself


@dataclass(slots=True)
class Call:
    """`name` without its folder; `args` after it; `stdin` is what is known of its input."""

    shell: Shell
    name: str
    args: list[str]
    stdin: str

    def flags(self, takes: frozenset[str] = frozenset(), *, single: bool = False) -> Flags:
        return parted(self.args, takes, single=single)

    def run(self, argv: list[str], stdin: str | None = None) -> str:
        """Runs another command as part of this one."""
        given = self.stdin if stdin is None else stdin
        if argv and self.name not in _PREFIXES and opens_shell(argv, given):
            self.shell.give(EffectKind.ESCALATE, "opens a shell from within another program")
        return self.shell.execute(self.shell, argv, given) if argv else ""

    def code(self, language: Language, text: str, stdin: str = "", arguments: list[str] | None = None) -> str:
        """Runs code that was given as a text. What came from elsewhere is run unseen."""
        marks = marks_of(text)
        shell = self.shell
        if NET in marks:
            shell.give(EffectKind.EXECUTE, "runs what came from a network", place=Place.HOST)
            return OUTPUT
        if DECODED in marks:
            shell.give(EffectKind.EXECUTE, "runs what was decoded and could not be read")
            return OUTPUT
        if marks and not text.strip("".join(marks) + " \n;"):
            self._not_known(marks)
            return OUTPUT
        shell.runs_hidden(text)
        if language is Language.SHELL:
            return shell.nested(text, stdin, arguments)
        shell.inside(language, text)
        return OUTPUT

    def _not_known(self, marks: str) -> None:
        if HOLE in marks:
            self.shell.unknown("runs a text that is not known")
        elif LOCAL in marks or SECRET in marks:
            self.shell.give(EffectKind.RUN, "runs what a file holds", place=Place.WORKSPACE)
        else:
            self.shell.give(EffectKind.RUN, "runs what a program prints")

    def sends(self, host: str, because: str, *, flow: str = "", files: list[str] | None = None) -> None:
        """Sends `flow` and what `files` hold to a host."""
        place = host_place(host) if host else Place.HOST
        if place is not Place.NOTHING and (
            SECRET in flow or any(self.shell.place(path) is Place.CREDENTIAL for path in files or ())
        ):
            place = Place.CREDENTIAL
        self.shell.give(EffectKind.SEND, because, place=place, target=host)

    def downloads(self, host: str, because: str) -> None:
        self.shell.give(EffectKind.DOWNLOAD, because, place=host_place(host) if host else Place.HOST, target=host)

    def filtered(self) -> str:
        """What is known of the input after it was picked from or rewritten."""
        return filtered(self.stdin)


_SHELLS = named("shells")


def opens_shell(argv: Sequence[str], stdin: str) -> bool:
    """Whether a command is a shell that is given nothing to run: it waits for what somebody types, or a program sends."""
    return not stdin and argv[0].rpartition("/")[2] in _SHELLS and all(arg[:1] == "-" and "c" not in arg for arg in argv[1:])


Handler = Callable[[Call], str]
