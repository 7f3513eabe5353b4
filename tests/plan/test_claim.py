"""Public claims: the worked set of docs/claims.md, and what is no claim."""

from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.plan.catalogue import Precision, find
from freehold.plan.claim import Claim, Setting, examine, precision_of
from freehold.plan.dispatch import dispatch
from freehold.plan.dispatch_case import Case, Unit
from freehold.plan.energy_costs import TECHNOLOGIES
from freehold.plan.grid import grid
from freehold.plan.weather import HOURS, solar, wind

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "claims.md").read_text(encoding="utf-8")


def number(claim: Claim, reading: str, fact: str) -> float:
    (found,) = (one.value for each in claim.readings if each.name == reading for one in each.facts if one.name == fact)
    assert isinstance(found, float | int)
    return found


def said(claim: Claim) -> str:
    return "; ".join(claim.against)


def test_indias_8_exaflops_are_1_dense() -> None:
    claim = examine("8 exaflops", Setting(chip=find("CS-3"), chips=64))
    assert number(claim, "bf16 sparse", "chips") == 64
    assert number(claim, "bf16 sparse", "dense BF16") == pytest.approx(1.0)
    assert number(claim, "bf16 sparse", "IT power") == pytest.approx(1.472)
    assert number(claim, "bf16 sparse", "as many H100") == 1011
    assert number(claim, "bf16 dense", "chips") == 512
    assert "64 chips make the claim true at bf16 sparse: dense it is 1 EF (inferred)" in said(claim)
    assert claim.unsaid == ("precision", "dense or sparse")


def test_20_exaflops_on_two_bases() -> None:
    claim = examine("20 exaflops", Setting(chip=find("CS-3")))
    assert number(claim, "bf16 sparse", "chips") == 160
    assert number(claim, "bf16 sparse", "IT power") == pytest.approx(3.68)
    claim = examine("20 EF FP8 dense", Setting(chip=find("GB200")))
    assert number(claim, "fp8 dense", "chips") == 4000
    assert number(claim, "fp8 dense", "site power") == pytest.approx(8.4)
    assert claim.unsaid == ()


def test_100_megawatts_to_1_gigawatt() -> None:
    setting = Setting(chip=find("GB200"), grid=grid("IND"))
    small, large = examine("100 MW", setting), examine("1 GW", setting)
    filled = "filled with GB200 (per GPU of NVL72)"
    assert number(small, filled, "chips") == 47_619
    assert number(small, filled, "racks") == 661
    assert number(small, filled, "bf16 dense") == pytest.approx(119, rel=0.01)
    assert number(small, filled, "fp8 dense") == pytest.approx(238, rel=0.01)
    assert number(small, filled, "memory") == pytest.approx(8.86, rel=0.01)
    assert number(small, "100 MW", "CO2e") == pytest.approx(625, rel=0.01)
    assert number(large, "1,000 MW", "energy at full load") == pytest.approx(8.76)
    assert number(large, "1,000 MW", "everything") == pytest.approx(25.8)


def test_200_billion_dollars() -> None:
    claim = examine("$200bn", Setting())
    assert number(claim, "all of it buys AI sites", "power") == pytest.approx(7.75, rel=0.01)
    assert number(claim, "all of it buys shells", "power") == pytest.approx(28.6, rel=0.01)
    assert examine("200 billion dollars", Setting()).readings == claim.readings
    assert "costs more" in said(examine("$200bn", Setting(site_mw=100_000)))


def test_a_70b_model_on_one_3090() -> None:
    claim = examine("70B on one RTX 3090 at 2 tokens/s", Setting(link_gb_per_s=6.5))
    # xaskasdf/ntransformer's README: 0.2 and 0.3 tokens/s; a bound lies within a fifth of them.
    assert number(claim, "Q6_K", "at most") == pytest.approx(0.17, rel=0.03)
    assert number(claim, "Q4_K_M", "at most") == pytest.approx(0.28, rel=0.03)
    assert "2 tokens/s is beyond the bound" in said(claim)
    assert "does not fit" in said(claim)


@pytest.mark.parametrize("speed", ["1,000 tokens/s", "1e9 tokens/s", "5k tok/s"])
def test_a_speed_is_read_however_it_is_written(speed: str) -> None:
    assert "tokens/s is beyond the bound" in said(examine(f"70B on one RTX 3090 at {speed}", Setting(link_gb_per_s=6.5)))


def test_a_speed_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no number above zero"):
        examine("70B on one RTX 3090 at 1.2.3 tokens/s", Setting())


