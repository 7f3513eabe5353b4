"""What `freehold plan` prints, and what it refuses with exit code 2 and a sentence."""

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.store.database import open_writer
from freehold.store.rows import INSERT_ENTRY, entry_row
from tests.cli.page import Page
from tests.store.drafts import entry


def plan(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", *arguments])


def told(*arguments: str) -> Any:
    result = plan(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_8_exaflops_of_cs3() -> None:
    result = plan("exaflops", "8", "--chip", "CS-3")
    assert result.exit_code == 0
    assert "inferred" in result.stdout
    (sparse,) = (one for one in told("exaflops", "8", "--chip", "CS-3")["readings"] if one["density"] == "sparse")
    assert (sparse["chips"], sparse["dense_bf16_exaflops"]) == (64, 1.0)
    assert sparse["it_mw"] == pytest.approx(1.472)


def test_a_rack_has_many_rates() -> None:
    document = told("exaflops", "--count", "72", "--chip", "GB200")
    rates = {(one["precision"], one["density"]): one["exaflops"] for one in document["readings"]}
    assert rates["bf16", "dense"] == pytest.approx(0.18)
    assert rates["fp4", "sparse"] == pytest.approx(1.44)


def test_the_catalogue_is_listed_and_told() -> None:
    assert len(told("chips")) == 26
    result = plan("chips", "matx one")
    assert result.exit_code == 0
    assert "bf16_dense_tflops" in result.stdout
    assert "unknown" in plan("chips").stdout


def test_a_site_and_a_claim() -> None:
    document = told("site", "--mw", "100", "--chip", "GB200", "--country", "IND")
    assert document["carbon_kt_per_year"] == pytest.approx(625, rel=0.01)
    assert "marginal" in plan("site", "--mw", "100", "--chip", "GB200", "--country", "IND").stdout
    assert "factor of 8" in plan("claim", "8 exaflops", "--chip", "CS-3").stdout
    assert told("claim", "$200bn")["readings"]


def test_an_export_before_and_after() -> None:
    route = ("export", "--chip", "H200", "--to", "cn", "--date")
    assert "presumption of denial" in told(*route, "2025-12-01")["outcome"]
    document = told(*route, "2026-02-01")
    assert "case by case" in document["outcome"]
    assert document["is_legal_advice"] is False
    assert "not legal advice" in plan(*route, "2026-02-01").stdout


def test_a_training_run_has_ranges_and_a_tornado() -> None:
    run = ("train", "--params", "405e9", "--tokens", "15.6e12", "--chip", "H100", "--n", "16384")
    document = told(*run)
    hours = document["chip_hours"]
    assert hours["p10"] < 30.84e6 < hours["p90"]
    assert hours["p50"] == pytest.approx(30.84e6, rel=0.25)
    assert hours["bars"][0]["name"] == "mfu"
    assert document["fits"] is True
    assert "rank correlation" in plan(*run).stdout


def test_serving_and_a_site_have_ranges_too() -> None:
    served = ("serve", "--model", "llama-3.1-70b", "--chip", "H100", "--tp", "4", "--itl-ms", "40", "--rate", "20")
    document = told(*served)
    assert document["itl_ms"]["p50"] <= 41
    assert document["replicas"] >= 1
    assert "median error" in plan(*served).stdout
    practice = told("site", "--mw", "100", "--chip", "GB200", "--country", "IND")["in_practice"]
    assert practice["energy_twh_per_year"]["p10"] < practice["energy_twh_per_year"]["p90"] < 0.9
    assert told("exaflops", "8", "--chip", "CS-3")["readings"][0]["in_practice"]["sustained_flop_per_s"]["p90"] < 8e18


def test_a_trace_is_played_against_replicas(tmp_path: Path) -> None:
    table = tmp_path / "trace.csv"
    rows = "".join(f"{at * 0.02},800,100\n" for at in range(400))
    table.write_text(f"arrived_s,prompt_tokens,output_tokens\n{rows}", encoding="utf-8")
    served = ("serve", "--model", "llama-3.1-8b", "--chip", "H100", "--trace", str(table))
    document = told(*served, "--ttft-ms", "200", "--itl-ms", "30")["trace"]
    assert document["replicas"] >= 1
    assert document["ttft_p95_ms"] <= 200
    assert document["between_p95_ms"] <= 30
    assert "95 of 100" in plan(*served, "--ttft-ms", "200").stdout
    result = plan(*served)
    assert result.exit_code == 2
    assert "a limit to keep" in result.stderr


def test_validation_is_printed_and_takes_runs_of_ones_own(tmp_path: Path) -> None:
    names = {family["name"]: family for family in told("validate")["families"]}
    assert names["training hours"]["median_error"] <= 0.15
    assert "Llama 3.1 405B" in plan("validate", "--cases").stdout
    table = tmp_path / "runs.csv"
    table.write_text(
        "run,accelerator,params_b,active_params_b,tokens_t,accel_hours\nours,H100,70,70,2,900000\n", encoding="utf-8"
    )
    (family,) = (one for one in told("validate", "--runs", str(table))["families"] if one["name"].endswith("your runs"))
    assert family["cases"][0]["name"] == "ours"
    table.write_text("run,accelerator,params_b,active_params_b,tokens_t,accel_hours\nours,H100,many,70,2,9\n", encoding="utf-8")
    result = plan("validate", "--runs", str(table))
    assert result.exit_code == 2
    assert "line 2" in result.stderr


EVERY = (
    ("chips",),
    ("chips", "H100"),
    ("claim", "8 exaflops", "--chip", "CS-3", "--count", "64"),
    ("exaflops", "8", "--chip", "CS-3"),
    ("export", "--chip", "TPU v4", "--to", "CN", "--date", "2026-02-01", "--die-mm2", "400", "900"),
    ("serve", "--model", "llama-3.1-70b", "--chip", "H100", "--tp", "4"),
    ("serve", "--model", "llama-3.1-70b", "--chip", "RTX 3090", "--stream", "Q4_K_M"),
    ("site", "--mw", "100", "--chip", "GB200", "--also", "MI355X=0.4", "--country", "IND"),
    ("train", "--params", "70e9", "--tokens", "2e12", "--chip", "H100", "--n", "1024"),
    ("validate",),
)


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_every_plan_is_told_in_three_ways(arguments: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    result = plan(*arguments, "--html", str(path), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.links == ["data:,"]
    assert not {"script", "img", "iframe", "link rel=stylesheet"} & set(page.tags)
    assert "What was asked" in page.text or arguments == ("validate",)
    assert page.text.count("The same in figures") == page.tags.count("figure")
    if arguments[0] in ("exaflops", "export", "serve", "site", "train"):
        assert "What moves" in page.text
        assert "what moves" in plan(*arguments).stdout


def test_what_was_asked_is_text_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "plan.html"
    assert plan("claim", "8 exaflops <script>alert(1)</script>", "--chip", "CS-3", "--html", str(path)).exit_code == 0
    page = Page(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_a_mix_of_chips_its_water_and_whom_it_hangs_on() -> None:
    document = told("site", "--mw", "100", "--chip", "GB200", "--also", "MI355X=0.4", "--country", "IND")
    assert document["concentration"]["site"]["vendors"]["hhi"] == pytest.approx(0.52)
    assert document["concentration"]["catalogue"]["fabs"]["shares"] == {"TSMC": pytest.approx(1.0)}
    assert [part["chip"] for part in document["parts"]] == ["GB200 (per GPU of NVL72)", "MI355X"]
    assert document["carbon_kt_per_year"] == pytest.approx(625, rel=0.01)
    water = document["water_ml_per_year"]
    assert water["cooling"]["p50"] < water["total"]["p10"]
    dry = told("site", "--mw", "100", "--chip", "GB200", "--wue", "0")
    assert dry["water_ml_per_year"]["cooling"]["p90"] == 0
    assert dry["water_ml_per_year"]["total"] is None


def test_a_die_area_between_two_decides_what_one_unknown_leaves_open() -> None:
    route = ("export", "--chip", "TPU v4", "--to", "CN", "--date", "2026-02-01")
    assert "undecided" in told(*route)["outcome"]
    assert told(*route)["uncertain"] is None
    assert "--die-mm2" in told(*route)["no_range_because"]
    assert "none: no die area is published" in plan(*route).stdout
    shares = told(*route, "--die-mm2", "400", "900")["uncertain"]["shares"]
    assert sum(shares.values()) == pytest.approx(1)
    assert not any("undecided" in outcome for outcome in shares)


@pytest.mark.parametrize(
    ("chip", "low", "high", "words"),
    [
        ("H200", 19.2, 19.6, "814 mm², as published"),
        ("B200", 20.9, 26.3, "1,373 to 1,716 mm², assumed: 2 dies"),
        ("CS-3", 5.3, 5.5, "46225 mm²"),
    ],
)
def test_a_density_has_a_range_where_the_catalogue_bounds_the_die(chip: str, low: float, high: float, words: str) -> None:
    uncertain = told("export", "--chip", chip, "--to", "CN", "--date", "2026-02-01")["uncertain"]
    density = uncertain["density"]
    assert low < density["p10"] < density["p50"] < density["p90"] < high
    assert words in uncertain["basis"]
    assert sum(uncertain["shares"].values()) == pytest.approx(1)


def test_a_model_larger_than_its_card_has_a_bound() -> None:
    card = ("serve", "--model", "llama-3.1-70b", "--chip", "RTX 3090")
    document = told(*card, "--stream", "q4_k_m", "--link-gb-per-s", "6.5")
    assert document["bound_tokens_per_s"] == pytest.approx(0.28, abs=0.005)
    assert document["expected_tokens_per_s"]["p90"] > document["expected_tokens_per_s"]["p10"]
    assert "--stream" in plan(*card).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("site", "--mw", "10", "--chip", "GB200", "--also", "MI355X=2"), "between 0 and 1"),
        (("site", "--mw", "10", "--chip", "GB200", "--also", "MI355X"), "CHIP=SHARE"),
        (("site", "--mw", "10", "--chip", "GB200", "--also", "GB200=0.5"), "is --chip already"),
        (("site", "--mw", "10", "--chip", "GB200", "--wue", "-1"), "WUE"),
        (("export", "--chip", "TPU v4", "--to", "CN", "--die-mm2", "900", "400"), "the smaller first"),
        (("serve", "--model", "llama-3.1-70b", "--chip", "RTX 3090", "--stream", "Q8_0", "--ram-gb", "8"), "what the disk reads"),
        (("serve", "--model", "llama-3.1-70b", "--chip", "RTX 3090", "--stream", "Q8_0", "--link-gb-per-s", "0"), "link's rate"),
        (("exaflops", "8", "--chip", "H100"), "Say --precision"),
        (("exaflops", "8"), "--chip"),
        (("exaflops", "--chip", "CS-3"), "one of the two"),
        (("exaflops", "nan", "--chip", "CS-3"), "above zero"),
        (("exaflops", "--chip", "CS-3", "--", "-8"), "above zero"),
        (("exaflops", "1e30", "--chip", "CS-3"), "check the number"),
        (("exaflops", "1e-9", "--chip", "CS-3"), "check the number"),
        (("exaflops", "1", "--chip", "MatX One"), "unknown: bf16_dense_tflops"),
        (("exaflops", "1", "--chip", "Metis", "--precision", "bf16"), "bf16_dense_tflops of Metis AIPU is unknown"),
        (("exaflops", "1", "--chip", "H1000", "--precision", "bf16"), "no accelerator"),
        (("exaflops", "8", "--chip", "CS-3", "--pue", "0.5"), "PUE"),
        (("site", "--mw", "-5", "--chip", "H100"), "MW"),
        (("site", "--mw", "5", "--chip", "Trainium2"), "tdp_w of Trainium2 is unknown"),
        (("site", "--mw", "5", "--chip", "H100", "--country", "Atlantis"), "three letters"),
        (("export", "--chip", "H200", "--to", "China"), "two capital letters"),
        (("export", "--chip", "H200", "--to", "XX"), "two capital letters"),
        (("export", "--chip", "H200", "--to", "UK"), "two capital letters"),
        (("train", "--params", "7e9", "--tokens", "1e12", "--chip", "H100", "--n", "100000000"), "would hardly end"),
        (("train", "--params", "7e9", "--tokens", "1e12", "--chip", "H100", "--n", "64", "--checkpoint-s", "1e12"), "hardly end"),
        (("claim", "63 MWh", "--mw", "nan"), "megawatts lie between"),
        (("claim", "999999999999 GW"), "check the number"),
        (("claim", "1,2,3,4 MW"), "no quantity"),
        (("export", "--chip", "H200", "--to", "CN", "--date", "2020-01-01"), "begin on 2023-11-17"),
        (("train", "--params", "-1", "--tokens", "1e12", "--chip", "H100"), "parameters lie between"),
        (("train", "--params", "7e9", "--tokens", "1e12", "--chip", "MatX One"), "bf16_dense_tflops of MatX One"),
        (("train", "--params", "7e9", "--tokens", "1e12", "--chip", "H100", "--layers", "3"), "all three"),
        (("serve", "--model", "gpt-9", "--chip", "H100"), "no model"),
        (("serve", "--model", "llama-3.1-405b", "--chip", "H100"), "does not fit"),
        (("claim", "a lot of compute"), "no quantity"),
        (("claim", "8 exaflops"), "--chip"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    result = plan(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_owning_is_told_from_the_ledger(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    asked = ("own", "--model", "qwen3-32b", "--chip", "H100", "--usd-per-kwh", "0.2", "--country", "DEU", "--file", str(path))
    path.touch()
    assert plan(*asked).exit_code != 0
    path.unlink()
    alone = CliRunner().invoke(main, ["plan", *asked[:-2]], env={"FREEHOLD_HOME": str(tmp_path)})
    assert (alone.exit_code, "first start" in alone.output) == (2, True)
    now_ns = time.time_ns()
    with closing(open_writer(path, 1.0)) as connection:
        for n in range(20):
            of_api = replace(entry(f"xc_{n}"), received_at_ns=now_ns - n * 10**9, provider="api", cost_microusd=2_000_000)
            connection.execute(INSERT_ENTRY, entry_row(replace(of_api, input_tokens=900, output_tokens=100)))
    document = told(*asked, "--elasticity", "0.5")
    assert document["chips"] == 1
    assert document["bought"][0]["cost_usd"] == pytest.approx(40)
    assert document["carbon_kg_per_year"] > 0
    assert document["grown"][0]["elasticity"] == 0.5
    shown = plan(*asked, "--html", str(tmp_path / "own.html"))
    assert shown.exit_code == 0
    assert "owning costs" in shown.stdout
    assert "What moves the cost of owning most" in Page((tmp_path / "own.html").read_text(encoding="utf-8")).text
    refused = plan(*asked, "--life-years", "0")
    assert (refused.exit_code, "half a year" in refused.output) == (2, True)
