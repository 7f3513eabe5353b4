"""What a server offers, on its way to a client: each tool, prompt and resource is judged alone, and compared with its pin.

Decided here: what looks like instructions to the model, what changed, what came later and what the configuration denies is
taken out of the list, and operators hear of it; the rest of the list passes. A tool whose name another server has, too, or
whose words speak of another server's tool, passes and is told of: a client that takes tools by name alone may call the wrong
one.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from freehold.core.errors import BlockedByPolicy
from freehold.core.events import Event
from freehold.core.findings import Alert, Direction
from freehold.core.ports import GuardSession
from freehold.gateway import log
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.message import Message, with_result
from freehold.gateway.mcp.pins import PINNED, Change, Sighting, digests_of, list_digest, shown
from freehold.gateway.mcp.screening import looks_injected
from freehold.gateway.mcp.services import McpServices
from freehold.gateway.mcp.texts import item_leaves
from freehold.gateway.screen import released
from freehold.gateway.wire.leaves import rewrite

CHANGED: Final = "mcp_tool_changed"
POISONED: Final = "mcp_tool_poisoned"
SHADOWED: Final = "mcp_tool_shadowed"
_TELLING_CHARS = 6  # a shorter name is a word of everyday
_NAMES = re.compile(r"[A-Za-z0-9_.\-/]{6,128}")
_KEYS = {"instructions": "", "tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """One item: as it may go on, and whether it looks poisoned."""

    name: str
    item: Mapping[str, Any] = field(repr=False)
    is_poisoned: bool
    is_blocked: bool


def is_allowed(config: McpConfig, tool: str) -> bool:
    if any(fnmatchcase(tool, pattern) for pattern in config.deny):
        return False
    return any(fnmatchcase(tool, pattern) for pattern in config.allow)


class Offers:
    """One server's lists."""

    def __init__(self, config: McpConfig, services: McpServices) -> None:
        self._config, self._services = config, services

    async def passed(self, kind: str, items: Sequence[Mapping[str, Any]], session: GuardSession) -> list[Mapping[str, Any]]:
        """Those of `items` that the client may see, with what policy masks in them masked."""
        server = self._config.name
        judged = [await self._judged(kind, item, session) for item in items]
        withheld: dict[str, str] = {one.name: "poisoned" for one in judged if one.is_blocked}
        if kind in PINNED:
            digests = digests_of((self.name(kind, item), item) for item in items)
            sighting = await self._look(kind, digests, judged)
            withheld |= {**sighting.withheld, **withheld}
            await self._tell(kind, sighting, digests)
            self._tell_shadows(kind, sighting, items)
        else:
            withheld |= {one.name: "poisoned" for one in judged if one.is_poisoned}
            self._tell_poisoned(kind, judged)
        kept = [one for one in judged if one.name not in withheld and (kind != "tools" or is_allowed(self._config, one.name))]
        log.info("mcp_listed", server=server, kind=kind, offered=len(items), withheld=len(items) - len(kept))
        return [one.item for one in kept]

    async def without_bad_advice(self, message: Message, session: GuardSession) -> Message:
        """A server's instructions go to the model as they are: those that look like an attack are left out."""
        body = dict(message.document["result"])
        advice = body.get("instructions")
        if not isinstance(advice, str):
            return message
        judged = await self._judged("instructions", {"instructions": advice}, session)
        if not (judged.is_poisoned or judged.is_blocked):
            return message
        words = f"MCP server {self._config.name}: its instructions look like an attack on the model and were left out"
        self._services.alarm.raise_alert(Alert(kind=POISONED, severity="critical", message=words))
        del body["instructions"]
        return with_result(message, body)

    def name(self, kind: str, item: Mapping[str, Any]) -> str:
        return str(item.get(_KEYS[kind], ""))

    async def _judged(self, kind: str, item: Mapping[str, Any], session: GuardSession) -> _Judged:
        name = self.name(kind, item)
        found = item_leaves(item)
        events: list[Event] = []
        texts = [leaf.said(n, name) for n, leaf in enumerate(found)]
        try:
            passed = await released(texts, session.stage(Direction.REQUEST), events.append)
        except BlockedByPolicy:
            return _Judged(name=name, item=item, is_poisoned=any(map(looks_injected, events)), is_blocked=True)
        changes = [(leaf, text) for leaf, text in zip(found, passed, strict=True) if text != leaf.text]
        clean = rewrite(item, changes) if changes else item
        is_renamed = self.name(kind, clean) != name
        return _Judged(name=name, item=clean, is_poisoned=any(map(looks_injected, events)), is_blocked=is_renamed)

    async def _look(self, kind: str, digests: Mapping[str, str], judged: Sequence[_Judged]) -> Sighting:
        config = self._config
        return await asyncio.to_thread(
            self._services.book.look,
            config.name,
            kind,
            digests,
            poisoned=frozenset(one.name for one in judged if one.is_poisoned),
            takes_new=config.new_tools == "pin",
            pin=config.pin if kind == "tools" else None,
        )

    async def _tell(self, kind: str, sighting: Sighting, digests: Mapping[str, str]) -> None:
        server, audit = self._config.name, self._services.audit
        if sighting.is_first:
            facts = {"server": server, "kind": kind, "items": len(digests), "digest": list_digest(digests)}
            await audit.append("mcp_pinned", facts)
        for change in sighting.changes:
            await audit.append(
                "mcp_withheld",
                {
                    "server": server,
                    "kind": kind,
                    "name": shown(change.name),
                    "why": change.why,
                    "was": change.was,
                    "now": change.now,
                },
            )
            self._services.alarm.raise_alert(_alert(server, kind, change))

    def _tell_poisoned(self, kind: str, judged: Sequence[_Judged]) -> None:
        poisoned = sum(one.is_poisoned for one in judged)
        if poisoned:
            message = f"MCP server {self._config.name}: {poisoned} of its {kind} look like instructions to the model; left out"
            self._services.alarm.raise_alert(Alert(kind=POISONED, severity="warning", message=message))

    def _tell_shadows(self, kind: str, sighting: Sighting, items: Sequence[Mapping[str, Any]]) -> None:
        server, alarm = self._config.name, self._services.alarm
        for name, other in sighting.shadowed.items():
            message = (
                f"MCP servers {server} and {other} both have a {PINNED[kind]} {shown(name)}; a client may call the wrong one"
            )
            alarm.raise_alert(Alert(kind=SHADOWED, severity="warning", message=message))
        telling = {name for name in sighting.others if len(name) >= _TELLING_CHARS and not name.isalpha()}
        for item in items if telling else ():
            said = {word.rstrip(".") for leaf in item_leaves(item) for word in _NAMES.findall(leaf.text)}
            for name in sorted(telling & said):
                message = f"MCP server {server}: its {PINNED[kind]} {shown(self.name(kind, item))} speaks of {shown(name)}, "
                alarm.raise_alert(Alert(kind=SHADOWED, severity="warning", message=f"{message}which another server has"))


def _alert(server: str, kind: str, change: Change) -> Alert:
    what = f"MCP server {server}: the {PINNED[kind]} {shown(change.name)}"
    then = f"it is withheld until 'freehold mcp pins accept {server}'"
    match change.why:
        case "poisoned":
            return Alert(kind=POISONED, severity="critical", message=f"{what} looks like instructions to the model; {then}")
        case "changed":
            return Alert(kind=CHANGED, severity="critical", message=f"{what} is not what it was when it was accepted; {then}")
        case "new":
            return Alert(kind=CHANGED, severity="warning", message=f"{what} is new since the server was pinned; {then}")
        case _:
            message = f"{what} is not of the list that the configuration pins; it is withheld until the pin is the list's digest"
            return Alert(kind=CHANGED, severity="critical", message=message)
