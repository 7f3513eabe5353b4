"""What `freehold plan` prints, and what it refuses with exit code 2 and a sentence."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("exaflops", "8", "--chip", "H100"), "Say --precision"),
        (("exaflops", "8"), "--chip"),
        (("exaflops", "--chip", "CS-3"), "one of the two"),
        (("exaflops", "nan", "--chip", "CS-3"), "above zero"),
        (("exaflops", "--chip", "CS-3", "--", "-8"), "above zero"),
        (("exaflops", "1e30", "--chip", "CS-3"), "check the number"),
        (("exaflops", "1", "--chip", "MatX One"), "unknown: bf16_dense_tflops"),
        (("exaflops", "1", "--chip", "Metis", "--precision", "bf16"), "bf16_dense_tflops of Metis AIPU is unknown"),
        (("exaflops", "1", "--chip", "H1000", "--precision", "bf16"), "no accelerator"),
        (("exaflops", "8", "--chip", "CS-3", "--pue", "0.5"), "PUE"),
        (("site", "--mw", "-5", "--chip", "H100"), "MW"),
        (("site", "--mw", "5", "--chip", "Trainium2"), "tdp_w of Trainium2 is unknown"),
        (("site", "--mw", "5", "--chip", "H100", "--country", "Atlantis"), "three letters"),
        (("export", "--chip", "H200", "--to", "China"), "two capital letters"),
        (("export", "--chip", "H200", "--to", "CN", "--date", "2020-01-01"), "begin on 2023-11-17"),
        (("claim", "a lot of compute"), "no quantity"),
        (("claim", "8 exaflops"), "--chip"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    result = plan(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
