import contextlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.external import ExternalCounter, external, from_command, from_file, parse
from freehold.meter.sources.source import Busy, Reading

DCMI = """
    Instantaneous power reading:                   220 Watts
    Minimum during sampling period:                 18 Watts
    Power reading state is:                   activated
"""


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("220", 220.0),
        (" 219.5 W\n", 219.5),
        (DCMI, 220.0),
        (json.dumps({"PowerControl": [{"PowerConsumedWatts": 344}]}), 344.0),
        (json.dumps({"PowerWatts": {"Reading": 374.2}}), 374.2),
    ],
)
def test_what_meters_say(text: str, watts: float) -> None:
    assert parse(text, "watts") == watts


def test_a_counter_of_kilowatt_hours() -> None:
    assert parse(json.dumps({"EnergykWh": {"Reading": 2}}), "joules") == 7.2e6


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no number"),
        ("-4", "can't be"),
        ("nan", "no number"),
        ("1e9", "whole rack"),
        ("{", "no number"),
        ('{"a": 1}', "no number"),
    ],
)
def test_what_no_meter_says(text: str, why: str) -> None:
    with pytest.raises(DeviceError, match=why):
        parse(text, "watts")


@settings(max_examples=40)
@given(
    st.text() | st.recursive(st.none() | st.floats() | st.text(), lambda deep: st.dictionaries(st.text(), deep)).map(json.dumps)
)
def test_whatever_a_meter_says_it_is_a_number_or_our_error(text: str) -> None:
    with contextlib.suppress(DeviceError):
        assert parse(text, "watts") >= 0


def test_a_command_that_hangs_fails_or_is_not_there_tells_so() -> None:
    python = sys.executable
    assert parse(from_command([python, "-c", "print(42)"], 10)(), "watts") == 42
    for command, why in (
        ([python, "-c", "import time; time.sleep(9)"], "did not answer within 0.2 s"),
        ([python, "-c", "import sys; sys.exit('no sensor')"], "ended with 1: no sensor"),
        (["/nowhere/ipmitool"], "can't be run"),
    ):
        with pytest.raises(DeviceError, match=why):
            from_command(command, 0.2 if "sleep" in command[-1] else 10)()


def test_a_counter_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "joules"
    path.write_text("1000")
    source = ExternalCounter(from_file(path), 1.0, runs=False)
    path.write_text("1250")
    source.sample()
    assert source.read(Busy()) == Reading(250.0)
    path.unlink()
    source.sample()
    assert source.read(Busy()) is None
    assert "can't be read" in source.trouble


def test_watts_are_measured_power_of_the_whole_node(tmp_path: Path) -> None:
    path = tmp_path / "watts"
    path.write_text("100")
    source = external(from_file(path), "watts", 0.1)
    assert (source.grade, source.device, source.min_window_s) == (Grade.MEASURED_POWER, "node", 0.2)
    source.close()
