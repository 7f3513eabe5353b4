"""The audit log over HTTP: its static files for who audits it, and submissions to this node as a witness.

GET  /log/checkpoint, /log/tile/...     c2sp.org/tlog-tiles; an admin key, unless `[log] serve` is "public"
POST /witness/add-checkpoint            c2sp.org/tlog-witness; where `[log] witness_for` names logs. No key is needed: the
                                        signature in a submission says whose it is.
"""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from freehold.core.errors import NotFound, RequestTooLarge
from freehold.core.ports import KeyRing, LogFiles, LogState, Witness
from freehold.gateway.access import authenticate_admin, read_headers

SUBMISSION_LIMIT_BYTES = 96 << 10  # a note of 64 KiB and its proof
_CHECKPOINT = "checkpoint"
_FOR_EVER = "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogServices:
    """What the gateway shows of the log. `files` None serves none, `witness` None takes no submissions."""

    state: LogState
    files: LogFiles | None = None
    is_public: bool = False
    witness: Witness | None = None


class LogRoutes:
    def __init__(self, log: LogServices, keys: KeyRing) -> None:
        self._log, self._keys = log, keys

    def routes(self) -> Sequence[BaseRoute]:
        routes = []
        if self._log.files is not None:
            routes.append(Route("/log/{path:path}", self.file, methods=["GET"]))
        if self._log.witness is not None:
            routes.append(Route("/witness/add-checkpoint", self.add_checkpoint, methods=["POST"]))
        return routes

    async def file(self, request: Request) -> Response:
        if not self._log.is_public:
            authenticate_admin(read_headers(request.scope["headers"]), self._keys)
        assert self._log.files is not None
        path = request.path_params["path"]
        contents = await asyncio.to_thread(self._log.files.file, path)
        if contents is None:
            raise NotFound("the log has no such file; /log/checkpoint says how many rows there are")
        if path == _CHECKPOINT:
            return Response(contents, media_type="text/plain; charset=utf-8", headers={"cache-control": "no-cache"})
        headers = {"cache-control": f"{'public' if self._log.is_public else 'private'}, {_FOR_EVER}"}
        if path.startswith("tile/entries/"):
            headers["vary"] = "accept-encoding"
            if "gzip" in request.headers.get("accept-encoding", ""):
                contents = await asyncio.to_thread(gzip.compress, contents, 6)
                headers["content-encoding"] = "gzip"
        return Response(contents, media_type="application/octet-stream", headers=headers)

    async def add_checkpoint(self, request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > SUBMISSION_LIMIT_BYTES:
                raise RequestTooLarge(f"a submission is at most {SUBMISSION_LIMIT_BYTES} bytes long")
        assert self._log.witness is not None
        answer = await asyncio.to_thread(self._log.witness.add_checkpoint, bytes(body))
        headers = {"content-type": answer.media_type, "cache-control": "no-store"}  # not `media_type`: it would add a charset
        return Response(answer.body, status_code=answer.status, headers=headers)
