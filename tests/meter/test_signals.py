import json
import os
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import MalformedArtefact
from freehold.core.ports import Signal, SignalPoint
from freehold.meter.signal_command import read_answer
from freehold.meter.signal_config import SignalConfig, TariffConfig
from freehold.meter.signal_series import read_csv
from freehold.meter.signals import Signals, Tariff, merged

HOUR_S = 3600.0
NOON_S = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()

EXPORT = (
    "Datetime (UTC),Country,Zone name,Zone id,Carbon intensity gCO₂eq/kWh (direct),"
    "Carbon intensity gCO₂eq/kWh (Life cycle),Carbon-free energy percentage (CFE%),Data source\n"
    "2026-03-01 12:00:00,Ours,Ours,OO,180.5,240.25,50.1,made up\n"
    "2026-03-01 13:00:00,Ours,Ours,OO,,,50.1,made up\n"
    "2026-03-01 14:00:00,Ours,Ours,OO,90,130,70.1,made up\n"
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_an_export_of_electricity_maps_is_read_as_it_is() -> None:
    life_cycle = read_csv(EXPORT, "x.csv")
    assert [(p.start_s - NOON_S, p.end_s - NOON_S, p.g_per_kwh) for p in life_cycle] == [
        (0, HOUR_S, 240.25),
        (HOUR_S, 2 * HOUR_S, None),
        (2 * HOUR_S, 3 * HOUR_S, 130),
    ]
    assert [p.g_per_kwh for p in read_csv(EXPORT, "x.csv", intensity="direct")] == [180.5, None, 90]
    of_earlier_years = EXPORT.replace("Carbon intensity", "Carbon Intensity").replace("Life cycle", "LCA")
    assert read_csv(of_earlier_years, "x.csv") == life_cycle


def test_what_follows_a_gap_is_unknown() -> None:
    points = read_csv(
        "start,g_per_kwh\n2026-03-01T12:00:00Z,100\n2026-03-01T13:00:00Z,110\n2026-03-01T17:00:00Z,90\n2026-03-01T18:00:00Z,0\n",
        "x.csv",
    )
    assert [(p.start_s - NOON_S) / HOUR_S for p in points] == [0, 1, 5, 6]
    assert all(p.end_s - p.start_s == HOUR_S for p in points)
    assert points[-1].g_per_kwh == 0  # it was said


def test_rows_may_say_when_they_end_and_tell_several_things() -> None:
    (point,) = read_csv("start,end,price_per_kwh,surplus_w\n1772366400,1772370000,-0.02,-350\n", "x.csv")
    assert point == SignalPoint(start_s=NOON_S, end_s=NOON_S + HOUR_S, price_per_kwh=-0.02, surplus_w=0.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("start\n", "none of the columns"),
        ("g_per_kwh\n1\n", "no column 'start'"),
        ("start,g_per_kwh\n", "no rows"),
        ("start,start,g_per_kwh\n", "two columns"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z,100\n", "line 2: nothing tells how long"),
        ("start,g_per_kwh\n2026-03-01T12:00:00,100\n2026-03-01T13:00:00,100\n", "line 2.*time zone"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z,100\nsoon,100\n", "line 3.*no time"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z,100\n2026-03-01T12:00:00Z,100\n", "line 3.*sort"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z,100\n2026-03-01T13:00:00Z,nan\n", "line 3.*no number"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z,100\n2026-03-01T13:00:00Z,-4\n", "line 3.*no number from 0"),
        ("start,price_per_kwh\n2026-03-01T12:00:00Z,90\n2026-03-01T13:00:00Z,220\n", "line 3.*to 100"),
        ("start,g_per_kwh\n2026-03-01T12:00:00Z\n", "line 2: has 1 cells"),
        ("start,g_per_kwh\n1772366400000,100\n", "line 2.*seconds"),
        ("start,end,g_per_kwh\n1772366400,1772366400,100\n", "line 2: ends before"),
        ('start,g_per_kwh\n"2026,1\n', "no CSV"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(MalformedArtefact, match=words):
        read_csv(text, "x.csv")


@given(st.text(max_size=200))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str) -> None:
    for given_text in (text, "start,g_per_kwh\n" + text, "start,end,surplus_w\n1,2,3\n" + text):
        try:
            points = read_csv(given_text, "x.csv")
        except MalformedArtefact:
            continue
        assert all(p.start_s < p.end_s for p in points)
        assert all(p.end_s <= q.start_s for p, q in pairwise(points))


@pytest.mark.parametrize(
    ("printed", "intensities"),
    [
        (b"312.5\n", [312.5]),
        (b'{"carbonIntensity": 302, "datetime": "2026-03-01T12:00:00.000Z"}', [302]),
        (
            b'{"zone": "OO", "forecast": [{"carbonIntensity": 1, "datetime": "2026-03-01T12:00:00Z"},'
            b' {"carbonIntensity": 2, "datetime": "2026-03-01T13:00:00Z"}]}',
            [1, 2],
        ),
        (b'[{"start": 1772366400, "end": 1772370000, "g_per_kwh": 5}]', [5]),
    ],
)
def test_what_a_command_prints_is_read(printed: bytes, intensities: list[float]) -> None:
    points = read_answer(printed, now_s=NOON_S, hold_s=60)
    assert [p.g_per_kwh for p in points] == intensities
    assert points[0].start_s == NOON_S


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["start", "end", "g_per_kwh", "surplus_w", "forecast", "datetime"]), inner, max_size=4),
    max_leaves=8,
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_whatever_a_command_prints_it_is_read_or_refused(printed: bytes) -> None:
    try:
        points = read_answer(printed, now_s=NOON_S, hold_s=60)
    except MalformedArtefact:
        return
    assert points
    assert all(p.start_s < p.end_s for p in points)


def test_a_tariff_holds_by_local_time_and_past_midnight() -> None:
    night = TariffConfig(hours="22:00-06:00", days="mon-fri", price_per_kwh=0.19)
    tariff = Tariff([night, TariffConfig(price_per_kwh=0.31)], "Europe/Berlin")
    friday = at("2026-07-03T00:00:00+02:00")
    points = tariff.between(friday, friday + 2 * 24 * HOUR_S)
    told = [((p.start_s - friday) / HOUR_S, p.price_per_kwh) for p in points]
    assert told == [(0, 0.19), (6, 0.31), (22, 0.19), (30, 0.31)]  # the night of Saturday is no weekday's


def test_the_hour_that_a_clock_repeats_has_its_price_twice() -> None:
    tariff = Tariff([TariffConfig(hours="02:00-03:00", price_per_kwh=1)], "Europe/Berlin")
    night = at("2026-10-25T00:00:00+02:00")
    assert [p.end_s - p.start_s for p in tariff.between(night, night + 6 * HOUR_S)] == [2 * HOUR_S]


@pytest.mark.parametrize("setting", [
    {"hours": "22-"}, {"hours": "06:10-07:00"}, {"hours": "24:00-06:00"}, {"hours": "06:00-06:00"}, {"hours": "x"},
    {"days": "monday"}, {"days": "mon-"}, {"price_per_kwh": 190},
])  # fmt: skip
def test_a_tariff_that_makes_no_sense_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match="tariff"):
        msgspec.convert({"price_per_kwh": 0.2, **setting}, TariffConfig)


