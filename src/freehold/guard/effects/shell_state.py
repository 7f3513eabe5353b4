"""What is known while a shell script is walked: variables, files, functions, the folder, and what has been found so far.

Contents flow through a walk as texts: of a word, a pipe, a variable, a file that the script wrote. Where the text itself is not
known, a mark stands for it, a character that no script has: what came from a network, was decoded, was read from a credential
store, from another file, or was printed by a program. So `curl URL | base64 -d > x; sh x` ends as a shell that is given a
network's content, however many variables and files it passed through.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from tree_sitter import Node

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE, file_effects, normal, place_of
from freehold.guard.effects.scene import LIMIT_DEPTH, Scene, effect, unknown
from freehold.guard.effects.shell_names import pairs
from freehold.guard.syntax import Language, text_of

NET = "\ue001"  # content that came from a network
DECODED = "\ue002"  # content that was decoded, decrypted or unpacked, and is not known
SECRET = "\ue003"  # content of a credential store  # noqa: S105 - a mark, no password
LOCAL = "\ue004"  # content of another file
OUTPUT = "\ue005"  # what a program printed
SPLIT = "\ue006"  # where an unquoted variable's value is cut into words
MARKS = frozenset((HOLE, NET, DECODED, SECRET, LOCAL, OUTPUT))
_FORGED = dict.fromkeys(range(0xE000, 0xE010), "\ufffd")
_MARK = re.compile(f"[{HOLE}-{OUTPUT}]")
_MARK_RUN = re.compile(f"[{HOLE}-{SPLIT}]+")

T = TypeVar("T")

LIMIT_VALUE = 64 << 10  # characters of one value
STEP_CHARS = 512  # of a value that is read, or of an input: going through so many is a step of work
LIMIT_ALTERNATIVES = 12  # values a variable may have at one place: items of a loop, branches of an if
LIMIT_CALLS = 24  # functions that call functions

# What an environment most often holds (environ(7), bash(1)); others are not known.
ENVIRONMENT = pairs("environment")


def unforged(text: str) -> str:
    """A text from outside, in which nothing can be taken for a mark."""
    return text.translate(_FORGED) if not text.isascii() else text


def marks_of(text: str) -> str:
    """The marks in a text, each once."""
    if text.isascii():
        return ""
    if len(text) == 1:  # most often the text is not known, and a mark alone
        return text if text in MARKS else ""
    return "".join(sorted(set(_MARK.findall(text))))


def shown(text: str) -> str:
    """For people: marks as an ellipsis."""
    return text if text.isascii() else _MARK_RUN.sub("…", text)


def filtered(text: str) -> str:
    """What is known of the output of a program that picks from or rewrites its input."""
    return marks_of(text) or (HOLE if text else "")


class Body(NamedTuple):
    """A statement that is walked later, and the text that it stands in, as `Shell.source` has it."""

    node: Node
    source: str


@dataclass(slots=True)
class Shell:
    """One shell, or one subshell. `known` maps a variable to the values it may have; `files` what is known of files' content."""

    scene: Scene
    execute: Callable[["Shell", list[str], str], str]  # runs argv with an input, gives the output
    walk: Callable[["Shell", str, str], str]  # runs a script's text with an input
    walk_node: Callable[["Shell", Node, str], str]  # runs a statement
    source: str = ""  # the text whose nodes are walked, if each byte of it is a character; else nodes are asked for theirs
    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    decoded: set[str] = field(default_factory=set)  # texts that came out of an encoding, as they can be read
    links: dict[str, str] = field(default_factory=dict)  # symbolic links that the script made, to what they lead to
    readers: dict[str, Body] = field(default_factory=dict)  # `>(command)` by its path: what is written there is its input
    foreign: list[str] = field(default_factory=list)  # folders that the script filled with what came from a network
    references: dict[str, str] = field(default_factory=dict)  # `declare -n`: a variable that is another
    functions: dict[str, Body] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)  # functions and aliases
    stack: tuple[str, ...] = ()  # functions being walked
    ran: list[str] = field(default_factory=list)  # the programs that ran, shells as "shell"
    arguments: list[str] = field(default_factory=list)  # $1 and on; none known at the top
    has_arguments: bool = False
    folder: str = ""  # where `cd` led: relative to the working folder, or absolute
    branch: int = 0  # above 0 inside what may or may not run
    turn: int = 0  # which of several values words take now
    turns: int = 1  # how many the words of the command at hand ask for
    effects: list[Effect] = field(default_factory=list)
    read: dict[int, tuple[Node, Any]] = field(default_factory=dict)  # what `once` made of a node; the node keeps its id taken

    def text(self, node: Node) -> str:
        """The node's source."""
        source = self.source
        return source[node.start_byte : node.end_byte] if source else text_of(node)

    def walk_body(self, body: Body, stdin: str) -> str:
        source, self.source = self.source, body.source
        out = self.walk_node(self, body.node, stdin)
        self.source = source
        return out

    def once(self, node: Node, make: "Callable[[Node, Shell], T]") -> T:
        """`make(node, self)`; in a function, which is walked at each call, made when it is first asked for."""
        if not self.stack:
            return make(node, self)
        kept = self.read.get(node.id)
        if kept is None:
            kept = self.read[node.id] = (node, make(node, self))
        made: T = kept[1]
        return made

    def give(self, kind: EffectKind, because: str, *, place: Place = Place.NOTHING, target: str = "") -> None:
        self.effects.append(effect(kind, place, shown(target), because))

    def unknown(self, because: str) -> None:
        self.effects.append(unknown(because))

    def resolve(self, path: str) -> str:
        """A path as seen from the working folder."""
        if not self.folder or not path or path[0] in "/~$" or path[0] == HOLE or ":" in path[:3]:
            return path
        return normal(f"{self.folder}/{path}") if path != "." else self.folder

    def followed(self, path: str, *, itself: bool = True) -> str:
        """Where a path leads over the links that this script made. Not `itself` where a link's own end is not followed."""
        for link, target in self.links.items():
            if path.startswith(link + "/") or (itself and path == link):
                return normal(target + path[len(link) :])
        return path

    def place(self, path: str) -> Place:
        return place_of(self.resolve(path), self.scene.folder)

    def touch(self, kind: EffectKind, path: str, because: str) -> Place:
        """An effect on a file, and what follows from where it is."""
        if self.folder:
            path = self.resolve(path)
        if self.links:
            path = self.followed(path, itself=kind is not EffectKind.DELETE)
        found = file_effects(kind, path, because, folder=self.scene.folder)
        if not path.isascii():
            found = tuple([effect(one.kind, one.place, shown(one.target), one.because) for one in found])
        self.effects.extend(found)
        return found[0].place if found else Place.NOTHING

    def content(self, path: str) -> str:
        """What is known of a file's content: what this script put there, or a mark."""
        whole = normal(self.resolve(path) if self.folder else path)
        if whole in self.files:
            return self.files[whole]
        return SECRET if place_of(whole, self.scene.folder) is Place.CREDENTIAL else LOCAL

    def store(self, path: str, content: str, *, adds: bool = False) -> None:
        whole = normal(self.resolve(path) if self.folder else path)
        if whole in ("/dev/null", ".") or len(self.files) > 500:
            return
        if whole in self.readers:
            reader = self.readers.pop(whole)  # not for what itself writes there
            self.child().walk_body(reader, content)
            self.readers[whole] = reader
            return
        before = self.files.get(whole, "") if adds or self.branch else ""
        self.files[whole] = (before + content)[:LIMIT_VALUE]

    def is_foreign(self, path: str) -> bool:
        """Whether a file may have come from a network with others."""
        whole = normal(self.resolve(path))
        return any(folder == "." or whole.startswith(folder + "/") for folder in self.foreign) and whole not in self.files

    def fill(self, folder: str) -> None:
        self.foreign.append(normal(self.resolve(folder)))

    def assign(self, name: str, value: str) -> None:
        value = value[:LIMIT_VALUE]
        before = self.known.get(name, ()) if self.branch else ()
        if value not in before:
            self.known[name] = (*before, value)[-LIMIT_ALTERNATIVES:]

    def value(self, name: str) -> str | None:
        """One value of a variable; of several, the one whose turn it is. None where nothing is known."""
        if self.references:
            name = self.references.get(name, name)
        values = self.known.get(name)
        if values is None:
            return ENVIRONMENT.get(name)
        if len(values) > self.turns:
            self.turns = len(values)
        value = values[self.turn if self.turn < len(values) else -1]
        if len(value) >= STEP_CHARS and not self.scene.budget.spend(len(value) // STEP_CHARS):
            self.unknown("longer values than are followed")
            return HOLE
        return value

    def runs_hidden(self, text: str) -> None:
        """A text is run: one that came out of an encoding was not to be read, whatever it does."""
        if self.decoded and text.strip() in self.decoded:
            self.give(EffectKind.EXECUTE, "runs what was hidden in an encoding")

    def inside(self, language: Language, text: str) -> None:
        """What code in another language does; in a shell's own, `nested` does it."""
        plain = text if text.isascii() else _MARK_RUN.sub("_", text)
        variables = {name: values[-1] for name, values in self.known.items() if values and values[-1].isascii()}
        self.effects.extend(self.scene.inside(language, plain, folder=self.scene.folder, variables=variables))

    def nested(self, text: str, stdin: str = "", arguments: list[str] | None = None, folder: str | None = None) -> str:
        """Runs the text of a shell inside this one, as `sh -c` does; gives its output."""
        if self.scene.depth + 1 > LIMIT_DEPTH:
            self.unknown("code in code in code: deeper than is looked into")
            return HOLE
        child = self.child()
        child.scene = replace(self.scene, depth=self.scene.depth + 1)
        if arguments is not None:
            child.arguments, child.has_arguments = arguments, True
        if folder is not None:
            child.folder = folder
        return child.walk(child, text, stdin)

    def enter(self) -> "Left":
        """Begins a subshell in this very object, as a copy takes longer; `leave` ends it."""
        left = (self.known, self.aliases, self.functions, self.folder, self.turn, self.turns, self.branch)
        self.known, self.aliases, self.functions = dict(self.known), dict(self.aliases), dict(self.functions)
        return left

    def leave(self, left: "Left") -> None:
        self.known, self.aliases, self.functions, self.folder, self.turn, self.turns, self.branch = left

    def child(self) -> "Shell":
        """A subshell: what it assigns is lost, what it does to files and the world is not."""
        return replace(self, known=dict(self.known), aliases=dict(self.aliases), functions=dict(self.functions))


Left = tuple[dict[str, tuple[str, ...]], dict[str, str], dict[str, Body], str, int, int, int]


def root_shell(
    scene: Scene,
    execute: Callable[[Shell, list[str], str], str],
    walk: Callable[[Shell, str, str], str],
    walk_node: Callable[[Shell, Node, str], str],
) -> Shell:
    return Shell(scene=scene, execute=execute, walk=walk, walk_node=walk_node, known=_given(scene.variables))


def _given(variables: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: (unforged(value)[:LIMIT_VALUE],) for name, value in variables.items()}
