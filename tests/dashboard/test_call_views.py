"""The page of waiting calls over HTTP: who may see it, what its forms must carry, and that what a call says stays text."""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from freehold.core.exchange import ExchangeId, KeyId, Principal
from freehold.dashboard import call_views
from freehold.dashboard.call_card import SHOWN_LIMIT_CHARS, call_card
from tests.dashboard.serving import ADMIN, CLIENT, Served, serving
from tests.dashboard.test_app import Answer, ask, cookie_of, log_in
from tests.fakes.questions import question

OWNER = Principal(key_id=KeyId("key_0"), name="owner", is_admin=True)


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with serving(Served()) as served:
        yield served


@pytest.fixture(autouse=True)
def nothing_waits(running: Served) -> None:
    running.questions.open.clear()
    running.questions.decided.clear()


def page(served: Served, cookie: str) -> str:
    answer = ask(served, "/approvals", Cookie=cookie)
    assert answer.status == 200
    return answer.text


def token_in(text: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def decide(served: Served, question_id: str, cookie: str, **fields: str) -> Answer:
    kind = "application/x-www-form-urlencoded"
    body = urllib.parse.urlencode(fields)
    return ask(served, f"/approvals/{question_id}", method="POST", body=body, Cookie=cookie, Content_Type=kind)


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_an_admin_decides_by_the_form_of_the_page(running: Served, decision: str) -> None:
    running.questions.open.append(question(1))
    cookie = cookie_of(log_in(running))
    shown = page(running, cookie)
    assert "crontab jobs.txt" in shown
    assert "persist-home" in shown
    answer = decide(running, question(1).id, cookie, token=token_in(shown), decision=decision, note="as agreed")
    assert (answer.status, answer.headers["location"]) == (303, f"/dashboard/approvals?done={decision}")
    assert running.questions.decided == [(question(1).id, decision == "approve", "key_0", "as agreed")]
    again = decide(running, question(1).id, cookie, token=token_in(shown), decision=decision)
    assert again.status == 404
    assert "no call waits" in again.text


def test_a_form_without_the_token_of_its_own_log_in_decides_nothing(running: Served) -> None:
    running.questions.open.append(question(1))
    mine, other = cookie_of(log_in(running)), cookie_of(log_in(running))
    tokens = ["", "0" * 64, "é", token_in(page(running, other))]
    for token in tokens:
        assert decide(running, question(1).id, mine, token=token, decision="approve").status == 403
    assert decide(running, question(1).id, mine, decision="approve").status == 403
    assert not running.questions.decided


def test_a_form_of_another_origin_decides_nothing(running: Served) -> None:
    running.questions.open.append(question(1))
    cookie = cookie_of(log_in(running))
    body = urllib.parse.urlencode({"token": token_in(page(running, cookie)), "decision": "approve"})
    for site in ("cross-site", "same-site"):
        answer = ask(running, f"/approvals/{question(1).id}", method="POST", body=body, Cookie=cookie, Sec_Fetch_Site=site)
        assert answer.status == 403
    assert not running.questions.decided


@pytest.mark.parametrize("path", ["/approvals", "/approvals/events"])
def test_nobody_but_an_admin_sees_a_call(running: Served, path: str) -> None:
    running.questions.open.append(question(1))
    for headers in (
        {"Cookie": "freehold_dashboard=guess"},
        {"Authorization": "Bearer no"},
        {"Authorization": f"Bearer {CLIENT}"},
    ):
        answer = ask(running, path, **headers)
        assert answer.status in (401, 403)
        assert "crontab" not in answer.text
    without = ask(running, path)
    assert without.status in (303, 401)
    assert "crontab" not in without.text
    assert ask(running, f"/approvals/{question(1).id}", method="POST", body="decision=approve").status == 401
    assert not running.questions.decided


def test_a_get_decides_nothing(running: Served) -> None:
    running.questions.open.append(question(1))
    cookie = cookie_of(log_in(running))
    token = token_in(page(running, cookie))
    assert ask(running, f"/approvals/{question(1).id}?decision=approve&token={token}", Cookie=cookie).status == 405
    assert not running.questions.decided


@pytest.mark.parametrize("fields", [{}, {"decision": ""}, {"decision": "APPROVE"}, {"decision": "later"}])
def test_only_a_decision_decides(running: Served, fields: dict[str, str]) -> None:
    running.questions.open.append(question(1))
    cookie = cookie_of(log_in(running))
    assert decide(running, question(1).id, cookie, token=token_in(page(running, cookie)), **fields).status == 400
    assert not running.questions.decided


def test_the_key_that_called_does_not_decide(running: Served) -> None:
    running.questions.open.append(question(1, principal=OWNER))
    cookie = cookie_of(log_in(running))
    answer = decide(running, question(1).id, cookie, token=token_in(page(running, cookie)), decision="approve")
    assert answer.status == 403
    assert "made the call itself" in answer.text


def test_a_form_is_small(running: Served) -> None:
    cookie = cookie_of(log_in(running))
    assert decide(running, "ap_1", cookie, note="x" * 5000).status == 413
    assert decide(running, "ap_1", cookie, **{f"f{n}": "1" for n in range(9)}).status == 400


def test_what_a_call_says_is_text_on_the_page(running: Served) -> None:
    evil = '{"command":"<script>alert(1)</script>\\u202e\\u0007","</dd>":"\\"><img src=x onerror=alert(2)>"}'
    running.questions.open.append(question(1, tool="<b>Bash</b>", arguments=evil))
    shown = page(running, cookie_of(log_in(running)))
    for never in ("<script>a", "<img src=x", "<b>Bash", "\u202e", "\x07"):
        assert never not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e\\x07" in shown


def test_a_call_too_long_to_show_can_not_be_approved_unseen(running: Served) -> None:
    long = '{"content":"' + "x" * SHOWN_LIMIT_CHARS + '","path":"/etc/passwd"}'
    running.questions.open.append(question(1, arguments=long))
    shown = page(running, cookie_of(log_in(running)))
    assert 'value="deny"' in shown
    assert 'value="approve"' not in shown
    assert "too long to show whole" in shown


def test_a_card_counts_down_to_nothing() -> None:
    asked = question(1, exchange_id=ExchangeId("xc_1"))
    assert call_card(asked, time.time_ns()).left == "4:50"
    assert call_card(asked, asked.expires_at_ns + 1).left_s == 0


def test_more_calls_than_the_page_shows_are_said(running: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_views, "SHOWN_LIMIT", 1)
    running.questions.open += [question(1), question(2)]
    shown = page(running, cookie_of(log_in(running)))
    assert "(2) Waiting calls" in shown
    assert question(2).id not in shown
    assert 'id="more">' in shown


def test_calls_come_live_once_each_and_the_stream_ends_with_the_log_in(running: Served) -> None:
    cookie = cookie_of(log_in(running))
    running.questions.open.append(question(1))
    with call_stream(running, cookie) as lines:
        assert until(lines, "event: waiting").count("event: call") == 1
        running.questions.open.append(question(2))
        assert until(lines, "event: waiting").count("event: call") == 1
        running.questions.open.pop(0)
        assert "event: call" not in until(lines, f"data: {question(2).id}")
        ask(running, "/logout", method="POST", Cookie=cookie)
        running.questions.open.append(question(3, arguments='{"command":"after the end"}'))
        assert "after the end" not in until(lines, "event: over")


def call_stream(served: Served, cookie: str) -> "Lines":
    return Lines(served.url + "/approvals/events", cookie)


class Lines:
    def __init__(self, url: str, cookie: str) -> None:
        self._request = urllib.request.Request(url, headers={"Cookie": cookie})

    def __enter__(self) -> Iterator[str]:
        self._answer = urllib.request.urlopen(self._request, timeout=20)
        return (line.decode().rstrip("\n") for line in self._answer)

    def __exit__(self, *_: object) -> None:
        self._answer.close()


def until(lines: Iterator[str], wanted: str) -> str:
    seen = []
    for line in lines:
        seen.append(line)
        if line == wanted:
            return "\n".join(seen)
    raise AssertionError(seen)


def test_a_bearer_reads_the_page_and_its_form_is_its_own(running: Served) -> None:
    running.questions.open.append(question(1))
    shown = ask(running, "/approvals", Authorization=f"Bearer {ADMIN}")
    assert shown.status == 200
    cookie = cookie_of(log_in(running))
    assert decide(running, question(1).id, cookie, token=token_in(shown.text), decision="approve").status == 403
