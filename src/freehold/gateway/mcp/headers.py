"""The headers in which newer revisions repeat parts of a message, for whoever routes by them.

Decided here: they say what the message says or it does not pass, and their values go through the guard like the rest: an
argument that is masked in the message is masked in its header, too. The protocol wraps what no header can hold as
`=?base64?...?=`.
"""

import base64
import binascii
import re
from typing import Final

from freehold.core.errors import InvalidRequest
from freehold.core.events import Event, PromptText
from freehold.core.findings import Channel, Direction
from freehold.core.ports import GuardSession
from freehold.gateway.access import Headers
from freehold.gateway.mcp.message import CALL, Message
from freehold.gateway.screen import released
from freehold.gateway.wire.leaves import NAME_CHARS

SESSION: Final = "mcp-session-id"
VERSION: Final = "mcp-protocol-version"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
LAST_EVENT: Final = "last-event-id"
PARAM: Final = "mcp-param-"
_NAMED_BY = {CALL: "name", "prompts/get": "name", "resources/read": "uri"}
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=")
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?|")


def unwrapped(value: str) -> str | None:
    """None for what is wrapped in a way that others might read otherwise."""
    found = _WRAPPED.fullmatch(value)
    if found is None:
        return value
    try:
        data = base64.b64decode(found[1], validate=True)
        return data.decode() if base64.b64encode(data).decode() == found[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def wrapped(value: str) -> str:
    if _PLAIN.fullmatch(value) and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode(errors='replace')).decode()}?="


async def routing(headers: Headers, message: Message, version: str, session: GuardSession) -> dict[str, str]:
    """Those that go on. Raises InvalidRequest where one contradicts the message, and BlockedByPolicy."""
    said = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    if said.get(METHOD, message.method) != message.method:
        raise InvalidRequest("the Mcp-Method header is not the message's method", code="header_mismatch")
    named = message.params.get(_NAMED_BY.get(message.method, ""))
    if NAME in said and unwrapped(said[NAME]) != named:
        raise InvalidRequest("the Mcp-Name header is not the name in the message", code="header_mismatch")
    names = [name for name in said if name == NAME or name.startswith(PARAM)]
    plain = [unwrapped(said[name]) for name in names]
    if None in plain:
        raise InvalidRequest("an Mcp-Param header is wrapped in a way that can't be read", code="header_mismatch")
    texts = [
        PromptText(
            leaf=n, channel=Channel.TOOL_ARGUMENTS, text=text or "", before=f'"{name.removeprefix(PARAM)[-NAME_CHARS:]}":"'
        )
        for n, (name, text) in enumerate(zip(names, plain, strict=True))
    ]
    passed = await released(texts, session.stage(Direction.REQUEST), _ignore)
    kept = {name: said[name] for name in (METHOD,) if name in said}
    for name, before, after in zip(names, plain, passed, strict=True):
        kept[name] = said[name] if after == before else wrapped(after)
    return {VERSION: version, **kept}


def _ignore(event: Event) -> None:
    """What is found in a header is found in the message, too, and recorded there."""
