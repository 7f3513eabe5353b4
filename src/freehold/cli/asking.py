"""Has a person asked about a tool call through a running node, for what guards calls that do not pass one.

Decided here: a yes is a whole, well-formed answer that says so. Whatever else comes, or does not come, is no answer, and what
then is left to who asked: it must not be taken for a yes. The question is withdrawn where this process ends.
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import orjson

from freehold.core.approvals import plain
from freehold.core.effects import CallJudgement, Reason
from freehold.core.errors import ConfigError, UpstreamUnavailable, reason_of
from freehold.core.events import Held
from freehold.core.exchange import ExchangeId, Principal
from freehold.core.findings import Action
from freehold.gateway import log
from freehold.gateway.approval_asking import REASONS_LIMIT
from freehold.gateway.report_config import is_loopback

_SILENCE_S = 45.0  # the node sends a blank every ten
_LATE_S = 15.0  # by which an answer may come after its time: the node ends a question that nobody answers
_ANSWER_LIMIT_BYTES = 64 << 10  # a day's blanks are 9 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingNode:
    """Implements `core.ports.Approvals`, where a node that can't be asked is a no."""

    url: str
    key: str = field(repr=False)

    async def ask(self, held: Held, principal: Principal, exchange_id: ExchangeId) -> bool:
        try:
            return await self.put(held.tool, held.arguments, held.judgement, held.timeout_s)
        except UpstreamUnavailable as problem:
            log.error("approval_not_asked", exchange_id=exchange_id, reason=problem.message)
            return False

    async def put(self, tool: str, arguments: str, judgement: CallJudgement, timeout_s: float) -> bool:
        """Whether a person said yes in time. Raises UpstreamUnavailable where nobody could be asked."""
        question = {
            "tool": tool[:200],
            "arguments": arguments,
            "words": judgement.words[:4000],
            "reasons": [_document(reason) for reason in judgement.reasons if reason.action in (Action.ASK, Action.TAG)],
            "timeout_s": timeout_s,
        }
        question["reasons"] = question["reasons"][:REASONS_LIMIT]  # type: ignore[index]
        timeout = aiohttp.ClientTimeout(total=timeout_s + _LATE_S, sock_connect=5, sock_read=_SILENCE_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(
                    f"{self.url}/v1/approvals",
                    data=orjson.dumps(question),
                    headers={"authorization": f"Bearer {self.key}", "content-type": "application/json"},
                    allow_redirects=False,
                ) as answer,
            ):
                return _decision(answer.status, await _limited(answer.content))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:  # ValueError: an address or a key that is none
            raise UpstreamUnavailable(f"the node at {plain(self.url)} can't be asked: {reason_of(exc)}") from exc


def asking_node(url: str | None, key: str) -> AskingNode | None:
    """None where either is missing. Raises ConfigError for a node whose answer anybody between could write."""
    key = key.strip()  # a variable read from a file ends in a line break
    if not url or not key:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        raise ConfigError("a yes must come from the node alone: give an https address, or http to this machine, in FREEHOLD_URL")
    return AskingNode(url=url.rstrip("/").removesuffix("/v1"), key=key)


def _document(reason: Reason) -> dict[str, str]:
    effect = reason.effect
    return {
        "action": reason.action.value,
        "kind": effect.kind.value,
        "place": effect.place.value,
        "target": effect.target[:1000],
        "because": effect.because[:500],
        "rule": reason.rule[:200],
    }


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > _ANSWER_LIMIT_BYTES:
            raise UpstreamUnavailable("the node sent no end of an answer")
    return bytes(body)


def _decision(status: int, body: bytes) -> bool:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise UpstreamUnavailable(f"the node broke off, or sent no answer to a question (HTTP {status})") from exc
    if status == 200 and isinstance(document, dict) and document.get("decision") in ("approve", "deny"):
        return bool(document["decision"] == "approve")
    error = document.get("error") if isinstance(document, dict) else None
    said = error.get("message") if isinstance(error, dict) else None
    raise UpstreamUnavailable(plain(str(said or "an answer of another kind"))[:300] + f" (HTTP {status} of the node)")
