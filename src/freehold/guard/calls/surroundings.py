"""What a request says of where its tools run, and of what they are: kept as it came, and looked at when a call is judged.

The working folder is what the agent's own prompt names, the first time it does; a whole root, home or system folder is none. What
tool results say is never asked: whoever writes into one could widen the folder in which an agent is free.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from freehold.core.effects import Place
from freehold.core.findings import Channel
from freehold.guard.effects.places import normal, place_of

if TYPE_CHECKING:
    from freehold.core.events import PromptText  # a hook, which has no events, does not wait for them to load

LIMIT_TEXTS = 16  # of system and user: agents say it in the first or second
LIMIT_CHARS = 200_000  # of each
LIMIT_TOOLS = 1_000
LIMIT_DESCRIPTION_CHARS = 600  # the first sentences say what a tool is

# Claude Code, Codex, Gemini CLI, Cursor, Cline, OpenCode.
_FOLDER = re.compile(
    r"(?:working directory|<cwd>|\bcwd|workspace path|path of the user's workspace is|working in the directory|workspace folder)"
    r"[\s:=*`\"'(>]{0,8}(/[^\s<>\"'`)*?$]{1,400}|[A-Za-z]:[\\/][^\n<>\"'`)*?$|]{1,300})",
    re.IGNORECASE,
)
_HOME = re.compile(r"/(?:home|Users)/[^/]+|/root|[A-Za-z]:/(?:Users/[^/]+)?", re.IGNORECASE)
_FREE = (Place.HOME, Place.ELSEWHERE, Place.OTHER_USER, Place.TEMP, Place.WORKSPACE)


class Surroundings:
    """Of one request."""

    def __init__(self, folder: str = "") -> None:
        self._said: list[str] = []
        self._folder: str | None = folder or None
        self._descriptions: dict[str, list[str]] = {}

    def observe(self, event: "PromptText") -> None:
        if event.channel is Channel.SYSTEM or event.channel is Channel.USER:
            if len(self._said) < LIMIT_TEXTS:
                self._said.append(event.text)
        elif event.channel is Channel.TOOL_DESCRIPTION and event.tool:
            texts = self._descriptions.get(event.tool)
            if texts is not None:
                if len(texts) < 4:  # the tool's own words come with those of its first arguments
                    texts.append(event.text)
            elif len(self._descriptions) < LIMIT_TOOLS:
                self._descriptions[event.tool] = [event.text]

    @property
    def folder(self) -> str:
        """The working folder, absolute; empty where it is not known."""
        if self._folder is None:
            self._folder = _folder_in(self._said)
        return self._folder

    def description(self, tool: str) -> str:
        return "\n".join(text[:LIMIT_DESCRIPTION_CHARS] for text in self._descriptions.get(tool, ()))


def _folder_in(texts: Iterable[str]) -> str:
    for text in texts:
        for found in _FOLDER.finditer(text[:LIMIT_CHARS]):
            folder = normal(found[1].strip().rstrip("\\/.,;").replace("\\", "/"))
            if is_free(folder):
                return folder
    return ""


def is_free(folder: str) -> bool:
    """Whether what lies below may be one project's, and not a whole home or a system's."""
    return ".." not in folder.split("/") and _HOME.fullmatch(folder) is None and place_of(folder) in _FREE
