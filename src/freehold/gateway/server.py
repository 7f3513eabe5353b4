"""The ASGI app: which path leads where, and the provider's own error shape on every one of them.

Chat goes straight to `handle`; everything seldom asked for goes through Starlette's router. There are no CORS headers: a browser
page of another origin has no business here.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from freehold.core.errors import ClientError, FreeholdError, InternalError, InvalidRequest, NotFound
from freehold.core.exchange import ExchangeId
from freehold.gateway import log
from freehold.gateway.access import authenticate, authenticate_admin, read_headers
from freehold.gateway.approval_routes import ApprovalRoutes
from freehold.gateway.body import ClientLeft
from freehold.gateway.handle import Call, handle
from freehold.gateway.log_routes import LogRoutes
from freehold.gateway.metrics import CONTENT_TYPE
from freehold.gateway.readiness import for_anybody, readiness
from freehold.gateway.reply import error_headers
from freehold.gateway.report_config import is_loopback
from freehold.gateway.services import Services
from freehold.gateway.wire import CODECS, PATHS
from freehold.gateway.wire.listing import anthropic_model, anthropic_models, gemini_model, gemini_models

_ID_LIMIT_CHARS = 64
_OPEN = tuple(path for path in PATHS if path.endswith("/"))
_EDGE_CODEC = CODECS["openai.chat"]  # whose error shape the other paths use


class Gateway:
    """The app a server runs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._edges = _Edges(services).app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        dialect = PATHS.get(path) if scope["type"] == "http" else None
        rest = ""
        if dialect is None and path.startswith(_OPEN) and scope.get("method") == "POST":
            taken = max((known for known in _OPEN if path.startswith(known)), key=len)
            rest = path.removeprefix(taken)
            dialect = PATHS.get(f"{taken}:{rest.rpartition(':')[2]}", PATHS[taken])
        if dialect is not None and scope["method"] == "POST":
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
            call = Call(codec=CODECS[dialect], path=rest, query=query, headers=read_headers(scope["headers"]))
            await handle(call, receive, send, self._services)
        elif dialect is not None:
            await _error_response(NotPost(f"{scope['path']} takes POST only"), headers={"allow": "POST"})(scope, receive, send)
        elif self._services.mcp is not None and scope["type"] == "http" and path.startswith("/mcp/"):
            await self._services.mcp(scope, receive, send)
        else:
            await self._edges(scope, receive, send)


def create_app(services: Services) -> ASGIApp:
    return Gateway(services)


class NotPost(InvalidRequest):
    status = 405
    code = "method_not_allowed"


