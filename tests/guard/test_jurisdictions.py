import pytest

from freehold.core.errors import ConfigError
from freehold.guard.jurisdictions import COLUMNS, OURS, day_ns, parse_jurisdictions

HEAD = ",".join(COLUMNS) + "\n"


def test_the_union_has_27_members_and_the_area_30() -> None:
    members = [code for code, one in OURS.items() if "EU" in one.groups and code != "EU"]
    area = [code for code, one in OURS.items() if "EEA" in one.groups and code != "EU"]
    assert (len(members), len(area)) == (27, 30)


def test_every_row_says_where_it_is_from() -> None:
    assert len(OURS) > 50
    for row in OURS.values():
        assert row.name
        assert (row.adequacy_basis is None) == (row.adequate_from_ns is None)
        assert not (row.groups and row.adequacy_basis)


def test_only_the_united_states_reach_what_their_companies_hold_anywhere() -> None:
    assert [code for code, row in OURS.items() if row.cloud_act] == ["US"]


@pytest.mark.parametrize(
    ("code", "basis", "day", "adequate"),
    [
        ("GB", "adequacy", "2026-11-23", True),
        ("GB", "adequacy", "2031-12-27", True),
        ("GB", "adequacy", "2031-12-28", False),
        ("GB", "adequacy", "2021-06-27", False),
        ("GB", "scc", "2026-11-23", False),
        ("GB", None, "2026-11-23", False),
        ("US", "dpf_certified", "2026-11-23", True),
        ("US", "adequacy", "2026-11-23", False),
        ("BR", "adequacy", "2026-01-25", False),
        ("BR", "adequacy", "2026-01-26", True),
        ("CN", "adequacy", "2026-11-23", False),
        ("DE", "adequacy", "2026-11-23", False),
    ],
)
def test_adequacy_depends_on_the_basis_and_the_day(code: str, basis: str | None, day: str, adequate: bool) -> None:
    assert OURS[code].is_adequate(basis, day_ns(day)) is adequate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,name\nDE,Germany\n", "first line must be code,name,groups"),
        (HEAD + "Germany,Germany,EU EEA,,,,,s\n", "line 2.*two capital letters"),
        (HEAD + "DE,Germany,NATO,,,,,s\n", "line 2.*groups"),
        (HEAD + "DE,Germany,,,,,maybe,s\n", "cloud_act"),
        (HEAD + "DE,Germany,,adequacy,yesterday,,,s\n", "line 2.*yesterday"),
        (HEAD + "DE,Germany,EU,,,,,s\nDE,Germany,EU,,,,,s\n", "line 3: DE is there twice"),
        (HEAD + "DE\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_jurisdictions(text, "own.csv")
