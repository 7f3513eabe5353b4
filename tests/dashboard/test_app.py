import asyncio
import http.client
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import pytest
from starlette.types import Message, Scope

from freehold.core.errors import DeviceError
from freehold.core.exchange import Principal
from freehold.core.findings import Action, Mode
from freehold.core.ledger import Status
from freehold.core.ports import UpstreamStatus
from freehold.dashboard.app import SECURITY_HEADERS
from tests.dashboard.serving import ADMIN, CLIENT, Keys, Served, serving
from tests.fakes.ledger import entry, finding, unknown_entry


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with serving(Served()) as served:
        served.ledger.add(entry(1))
        yield served


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


def ask(served: Served, path: str, *, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
    parts = urllib.parse.urlsplit(served.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, parts.path + path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        text = response.read().decode()
        return Answer(status=response.status, headers={name.lower(): value for name, value in response.getheaders()}, text=text)
    finally:
        connection.close()


def log_in(served: Served, key: str = ADMIN) -> Answer:
    form = urllib.parse.urlencode({"key": key})
    return ask(served, "/login", method="POST", body=form, Content_Type="application/x-www-form-urlencoded")


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def admin(served: Served, path: str) -> Answer:
    return ask(served, path, Authorization=f"Bearer {ADMIN}")


def test_without_a_key_the_page_leads_to_the_log_in(running: Served) -> None:
    answer = ask(running, "/")
    assert answer.status == 303
    assert answer.headers["location"] == "/dashboard/login"
    assert "smollm2" not in answer.text


def test_the_address_works_without_its_last_slash(running: Served) -> None:
    answer = ask(running, "")
    assert answer.status == 307
    assert answer.headers["location"].endswith("/dashboard/")


def test_the_admin_key_opens_a_session(running: Served) -> None:
    answer = log_in(running)
    assert answer.status == 303
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/dashboard", "max-age=43200"} <= attributes
    page = ask(running, "/", Cookie=cookie_of(answer))
    assert page.status == 200
    assert "smollm2-135m" in page.text
    assert ADMIN not in answer.headers["set-cookie"]


def test_a_wrong_key_is_answered_401_with_the_log_in_page(running: Served) -> None:
    answer = log_in(running, "fh_wrong")
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert "unknown or revoked" in answer.text
    assert "fh_wrong" not in answer.text


def test_an_error_before_the_log_in_is_told_as_anybody_may_read_it() -> None:
    class BrokenKeys(Keys):
        def authenticate(self, secret: str) -> Principal:
            raise DeviceError("the disk of /srv/freehold/record.db is full; free some space")

    with serving(Served(keys=BrokenKeys())) as served:
        for answer in (log_in(served), ask(served, "/", Authorization="Bearer x")):
            assert answer.status == 503
            assert "the disk of record.db is full" in answer.text
            assert "/srv" not in answer.text


def test_a_client_key_is_answered_403(running: Served) -> None:
    assert log_in(running, CLIENT).status == 403
    assert ask(running, "/", Authorization=f"Bearer {CLIENT}").status == 403


@pytest.mark.parametrize("path", ["/", "/events", "/receipts/xc_00000000000000000000000001", "/receipts/x/download"])
@pytest.mark.parametrize(
    "headers", [{"Cookie": "freehold_dashboard=guess"}, {"Authorization": "Bearer no"}, {"Authorization": "Basic no"}]
)
def test_no_page_opens_without_the_admin_key(running: Served, path: str, headers: dict[str, str]) -> None:
    answer = ask(running, path, **headers)
    assert answer.status == 401
    assert "k0ffee" not in answer.text
    assert "smollm2" not in answer.text


def test_a_bearer_key_works_too(running: Served) -> None:
    assert admin(running, "/").status == 200


def test_a_log_in_of_any_size_is_refused_early(running: Served) -> None:
    assert ask(running, "/login", method="POST", body="key=" + "a" * 100_000).status == 413


@pytest.mark.parametrize("body", ["", "other=1", "key=%ff%fe", "&&&=", "key"])
def test_a_log_in_of_any_shape_is_refused_with_401(running: Served, body: str) -> None:
    assert ask(running, "/login", method="POST", body=body).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/login", "/static/dashboard.js", "/static/dashboard.css", "/static/../app.py", "/nowhere", "/events"]
)
def test_every_answer_forbids_caching_framing_and_strangers(running: Served, path: str) -> None:
    answer = ask(running, path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.decode()] == value.decode()
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_log_out_ends_the_session(running: Served) -> None:
    cookie = cookie_of(log_in(running))
    assert ask(running, "/logout", method="POST", Cookie=cookie).status == 303
    assert ask(running, "/", Cookie=cookie).status == 401


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_a_form_from_a_page_of_another_origin_is_refused(running: Served, site: str) -> None:
    cookie = cookie_of(log_in(running))
    assert ask(running, "/logout", method="POST", Cookie=cookie, Sec_Fetch_Site=site).status == 403
    assert ask(running, "/login", method="POST", body=f"key={ADMIN}", Sec_Fetch_Site=site).status == 403
    assert ask(running, "/logout", method="POST", Cookie=cookie, Sec_Fetch_Site="same-origin").status == 303


def test_a_session_ends_with_its_hours_and_with_its_key() -> None:
    with serving(Served()) as served:
        cookie = cookie_of(log_in(served))
        served.now_s = 12 * 3600 - 1
        assert ask(served, "/", Cookie=cookie).status == 200
        served.now_s = 12 * 3600
        assert ask(served, "/", Cookie=cookie).status == 401
        cookie = cookie_of(log_in(served))
        del served.keys.known[ADMIN]
        assert ask(served, "/", Cookie=cookie).status == 401


def test_unknown_is_shown_as_unknown_and_never_as_zero() -> None:
    with serving(Served()) as served:
        served.ledger.add(unknown_entry())
        text = admin(served, "/").text
        row = text[text.index('<tr role="row" class="exchange') : text.index("</tbody>")]
        assert row.count("unknown") >= 5  # tokens in and out, tokens/s, first token, energy
        assert ">0<" not in row
        assert "0 J" not in text


def test_what_a_client_wrote_cannot_become_markup() -> None:
    with serving(Served()) as served:
        served.ledger.add(entry(1, model='<script>alert("1")</script>', team="<b>t</b>", error_code='"><img src=x>'))
        text = admin(served, "/").text
        assert "<script>alert" not in text
        assert "<b>t</b>" not in text
        assert "<img src=x>" not in text


def test_findings_say_what_happened_and_shadow_says_what_would_have() -> None:
    with serving(Served()) as served:
        findings = (finding(), finding(), finding(rule="email", mode=Mode.SHADOW), finding(rule="pem", action=Action.BLOCK))
        served.ledger.add(entry(1, status=Status.BLOCKED, findings=findings))
        text = admin(served, "/").text
        assert "<b>aws-access-key</b> ×2<small>masked in the request</small>" in text
        assert "<b>email</b><small>shadow: would mask in the request</small>" in text
        assert "<b>pem</b><small>blocked in the request</small>" in text


def test_a_receipt_shows_its_statement_and_how_to_check_it(running: Served) -> None:
    name = entry(1).exchange_id
    text = admin(running, f"/receipts/{name}").text
    assert "https://in-toto.io/Statement/v1" in text
    assert "k0ffee" in text
    assert f"freehold receipt verify {name}.json --key node.pub" in text
    downloaded = admin(running, f"/receipts/{name}/download")
    assert downloaded.headers["content-disposition"] == f'attachment; filename="{name}.json"'
    assert set(json.loads(downloaded.text)) == {"id", "envelope", "salt"}


def test_a_receipt_that_is_not_there_is_answered_404(running: Served) -> None:
    assert admin(running, "/receipts/xc_none").status == 404
    assert admin(running, "/receipts/xc_none/download").status == 404


async def read_events(response: aiohttp.ClientResponse, wanted: set[str]) -> dict[str, list[str]]:
    """Events by name, until each wanted name came."""
    events: dict[str, list[str]] = {}
    name, lines = "", []
    async with asyncio.timeout(10):
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith(("data: ", "id: ")):
                lines.append(line)
            elif not line and name:
                events.setdefault(name, []).append("\n".join(lines))
                name, lines = "", []
                if wanted <= events.keys():
                    return events
    return events


async def test_a_new_exchange_arrives_live_with_totals_and_state() -> None:
    with serving(Served()) as served:
        headers = {"authorization": f"Bearer {ADMIN}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(served.url + "/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            served.ledger.add(entry(7, model="live-model"))
            events = await read_events(response, {"exchange", "totals", "status"})
        assert "live-model" in events["exchange"][0]
        assert "id: 1" in events["exchange"][0]
        assert "smollm2-135m" in events["status"][0]


async def test_a_reader_resumes_where_it_was_and_repeats_nothing() -> None:
    with serving(Served()) as served:
        for number in range(1, 6):
            served.ledger.add(entry(number))
        headers = {"authorization": f"Bearer {ADMIN}", "last-event-id": "3"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(served.url + "/events?after=1") as response:
            events = await read_events(response, {"totals"})
        assert [text.splitlines()[0] for text in events["exchange"]] == ["id: 4", "id: 5"]


async def test_a_page_that_outlived_its_record_shows_the_new_one() -> None:
    with serving(Served()) as served:
        served.ledger.add(entry(1))
        headers = {"authorization": f"Bearer {ADMIN}", "last-event-id": "5000"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(served.url + "/events") as response:
            await read_events(response, {"status"})
            served.ledger.add(entry(2))
            events = await read_events(response, {"exchange"})
        assert "id: 2" in events["exchange"][0]


async def test_the_cookie_is_secure_under_tls_and_not_without() -> None:
    served = Served()
    for scheme in ("https", "http"):
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": f"key={ADMIN}".encode()}

        async def send(message: Message, sent: list[Message] = sent) -> None:
            sent.append(message)

        scope: Scope = {"type": "http", "method": "POST", "path": "/login", "scheme": scheme, "query_string": b"", "headers": []}
        await served.dashboard(scope, receive, send)
        cookie = dict(sent[0]["headers"])[b"set-cookie"].decode().lower()
        assert ("secure" in cookie) == (scheme == "https")
        assert "httponly" in cookie


async def test_a_revoked_key_ends_its_open_streams() -> None:
    with serving(Served()) as served:
        headers = {"authorization": f"Bearer {ADMIN}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(served.url + "/events") as response:
            await read_events(response, {"status"})
            del served.keys.known[ADMIN]
            events = await read_events(response, {"over"})
            assert "over" in events
            assert await response.content.read() == b""


async def test_a_part_that_fails_is_shown_as_not_ready() -> None:
    with serving(Served()) as served:
        headers = {"authorization": f"Bearer {ADMIN}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(served.url + "/events") as response:
            await read_events(response, {"status"})
            served.parts = {"engine": UpstreamStatus(ready=False, detail="starting again")}
            events = await read_events(response, {"status"})
        assert "not ready: starting again" in events["status"][0]


async def test_open_pages_end_when_the_node_stops() -> None:
    served = Served()
    opened = asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()  # the reader stays
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            opened.set()

    headers = [(b"authorization", f"Bearer {ADMIN}".encode())]
    scope: Scope = {"type": "http", "method": "GET", "path": "/events", "query_string": b"", "headers": headers}
    page = asyncio.create_task(served.dashboard(scope, receive, send))
    async with asyncio.timeout(10):
        await opened.wait()
        await served.dashboard.close()
        await page
    assert not served.dashboard.feed.is_polling
