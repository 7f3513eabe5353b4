"""The page of calls that wait for a person, and the one thing the dashboard changes: what became of one.

GET  /approvals          the page
GET  /approvals/events   calls as they come, and which still wait
POST /approvals/{id}     a form: decision, note, and the token of its page

What calls say is on no other page, and goes from the node's memory to an admin's. It works without JavaScript, too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from freehold.core.approvals import Question
from freehold.core.errors import InvalidRequest
from freehold.core.ports import HeldQuestions
from freehold.dashboard.call_card import call_card
from freehold.dashboard.door import Door, base_of, event, form_of, has_credentials, html
from freehold.dashboard.pages import Pages

SHOWN_LIMIT = 50  # calls on the page, the oldest first: the next come up as these are decided
POLL_S = 0.25  # of a list in memory
_DECISIONS = ("approve", "deny")


class CallViews:
    def __init__(self, calls: HeldQuestions, door: Door, pages: Pages, is_closed: Callable[[], bool], heartbeat_s: float) -> None:
        self._calls, self._door, self._pages = calls, door, pages
        self._is_closed, self._heartbeat_s = is_closed, heartbeat_s

    def routes(self) -> list[Route]:
        return [
            Route("/approvals", self.page, methods=["GET"]),
            Route("/approvals/events", self.events, methods=["GET"]),
            Route("/approvals/{id}", self.decide, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        base = base_of(request)
        if not has_credentials(request):
            return RedirectResponse(f"{base}/login", status_code=303)
        await self._door.authenticate(request)
        waiting, now_ns = self._calls.waiting(), time.time_ns()
        done = request.query_params.get("done", "")
        return html(
            self._pages.approvals(
                base,
                [call_card(question, now_ns) for question in waiting[:SHOWN_LIMIT]],
                token=self._door.form_token(request),
                waiting=len(waiting),
                done=done if done in _DECISIONS else "",
            )
        )

    async def decide(self, request: Request) -> Response:
        admin = await self._door.authenticate(request)
        form = await form_of(request)
        self._door.check_form(request, form.get("token", ""))
        decision = form.get("decision", "")
        if decision not in _DECISIONS:
            raise InvalidRequest("a decision is approve or deny")
        approved = decision == "approve"
        self._calls.decide(request.path_params["id"], approved=approved, by=admin, note=form.get("note", "").strip())
        return RedirectResponse(f"{base_of(request)}/approvals?done={decision}", status_code=303)

    async def events(self, request: Request) -> Response:
        await self._door.authenticate(request)
        return StreamingResponse(self._live(request), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _live(self, request: Request) -> AsyncIterator[str]:
        """Until the reader leaves, the log-in ends, or the server stops. Each call is sent once."""
        yield "retry: 1000\n\n"
        sent: set[str] = set()
        shown: list[str] | None = None
        told_s = time.monotonic()
        while not self._is_closed():
            waiting = self._calls.waiting()
            ids = [question.id for question in waiting]
            if ids != shown or time.monotonic() - told_s >= self._heartbeat_s:
                if not await self._door.still_allowed(request):
                    yield event("over", "the session is over")
                    return
                yield self._news(request, waiting, sent) if ids != shown else ": alive\n\n"
                sent &= set(ids)
                shown, told_s = ids, time.monotonic()
            await asyncio.sleep(POLL_S)

    def _news(self, request: Request, waiting: Sequence[Question], sent: set[str]) -> str:
        base, token, now_ns = base_of(request), self._door.form_token(request), time.time_ns()
        fresh = [question for question in waiting[:SHOWN_LIMIT] if question.id not in sent]
        sent |= {question.id for question in fresh}
        cards = [event("call", self._pages.call(base, call_card(question, now_ns), token)) for question in fresh]
        return "".join([*cards, event("waiting", " ".join(question.id for question in waiting))])
