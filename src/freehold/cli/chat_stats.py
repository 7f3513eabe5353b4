"""How fast a node's engine was, beside what it predicted before it loaded its model."""

import asyncio
import re

import aiohttp

from freehold.cli.chat_client import Node
from freehold.engine.fit import pace

_LATEST_S = 1.5  # an engine tells how it does once a second
_LINE = re.compile(r'^freehold_engine_token_seconds\{kind="(\w+)"\} (\S+)$', re.MULTILINE)


async def engine_speed(node: Node) -> str:
    """A sentence. The node's own measure: passes of one token, whatever was drafted or waited for."""
    await asyncio.sleep(_LATEST_S)
    url = node.url.rstrip("/").removesuffix("/v1") + "/metrics"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), headers=node.headers) as session,
            session.get(url) as response,
        ):
            page = await response.text() if response.status == 200 else ""
    except (aiohttp.ClientError, TimeoutError):
        page = ""
    return in_words(page)


def in_words(page: str) -> str:
    """Of a page of metrics."""
    seconds = {kind: float(value) for kind, value in _LINE.findall(page)}
    measured, predicted = seconds.get("measured"), seconds.get("predicted")
    if not measured:
        return "this node does not say how fast its engine was"
    if not predicted:
        return f"measured: {pace(measured)}; nothing was predicted (freehold fit says what to expect)"
    return f"measured: {pace(measured)}, predicted: {pace(predicted)}, efficiency {predicted / measured:.2f}"
