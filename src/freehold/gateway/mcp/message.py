"""One JSON-RPC message of MCP, read strictly: bytes in, a `Message` out, or our own error.

Decided here: a message is exactly one of request, notification, result and error, whichever way one looks at it; what the SDK
has a type for must be of that type, in the revision the two sides speak; a method that the SDK does not know passes on, once
the guard has seen its strings. Batches, which one old revision had, do not pass. Nothing here quotes what a message says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import UnionType
from typing import Any, Final, cast

import orjson
from mcp_types import methods
from mcp_types.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, KNOWN_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, TypeAdapter, ValidationError

from freehold.core.errors import BlockedByPolicy, FreeholdError, InvalidRequest, RequestTooLarge, UpstreamBroken
from freehold.gateway import log
from freehold.gateway.body import parse
from freehold.gateway.mcp.services import Bounds

# -32000 to -32019 is each implementation's own to give; the SDK uses the first two.
BLOCKED: Final = -32010
WITHHELD: Final = -32011
UPSTREAM_FAILED: Final = -32012

DISCOVER: Final = "server/discover"
INITIALIZE: Final = "initialize"
CALL: Final = "tools/call"
CANCELLED: Final = "notifications/cancelled"

HANDSHAKE: Final = frozenset(HANDSHAKE_PROTOCOL_VERSIONS)
MODERN: Final = frozenset(MODERN_PROTOCOL_VERSIONS)
KNOWN: Final = frozenset(KNOWN_PROTOCOL_VERSIONS)
BEFORE_HANDSHAKE: Final = HANDSHAKE_PROTOCOL_VERSIONS[-1]  # all of them have the same handshake

Id = str | int
_Surface = Mapping[tuple[str, str], type[BaseModel] | UnionType]
_FRAME: Final = {"jsonrpc": "2.0", "id": 0}
_BODIES = ("method", "result", "error")


class Kind(StrEnum):
    REQUEST = "request"
    NOTIFICATION = "notification"
    RESULT = "result"
    ERROR = "error"


class Side(StrEnum):
    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`id` is None for a notification, and for an error about a message whose id nobody could read."""

    kind: Kind
    id: Id | None
    method: str
    document: Mapping[str, Any] = field(repr=False)
    data: bytes = field(repr=False)

    @property
    def params(self) -> Mapping[str, Any]:
        return self.document.get("params") or {}

    @property
    def is_answer(self) -> bool:
        return self.kind in (Kind.RESULT, Kind.ERROR)


def read(data: bytes, bounds: Bounds) -> Message:
    """Raises InvalidRequest and RequestTooLarge, whatever the bytes."""
    if len(data) > bounds.size_bytes:
        raise RequestTooLarge(f"the message is larger than {bounds.size_bytes} bytes; send less, or raise message_limit_bytes")
    document = parse(data, depth=bounds.depth, values=bounds.values)
    if sum(key in document for key in _BODIES) != 1:
        raise InvalidRequest("the message must have exactly one of method, result and error", code="invalid_message")
    try:
        envelope: JSONRPCMessage = jsonrpc_message_adapter.validate_python(document, by_name=False)
    except ValidationError as exc:
        raise InvalidRequest("the message is no JSON-RPC 2.0 message", code="invalid_message") from exc
    if isinstance(envelope, JSONRPCNotification):
        if "id" in document:
            raise InvalidRequest("the message's id is neither a string nor a whole number", code="invalid_message")
        return Message(kind=Kind.NOTIFICATION, id=None, method=envelope.method, document=document, data=data)
    if isinstance(envelope, JSONRPCRequest):
        return Message(kind=Kind.REQUEST, id=envelope.id, method=envelope.method, document=document, data=data)
    kind = Kind.ERROR if isinstance(envelope, JSONRPCError) else Kind.RESULT
    return Message(kind=kind, id=envelope.id, method="", document=document, data=data)


