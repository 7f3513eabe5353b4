"""What calls do with what they are given: the lines of a table of calls, and the values of one call, to effects.

The same for every language whose programs are read: Python, JavaScript, Ruby, PHP, Perl. A command for a shell, a statement for
a database and code to be evaluated are analysed in their own right, in the scene. Three things follow from the marks: what came
from another machine or was decoded, and is run, is EXECUTE; what was read from a place of credentials, and leaves, is SEND from
there; a path, a command or a statement that somebody else makes is UNKNOWN. One that the caller of the program makes, or that is
not known to be made by anybody else, is named without a target: a tool that copies what it is told to copy is no riddle.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.dialect import shell_dialect
from freehold.guard.effects.places import HOLE, file_effects, host_of, host_place, place_of
from freehold.guard.effects.requests import address_of, effects_of_request, is_metadata
from freehold.guard.effects.scene import Scene, effect, unknown
from freehold.guard.effects.scripting_table import Argument, Call, Clause
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    FILE,
    FOREIGN,
    NAMED_SECRET,
    NETWORK,
    NOTHING,
    SECRET,
    SOCKET,
    Value,
    marks_of,
)
from freehold.guard.effects.windows_places import change_of
from freehold.guard.syntax import Language

LIMIT_FETCHED = 32  # files of what was downloaded that are remembered
VARIABLE = '"$_not_known"'  # a hole in a command, as a shell sees one: a variable that nobody has set

VERBS = {
    EffectKind.RUN: "runs a program",
    EffectKind.DISCOVER: "looks over the machine",
    EffectKind.READ: "reads",
    EffectKind.WRITE: "writes",
    EffectKind.OVERWRITE: "overwrites",
    EffectKind.DELETE: "deletes",
    EffectKind.DOWNLOAD: "gets something from a network",
    EffectKind.SEND: "sends to a network",
    EffectKind.INSTALL: "installs packages",
    EffectKind.PROCESS: "ends or changes processes",
    EffectKind.SYSTEM: "changes the machine's state",
    EffectKind.PERMISSION: "changes permissions",
    EffectKind.ACCOUNT: "changes accounts or rights",
    EffectKind.PUBLISH: "makes something public",
    EffectKind.SPEND: "starts what costs money",
    EffectKind.LISTEN: "waits for others to connect",
    EffectKind.PERSIST: "makes something run again by itself",
    EffectKind.ESCALATE: "takes more rights",
    EffectKind.EVADE: "gets round defences or hides traces",
    EffectKind.EXECUTE: "runs code that is not its own",
    EffectKind.REMOTE_SHELL: "opens a shell to somebody elsewhere",
    EffectKind.UNKNOWN: "does something that could not be resolved",
}
# The first word of a method's name, for clients of clouds: they have thousands of methods, which no table lists.
ALIKE = {
    EffectKind.DELETE: "delete terminate remove purge destroy empty deregister drop",
    EffectKind.READ: "list describe lookup search scan query head exists count is has",
    EffectKind.DOWNLOAD: "get download fetch read batch_get receive",
    EffectKind.SEND: "put upload send publish post write invoke copy sync push",
    EffectKind.SPEND: "run start request purchase restore import launch resume",
    EffectKind.ACCOUNT: "attach assume grant add authorize set enable reset change issue rotate",
    EffectKind.PUBLISH: "create update modify apply patch replace register deploy tag insert allocate associate",
    EffectKind.PROCESS: "stop reboot cancel suspend pause kill",
    EffectKind.EVADE: "disable revoke detach disassociate",
}
_ALIKE = {word: kind for kind, words in ALIKE.items() for word in words.split()}


@dataclass(slots=True)
class Given:
    """The arguments of one call. `receiver` is the object whose method it is."""

    values: Sequence[Value] = ()
    named: Mapping[object, Value] = field(default_factory=dict)
    receiver: Value = NOTHING

    def first(self) -> Value:
        return self.values[0] if self.values else NOTHING

    def get(self, argument: Argument) -> Value | None:
        """None where the call does not have it."""
        for one in argument:
            if one == "self":
                return self.receiver
            if one == "*":
                return Value(items=list(self.values))
            if isinstance(one, int):
                if one < len(self.values):
                    return self.values[one]
            elif (value := self.named.get(one)) is not None:
                return value
        return None

    def marks(self) -> int:
        return marks_of(self.values) | marks_of(self.named.values()) | self.receiver.marks


@dataclass(slots=True)
class Sinks:
    """Collects the effects of one program."""

    scene: Scene
    language: Language
    effects: list[Effect] = field(default_factory=list)
    fetched: set[str] = field(default_factory=set)  # files written with what came from a network or was decoded

    def add(self, kind: EffectKind, place: Place = Place.NOTHING, because: str = "", target: str = "") -> None:
        self.effects.append(effect(kind, place, target, because or VERBS[kind]))

    def add_unknown(self, because: str) -> None:
        self.effects.append(unknown(because))

    def call(self, call: Call, given: Given) -> None:
        for clause in call.clauses:
            self._clause(call.name, clause, given)
        if call.marks & NETWORK:
            for clause in call.clauses:
                if clause.kind is EffectKind.WRITE and (path := given.get(clause.argument)) is not None:
                    self.writes(path, NETWORK)

    def _clause(self, name: str, clause: Clause, given: Given) -> None:
        value = given.get(clause.argument) if clause.argument else None
        match clause.word:
            case "effect":
                self._effect(name, clause, value, given)
            case "http":
                self.request(name, clause.about or _method_of(given.get(clause.second)), value or NOTHING, given)
            case "open":
                self.open(name, value or NOTHING, given.get(clause.second))
            case "shell" | "argv" | "command" if value is not None:
                self.command(name, _with_words(clause, value, given), is_shell=clause.word == "shell")
            case "code":
                for one in (value or NOTHING).each():
                    self.code(name, one, Language(clause.about))
            case "fetch" if value is not None:
                for one in value.each():
                    if "://" in (one.text() or "")[:12]:
                        self.request(name, "GET", one, given)
                    else:
                        self.path(EffectKind.READ, one, f"{name} reads")
            case "sql" if value is not None:
                for one in value.each():
                    self.statement(name, one)
            case "loads":
                if value is not None and value.marks & FOREIGN:
                    self.add(EffectKind.EXECUTE, because=f"{name} runs what is in data that came from elsewhere")

    def _effect(self, name: str, clause: Clause, value: Value | None, given: Given) -> None:
        because = f"{name} {VERBS[clause.kind]}"
        if clause.kind is EffectKind.SEND or clause.about == "host":
            self._leaves(name, given.marks(), (value.text() if value else "") or "")
        if clause.about in ("path", "tree"):
            if value is not None:
                self.path(clause.kind, value, because, is_tree=clause.about == "tree")
        elif clause.about == "host":
            if value is not None and isinstance(value.items, list) and value.items:
                value = value.items[0]  # (host, port)
            target = ((value.text() if value else "") or "").strip()
            host = host_of(target) or target
            place = Place.CREDENTIAL if host_place(host) is Place.CREDENTIAL or is_metadata(address_of(target)) else Place.HOST
            self.add(clause.kind, place, because, host.replace(HOLE, ""))
        else:
            target = ((value.text() if value else "") or "").replace(HOLE, "")
            self.add(clause.kind, clause.place, because, target)

    def _leaves(self, name: str, marks: int, target: str = "") -> None:
        """What goes to a network: whether it came from where credentials lie."""
        if marks & (SECRET | ENVIRONMENT | NAMED_SECRET):
            self.add(
                EffectKind.SEND,
                Place.CREDENTIAL,
                f"{name} sends what was read from a place of credentials",
                host_of(target) or "",
            )

    # Files.

    def path(self, kind: EffectKind, value: Value, because: str, *, is_tree: bool = False) -> None:
        for one in value.each():
            if one.items is not None and isinstance(one.items, list):
                for item in one.items[:16]:
                    self._one_path(kind, item, because, is_tree)
            else:
                self._one_path(kind, one, because, is_tree)

    def _one_path(self, kind: EffectKind, value: Value, because: str, is_tree: bool) -> None:
        text = value.text()
        if text is None and isinstance(value.const, int):
            return  # a file descriptor
        if text is None or text.lstrip("/\\")[:1] in ("", HOLE):
            if text is not None and self._hidden_secret(text):
                self.add(kind, Place.CREDENTIAL, because)
            elif text is None or HOLE in text:
                self._not_known_path(kind, value.marks, because, is_tree, text or "")
            else:
                self._at(kind, text, because)
            return
        self._at(kind, text, because)
        if HOLE not in text and value.marks & FOREIGN and kind in (EffectKind.WRITE, EffectKind.OVERWRITE):
            self.fetched.add(text)

    def _hidden_secret(self, text: str) -> bool:
        return "/" in text and place_of("~/" + text.rpartition(HOLE)[2].lstrip("/")) is Place.CREDENTIAL

    def _at(self, kind: EffectKind, path: str, because: str) -> None:
        if "://" in path[:12] and not path.startswith("file:"):
            return  # a URL where a library takes both; `http` clauses see to it
        found = list(file_effects(kind, path, because, folder=self.scene.folder))
        self.effects.extend(found if HOLE not in path else [replace(one, target=path.replace(HOLE, "…")) for one in found])
        if ("\\" in path or "%" in path) and kind in (EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE):
            change = change_of(path)
            if change is not None:
                self.add(change[0], change[1], change[2], path)

    def _not_known_path(self, kind: EffectKind, marks: int, because: str, is_tree: bool, text: str) -> None:
        if marks & FOREIGN and kind is not EffectKind.READ:
            self.add_unknown(f"{because}, at a path that somebody else names or that is hidden")
        elif is_tree and kind is EffectKind.DELETE:
            self.add(kind, Place.ELSEWHERE, f"{because}, all below a path that is not known")
        elif text.startswith("/") and kind is not EffectKind.READ:
            self.add(kind, Place.ELSEWHERE, f"{because}, at a path that is not known")
        else:
            self.add(kind, Place.NOTHING, f"{because}, at a path that is not known")

    def open(self, name: str, path: Value, mode: Value | None) -> None:
        """A file opened in the way of C's fopen: "r", "w", "a", "x", "+", or in words of others that have these letters."""
        modes = dict.fromkeys([(one.text() or "r").lower() for one in mode.each()] if mode is not None else "r")
        for one in modes:
            if "w" in one:
                self.path(EffectKind.OVERWRITE if "x" not in one else EffectKind.WRITE, path, f"{name} writes a file anew")
            elif "a" in one or "x" in one or "+" in one:
                self.path(EffectKind.WRITE, path, f"{name} writes to a file")
            if "r" in one or "+" in one:
                self.path(EffectKind.READ, path, f"{name} reads a file")

    def marks_of_file(self, path: Value) -> int:
        """Where what is read from a file came from."""
        marks = FILE
        for one in path.each():
            text = one.text()
            if text and (place_of(text, self.scene.folder) is Place.CREDENTIAL or self._hidden_secret(text)):
                marks |= SECRET
            if text in self.fetched or "://" in (text or "")[:12]:
                marks |= NETWORK
        return marks

    def writes(self, path: Value, what: int) -> None:
        """What is written to an open file: whether it came from elsewhere."""
        text = path.text()
        if what & FOREIGN and text and len(self.fetched) < LIMIT_FETCHED:
            self.fetched.add(text)

    # What is run.

    def command(self, name: str, value: Value, *, is_shell: bool) -> None:
        for one in value.each():
            if one.items is not None and isinstance(one.items, list):
                self._words(name, one.items)
            else:
                self._line(name, one, is_shell)

    def _line(self, name: str, value: Value, is_shell: bool) -> None:
        text = value.text()
        self._foreign(name, value.marks)
        if text is None or not text.strip(HOLE + " \t\r\n\"'"):
            if not value.marks & FOREIGN:
                self.add_unknown(f"{name} runs a command that is made at run time")
            return
        self._run(name, text if is_shell or " " in text or "\\" not in text else quoted(text))

    def _words(self, name: str, items: Sequence[Value]) -> None:
        items = [one for item in items for one in (item.items if isinstance(item.items, list) else [item])]
        marks = marks_of(items)
        first = items[0].text() if items else None
        if len(items) == 1 and " " in (first or ""):
            self._line(name, items[0], is_shell=True)  # Perl's and Ruby's way to ask for a shell
            return
        self._foreign(name, marks)
        if first is None or first.startswith(HOLE):
            if items and not marks & FOREIGN:
                self.add_unknown(f"{name} runs a program that is chosen at run time")
            return
        self._run(name, " ".join(quoted(item.shown()) for item in items[:256]))

    def _foreign(self, name: str, marks: int) -> None:
        if marks & SOCKET:
            self.add(EffectKind.REMOTE_SHELL, because=f"{name} runs commands that come over a connection")
        elif marks & NETWORK:
            self.add(EffectKind.EXECUTE, because=f"{name} runs a command that came from a network")
        elif marks & DECODED:
            self.add(EffectKind.EXECUTE, because=f"{name} runs a command that was hidden by an encoding")

    def _run(self, name: str, text: str) -> None:
        if any(path in text for path in self.fetched):
            self.add(EffectKind.EXECUTE, because=f"{name} runs a file of what was downloaded or decoded")
        if not self.scene.budget.spend(10):
            self.add_unknown("more commands than are looked into")
            return
        for language in dict.fromkeys((Language.SHELL, *shell_dialect(text))):
            self.effects.extend(self.scene.inside(language, text.replace(HOLE, "$_not_known")))

    def code(self, name: str, value: Value, language: Language) -> None:
        """A text that is run as a program."""
        text = value.text()
        if value.marks & FOREIGN:
            how = "was decoded" if value.marks & DECODED else "came from a network"
            self.add(EffectKind.EXECUTE, because=f"{name} runs code that {how}")
        if text is not None and HOLE not in text:
            self.effects.extend(self.scene.inside(language, text))
        elif value.marks & FILE and not value.marks & FOREIGN:
            self.add(EffectKind.RUN, Place.WORKSPACE, f"{name} runs a file as code")
        elif not value.marks & FOREIGN:
            self.add_unknown(f"{name} runs code that is made at run time")

    def statement(self, name: str, value: Value) -> None:
        text = value.text()
        if text is not None and text.strip(HOLE + " \n"):
            self.effects.extend(self.scene.inside(Language.SQL, text))
        elif value.marks & FOREIGN:
            self.add_unknown(f"{name} gives a database a statement that somebody else makes")
        else:
            self.add(EffectKind.RUN, Place.DATABASE, f"{name} gives a database a statement that is not known")

    # Networks.

    def request(self, name: str, method: str, url: Value, given: Given) -> None:
        """`url` is a text, or an object that stands for a request."""
        if url.name == "<request>" and isinstance(url.items, dict):
            given = Given(given.values, {**url.items, **given.named}, given.receiver)
            method = _method_of(url.items.get("method")) if "method" in url.items else method
        body = [value for key, value in given.named.items() if key in ("data", "json", "files", "content", "body")]
        own = [value for key, value in given.named.items() if key not in ("headers", "auth", "cookies", "cert", "params")]
        marks = marks_of(body) | marks_of(own) | url.marks | marks_of(given.values)
        secrets = marks & (SECRET | ENVIRONMENT) | marks_of(given.named.values()) & (SECRET | ENVIRONMENT)
        secrets |= marks_of(body) & NAMED_SECRET if method.upper() not in ("GET", "HEAD") else 0
        has_body = bool(body) and method.upper() in ("GET", "HEAD", "")
        for one in url.each():
            text = one.text()
            host = "" if text is None else address_of(text).host
            self._leaves(name, secrets, text or "")
            if text is None or host.startswith(HOLE) or not host:
                kind = EffectKind.DOWNLOAD if method.upper() in ("GET", "HEAD", "") and not has_body else EffectKind.SEND
                self.add(kind, Place.HOST, f"{name} {VERBS[kind]}, at an address that is not known")
            else:
                data = "x" if has_body else ""
                self.effects.extend(effects_of_request(method, text, body=data, folder=self.scene.folder, by=name))

    def alike(self, name: str, given: Given) -> None:
        """A method that no table lists, of a client of a cloud: by the first word of its name."""
        method = name.rpartition(".")[2].removeprefix("begin_")  # azure-*: what takes long and is waited for
        kind = _ALIKE.get(method.partition("_")[0].lower()) or _ALIKE.get(first_word(method))
        if kind is not None:
            self.add(kind, Place.HOST, f"a client of a cloud or a service: a method of the class {kind.value}")
            if kind is EffectKind.SEND:
                self._leaves("a client", given.marks())


def _with_words(clause: Clause, value: Value, given: Given) -> Value:
    """`spawn(program, [words])`: a program whose words are in a list of their own."""
    place = clause.argument[0]
    if clause.word != "argv" or value.items is not None or not isinstance(place, int):
        return value
    for words in (given.get((place + 1,)), given.named.get("args")):
        if words is not None and isinstance(words.items, list):
            return Value(items=[value, *words.items])
    return value


def _method_of(value: Value | None) -> str:
    """Of a request that says it in an argument: GET where it does not, and what sends where it is not known."""
    return "GET" if value is None else value.text() or "POST"


def first_word(name: str) -> str:
    """ "delete" of "deleteBucket"."""
    end = next((at for at, letter in enumerate(name) if letter.isupper() and at), len(name))
    return name[:end].lower()


def quoted(text: str) -> str:
    """One word for a shell, whatever is in it; holes stay holes."""
    if HOLE not in text:
        return shlex.quote(text)
    return VARIABLE.join(shlex.quote(part) if part else "" for part in text.split(HOLE))
