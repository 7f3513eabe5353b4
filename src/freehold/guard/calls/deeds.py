"""What a tool call does: the effects of its arguments, by its tool's kind.

A kind names the members in which tools of many makers keep their command, code, path or address. What a tool of a known kind is
given in another member is looked at by its shape, as is everything that is given to a tool of no known kind. A call of which
nothing is known runs *something*: that is an effect, too.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.calls.arguments import Arguments, plain_name, read, read_object
from freehold.guard.calls.kinds import LANGUAGES, MEMBERS, ToolKind, deed_by_name, kind_by_description, kind_by_name, names_of
from freehold.guard.calls.patches import patched
from freehold.guard.calls.shapes import is_sql, looks_like, may_be_sql
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.calls.written import Written, effects_of_writing, is_program, language_of
from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.dialect import shell_dialect
from freehold.guard.effects.places import file_effects
from freehold.guard.effects.requests import effects_of_request
from freehold.guard.effects.scene import unknown
from freehold.guard.languages import language_named
from freehold.guard.syntax import Language

LIMIT_TARGETS = 100  # paths, addresses or recipients of one call; more is unknown
LIMIT_ANALYSED_CHARS = 128 << 10  # of all texts of one call: as much as of one; more is unknown
LIMIT_EFFECTS = 2_000
LIMIT_DEPTH = 2  # of calls in the arguments of calls
LIMIT_INNER = 20  # such calls in one

_INERT = frozenset(MEMBERS["inert"])
_CONTENT = frozenset((*MEMBERS["new_text"], *MEMBERS["body"]))
_COMMANDS = ("command", "cmd", "commandline", "shellcommand", "bashcommand", "commands")
_URLS = ("url", "uri", "endpoint", "webhook", "webhookurl", "requesturl")
_LETTERS = ("body", "message", "text", "content", "subject")
_ADDRESSEES = ("to", "recipient", "recipients", "cc", "bcc")
_LEADS = ("target", "source", "linktarget", "to", "existingpath")  # of a link: what is written through it is written there
_TONGUE = re.compile(r"[a-z]{2}(?:-[A-Za-z]{2,4})?")  # "to": "fr" of a translation
_PROGRAMS = ("program", "executable", "binary", "exe", "file", "path", "filepath")
_SHELLS = (ToolKind.SHELL, ToolKind.POWERSHELL, ToolKind.BATCH)
_RUNS = frozenset((ToolKind.CODE, *LANGUAGES))
_FOREIGN = frozenset(
    ("lua", "r", "julia", "perl6", "raku", "tcl", "elixir", "erlang", "haskell", "scala", "groovy", "applescript")
)
_POSIX = frozenset(("bash", "sh", "zsh", "ksh", "dash", "container", "docker"))
_EDITORS = ("editor", "str_replace")  # they show, too
_LOOSE_SQL = frozenset(("query", "run_query", "execute_query", "db_query", "query_database", "database_query"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """`effects` are what the call does. `noted` is what texts do that it writes and nobody runs yet. `written` are programs."""

    effects: tuple[Effect, ...] = ()
    noted: tuple[Effect, ...] = ()
    written: tuple[Written, ...] = ()


def deeds_of(
    tool: str,
    arguments: Arguments,
    surroundings: Surroundings,
    *,
    kind: ToolKind | None = None,
    argument: str | None = None,
    depth: int = 0,
) -> Deeds:
    """`kind` and `argument` are what the operator declared. Never raises, whatever the arguments."""
    if arguments.problem:
        return Deeds(effects=(unknown(arguments.problem),))
    reading = _Reading(tool, arguments, surroundings.folder, plain_name(argument) if argument else None)
    is_declared = kind is not None
    kind = kind or kind_by_name(tool)
    if arguments.plain:
        return reading.plain(kind)
    if is_declared or (kind is not None and kind is not ToolKind.DATA):
        reading.take([kind])
    else:
        reading.take(reading.kinds_by_members() or [kind or kind_by_description(surroundings.description(tool))])
        reading.take_name(is_known=kind is not None)
        if depth < LIMIT_DEPTH:
            reading.take_inner(surroundings, depth)
        reading.take_program()
    if kind is not ToolKind.DATA:
        reading.take_rest(kind)
    if not is_declared and any(name.startswith("git_") for name in names_of(tool)):
        reading.take_options()
    return reading.deeds()


class _Reading:
    """One call, as it is read."""

    def __init__(self, tool: str, arguments: Arguments, folder: str, argument: str | None) -> None:
        self._tool, self._arguments, self._folder, self._argument = tool, arguments, folder, argument
        self._leaves = tuple(arguments.leaves())
        self._read: set[int] = set()  # ids of the texts that were analysed: each is once
        self._left_chars = LIMIT_ANALYSED_CHARS
        self.effects: list[Effect] = []
        self._noted: list[Effect] = []
        self._written: list[Written] = []

    def deeds(self) -> Deeds:
        effects = tuple(dict.fromkeys(self.effects))
        if len(effects) > LIMIT_EFFECTS:
            effects = (*effects[:LIMIT_EFFECTS], unknown("more effects than are kept"))
        return Deeds(effects=effects, noted=tuple(dict.fromkeys(self._noted))[:LIMIT_EFFECTS], written=tuple(self._written))

    def plain(self, kind: ToolKind | None) -> Deeds:
        """A tool that takes plain text, and no JSON."""
        text = self._arguments.plain
        shape = looks_like(text)
        if kind is ToolKind.PATCH or (kind is None and text.startswith("*** Begin Patch")):
            self._patch(text)
        elif kind in _SHELLS:
            self._shell(kind, text)
        elif kind is not None and kind in LANGUAGES:
            self._analyse(text, LANGUAGES[kind])
        elif kind is ToolKind.CODE or (kind is None and shape is not None):
            self._analyse(text, shape or Language.PYTHON)
        elif kind is not ToolKind.DATA:
            self.effects.append(unknown("the arguments are not JSON"))
        return self.deeds()

    def kinds_by_members(self) -> list[ToolKind]:
        """All that the arguments' names speak for: which of them the tool looks at is not known."""
        members = self._arguments.members
        has = members.keys().__contains__
        found = [kind for names, kind in _BY_MEMBERS if any(map(has, names))]
        if any(self._is_code(text) for text in self._texts(("code", "sourcecode", "script"))):
            found.append(ToolKind.CODE)
        if is_sql(self._arguments.text("query", "statement")):
            found.append(ToolKind.SQL)
        if any(map(has, MEMBERS["path"])):
            deed = deed_by_name(self._tool)
            is_change = any(map(has, MEMBERS["new_text"])) or (deed is not None and deed[0] is EffectKind.WRITE)
            is_end = deed is not None and deed[0] is EffectKind.DELETE
            found.append(ToolKind.FILE_DELETE if is_end else ToolKind.FILE_WRITE if is_change else ToolKind.FILE_READ)
        elif any(map(has, _LETTERS)) and any(not _TONGUE.fullmatch(text) for text in self._texts(_ADDRESSEES)):
            found.append(ToolKind.SEND)
        return list(dict.fromkeys(found))

    def _is_code(self, text: str) -> bool:
        """Whether it is none of the other things that are called codes: of a country, of a coupon."""
        return looks_like(text) is not None or "\n" in text or "(" in text or self._arguments.text(*MEMBERS["language"]) != ""

    def take(self, kinds: Iterable[ToolKind | None]) -> None:
        for kind in kinds:
            if kind in _SHELLS:
                self._take_command(kind)
            elif kind is not None and kind in _RUNS:
                self._take_code(kind)
            elif kind is not None and (on_kind := _BY_KIND.get(kind)) is not None:
                on_kind(self)

    def take_name(self, *, is_known: bool) -> None:
        """What the name says, where the arguments do not already say as much. A call of which nothing is known runs something."""
        deed = deed_by_name(self._tool)
        if is_known or (deed is None and self.effects):
            return
        kind, place, because = deed or (EffectKind.RUN, Place.NOTHING, "what this tool does is not known")
        if kind in (EffectKind.RUN, EffectKind.READ) and self.effects:
            return
        if any(effect.kind is kind for effect in self.effects):
            return
        targets = self._texts(MEMBERS["recipient"]) if place is Place.HOST else []
        self.effects += [Effect(kind=kind, place=place, target=target, because=because) for target in targets or [""]]

    def take_program(self) -> None:
        """A program and its words, apart."""
        words = next((words for name in ("args", "argv") if _is_texts(words := self._arguments.members.get(name))), None)
        program = self._arguments.text(*_PROGRAMS)
        if words is not None and program:
            self._shell(ToolKind.SHELL, shlex.join([program, *words]))

    def take_rest(self, kind: ToolKind | None) -> None:
        """Strings nobody asked for that look like code. What is written or sent is not run by that."""
        skip = frozenset[str]() if kind is None else _INERT if kind in _RUNS else _INERT | _CONTENT
        if kind is None and any(effect.kind is EffectKind.SEND for effect in self.effects):
            skip = _INERT | _CONTENT
        for name, text in self._leaves:
            if not name:
                self.effects.append(unknown("more arguments than are looked at"))
            elif id(text) not in self._read and name not in skip and (language := looks_like(text)) is not None:
                self._analyse(text, language)

    def take_options(self) -> None:
        """What begins with a hyphen a program behind the tool may take for an option: git's can write files and run programs."""
        if any(text.startswith("-") for _, text in self._leaves):
            self.effects.append(unknown("an argument that may be taken for an option"))

    def take_inner(self, surroundings: Surroundings, depth: int) -> None:
        """Tools that call tools: "use_mcp_tool", "multi_tool_use.parallel"."""
        calls = list(islice(_inner(self._arguments.members), LIMIT_INNER + 1))
        if len(calls) > LIMIT_INNER:
            self.effects.append(unknown("more calls in one than are looked at"))
        for tool, given in calls[:LIMIT_INNER]:
            arguments = read(given) if isinstance(given, str) else read_object(given)
            deeds = deeds_of(tool, arguments, surroundings, depth=depth + 1)
            self.effects += deeds.effects
            self._noted += deeds.noted
            self._written += deeds.written

    # Texts

    def _texts(self, names: Iterable[str]) -> list[str]:
        """What stands in members of these names, at any depth."""
        wanted = frozenset(names)
        found = list(dict.fromkeys(text for name, text in self._leaves if name in wanted and text))
        if len(found) > LIMIT_TARGETS:
            self.effects.append(unknown("more targets than are looked at"))
        return found[:LIMIT_TARGETS]

    def _values(self, names: Sequence[str], too: Sequence[str]) -> list[Any]:
        """What the member has that the operator named; else all of `names`, else the first of `too`. Here, or one level below."""
        below = [value for value in self._arguments.members.values() if isinstance(value, Mapping)]
        for members in (self._arguments.members, *({plain_name(k): v for k, v in inner.items()} for inner in below)):
            wanted = (self._argument,) if self._argument else names
            found = [members[name] for name in wanted if members.get(name) not in (None, "", [])]
            if found or self._argument:
                return found
            if (first := next((members[name] for name in too if members.get(name) not in (None, "", [])), None)) is not None:
                return [first]
        return []

    def _analyse(self, text: str, language: Language) -> None:
        self._read.add(id(text))
        self._left_chars -= len(text)
        if self._left_chars < 0:
            self.effects.append(unknown("more code than is looked at"))
            return
        self.effects += analyse(text, language, folder=self._folder)
        self._written.append(Written(text=text, language=language, is_run=True))

    # Commands and code

    def _take_command(self, kind: ToolKind) -> None:
        values = self._values(MEMBERS["command"], MEMBERS["command_too"])
        if not values:
            values = [text for _, text in self._leaves]
        before = list(self._before())
        for value in values:
            text = self._command(value)
            if text is None:
                self.effects.append(unknown("a command that is no text"))
                continue
            if isinstance(value, str):
                self._read.add(id(value))
            self._shell(kind, "\n".join([*before, text]))

    def _command(self, value: Any) -> str | None:
        """One text: of words, of commands in a list, of a program with its arguments in another member."""
        rest: Any = self._arguments.members.get("args")
        if isinstance(value, str):
            return f"{value} {shlex.join(rest)}" if _is_texts(rest) else value
        if not _is_texts(value):
            return None
        self._read |= {id(item) for item in value}
        is_batch = value in (self._arguments.members.get("commands"), self._arguments.members.get("cmds"))
        return "\n".join(value) if is_batch else shlex.join(value)

    def _before(self) -> Iterator[str]:
        """What holds where the command begins: its folder is no workspace by being named, and variables can change what runs."""
        for name in MEMBERS["environment"]:
            variables = self._arguments.members.get(name)
            if isinstance(variables, Mapping):
                yield from (
                    f"export {key}={shlex.quote(str(value))}" for key, value in variables.items() if str(key).isidentifier()
                )
        yield from (f"cd {shlex.quote(folder)}" for folder in self._texts(MEMBERS["folder"])[:1] if folder != self._folder)

    def _shell(self, kind: ToolKind, text: str) -> None:
        if kind is ToolKind.SHELL:
            languages = dict.fromkeys((Language.SHELL,) if self._is_posix() else shell_dialect(text))
        else:
            languages = dict.fromkeys((LANGUAGES[kind],))
        for language in languages:
            self._analyse(text, language)

    def _is_posix(self) -> bool:
        """Whether it is said which shell this is: then its text may look like another's as it likes."""
        words = {word for name in names_of(self._tool) for word in name.split("_")}
        return self._folder.startswith("/") or not words.isdisjoint(_POSIX)

    def _take_code(self, kind: ToolKind) -> None:
        values = self._values(MEMBERS["code"], MEMBERS["code_too"]) or [text for _, text in self._leaves]
        for text in (text for value in values for text in (value if isinstance(value, list) else [value])):
            if not isinstance(text, str):
                self.effects.append(unknown("code that is no text"))
            elif kind is ToolKind.SQL and not _LOOSE_SQL.isdisjoint(names_of(self._tool)) and not may_be_sql(text):
                self._read.add(id(text))
                self.effects.append(Effect(kind=EffectKind.READ, because="asks something of a service"))
            else:
                self._analyse(text, LANGUAGES.get(kind) or self._language(text))

    def _language(self, text: str) -> Language:
        """What the arguments say the code is written in; else what it looks like."""
        named = self._arguments.text(*MEMBERS["language"])
        language = language_named(named) or looks_like(text)
        if language is None and named.lower() in _FOREIGN:
            self.effects.append(unknown("code in a language that is not analysed"))
        return language or Language.PYTHON

    # Files

    def _paths(self) -> list[str]:
        return self._texts([self._argument] if self._argument else MEMBERS["path"])

    def _on_files(self, kind: EffectKind, paths: Iterable[str], because: str) -> None:
        for path in paths:
            self.effects += file_effects(kind, path, because, folder=self._folder)

    def _read_files(self) -> None:
        paths = self._paths()
        pattern = self._arguments.text("pattern", "glob", "globpattern", "includepattern")
        if "/" in pattern or pattern.startswith("~"):
            paths.append(pattern)
        if not paths:  # a tool that has a name of its own for where it reads
            paths = [text for name, text in self._leaves if name not in _INERT][:LIMIT_TARGETS]
        if paths:
            self._on_files(EffectKind.READ, paths, "reads files")
        else:
            self.effects.append(Effect(kind=EffectKind.READ, place=Place.WORKSPACE, because="reads in the working folder"))

    def _write_files(self) -> None:
        shows = self._arguments.text("command") == "view" and any(
            word in name for name in names_of(self._tool) for word in _EDITORS
        )
        if shows:
            self._read_files()
            return
        paths = self._paths()
        if not paths:
            self.effects.append(unknown("writes a file that is not named"))
        for path in paths:
            self._write(path, self._new_text())
        if any("link" in name for name in names_of(self._tool)):
            for path in self._texts(_LEADS):
                self._write(path, "")

    def _new_text(self) -> str:
        """All that is written, of edits in a list too."""
        names = frozenset(MEMBERS["new_text"])
        return "\n".join(text for name, text in self._leaves if name in names)

    def _write(self, path: str, text: str) -> None:
        done, noted = effects_of_writing(path, text, folder=self._folder)
        self.effects += done
        self._noted += noted
        if text and is_program(path):
            self._written.append(Written(name=path, language=language_of(path), text=text))

    def _delete_files(self) -> None:
        paths = self._paths()
        if not paths:
            self.effects.append(unknown("deletes what is not named"))
        self._on_files(EffectKind.DELETE, paths, "deletes files")

    def _move_files(self) -> None:
        sources, destinations = self._texts(MEMBERS["source"]), self._texts(MEMBERS["destination"])
        if not sources and not destinations:
            self.effects.append(unknown("moves what is not named"))
        is_copy = any("copy" in name for name in names_of(self._tool))
        self._on_files(EffectKind.READ if is_copy else EffectKind.DELETE, sources, "takes files from there")
        for path in destinations:
            self.effects += effects_of_writing(path, "", folder=self._folder)[0]

    def _take_patch(self) -> None:
        are_patches = [self._patch(text) for text in self._values(MEMBERS["patch"], ()) if isinstance(text, str)]
        if not any(are_patches):
            self._write_files()

    def _patch(self, text: str) -> bool:
        """Whether `text` is a patch that names its files."""
        files = list(patched(text))
        for kind, path, new in files[:LIMIT_TARGETS]:
            if kind is EffectKind.DELETE:
                self._on_files(kind, [path], "deletes files")
            else:
                self._write(path, new)
        if len(files) > LIMIT_TARGETS or (not files and self._arguments.plain):
            self.effects.append(unknown("a patch of files that are not named, or of too many"))
        return bool(files)

    # Other machines

    def _request(self) -> None:
        urls = self._texts([self._argument] if self._argument else MEMBERS["url"])
        method = self._arguments.text("method", "httpmethod", "verb") or _method(names_of(self._tool))
        headers = self._arguments.members.get("headers")
        plain = {str(name): str(value) for name, value in headers.items()} if isinstance(headers, Mapping) else {}
        value = next((value for name in MEMBERS["body"] if (value := self._arguments.members.get(name))), None)
        body = value if isinstance(value, str) else "something" if value is not None else ""
        if not urls:
            self.effects.append(unknown("goes to an address that is not named"))
        for url in urls:
            self.effects += effects_of_request(method, url, plain, body, folder=self._folder)
        if "download" in names_of(self._tool)[-1] and (path := self._arguments.text(*MEMBERS["path"])):
            self._write(path, "")

    def _search(self) -> None:
        self.effects.append(Effect(kind=EffectKind.READ, place=Place.HOST, because="asks a search engine"))

    def _send(self) -> None:
        targets = self._texts([self._argument] if self._argument else MEMBERS["recipient"])
        because = "sends something to others"
        self.effects += [
            Effect(kind=EffectKind.SEND, place=Place.HOST, target=target, because=because) for target in targets or [""]
        ]


def _inner(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(tool, arguments) of what looks like a call: a tool's name with arguments beside it."""
    waiting: list[Any] = [members]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += reversed(node)
        elif isinstance(node, Mapping):
            plain = {plain_name(name): value for name, value in node.items()}
            tool = next((name for key in MEMBERS["inner_tool"] if isinstance(name := plain.get(key), str) and name), "")
            given = next((plain[key] for key in MEMBERS["inner_arguments"] if isinstance(plain.get(key), str | Mapping)), None)
            if tool and given is not None and (kind_by_name(tool) or deed_by_name(tool)):
                yield tool, given
            else:
                waiting += reversed(list(node.values()))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_BY_MEMBERS: tuple[tuple[Sequence[str], ToolKind], ...] = (
    (_COMMANDS, ToolKind.SHELL),
    (("sql", "sqlquery"), ToolKind.SQL),
    (("patch", "diff"), ToolKind.PATCH),
    (_URLS, ToolKind.HTTP),
)
_BY_KIND: Mapping[ToolKind, Callable[[_Reading], None]] = {
    ToolKind.FILE_READ: _Reading._read_files,
    ToolKind.FILE_WRITE: _Reading._write_files,
    ToolKind.FILE_DELETE: _Reading._delete_files,
    ToolKind.FILE_MOVE: _Reading._move_files,
    ToolKind.PATCH: _Reading._take_patch,
    ToolKind.HTTP: _Reading._request,
    ToolKind.SEARCH: _Reading._search,
    ToolKind.SEND: _Reading._send,
}


def _method(names: Sequence[str]) -> str:
    """What a tool's name says of it: "requests_post"."""
    words = names[-1].split("_")
    return next((word.upper() for word in words if word in ("post", "put", "patch", "delete")), "")
