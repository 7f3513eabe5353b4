"""`freehold plan dispatch` and the pages of plans: what is printed, written, and refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from tests.cli.page import Page

OFF_GRID = ("--load", "20", "--pv", "--have", "battery-mw=60", "--have", "battery-mwh=400")


def dispatch(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", "dispatch", *arguments])


def test_a_year_off_the_grid_is_told_written_and_drawn(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    result = dispatch(*OFF_GRID, "--draws", "2", "--html", str(path))
    assert result.exit_code == 0, result.output
    assert "binding week" in result.stdout
    assert "2 plans made anew" in result.stdout
    assert "what moves the cost of a year most" in result.stdout
    assert "rank correlation" not in result.stdout  # of two draws
    page = Page(path.read_text(encoding="utf-8"))
    assert page.links == ["data:,"]
    assert not {"script", "img", "iframe"} & set(page.tags)
    assert page.tags.count("svg") >= 5
    for words in (
        "What moves the cost of a year most",
        "The binding week",
        "What was asked",
        "--pausable",
        "Sources",
        "made up from",
    ):
        assert words in page.text
    assert page.text.count("The same in figures") == page.tags.count("figure")


def test_one_document_for_a_program(tmp_path: Path) -> None:
    sun = tmp_path / "sun.csv"
    sun.write_text("pv\n" + "\n".join(str(0.5 if 8 <= at % 24 < 16 else 0.0) for at in range(8760)), encoding="utf-8")
    prices = tmp_path / "prices.csv"
    prices.write_text("price_usd_per_mwh\n" + "\n".join(str(40 + at % 24) for at in range(8784)), encoding="utf-8")
    arguments = (
        "--load",
        "10",
        "--pv",
        "--pv-profile",
        str(sun),
        "--grid-mw",
        "10",
        "--grid-prices",
        str(prices),
        "--country",
        "ISL",
    )
    result = dispatch(*arguments, "--draws", "0", "--json")
    assert result.exit_code == 0, result.output
    document: Any = json.loads(result.stdout)
    energy = document["energy_mwh_per_year"]
    comes = sum(energy[name] for name in ("pv", "wind", "firm", "grid", "discharge", "shed")) + energy["paused"] * 0.9
    assert comes == pytest.approx(energy["load"] + energy["charge"] + energy["curtailed"], rel=1e-6)
    assert energy["load"] == pytest.approx(87_600)
    assert document["carbon_t_per_year"] == pytest.approx(energy["grid"] * 0.028, rel=0.05)
    assert document["ranges"] is None
    assert len(document["binding_week_series"]["load"]) == 56


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--load", "20"), "no source of power"),
        (("--pv",), "--load in MW"),
        (("--pv", "--load", "20", "--chip", "H100", "--count", "9"), "one of the three"),
        (("--pv", "--chip", "H100"), "one of the three"),
        (("--pv", "--chip", "Trainium2", "--count", "9"), "tdp_w of Trainium2 is unknown"),
        (("--load", "-5", "--pv"), "a load lies between"),
        (("--load", "nan", "--pv"), "a load lies between"),
        (("--load", "20", "--pv", "--have", "coal=3"), "with a name of pv, wind"),
        (("--load", "20", "--pv", "--have", "pv=many"), "NAME=NUMBER"),
        (("--load", "20", "--have", "battery-mwh=3", "--pv"), "a battery has MW and MWh"),
        (("--load", "20", "--pv", "--price", "pv=0"), "a price is above 0"),
        (("--load", "20", "--wind", "--most", "pv=3"), "add --pv"),
        (("--load", "20", "--wind", "--price", "pv=3"), "not in this plan"),
        (("--load", "20", "--grid-mw", "20"), "what does the grid's energy cost"),
        (("--load", "20", "--grid-mw", "20", "--grid-price", "50", "--carbon-price", "9"), "what the grid emits is unknown"),
        (("--load", "20", "--pv", "--pausable", "1.5"), "pausable lies between 0 and 1"),
        (("--load", "20", "--pv", "--wacc", "7"), "0.07 is 7 %"),
        (("--load", "20", "--firm", "--firm-usd-per-mwh", "-1"), "--firm-usd-per-mwh"),
        (("--load", "20", "--pv", "--latitude", "120"), "latitude"),
        (("--load", "20", "--wind", "--wind-mean", "0.9"), "mean of wind"),
        (("--load", "20", "--pv", "--pv-profile", __file__), "no line has a column"),
        (("--load", "20", "--pv", "--most-unserved", "0", "--draws", "0"), "0.408 is the least"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    result = dispatch(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_a_site_without_any_power_is_told_and_not_divided_by() -> None:
    result = dispatch("--load", "20", "--have", "pv=0", "--draws", "0", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["usd_per_mwh"] is None


def test_the_load_may_be_of_chips() -> None:
    result = dispatch("--chip", "H100", "--count", "2000", "--firm", "--draws", "0", "--json")
    assert json.loads(result.stdout)["load_mw"] == pytest.approx(3.46)


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    result = dispatch("--load", "20", "--firm", "--draws", "0", "--html", str(tmp_path / "nowhere" / "plan.html"))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr
