"""A plan's page in a real browser: it asks for nothing but itself, complains of nothing, and fits."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, sync_playwright

from freehold.cli import main

CHROMIUM = os.environ.get("FREEHOLD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PLANS = {
    "site": ("site", "--mw", "100", "--chip", "GB200", "--country", "IND"),
    "dispatch": ("dispatch", "--load", "20", "--pv", "--have", "battery-mw=60", "--have", "battery-mwh=400", "--draws", "0"),
}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name, arguments in PLANS.items():
        found[name] = tmp_path_factory.mktemp("plans") / f"{name}.html"
        result = CliRunner().invoke(main, ["plan", *arguments, "--html", str(found[name])])
        assert result.exit_code == 0, result.output
    return found


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", PLANS)
def test_it_loads_nothing_and_fits(browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light")
    page, address = context.new_page(), pages[name].as_uri()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    assert page.locator("figure").count() >= 3
    assert all(box is not None and box["height"] > 40 for box in (one.bounding_box() for one in page.locator("figure").all()))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    first = page.locator("details").first
    first.locator("summary").click()  # opens without a script
    assert first.locator("table").is_visible()
    page.emulate_media(media="print")
    assert not first.is_visible()
    assert page.locator("figure svg").first.is_visible()
    assert asked == [address]
    assert complaints == []
    context.close()


def test_words_stand_out_from_their_ground(browser: Browser, pages: dict[str, Path]) -> None:
    """WCAG 1.4.3: 4.5 to 1, in both schemes."""
    contrast = """() => {
        const parts = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        const light = text => { const [r, g, b] = parts(text); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = node => { for (; node; node = node.parentElement) {
            const found = getComputedStyle(node).backgroundColor;
            if (!/, 0\\)$/.test(found)) return found; } return 'rgb(255, 255, 255)'; };
        return [...document.querySelectorAll('th, td, p, li, summary, h1, h2, figcaption, svg text')].map(node => {
            const style = getComputedStyle(node);
            const one = light(node.tagName === 'text' ? style.fill : style.color), other = light(ground(node));
            return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05); });
    }"""
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        page = context.new_page()
        page.goto(pages["dispatch"].as_uri())
        found = page.evaluate(contrast)
        assert len(found) > 50
        assert min(found) >= 4.5
        context.close()
