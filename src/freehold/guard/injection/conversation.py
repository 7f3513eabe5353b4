"""The facts of one request that decide how far its answer's tool calls are trusted: who wrote what.

Once content that somebody else wrote is in a conversation, the model may be speaking for them. So a call that sends or writes
somewhere is held against what the user and the system prompt named: `asked_for`. This is data-flow, not detection: it holds
whether or not the content looked like an attack. What policy makes of it is decided in `guard/calls`.

Texts are kept by reference for as long as the exchange lasts and are looked at only when something is asked, which is seldom:
nothing here costs a request without tool calls.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from freehold.core.events import PromptText
from freehold.core.findings import Channel
from freehold.guard.injection.settings import ASKED, UNTRUSTED

LIMIT_NAMES = 50_000  # of what the user named; a request of 1 MB has some 20,000 words that could be one
LIMIT_NAME_CHARS = 2_000  # the longest URL that is compared whole
_FOLDER_PARTS = 2  # "/srv/app" stands for what is below it; "/srv", "~" and "/" are too wide to be meant

_NAME = re.compile(r"[^\s\"'`<>()\[\]{}|,;*“”‘’«»]{1,2000}")
_EDGES = ".:!?…-"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}://")
_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z0-9-]{2,63}|\[[0-9a-f:.]+\]|localhost")
_EMAIL = re.compile(r"[^\s@:/]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_ENDING = re.compile(r"\.[a-z0-9]{1,8}$")


class Conversation:
    """What is known of one request. Fed by the stage that judges it; asked by the judge of calls."""

    def __init__(self, trusted_tools: Sequence[str] = ()) -> None:
        self._trusted = tuple(trusted_tools)
        self._asked: list[str] = []
        self._untrusted: list[str] = []
        self._is_suspect = False
        self._names: _Names | None = None
        self.history_unknown = False  # the provider keeps earlier turns that this node can't see: counts as tainted

    def observe(self, event: PromptText, *, is_suspect: bool = False) -> None:
        """Take in one string of the request. `is_suspect`: it was judged to hold instructions."""
        if event.channel in ASKED:
            self._asked.append(event.text)
            self._names = None
        elif event.channel in UNTRUSTED and event.text and not self.trusts(event):
            self._untrusted.append(event.text)
            self._is_suspect |= is_suspect
        elif event.channel is Channel.TOOL_DESCRIPTION:
            self._is_suspect |= is_suspect

    def trusts(self, event: PromptText) -> bool:
        """Whether nobody else can have written it: the result of a tool the operator trusts."""
        return bool(event.tool) and any(fnmatchcase(event.tool, pattern) for pattern in self._trusted)

    @property
    def is_tainted(self) -> bool:
        """Whether somebody else's words are in it, or may be."""
        return bool(self._untrusted) or self.history_unknown

    @property
    def is_suspect(self) -> bool:
        """Whether some of them look like instructions to the model."""
        return self._is_suspect

    def asked_for(self, target: str) -> bool:
        """Whether the user or the system prompt named this host, address, path, program or package.

        A host is named with every host below it, a folder with what is in it, a file by its name alone as well. A text with more
        names than are kept answers no for those beyond.
        """
        wanted = _plain(target)
        if not wanted:
            return False
        if self._names is None:
            self._names = _Names(self._asked)
        return any(form in self._names for form in _forms(wanted))

    def came_from_untrusted(self, target: str) -> bool:
        """Whether the target stands in untrusted content and the user never named it."""
        wanted = _plain(target)
        if not wanted or self.asked_for(target):
            return False
        probes = {wanted, _host(wanted)} - {""}
        return any(probe in text.lower() for text in self._untrusted for probe in probes)


class _Names:
    """What some texts name: every word, address, host and path in them, in plain form."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._names: set[str] = set()
        for text in texts:
            for found in _NAME.finditer(text):
                if len(self._names) >= LIMIT_NAMES:
                    return
                self._add(_plain(found[0]))

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def _add(self, name: str) -> None:
        if not name:
            return
        self._names.add(name)
        if (host := _host(name)) and "@" not in name:
            self._names.add(host)
        if "/" in name:
            self._names.add(name.lstrip("~/"))
            if _ENDING.search(last := name.rpartition("/")[2]):
                self._names.add(last)
        for part in re.split(r"[=:]", name) if "=" in name or ":" in name else ():  # "--to=ops@acme.com", "file:report.txt"
            self._names.add(part.strip(_EDGES))


def _plain(name: str) -> str:
    name = name[:LIMIT_NAME_CHARS].strip().strip("\"'`<>()[]{}").lower().replace("\\", "/")
    name = name.removeprefix("mailto:").removeprefix("file://").rstrip(_EDGES)
    while name.startswith("./"):
        name = name[2:]
    return name.rstrip("/") if len(name) > 1 else name


def _host(name: str) -> str:
    """The host of a URL, of `user@host:path` or of `host:port`; "" where there is none."""
    scheme = _SCHEME.match(name)
    rest = re.split(r"[/?#]", name[scheme.end() :] if scheme else name, maxsplit=1)[0]
    if scheme is None and _EMAIL.fullmatch(rest):
        return ""
    rest = rest.rsplit("@", 1)[-1]
    found = _HOST.match(rest)
    return found[0] if found and rest[found.end() :][:1] in ("", ":") else ""


def _forms(wanted: str) -> Iterator[str]:
    """What the user may have written and meant this by."""
    yield wanted
    if _EMAIL.fullmatch(wanted):
        return  # an address is itself alone: its domain is not asked for by naming it
    host = _host(wanted)
    if host and (_SCHEME.match(wanted) or "/" not in wanted or "@" in wanted):
        labels = host.split(".")
        for at in range(max(1, len(labels) - 1)):
            yield ".".join(labels[at:])
        return
    parts = wanted.split("/")
    if len(parts) > 1 and _ENDING.search(parts[-1]):
        yield parts[-1]
    for at in range(1, len(parts) - 1):  # by its last folders: the user need not write the whole path
        yield "/".join(parts[at:])
    depth = sum(1 for part in parts if part not in ("", "~"))
    for end in range(len(parts) - 1, 0, -1):
        depth -= 1
        if depth < _FOLDER_PARTS:
            return
        yield "/".join(parts[:end])
