"""The dashboard's ASGI app: who may see which page, and what every answer carries.

Every page needs the admin key: as a bearer token, or through the log-in page as a cookie. Every answer forbids caching,
framing, and anything that is not the node's own: no script or style inline, no other host. The app is mounted by the
gateway, so links are made from the mount's path.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.core.errors import ClientError, FreeholdError, InvalidKey, NotAllowed, NotFound, RequestTooLarge
from freehold.core.exchange import ExchangeId, KeyId, Principal
from freehold.core.ports import KeyRing, LedgerReader, UpstreamStatus
from freehold.dashboard.config import DashboardConfig
from freehold.dashboard.feed import Feed, Numbered, record_status
from freehold.dashboard.pages import STATIC, Pages
from freehold.dashboard.receipt_view import receipt_file, receipt_view
from freehold.dashboard.sessions import Sessions

COOKIE = "freehold_dashboard"
LOGIN_LIMIT_BYTES = 4096  # one key and a field name
HEARTBEAT_S = 15.0  # proxies close a silent connection after 30 to 60 s

SECURITY_HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"cache-control": b"no-store",
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}

_REFUSALS = {404: "there is no such page", 405: "this page cannot be asked in this way"}

Status = Callable[[], Mapping[str, UpstreamStatus]]
KeyNames = Callable[[], Mapping[KeyId, str]]


class Dashboard:
    """An ASGI app, and `close`, which lets the live pages go when the server stops."""

    def __init__(self, app: ASGIApp, feed: Feed) -> None:
        self._app = app
        self.feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def close(self) -> None:
        await self.feed.close()


def create_dashboard(
    reader: LedgerReader,
    keys: KeyRing,
    status: Status,
    *,
    config: DashboardConfig | None = None,
    key_names: KeyNames = dict,
    clock: Callable[[], float] = time.monotonic,
    heartbeat_s: float = HEARTBEAT_S,
) -> Dashboard:
    """`status` names the node's parts and must not block; `key_names` may, and is called off the event loop."""
    config = config or DashboardConfig()
    feed = Feed(reader)
    sessions = Sessions(keys, lifetime_s=config.session_hours * 3600, clock=clock)
    views = _Views(reader, feed, sessions, status, key_names, heartbeat_s)
    app = Starlette(
        routes=[
            Route("/", views.overview),
            Route("/login", views.login_form, methods=["GET"]),
            Route("/login", views.login, methods=["POST"]),
            Route("/logout", views.logout, methods=["POST"]),
            Route("/events", views.events),
            Route("/receipts/{exchange_id}", views.receipt),
            Route("/receipts/{exchange_id}/download", views.download),
            Route("/static/{name}", views.static),
        ],
        middleware=[Middleware(_SecurityHeaders)],
        exception_handlers={FreeholdError: views.failed, HTTPException: views.refused, ClientDisconnect: views.left},
    )
    return Dashboard(app, feed)


