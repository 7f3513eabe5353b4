"""The settings of one guarded MCP server: where it is, who may use it, and what of it.

Secrets are named, never written: a header's value comes out of a variable or a file, and a child gets the variables it is
allowed.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1)]
ServerName = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
]  # it stands in a path, in the record and in alerts


class HeaderConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one header's value comes from: `prefix`, then what the variable or the file holds."""

    env: str | None = None
    file: str | None = None
    prefix: str = ""  # "Bearer "

    def __post_init__(self) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("[[mcp]]: a header has either env or file")


class McpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server, at `url` or started as `command`. Clients find it at `/mcp/NAME`."""

    name: ServerName
    url: str | None = None
    headers: dict[str, HeaderConfig] = {}
    command: tuple[str, ...] = ()  # the program and its arguments; one process a client session
    env: tuple[str, ...] = ()  # variables of the node that the process gets, beside PATH, HOME and the language
    folder: str | None = None  # where the process runs
    pin: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None  # of its whole tool list
    new_tools: Literal["withhold", "pin"] = "withhold"  # a tool that comes after the server was first seen
    allow: tuple[str, ...] = ("*",)  # names or globs of tools
    deny: tuple[str, ...] = ()  # counts before `allow`
    keys: tuple[str, ...] = ()  # names or globs of keys that may use it; with no keys and no teams it is every key
    teams: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()  # of web pages that may ask, beside those of this machine
    connect_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 300.0  # the longest silence while an answer is waited for
    message_limit_bytes: Count = 16 << 20
    session_idle_s: Seconds = 1800.0
    max_sessions: Count = 64
    starts_per_minute: Count = 30

    def __post_init__(self) -> None:
        if (self.url is None) == (not self.command):
            raise ValueError(f"[[mcp]] {self.name!r}: set either url or command")
        if self.url is not None:
            _check_url(self.name, self.url)
        if self.command and (self.headers or not all(self.command)):
            raise ValueError(f"[[mcp]] {self.name!r}: a command has no headers and no empty words")
        for header in self.headers:
            if not header.isascii() or not header.replace("-", "").isalnum() or header.lower() in _OURS:
                raise ValueError(f"[[mcp]] {self.name!r}: header {header[:60]!r} can't be set")


# Those the transport writes itself.
_OURS = frozenset(
    {"accept", "connection", "content-length", "content-type", "host", "last-event-id", "mcp-protocol-version", "mcp-session-id"}
)


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"[[mcp]] {name!r}: url must start with http:// or https:// and name a host")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"[[mcp]] {name!r}: url carries credentials or a fragment; use headers")
