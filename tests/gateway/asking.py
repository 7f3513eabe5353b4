"""Requests as the server hands them to a codec."""

from typing import Any

import orjson

from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Incoming


def incoming(document: dict[str, Any], *, body: bytes | None = None, **rest: Any) -> Incoming:
    return Incoming(
        exchange_id=ExchangeId("xc_1"),
        received_at_ns=1,
        principal=Principal(key_id=KeyId("k"), name="n"),
        body=orjson.dumps(document) if body is None else body,
        document=document,
        **rest,
    )


def asked(document: dict[str, Any], dialect: str = "openai.chat", **rest: Any) -> Exchange:
    return CODECS[dialect].decode_request(incoming(document, **rest))