@pytest.mark.parametrize("text", ["100 MW and 1 GW", "8 exaflops for 100 MW", "1 GW, $25bn", "70B on one RTX 3090 in 10 MW"])
def test_two_quantities_are_two_claims(text: str) -> None:
    with pytest.raises(InvalidRequest, match="two claims"):
        examine(text, Setting(chip=find("H100")))


def test_iceland() -> None:
    claim = examine("1 GW", Setting(grid=grid("ISL")))
    assert number(claim, "1,000 MW", "share of the country") == pytest.approx(44.1, rel=0.01)
    assert "44% of all electricity made in Iceland in 2022, 19.87 TWh or 2.27 GW" in said(claim)


def test_63_megawatt_hours_of_batteries() -> None:
    claim = examine("63 MWh of batteries", Setting(site_mw=3.46))
    assert number(claim, "storage", "carries the load for") == pytest.approx(18.2, rel=0.01)
    assert number(claim, "storage", "a week without sun or wind") == pytest.approx(581, rel=0.01)
    assert "no continuous supply" in said(claim)


@pytest.mark.parametrize(
    ("day", "outcome"), [(date(2025, 12, 1), "presumption of denial"), (date(2026, 2, 1), "reviewed case by case")]
)
def test_h200_to_china(day: date, outcome: str) -> None:
    claim = examine("H200 to CN", Setting(day=day))
    (value,) = (fact.value for fact in claim.readings[0].facts if fact.name == "outcome")
    assert isinstance(value, str)
    assert outcome in value
    assert "not legal advice" in claim.about
    assert examine("export of H200 chips from US to CN", Setting(day=day)).readings == claim.readings


def test_the_document_has_these_figures() -> None:
    plain = DOCUMENT.replace("**", "")
    for figure in ("1.0 EF", "1,011 H100", "3.7 MW", "8.4 MW", "47,619", "661 racks", "119 EF", "625 kt", "7.8 GW", "28.6 GW"):
        assert figure in plain
    for figure in ("0.17 tokens/s", "0.28", "44 %", "18.2 hours", "581 MWh", "15,832", "presumption of denial", "case by case"):
        assert figure in plain


def test_63_megawatt_hours_through_a_year() -> None:
    """The two commands of the document."""
    battery = {
        name: Unit(technology=TECHNOLOGIES[name], have=size, most=size)
        for name, size in (("battery-mw", 12), ("battery-mwh", 63))
    }
    hours = np.full(HOURS, 3.46)
    units = {"pv": Unit(technology=TECHNOLOGIES["pv"]), **battery}
    case = Case(load_mw=hours, pv=solar(), wind=wind(), step_h=1.0, units=units).averaged(3)
    bound, free = dispatch(case), dispatch(replace(case, pausable=1.0))
    assert bound.capacities["pv"] == pytest.approx(55, abs=0.5)
    assert bound.energy_mwh("shed") / bound.energy_mwh("load") == pytest.approx(0.0042, abs=1e-4)
    assert bound.week.unserved_mwh / bound.energy_mwh("shed") == pytest.approx(0.5, abs=0.05)
    assert bound.week.first_day == 359
    assert free.capacities["pv"] == pytest.approx(34, abs=0.5)
    assert free.energy_mwh("paused") / free.energy_mwh("load") == pytest.approx(0.033, abs=5e-4)
    assert free.paused_hours == pytest.approx(945, abs=15)


@pytest.mark.parametrize("text", ["", "much compute", "exaflops", "8 FP8", "-8 exaflops of", "one gigawatt"])
def test_what_holds_no_quantity_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no quantity"):
        examine(text, Setting())


def test_a_quantity_that_needs_more_says_what() -> None:
    for text, needed in (("8 exaflops", "--chip"), ("63 MWh", "--mw"), ("H200 to CN", "--date")):
        with pytest.raises(InvalidRequest, match=needed):
            examine(text, Setting())
    with pytest.raises(InvalidRequest, match="fp64 rates are not in the catalogue"):
        examine("8 exaflops FP64", Setting(chip=find("H100")))
    assert precision_of("in FP16") is Precision.BF16


def test_power_that_is_not_enough_is_said() -> None:
    assert "takes 14.1 MW" in said(examine("8 exaflops", Setting(chip=find("CS-3"), site_mw=5)))
    assert "none of it is the claim" in said(examine("8 exaflops", Setting(chip=find("CS-3"), chips=100)))


@settings(max_examples=60)
@given(st.text(max_size=40) | st.from_regex(r"[\d.,]{1,9} ?(EF|PFLOPS|MW|GWh|B on \w+)", fullmatch=True))
def test_any_text_is_a_claim_or_refused_by_our_own_error(text: str) -> None:
    with suppress(FreeholdError):
        examine(text, Setting(chip=find("H100"), site_mw=10, day=date(2026, 2, 1)))