class _Edges:
    """Every path but the hot ones."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_at_s = services.unix_ns() // 1_000_000_000
        self._metrics_open = is_loopback(services.config.host)
        self._approvals = ApprovalRoutes(services.approvals, services.keys)

    def app(self) -> ASGIApp:
        routes: list[BaseRoute] = [
            Route("/v1/models", self.models),
            Route("/v1/models/{model:path}", self.model),
            Route("/v1beta/models", self.gemini_models),
            Route("/v1beta/models/{model:path}", self.gemini_model),
            Route("/v1/receipts/{exchange_id}", self.receipt),
            *self._approvals.routes(),
            Route("/healthz", self.health),
            Route("/readyz", self.readiness),
            Route("/metrics", self.metrics),
        ]
        if self._services.log is not None:
            routes += LogRoutes(self._services.log, self._services.keys).routes()
        if self._services.batches is not None:
            routes += self._services.batches.routes()
        if self._services.dashboard is not None:
            routes.append(Mount("/dashboard", app=self._services.dashboard))
        handlers: dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
            FreeholdError: self._on_error,
            HTTPException: _on_http_exception,
            ClientLeft: _on_departure,
        }
        return _Unexpected(Starlette(routes=routes, exception_handlers=handlers))

    async def models(self, request: Request) -> Response:
        """In Anthropic's or Gemini's shape for their clients, who say so by a header; in OpenAI's for everybody else."""
        known = self._known(request)
        if "anthropic-version" in request.headers:
            return _json(anthropic_models(known, self._started_at_s))
        if "x-goog-api-key" in request.headers:  # Google's client asks below /v1 where it is told, or defaults, to
            return _json(gemini_models(known))
        return _json({"object": "list", "data": [self._describe(name, upstreams[0]) for name, upstreams in known.items()]})

    async def model(self, request: Request) -> Response:
        name, upstreams = self._one(request)
        if "anthropic-version" in request.headers:
            return _json(anthropic_model(name, self._started_at_s))
        if "x-goog-api-key" in request.headers:
            return _json(gemini_model(name))
        return _json(self._describe(name, upstreams[0]))

    async def gemini_models(self, request: Request) -> Response:
        return _json(gemini_models(self._known(request)))

    async def gemini_model(self, request: Request) -> Response:
        return _json(gemini_model(self._one(request)[0]))

    def _known(self, request: Request) -> dict[str, list[str]]:
        """The models that the key may use, and who serves each."""
        principal = authenticate(read_headers(request.scope["headers"]), self._services.keys, dict(request.query_params))
        return {name: names for name, names in self._services.router.models().items() if principal.may_use(name)}

    def _one(self, request: Request) -> tuple[str, list[str]]:
        known, name = self._known(request), request.path_params["model"]
        if name not in known:
            raise NotFound("no upstream serves this model; /v1/models lists those there are", code="model_not_found")
        return name, known[name]

    def _describe(self, model: str, upstream: str) -> dict[str, object]:
        return {"id": model, "object": "model", "created": self._started_at_s, "owned_by": upstream}

    async def receipt(self, request: Request) -> Response:
        """The receipt and its salt, for whoever made the exchange. To others it does not exist."""
        principal = authenticate(read_headers(request.scope["headers"]), self._services.keys)
        exchange_id = ExchangeId(request.path_params["exchange_id"][:_ID_LIMIT_CHARS])
        stored = await asyncio.to_thread(self._services.ledger.receipt, exchange_id)
        if stored is None or not (principal.is_admin or stored.key_id == principal.key_id):
            raise NotFound("no receipt with this id among this key's exchanges")
        salt = base64.b64encode(stored.salt).decode()
        return _json({"id": exchange_id, "envelope": orjson.loads(stored.receipt.envelope), "salt": salt})

    async def health(self, _request: Request) -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    async def readiness(self, request: Request) -> Response:
        """Whether a request would be taken now, and what is missing in words; where files lie is for admins."""
        ready, answer = readiness(self._services)
        if not self._asks_an_admin(request):
            answer = for_anybody(answer, self._services.paths)
        return _json(answer, status=200 if ready else 503)

    async def _on_error(self, _request: Request, exc: Exception) -> Response:
        assert isinstance(exc, FreeholdError)
        return _error_response(self._services.paths.keep_from_client(exc))

    def _asks_an_admin(self, request: Request) -> bool:
        try:
            return authenticate(read_headers(request.scope["headers"]), self._services.keys).is_admin
        except ClientError:
            return False

    async def metrics(self, request: Request) -> Response:
        if not self._metrics_open:
            authenticate_admin(read_headers(request.scope["headers"]), self._services.keys)
        services = self._services
        load = services.engine_load() if services.engine_load else None
        router = services.router
        body = services.metrics.expose(
            router.upstreams,
            services.recorder,
            load,
            circuits=router.circuits(),
            policy=services.guard.status(),
            waiting_approvals=len(services.approvals.waiting()),
            log=services.log.state if services.log is not None else None,
        )
        return Response(body, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})


class _Unexpected:
    """The last resort of the edges: an exception nobody foresaw becomes a 500 that tells nothing, and a line in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_send(message: "dict[str, object]") -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)  # type: ignore[arg-type]
        except Exception as exc:
            log.error("unexpected_error", path=scope.get("path", ""), error=type(exc).__name__, where=log.place(exc))
            if started or scope["type"] != "http":
                return  # the server closes the connection; raising would log the exception's own words
            await _error_response(InternalError("the node failed unexpectedly; its log has more"))(scope, receive, send)


def _json(document: object, status: int = 200) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(orjson.dumps(document), status_code=status, headers=headers)


def _error_response(error: FreeholdError, headers: dict[str, str] | None = None) -> Response:
    extra = {name.decode(): value.decode() for name, value in error_headers(error)}
    every = {"content-type": "application/json", "cache-control": "no-store", **extra, **(headers or {})}
    return Response(_EDGE_CODEC.encode_error(error), status_code=error.status, headers=every)


async def _on_departure(_request: Request, _exc: Exception) -> Response:
    """Nobody is left to read it."""
    return Response(status_code=400)


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    """What the router itself refuses: no such path, wrong method."""
    assert isinstance(exc, HTTPException)
    headers = dict(exc.headers or {})
    if exc.status_code == 405:
        return _error_response(NotPost(f"{request.url.path} does not take {request.method}"), headers=headers)
    return _error_response(NotFound(f"no such path: {request.url.path}; this node answers at {', '.join(PATHS)} and /v1/models"))
