"""The strings of a message, each with the channel that the guard's policy knows it by.

What a server sends was written by somebody else: unless it says what the server offers, it counts as a tool's result, in fields
that nobody knows too. A client's own words are the arguments of a call, or what a person or a model answered a server's
question.
"""

from collections.abc import Mapping
from typing import Any, Final

from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.mcp.message import CALL, DISCOVER, INITIALIZE, Kind, Message, Side
from freehold.gateway.wire.codec import Leaf
from freehold.gateway.wire.leaves import ChannelOf, walk

LISTS: Final = {  # method, and what its result calls the things it lists
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
_OFFERS = frozenset((*LISTS, INITIALIZE, DISCOVER))
_ARGUMENTS = {CALL: "arguments", "prompts/get": "arguments"}
_ANSWERS = {"sampling/createMessage": Channel.ASSISTANT, "elicitation/create": Channel.USER}
_MEDIA = frozenset(("image", "audio"))
_OBJECTS = frozenset(("arguments", "structuredContent", "content"))  # a tool's own; `content`: of a form that is filled in
# Words of the protocol's own schema: they can hold nothing that a guard looks for.
_WORDS = (
    "jsonrpc 2.0 id method params result error code message data name title arguments content type text image audio resource"
    " resource_link uri blob mimeType _meta progressToken progress total tools prompts resources resourceTemplates"
    " description inputSchema outputSchema properties required object string number integer boolean array items"
    " structuredContent isError resultType complete annotations readOnlyHint destructiveHint idempotentHint openWorldHint"
    " protocolVersion capabilities serverInfo clientInfo version instructions role user assistant messages contents requestId"
    " reason level logger tools/call tools/list prompts/get prompts/list resources/read resources/list initialize ping ttlMs"
    " cacheScope private public notifications/progress notifications/message notifications/initialized"
    " notifications/cancelled"
)
VOCABULARY: Final = frozenset(_WORDS.split())


def leaves(message: Message, sender: Side, asked: str = "") -> list[Leaf]:
    """Every string of it. `asked` is the method that an answer answers."""
    return walk(message.document, _channels(message, sender, asked), VOCABULARY, _OBJECTS)


def item_leaves(item: Mapping[str, Any]) -> list[Leaf]:
    """Every string of one thing that a server offers."""
    return walk(item, lambda path, value, around: Channel.TOOL_DESCRIPTION, VOCABULARY)


def _channels(message: Message, sender: Side, asked: str) -> ChannelOf:
    if sender is Side.CLIENT:
        said = _ANSWERS.get(asked, Channel.OTHER) if message.kind is Kind.RESULT else Channel.OTHER
        arguments: Path | None = ("params", _ARGUMENTS[message.method]) if message.method in _ARGUMENTS else None
        return lambda path, value, around: Channel.TOOL_ARGUMENTS if path == arguments else (around if path else said)
    said = Channel.TOOL_DESCRIPTION if asked in _OFFERS else Channel.TOOL_RESULT

    def of_server(path: Path, value: Any, around: Channel) -> Channel:
        if not path:
            return said
        if isinstance(value, str):
            return Channel.FILE if path[-1] == "blob" or (around is Channel.FILE and path[-1] == "data") else _plain(around, said)
        if isinstance(value, Mapping) and around is not Channel.TOOL_DESCRIPTION:
            return Channel.FILE if value.get("type") in _MEDIA and isinstance(value.get("data"), str) else _plain(around, said)
        return _plain(around, said)

    return of_server


def _plain(around: Channel, said: Channel) -> Channel:
    return said if around is Channel.FILE else around
