"""Hours of a year from tables of others, and from a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.plan.profile import Kind, in_steps, parse_hours
from freehold.plan.weather import HOURS, solar, wind


def table(heading: str, line: str, count: int = HOURS) -> str:
    return "\n".join([heading, *(line.format(at=at, day=at // 24, share=(at % 24) / 48) for at in range(count))])


def test_our_own_columns() -> None:
    found = parse_hours(table("hour,pv", "{at},{share}"), "sun.csv", Kind.PV)
    assert found.shape == (HOURS,)
    assert found[23] == pytest.approx(23 / 48)
    assert parse_hours(table("price_usd_per_mwh", "-12.5"), "p.csv", Kind.PRICE).mean() == -12.5


def test_a_table_of_renewables_ninja_is_of_the_capacity_in_its_comments() -> None:
    comments = (
        '# Renewables.ninja Wind (Point API)\n# Units: {"electricity": "kW"}\n# {"params": {"lat": 39.5, "capacity": 2.0}}\n'
    )
    text = comments + table("time,local_time,electricity", "2019-01-01 00:00,2019-01-01 01:00,1.5")
    assert parse_hours(text, "ninja.csv", Kind.WIND).mean() == pytest.approx(0.75)


def test_a_table_of_pvgis_is_of_the_peak_power_above_it() -> None:
    above = "Latitude (decimal degrees):\t39.5\nNominal power of the PV system (c-Si) (kWp):\t2.0\nSystem losses (%):\t14.0\n\n"
    below = "\n\nP: PV system power (W)\nInt: 1 means solar radiation values are reconstructed\n"
    text = above + table("time,P,G(i),H_sun,T2m,WS10m,Int", "20200101:0010,500.0,0.0,0.0,0.0,1.0,0.0") + below
    assert parse_hours(text, "pvgis.csv", Kind.PV).mean() == pytest.approx(0.25)


def test_the_29th_of_february_is_left_out() -> None:
    found = parse_hours(table("load_mw", "{day}", HOURS + 24), "load.csv", Kind.LOAD)
    assert found.size == HOURS
    assert 59 not in found
    assert 60 in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no line has a column"),
        ("time,value\n1,2\n", r"no line has a column of these names: pv, electricity, P"),
        ("pv\n0.5\nhalf\n", "sun.csv, line 3: 'half'"),
        ("pv\n0.5\nnan\n", "line 3"),
        ("pv\n512\n", "line 2: '512' is not between 0 and 1.25"),
        ("time,pv\n0,0.1\n1\n", "line 3: column 2 is missing, the line has 1"),
        ("pv\n0.5\n0.5\n", "8,760 or 8,784 hours, this table has 2"),
        ("pv\n" + "0.5\n" * 9000, "more than 8,784 hours"),
        ("a\x00,pv\n" + "0,1\x00\n", "line 2"),
    ],
)
def test_a_malformed_table_names_the_line(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        parse_hours(text, "sun.csv", Kind.PV)


@given(st.text(st.sampled_from(list('pv,Pelctriy0.5\n\r"#:kW\x00 ')) | st.characters()), st.sampled_from(list(Kind)))
def test_whatever_the_table_holds_only_our_own_error_comes_out(text: str, kind: Kind) -> None:
    for whole in (text, f"{kind}\n{text}", f"Nominal power of the PV system (kWp): {text}\nP\n1"):
        with pytest.raises(InvalidRequest):
            parse_hours(whole, "t.csv", kind)


def test_steps_keep_the_mean() -> None:
    hours = solar()
    assert in_steps(hours, 3).shape == (HOURS // 3,)
    assert in_steps(hours, 3).mean() == pytest.approx(hours.mean())


@settings(max_examples=30)
@given(st.floats(-90, 90), st.integers(0, 1000))
def test_the_sun_of_anywhere_is_a_share(latitude: float, seed: int) -> None:
    hours = solar(latitude, seed)
    assert np.all((hours >= 0) & (hours <= 1))


def test_made_up_weather_has_the_shape_of_weather() -> None:
    days = solar().reshape(365, 24)
    assert np.all(days[:, [0, 1, 2, 22, 23]] == 0)  # night
    assert days[152:213].mean() > days[[*range(31), *range(334, 365)]].mean()  # summer and winter
    assert np.array_equal(solar(seed=1), solar(seed=1))
    assert not np.array_equal(solar(seed=1), solar(seed=2))
    for mean in (0.1, 0.35, 0.5):
        assert wind(mean).mean() == pytest.approx(mean, abs=1e-3)
    daily = wind().reshape(365, 24).mean(axis=1)
    assert np.corrcoef(daily[:-1], daily[1:])[0, 1] > 0.3  # lulls last
    assert (daily < 0.1).sum() > 30


@pytest.mark.parametrize("latitude", [91.0, float("nan")])
def test_absurd_weather_is_refused(latitude: float) -> None:
    with pytest.raises(InvalidRequest, match="latitude"):
        solar(latitude)
    with pytest.raises(InvalidRequest, match="mean of wind"):
        wind(0.9)