def test_a_time_zone_nobody_knows_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="time_zone"):
        msgspec.convert({"time_zone": "Middle/Earth"}, SignalConfig)


def series(draws: list[tuple[int, int, float | None]]) -> list[SignalPoint]:
    points, at_s = [], 0
    for gap, length, value in draws:
        points.append(SignalPoint(start_s=at_s + gap, end_s=at_s + gap + length, g_per_kwh=value))
        at_s += gap + length
    return points


SERIES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.none() | st.sampled_from([0.0, 1.0, 2.0])), max_size=6).map(
    series
)


@given(st.lists(SERIES, max_size=3), st.integers(-2, 10), st.integers(0, 25))
def test_of_several_sources_the_first_that_knows_counts(given_series: list[list[SignalPoint]], start: int, length: int) -> None:
    together = merged(given_series, start, start + length)
    for moment in [start + half / 2 + 0.25 for half in range(2 * length)]:
        said = [p.g_per_kwh for one in given_series for p in one if p.start_s <= moment < p.end_s and p.g_per_kwh is not None]
        found = [p.g_per_kwh for p in together if p.start_s <= moment < p.end_s]
        assert found == said[:1]
    assert all(start <= p.start_s < p.end_s <= start + length for p in together)


def test_sources_together(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text(EXPORT, encoding="utf-8")
    (tmp_path / "roof.csv").write_text("start,end,surplus_w\n2026-03-01T12:30:00Z,2026-03-01T14:30:00Z,900\n")
    config = SignalConfig(file="grid.csv", surplus_file="roof.csv", tariff=(TariffConfig(price_per_kwh=0.3),))
    signal: Signal = Signals(config, tmp_path)
    told = [(p.start_s - NOON_S, p.g_per_kwh, p.price_per_kwh, p.surplus_w) for p in signal.between(NOON_S, NOON_S + 9000)]
    assert (
        told
        == [
            (0, 240.25, 0.3, None),
            (1800, 240.25, 0.3, 900),
            (3600, None, 0.3, 900),
            (7200, 130, 0.3, 900),
            (8700 + 300, 130, 0.3, None),
        ][:4]
    )
    assert list(Signals(SignalConfig(), tmp_path).between(0, 1e9)) == []


def test_a_file_that_breaks_later_leaves_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(EXPORT, encoding="utf-8")
    signals = Signals(SignalConfig(file="grid.csv"), tmp_path)
    before = signals.between(NOON_S, NOON_S + 9000)
    path.write_text("start,g_per_kwh\nnever,1\n")
    signals.refresh()
    assert "line 2" in (signals.trouble or "")
    assert signals.between(NOON_S, NOON_S + 9000) == before
    path.write_text(EXPORT.replace("240.25", "250"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    signals.refresh()
    assert not signals.trouble
    assert signals.between(NOON_S, NOON_S + 1)[0].g_per_kwh == 250


def test_a_file_that_is_wrong_at_the_start_stops_it(tmp_path: Path) -> None:
    for text in (b"\xff\xfe", None):
        if text is not None:
            (tmp_path / "grid.csv").write_bytes(text)
        else:
            (tmp_path / "grid.csv").unlink()
        with pytest.raises(MalformedArtefact, match=r"grid\.csv"):
            Signals(SignalConfig(file="grid.csv"), tmp_path)


def test_a_command_is_asked_now_and_then_and_what_it_said_is_kept(tmp_path: Path) -> None:
    now_s = NOON_S
    script = tmp_path / "say.py"
    script.write_text("print(300)")
    config = SignalConfig(command=(sys.executable, str(script)), command_every_s=60, command_timeout_s=20)
    signals = Signals(config, tmp_path, lambda: now_s)
    signals.refresh()
    script.write_text("print(200)")
    signals.refresh()  # too early to ask again
    assert [(p.end_s - p.start_s, p.g_per_kwh) for p in signals.between(NOON_S, NOON_S + 999)] == [(80, 300)]
    now_s += 60
    signals.refresh()
    assert [(p.start_s - NOON_S, p.g_per_kwh) for p in signals.between(NOON_S, NOON_S + 999)] == [(0, 300), (60, 200)]
    now_s += 60
    script.write_text("import sys; sys.exit(3)")
    signals.refresh()
    assert "status 3" in (signals.trouble or "")
    assert [p.start_s - NOON_S for p in signals.between(NOON_S, NOON_S + 999)] == [0, 60]


@pytest.mark.parametrize(
    ("command", "words"),
    [((sys.executable, "-c", "import time; time.sleep(9)"), "no answer"), (("/no/such",), "cannot be started")],
)
def test_a_command_that_hangs_or_is_not_there_is_told(command: tuple[str, ...], words: str) -> None:
    signals = Signals(SignalConfig(command=command, command_timeout_s=0.3), Path())
    signals.refresh()
    assert words in (signals.trouble or "")
