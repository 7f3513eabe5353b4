from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.core.measurement import GridFactor
from freehold.meter.factors import Factors, parse_factors, read_factors

GOOD = b"zone,year,g_per_kwh,method,water_l_per_kwh,source\nISL,2024,26.9,average,6.1,mine\nISL,2025,25,,,\n"


def test_a_file_of_an_operators_own(tmp_path: Path) -> None:
    path = tmp_path / "factors.csv"
    path.write_bytes(GOOD)
    assert read_factors(path) == [
        GridFactor(zone="ISL", year=2024, g_per_kwh=26.9, water_l_per_kwh=6.1, source="mine"),
        GridFactor(zone="ISL", year=2025, g_per_kwh=25.0),
    ]
    with pytest.raises(ConfigError, match="cannot read"):
        read_factors(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "must begin with the line zone,year,g_per_kwh"),
        (b"zone,year\nISL,2024\n", "must begin with the line"),
        (b"zone,year,g_per_kwh\nISL,2024,-3\n", "row 1: g_per_kwh '-3' must be a number from 0 to 5000"),
        (b"zone,year,g_per_kwh\nISL,2024,nan\n", "must be a number"),
        (b"zone,year,g_per_kwh\nISL,2024,\n", "leave a row out"),
        (b"zone,year,g_per_kwh\nISL,last,3\n", "must be a year"),
        (b"zone,year,g_per_kwh,method\nISL,2024,3,guess\n", "average or marginal"),
        (b"zone,year,g_per_kwh\n,2024,3\n", "zone ''"),
        (b"\xff\xfe", "no CSV in UTF-8"),
    ],
)
def test_a_file_that_is_not_one_says_where_and_what(text: bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_factors(text, "f.csv")


@given(st.binary() | st.text().map(lambda text: f"zone,year,g_per_kwh\n{text}".encode()))
def test_whatever_the_bytes_only_our_error(raw: bytes) -> None:
    try:
        assert all(0 <= factor.g_per_kwh <= 5000 for factor in parse_factors(raw, "f.csv"))
    except ConfigError:
        return


def test_the_factor_of_a_year_is_its_own_or_the_last_before_or_the_first_after() -> None:
    factors = Factors(parse_factors(GOOD, "f"))
    assert [found and found.year for year in (2020, 2024, 2030) if (found := factors.at(year)) or True] == [2024, 2024, 2025]
    assert Factors([]).at(2024) is None
