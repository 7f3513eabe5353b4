"""The page in a real browser: what a person sees, and what the browser is not asked to do."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from freehold.core.exchange import KeyId
from freehold.core.findings import Action, Mode
from freehold.core.ledger import Status
from freehold.core.measurement import NOTHING_RAN, Carbon, Footprint
from tests.dashboard.days import BOUGHT, LOCAL
from tests.dashboard.serving import ADMIN, Served, serving
from tests.fakes.ledger import entry, finding, unknown_entry

CHROMIUM = os.environ.get("FREEHOLD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


@dataclass(slots=True)
class Seen:
    """What a page did besides being looked at."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Served()) as served:
        served.ledger.add(entry(1))
        served.ledger.add(unknown_entry(2))
        served.ledger.add(
            entry(3, status=Status.BLOCKED, ttft_ms=None, output_tokens=0, findings=(finding(rule="pem", action=Action.BLOCK),))
        )
        served.ledger.add(entry(4, findings=(finding(), finding(), finding(rule="email", mode=Mode.SHADOW))))
        little = Carbon(g=9.85e-6, low_g=4.51e-6, high_g=24.2e-6, zone="ISL", year=2022)
        served.ledger.add(entry(8, footprint=Footprint(carbon=little, electricity_microusd=0.1), key_id=KeyId("k" * 100)))
        carbon = Carbon(g=0.25, low_g=0.1, high_g=0.5, zone="ISL", year=2022)
        served.ledger.add(entry(5, footprint=Footprint(carbon=carbon, electricity_microusd=12.0)))
        served.ledger.add(entry(7, provider="somewhere-else", model="somebody/a-model-with-a-long-name-235b-a22b-instruct"))
        refused = entry(6, status=Status.FAILED, error_code="model_not_found", provider=None, model="unknown", ttft_ms=None)
        served.ledger.add(replace(refused, input_tokens=None, output_tokens=None, energy=NOTHING_RAN))
        yield served


def open_page(browser: Browser, served: Served, *, width: int = 1280, scheme: str = "light") -> tuple[Page, Seen]:
    """A page of its own, logged in through the form."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light")
    page, seen = context.new_page(), Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(served.url + "/")
    page.get_by_label("Admin key").fill(ADMIN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    return page, seen


def keep_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("FREEHOLD_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def overflow_px(page: Page) -> int:
    page.wait_for_load_state()  # a heading can be seen before the style sheet is there
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_row_appears_live_without_a_stranger_or_a_complaint(browser: Browser, served: Served) -> None:
    page, seen = open_page(browser, served)
    keep_picture(page, "light")
    served.ledger.add(entry(50, model="just-now"))
    row = page.get_by_role("row").filter(has_text="just-now")
    expect(row).to_be_visible()
    expect(page.get_by_role("row").nth(1)).to_contain_text("just-now")
    expect(page.get_by_role("status")).to_have_text("1 new exchange", timeout=8000)
    host = urlsplit(served.url).netloc
    assert {urlsplit(url).netloc for url in seen.requests} == {host}
    assert seen.complaints == []
    page.context.close()


def test_joules_carbon_and_cost_of_an_answer_and_of_the_day_are_seen(browser: Browser, served: Served) -> None:
    served.day = [LOCAL, BOUGHT]
    page, seen = open_page(browser, served)
    day = page.get_by_role("region", name="Today, in UTC")
    for words in (
        "7500 J",
        "6000 J – 9000 J",
        "modelled",
        "without 1 unknown of 4",
        "1.5 g",
        "location-based",
        "$0.0012",
        "$0.20",
    ):
        expect(day).to_contain_text(words)
    known = page.get_by_role("row").filter(has=page.get_by_role("link", name=f"Receipt {entry(5).exchange_id}"))
    for words in ("3.21 J", "modelled", "2.1 J – 4.62 J", "0.25 g", "ISL 2022", "$0.000012", "electricity"):
        expect(known).to_contain_text(words)
    served.day = [replace(LOCAL, energy_j=8000.0), BOUGHT]
    expect(day).to_contain_text("8000 J", timeout=10_000)
    keep_picture(page, "day")
    assert seen.complaints == []
    served.day = []
    page.context.close()


def test_a_paused_page_holds_rows_back_and_shows_them_on_resume(browser: Browser, served: Served) -> None:
    page, _ = open_page(browser, served)
    page.get_by_role("button", name="Pause").click()
    served.ledger.add(entry(60, model="while-paused"))
    resume = page.get_by_role("button", name="Resume (1 new)")
    expect(resume).to_be_visible()
    assert page.get_by_text("while-paused").count() == 0
    resume.click()
    expect(page.get_by_text("while-paused")).to_be_visible()
    page.context.close()


def test_a_receipt_is_one_click_away(browser: Browser, served: Served) -> None:
    page, seen = open_page(browser, served)
    page.get_by_role("link", name=f"Receipt {entry(1).exchange_id}").click()
    expect(page.get_by_role("heading", name="Check it yourself")).to_be_visible()
    keep_picture(page, "receipt")
    assert overflow_px(page) == 0
    assert seen.complaints == []
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (800, "light"), (1280, "dark"), (1920, "light")])
def test_no_width_scrolls_sideways(browser: Browser, served: Served, width: int, scheme: str) -> None:
    page, _ = open_page(browser, served, width=width, scheme=scheme)
    keep_picture(page, f"{scheme}-{width}")
    assert overflow_px(page) == 0
    page.context.close()


def test_the_table_keeps_its_meaning_as_cards(browser: Browser, served: Served) -> None:
    page, _ = open_page(browser, served, width=390)
    first = page.get_by_role("table").get_by_role("row").nth(1)
    assert first.get_by_role("cell").count() == page.get_by_role("columnheader").count() == 11
    page.context.close()


def test_text_stands_out_from_its_ground(browser: Browser, served: Served) -> None:
    """WCAG 2.1 AA asks 4.5:1; measured from the colours the browser computed."""
    for scheme in ("light", "dark"):
        page, _ = open_page(browser, served, scheme=scheme)
        worst = page.evaluate(CONTRAST)
        assert worst["ratio"] >= 4.5, worst
        page.context.close()


def test_the_log_in_page_tells_a_wrong_key_so(browser: Browser, served: Served) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 700})
    page = context.new_page()
    page.goto(served.url + "/login")
    keep_picture(page, "login")
    page.get_by_label("Admin key").fill("fh_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown or revoked")
    context.close()


CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let worst = { ratio: 99 };
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const a = light(parse(getComputedStyle(element).color)), b = light(ground(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: element.textContent.trim().slice(0, 40), tag: element.tagName };
  }
  return worst;
}"""
