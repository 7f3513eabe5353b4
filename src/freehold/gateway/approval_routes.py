"""The held calls over HTTP: clients put questions, admins see who waits and what the call says, and answer.

GET  /v1/approvals          those that wait, oldest first: for admins, as are the next two
GET  /v1/approvals/{id}     one
POST /v1/approvals/{id}     {"decision": "approve" | "deny", "note"?: "..."}
POST /v1/approvals          a question by any key: see `approval_asking.py`
"""

from typing import Literal

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from freehold.core.approvals import Question
from freehold.core.effects import Reason
from freehold.core.errors import InvalidRequest
from freehold.core.ports import KeyRing
from freehold.gateway.access import authenticate, authenticate_admin, read_headers
from freehold.gateway.approval_asking import Asking
from freehold.gateway.approvals import NOTE_LIMIT_CHARS, HeldCalls

_ANSWER_LIMIT_BYTES = 8 << 10


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decision: Literal["approve", "deny"]
    note: str = ""


class ApprovalRoutes:
    def __init__(self, calls: HeldCalls, keys: KeyRing) -> None:
        self._calls, self._keys = calls, keys
        self._asking = Asking(calls)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/approvals", self.waiting, methods=["GET"]),
            Route("/v1/approvals", self.ask, methods=["POST"]),
            Route("/v1/approvals/{id}", self.one, methods=["GET"]),
            Route("/v1/approvals/{id}", self.decide, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        principal = authenticate(read_headers(request.scope["headers"]), self._keys)
        return await self._asking.asked(request, principal)

    async def waiting(self, request: Request) -> Response:
        authenticate_admin(read_headers(request.scope["headers"]), self._keys)
        return _json({"data": [_document(question) for question in self._calls.waiting()]})

    async def one(self, request: Request) -> Response:
        authenticate_admin(read_headers(request.scope["headers"]), self._keys)
        return _json(_document(self._calls.find(request.path_params["id"])))

    async def decide(self, request: Request) -> Response:
        admin = authenticate_admin(read_headers(request.scope["headers"]), self._keys)
        answer = await _answer(request)
        approved = answer.decision == "approve"
        question = self._calls.decide(request.path_params["id"], approved=approved, by=admin, note=answer.note)
        return _json({"id": question.id, "decision": answer.decision})


async def _answer(request: Request) -> _Answer:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _ANSWER_LIMIT_BYTES:
            raise InvalidRequest(f"an answer is at most {_ANSWER_LIMIT_BYTES} bytes long")
    try:
        answer = msgspec.json.decode(bytes(body), type=_Answer)
    except msgspec.DecodeError as exc:
        raise InvalidRequest('send {"decision": "approve"} or {"decision": "deny"}, with a "note" if you like') from exc
    if len(answer.note) > NOTE_LIMIT_CHARS:
        raise InvalidRequest(f"a note is at most {NOTE_LIMIT_CHARS} characters long", param="note")
    return answer


def _document(question: Question) -> dict[str, object]:
    who = question.principal
    return {
        "id": question.id,
        "exchange_id": question.exchange_id,
        "key": {"id": who.key_id, "name": who.name, "team": who.team},
        "tool": question.tool,
        "arguments": question.arguments,
        "words": question.judgement.words,
        "reasons": [_reason(reason) for reason in question.judgement.reasons],
        "asked_at_ns": question.asked_at_ns,
        "expires_at_ns": question.expires_at_ns,
    }


def _reason(reason: Reason) -> dict[str, str]:
    effect = reason.effect
    return {
        "action": reason.action,
        "rule": reason.rule,
        "effect": effect.rule,
        "target": effect.target,
        "because": effect.because,
    }


def _json(document: object) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(orjson.dumps(document), headers=headers)