def check(message: Message, sender: Side, version: str, asked: str = "") -> None:
    """Raises InvalidRequest where the SDK's type for it says no. `asked` is the method that a result answers."""
    is_client = sender is Side.CLIENT
    surface: _Surface
    match message.kind:
        case Kind.REQUEST:
            surface = methods.CLIENT_REQUESTS if is_client else methods.SERVER_REQUESTS
        case Kind.NOTIFICATION:
            surface = methods.CLIENT_NOTIFICATIONS if is_client else methods.SERVER_NOTIFICATIONS
        case Kind.RESULT:
            surface = methods.CLIENT_RESULTS if is_client else methods.SERVER_RESULTS
        case Kind.ERROR:
            return  # the envelope is all there is to it
    method = asked if message.kind is Kind.RESULT else message.method
    known = surface.get((method, version))
    if known is None:
        return
    body = {**_FRAME, **message.document} if message.kind is not Kind.RESULT else message.document["result"]
    try:
        _adapter(known).validate_python(body, by_name=False)
    except ValidationError as exc:
        what = "answer to" if message.kind is Kind.RESULT else message.kind
        raise InvalidRequest(
            f"the {what} {method} is not what revision {version} of the protocol says it is", code="invalid_params"
        ) from exc


_adapters: dict[object, TypeAdapter[Any]] = {}


def _adapter(known: type[BaseModel] | UnionType) -> TypeAdapter[Any]:
    if known not in _adapters:
        made: TypeAdapter[Any] = TypeAdapter(cast(Any, known))
        _adapters[known] = made
    return _adapters[known]


def with_result(message: Message, body: Mapping[str, Any]) -> Message:
    """The same answer, written anew with another result."""
    return with_document(message, {**message.document, "result": body})


def with_document(message: Message, document: Mapping[str, Any]) -> Message:
    return replace(message, document=document, data=orjson.dumps(document))


def request(id: Id, method: str, params: Mapping[str, Any]) -> bytes:  # noqa: A002 - JSON-RPC's word
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})


def result(id: Id, body: Mapping[str, Any]) -> bytes:  # noqa: A002
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "result": body})


def error(id: Id | None, problem: FreeholdError) -> bytes:  # noqa: A002
    """Our own error in JSON-RPC's shape. Its words are ours."""
    return orjson.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code_of(problem), "message": problem.message}})


def read_line(line: bytes, server: str, bounds: Bounds) -> Message | None:
    """What a server wrote. What can't be read is dropped; in place of an answer stands an error, so that nobody waits for it."""
    try:
        return read(line.strip(), bounds)
    except FreeholdError as problem:
        log.info("mcp_dropped", server=server, kind="line", code=problem.code)
        return _unread(line, server, problem)


def _unread(line: bytes, server: str, problem: FreeholdError) -> Message | None:
    """None where it was no answer."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    asked = document.get("id") if isinstance(document, dict) and "method" not in document else None
    if not isinstance(asked, str | int):
        return None
    data = error(asked, UpstreamBroken(f"the answer of MCP server {server} can't be read: {problem.message}"))
    return Message(kind=Kind.ERROR, id=asked, method="", document=orjson.loads(data), data=data)


def code_of(problem: FreeholdError) -> int:
    if isinstance(problem, BlockedByPolicy):
        return BLOCKED
    by_code = {"invalid_json": PARSE_ERROR, "invalid_params": INVALID_PARAMS, "withheld": WITHHELD}
    if problem.code in by_code:
        return by_code[problem.code]
    if 400 <= problem.status < 500:
        return INVALID_REQUEST
    return UPSTREAM_FAILED if problem.status in (502, 503, 504) else INTERNAL_ERROR


def failed_call(words: str, version: str) -> dict[str, Any]:
    """A `CallToolResult` that tells the model what did not happen, so that it can go on."""
    body: dict[str, Any] = {"content": [{"type": "text", "text": words}], "isError": True}
    return {**body, "resultType": "complete"} if version in MODERN else body
