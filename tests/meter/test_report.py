import math

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.exchange import KeyId
from freehold.core.totals import DayTotal
from freehold.meter.report import KEYS, by_grade, in_all, lines_by

joules = st.floats(0, 1e6)


@st.composite
def day_totals(draw: st.DrawFn) -> DayTotal:
    known = draw(st.integers(0, 5))
    requests = known + draw(st.integers(0, 5))
    energy_j = draw(joules) if known else 0.0
    carbon = draw(st.integers(0, known))
    return DayTotal(
        day=draw(st.integers(20_000, 20_005)),
        key_id=KeyId(draw(st.sampled_from("xyz"))),
        team=draw(st.none() | st.sampled_from(["red", "blue"])),
        provider=draw(st.none() | st.just("freehold")),
        model=draw(st.sampled_from("abc")),
        model_id=None,
        requests=requests,
        input_tokens=draw(st.integers(0, 1000)),
        output_tokens=draw(st.integers(0, 1000)),
        known_requests=known,
        known_tokens=known * 10,
        energy_j=energy_j,
        grades=draw(st.sampled_from(["modelled", "remote_model", "measured_counter,modelled"])) if known else "",
        carbon_requests=carbon,
        carbon_output_tokens=carbon * 7,
        carbon_g=draw(joules) if carbon else 0.0,
    )


@settings(max_examples=30)
@given(st.lists(day_totals(), max_size=30))
def test_however_it_is_cut_the_lines_add_up_to_the_ledger(totals: list[DayTotal]) -> None:
    whole = in_all(totals)
    for by in KEYS:
        lines = lines_by(totals, by)
        for name in ("requests", "known_requests", "input_tokens", "output_tokens", "carbon_requests"):
            assert sum(getattr(line, name) for line in lines) == getattr(whole, name) == sum(getattr(t, name) for t in totals)
        for name in ("energy_j", "carbon_g"):
            assert math.isclose(
                math.fsum(getattr(line, name) for line in lines), getattr(whole, name), rel_tol=1e-9, abs_tol=1e-9
            )
    assert math.isclose(math.fsum(by_grade(totals).values()), whole.energy_j, rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=30)
@given(st.lists(day_totals(), min_size=1, max_size=10))
def test_a_rate_is_unknown_where_nothing_is_known_and_never_falls_by_a_contract(totals: list[DayTotal]) -> None:
    whole = in_all(totals)
    assert (whole.sci_g is None) == (whole.carbon_output_tokens == 0)
    assert 0 <= whole.unknown_share <= 1
    if whole.sci_g is not None:
        assert math.isclose(whole.sci_g, whole.carbon_g / whole.carbon_output_tokens * 1000)
        assert not whole.has_embodied
