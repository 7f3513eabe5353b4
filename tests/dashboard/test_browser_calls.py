"""The page of waiting calls in a real browser: calls come and go by themselves, and a click decides the call it is on."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.serving import Served, serving
from tests.dashboard.test_browser import CONTRAST, Seen, browser, keep_picture, open_page, overflow_px, pytestmark
from tests.fakes.questions import question

__all__ = ["browser", "pytestmark"]  # the fixture and the marks are the same

LONG = '{"command":"' + "a" * 300 + '","script":"' + "line\\n" * 5 + '<script>document.title = 1</script>"}'


@pytest.fixture
def served() -> Iterator[Served]:
    with serving(Served()) as served:
        yield served


def waiting_page(browser: Browser, served: Served, *, width: int = 1280, scheme: str = "light") -> tuple[Page, Seen]:
    page, seen = open_page(browser, served, width=width, scheme=scheme)
    page.get_by_role("link", name="Waiting calls").click()
    expect(page.get_by_role("heading", name="Waiting calls")).to_be_visible()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    return page, seen


def test_a_call_appears_is_approved_and_another_goes_by_itself(browser: Browser, served: Served) -> None:
    page, seen = waiting_page(browser, served)
    expect(page.get_by_text("No call waits.")).to_be_visible()
    served.questions.open += [question(1), question(2, tool="send_mail", arguments='{"to":"all@example.org"}', left_s=60)]
    first = page.get_by_role("article", name="Bash")
    expect(first).to_contain_text("crontab jobs.txt")
    expect(page.get_by_role("article", name="send_mail")).to_contain_text("0:5")
    expect(page).to_have_title("(2) Waiting calls · Freehold")
    expect(page.get_by_role("status")).to_have_text("2 calls wait")
    keep_picture(page, "calls")
    second = page.get_by_role("article", name="send_mail")
    served.questions.open.pop()
    expect(second).to_contain_text("over: decided, withdrawn, or out of time")
    assert second.get_by_role("button").count() == 0
    first.get_by_label("A note for the log").fill("looked at it")
    first.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: the call goes on.")).to_be_visible()
    assert served.questions.decided == [(question(1).id, True, "key_0", "looked at it")]
    assert {urlsplit(url).netloc for url in seen.requests} == {urlsplit(served.url).netloc}
    assert seen.complaints == []
    page.context.close()


def test_the_enter_key_in_the_note_is_no_yes(browser: Browser, served: Served) -> None:
    served.questions.open.append(question(1))
    page, _ = waiting_page(browser, served)
    page.get_by_label("A note for the log").press("Enter")
    expect(page.get_by_text("Denied: the agent is told")).to_be_visible()
    assert [approved for _, approved, _, _ in served.questions.decided] == [False]
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_a_long_call_fits_reads_well_and_runs_nothing(browser: Browser, served: Served, width: int, scheme: str) -> None:
    served.questions.open.append(question(1, tool="mcp__tools__" + "x" * 100, arguments=LONG))
    page, seen = waiting_page(browser, served, width=width, scheme=scheme)
    keep_picture(page, f"calls-{scheme}-{width}")
    assert overflow_px(page) == 0
    worst = page.evaluate(CONTRAST)
    assert worst["ratio"] >= 4.5, worst
    expect(page).to_have_title("(1) Waiting calls · Freehold")
    assert seen.complaints == []
    page.context.close()
