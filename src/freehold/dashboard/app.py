"""The dashboard's ASGI app: who may see which page, and what every answer carries.

Every page needs the admin key: as a bearer token, or through the log-in page as a cookie. Every answer forbids caching,
framing, and anything that is not the node's own: no script or style inline, no other host. All pages but that of the waiting
calls (`call_views.py`) are read-only. The app is mounted by the gateway, so links are made from the mount's path.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freehold.core.errors import ClientError, FreeholdError, InvalidKey, NotFound
from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.ports import HeldQuestions, KeyRing, LedgerReader, StoredReceipt, UpstreamStatus
from freehold.dashboard.call_views import CallViews
from freehold.dashboard.config import DashboardConfig
from freehold.dashboard.day import Day, TotalsBetween
from freehold.dashboard.door import COOKIE, Door, base_of, event, form_of, has_credentials, html, refuse_foreign
from freehold.dashboard.feed import Feed, Numbered, record_status
from freehold.dashboard.pages import STATIC, Pages
from freehold.dashboard.receipt_view import receipt_file, receipt_view
from freehold.dashboard.sessions import Sessions

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
Told = Callable[[FreeholdError], FreeholdError]
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
    calls: HeldQuestions,
    totals: TotalsBetween,
    *,
    config: DashboardConfig | None = None,
    key_names: KeyNames = dict,
    told: Told = lambda error: error,
    clock: Callable[[], float] = time.monotonic,
    heartbeat_s: float = HEARTBEAT_S,
) -> Dashboard:
    """`status` names the node's parts and must not block; `key_names` and `totals` may, and are called off the event loop.

    `told` gives an error as anybody may read it: one may come before it is known who asks.
    """
    config = config or DashboardConfig()
    feed = Feed(reader)
    sessions = Sessions(keys, lifetime_s=config.session_hours * 3600, clock=clock)
    views = _Views(reader, feed, sessions, status, calls, Day(totals), key_names, told, heartbeat_s)
    call_views = CallViews(calls, views.door, views.pages, lambda: feed.is_closed, heartbeat_s)
    app = Starlette(
        routes=[
            Route("/", views.overview),
            Route("/login", views.login_form, methods=["GET"]),
            Route("/login", views.login, methods=["POST"]),
            Route("/logout", views.logout, methods=["POST"]),
            Route("/events", views.events),
            *call_views.routes(),
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
        calls: HeldQuestions,
        day: Day,
        key_names: KeyNames,
        told: Told,
        heartbeat_s: float,
    ) -> None:
        self._reader = reader
        self._feed = feed
        self._sessions = sessions
        self._status = status
        self._calls = calls
        self._day = day
        self._key_names = key_names
        self._told = told
        self._heartbeat_s = heartbeat_s
        self.door = Door(sessions)
        self.pages = Pages()

    async def overview(self, request: Request) -> Response:
        if not has_credentials(request):
            return RedirectResponse(_link(request, "/login"), status_code=303)
        await self.door.authenticate(request)
        shown = await self._feed.recent()
        names = await asyncio.to_thread(self._key_names)
        status, day = record_status(self._feed, self._status()), await self._day.figures()
        return html(self.pages.overview(base_of(request), shown, names, status, len(self._calls.waiting()), day))

    async def login_form(self, request: Request) -> Response:
        return html(self.pages.login(base_of(request), failure=None))

    async def login(self, request: Request) -> Response:
        refuse_foreign(request)
        key = (await form_of(request)).get("key", "").strip()
        try:
            cookie = await asyncio.to_thread(self._sessions.open, key)
        except ClientError as refusal:
            return html(self.pages.login(base_of(request), failure=refusal.message), refusal.status)
        answer = RedirectResponse(_link(request, "/"), status_code=303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(self._sessions.lifetime_s),
            path=base_of(request) or "/",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def logout(self, request: Request) -> Response:
        refuse_foreign(request)
        self._sessions.close(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(_link(request, "/login"), status_code=303)
        answer.delete_cookie(COOKIE, path=base_of(request) or "/", httponly=True, samesite="strict")
        return answer

    async def events(self, request: Request) -> Response:
        await self.door.authenticate(request)
        resume = request.headers.get("last-event-id") or request.query_params.get("after", "")
        seq = int(resume) if resume.isascii() and resume.isdigit() and len(resume) < 19 else 0
        return StreamingResponse(self._live(request, seq), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _live(self, request: Request, seq: int) -> AsyncIterator[str]:
        """Until the reader leaves, the log-in ends, or the server stops."""
        base, shown_status, shown_waiting, shown_day = base_of(request), "", -1, ""
        async with self._feed.watching():
            yield "retry: 1000\n\n"
            seq = min(seq, await self._feed.newest())  # a page that outlived its record starts at the new one's end
            while not self._feed.is_closed:
                fresh = await self._feed.newer(seq, self._heartbeat_s)
                if not fresh and not await self.door.still_allowed(request):
                    yield event("over", "the session is over")
                    return
                if fresh:
                    seq = fresh[-1][0]
                    yield await self._fragments(base, fresh)
                status = self.pages.status(record_status(self._feed, self._status()))
                yield event("status", status) if status != shown_status else ": alive\n\n"
                shown_status = status
                if (waiting := len(self._calls.waiting())) != shown_waiting:
                    yield event("waiting", str(waiting))
                    shown_waiting = waiting
                with suppress(FreeholdError):  # what can't be read is told in the status
                    if (day := self.pages.day(await self._day.figures())) != shown_day:
                        yield event("day", day)
                        shown_day = day

    async def _fragments(self, base: str, fresh: list[Numbered]) -> str:
        names = await asyncio.to_thread(self._key_names)
        rows = [event("exchange", self.pages.row(base, seq, entry, names), seq) for seq, entry in fresh]
        return "".join([*rows, event("totals", self.pages.totals(self._feed.shown()))])

    async def receipt(self, request: Request) -> Response:
        return html(self.pages.receipt(base_of(request), receipt_view(await self._stored(request))))

    async def download(self, request: Request) -> Response:
        stored = await self._stored(request)
        headers = {"content-disposition": f'attachment; filename="{stored.receipt.exchange_id}.json"'}
        return Response(receipt_file(stored), media_type="application/json", headers=headers)

    async def _stored(self, request: Request) -> StoredReceipt:
        await self.door.authenticate(request)
        stored = await asyncio.to_thread(self._reader.receipt, ExchangeId(request.path_params["exchange_id"]))
        if stored is None:
            raise NotFound("there is no receipt of this name; it may belong to another node")
        return stored

    async def static(self, request: Request) -> Response:
        asset = STATIC.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return Response(asset.body, media_type=asset.media_type)

    async def failed(self, request: Request, failure: Exception) -> Response:
        assert isinstance(failure, FreeholdError)
        failure = self._told(failure)
        if failure.status == InvalidKey.status and "authorization" not in request.headers:
            return html(self.pages.login(base_of(request), failure=failure.message), failure.status)
        return html(self.pages.message(base_of(request), failure.status, failure.message), failure.status)

    async def refused(self, request: Request, failure: Exception) -> Response:
        assert isinstance(failure, HTTPException)
        text = _REFUSALS.get(failure.status_code, failure.detail)
        return html(self.pages.message(base_of(request), failure.status_code, text), failure.status_code)

    async def left(self, request: Request, failure: Exception) -> Response:
        return Response(status_code=400)  # nobody is there to read it


def _link(request: Request, path: str) -> str:
    return base_of(request) + path
