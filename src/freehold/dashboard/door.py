"""Who may come in, by bearer token or cookie, and what a form must carry.

A form that changes something must come from a page of ours: the browser says whose page sent it, the cookie is SameSite, and the
form carries a token that only a page which this process rendered for the same credentials has.
"""

import asyncio
import hashlib
import hmac
import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from freehold.core.errors import ClientError, InvalidRequest, NotAllowed, RequestTooLarge
from freehold.core.exchange import Principal
from freehold.dashboard.sessions import Sessions

COOKIE = "freehold_dashboard"
FORM_LIMIT_BYTES = 4096  # one key and a field name; a decision, its note and token
_FIELDS_LIMIT = 8


class Door:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._secret = secrets.token_bytes(32)

    async def authenticate(self, request: Request) -> Principal:
        """Raises InvalidKey and NotAllowed."""
        bearer = bearer_of(request)
        if bearer:
            return await asyncio.to_thread(self._sessions.admin, bearer)
        return await asyncio.to_thread(self._sessions.resume, request.cookies.get(COOKIE, ""))

    async def still_allowed(self, request: Request) -> bool:
        try:
            await self.authenticate(request)
        except ClientError:
            return False
        return True

    def form_token(self, request: Request) -> str:
        """For the forms of a page that is rendered for `request`."""
        credential = bearer_of(request) or request.cookies.get(COOKIE, "")
        return hmac.new(self._secret, credential.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    def check_form(self, request: Request, token: str) -> None:
        """Raises NotAllowed."""
        refuse_foreign(request)
        if not hmac.compare_digest(self.form_token(request).encode(), token.encode("utf-8", "replace")):
            raise NotAllowed("this form is not of a page of this log-in; load the page again")


def refuse_foreign(request: Request) -> None:
    """A form of another origin: SameSite stops other sites, but another port of this host is the same site.

    The browser says so itself; `Origin` is of no use, since our own forms carry none that names us (`no-referrer`).
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise NotAllowed("this form was sent by a page of another origin")


def has_credentials(request: Request) -> bool:
    return "authorization" in request.headers or COOKIE in request.cookies


def bearer_of(request: Request) -> str | None:
    """None without the header; a header of another kind is an empty key, which no ring knows."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


async def form_of(request: Request) -> dict[str, str]:
    """The first value of each field. Raises ClientError."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT_BYTES:
            raise RequestTooLarge(f"a form has at most {FORM_LIMIT_BYTES} bytes")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_LIMIT)
    except ValueError as exc:
        raise InvalidRequest(f"a form has at most {_FIELDS_LIMIT} fields") from exc
    return {name: values[0] for name, values in fields.items()}


def base_of(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html; charset=utf-8")


def event(name: str, data: str, seq: int | None = None) -> str:
    """One server-sent event."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines()) or "data:\n"
    number = "" if seq is None else f"id: {seq}\n"
    return f"event: {name}\n{number}{lines}\n"