class _SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name, value) for name, value in message.get("headers", []) if name.lower() not in SECURITY_HEADERS]
                message = {**message, "headers": [*own, *SECURITY_HEADERS.items()]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Views:
    def __init__(
        self,
        reader: LedgerReader,
        feed: Feed,
        sessions: Sessions,
        status: Status,
        key_names: KeyNames,
        heartbeat_s: float,
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._sessions = sessions
        self._status = status
        self._key_names = key_names
        self._heartbeat_s = heartbeat_s
        self._pages = Pages()

    async def overview(self, request: Request) -> Response:
        if not _credentials(request):
            return RedirectResponse(_link(request, "/login"), status_code=303)
        await self._authenticate(request)
        shown = await self._feed.recent()
        names = await asyncio.to_thread(self._key_names)
        html = self._pages.overview(_base(request), shown, names, record_status(self._feed, self._status()))
        return _html(html)

    async def login_form(self, request: Request) -> Response:
        return _html(self._pages.login(_base(request), failure=None))

    async def login(self, request: Request) -> Response:
        _refuse_foreign(request)
        key = parse_qs((await _small_body(request)).decode("utf-8", "replace")).get("key", [""])[0].strip()
        try:
            cookie = await asyncio.to_thread(self._sessions.open, key)
        except ClientError as refusal:
            return _html(self._pages.login(_base(request), failure=refusal.message), refusal.status)
        answer = RedirectResponse(_link(request, "/"), status_code=303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(self._sessions.lifetime_s),
            path=_base(request) or "/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def logout(self, request: Request) -> Response:
        _refuse_foreign(request)
        self._sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(_link(request, "/login"), status_code=303)
        answer.delete_cookie(COOKIE, path=_base(request) or "/", httponly=True, samesite="strict")
        return answer

    async def events(self, request: Request) -> Response:
        await self._authenticate(request)
        resume = request.headers.get("last-event-id") or request.query_params.get("after", "")
        seq = int(resume) if resume.isascii() and resume.isdigit() and len(resume) < 19 else 0
        return StreamingResponse(self._live(request, seq), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _live(self, request: Request, seq: int) -> AsyncIterator[str]:
        """Until the reader leaves, the log-in ends, or the server stops."""
        base, shown_status = _base(request), ""
        async with self._feed.watching():
            yield "retry: 1000\n\n"
            seq = min(seq, await self._feed.newest())  # a page that outlived its record starts at the new one's end
            while not self._feed.is_closed:
                fresh = await self._feed.newer(seq, self._heartbeat_s)
                if not fresh and not await self._still_allowed(request):
                    yield _event("over", "the session is over")
                    return
                if fresh:
                    seq = fresh[-1][0]
                    yield await self._fragments(base, fresh)
                status = self._pages.status(record_status(self._feed, self._status()))
                yield _event("status", status) if status != shown_status else ": alive\n\n"
                shown_status = status

    async def _fragments(self, base: str, fresh: list[Numbered]) -> str:
        names = await asyncio.to_thread(self._key_names)
        rows = [_event("exchange", self._pages.row(base, seq, entry, names), seq) for seq, entry in fresh]
        return "".join([*rows, _event("totals", self._pages.totals(self._feed.shown()))])

    async def receipt(self, request: Request) -> Response:
        await self._authenticate(request)
        stored = await asyncio.to_thread(self._reader.receipt, ExchangeId(request.path_params["exchange_id"]))
        if stored is None:
            raise NotFound("there is no receipt of this name; it may belong to another node")
        return _html(self._pages.receipt(_base(request), receipt_view(stored)))

    async def download(self, request: Request) -> Response:
        await self._authenticate(request)
        stored = await asyncio.to_thread(self._reader.receipt, ExchangeId(request.path_params["exchange_id"]))
        if stored is None:
            raise NotFound("there is no receipt of this name; it may belong to another node")
        name = f"{stored.receipt.exchange_id}.json"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(receipt_file(stored), media_type="application/json", headers=headers)

    async def static(self, request: Request) -> Response:
        asset = STATIC.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return Response(asset.body, media_type=asset.media_type)

    async def failed(self, request: Request, failure: Exception) -> Response:
        assert isinstance(failure, FreeholdError)
        if failure.status == InvalidKey.status and "authorization" not in request.headers:
            return _html(self._pages.login(_base(request), failure=failure.message), failure.status)
        return _html(self._pages.message(_base(request), failure.status, failure.message), failure.status)

    async def refused(self, request: Request, failure: Exception) -> Response:
        assert isinstance(failure, HTTPException)
        text = {404: "there is no such page", 405: "this page cannot be asked in this way"}.get(
            failure.status_code, failure.detail
        )
        return _html(self._pages.message(_base(request), failure.status_code, text), failure.status_code)

    async def left(self, request: Request, failure: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it

    async def _authenticate(self, request: Request) -> Principal:
        bearer = _bearer(request)
        if bearer:
            return await asyncio.to_thread(self._sessions.admin, bearer)
        return await asyncio.to_thread(self._sessions.resume, request.cookies.get(COOKIE, ""))

    async def _still_allowed(self, request: Request) -> bool:
        try:
            await self._authenticate(request)
        except ClientError:
            return False
        return True


def _refuse_foreign(request: Request) -> None:
    """A form of another origin: SameSite stops other sites, but another port of this host is the same site.

    The browser says so itself; `Origin` is of no use, since our own forms carry none that names us (`no-referrer`).
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("this form was sent by a page of another origin")


def _credentials(request: Request) -> bool:
    return "authorization" in request.headers or COOKIE in request.cookies


def _bearer(request: Request) -> str | None:
    """None without the header; a header of another kind is an empty key, which no ring knows."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def _small_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LOGIN_LIMIT_BYTES:
            raise RequestTooLarge(f"a log-in has at most {LOGIN_LIMIT_BYTES} bytes")
    return body


def _base(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _link(request: Request, path: str) -> str:
    return _base(request) + path


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")


def _event(name: str, data: str, seq: int | None = None) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines()) or "data:\n"
    number = "" if seq is None else f"id: {seq}\n"
    return f"event: {name}\n{number}{lines}\n"
