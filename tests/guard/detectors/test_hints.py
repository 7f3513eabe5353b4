import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector

_PARTLY = [d for d in DETECTORS if d.hint and not d.before]


@pytest.mark.parametrize("detector", _PARTLY, ids=lambda d: d.id)
@given(data=st.data())
@settings(max_examples=10)
def test_every_value_that_stands_alone_has_its_hint(detector: Detector, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(re.compile(detector.pattern, re.ASCII), fullmatch=True))
    assert re.search(detector.hint, f"a {value}"), value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("phone-us", "ring 1415-555-0124 now"),
        ("phone-us", "ring 1 (415) 555-0124 now"),
        ("phone-us", "ring 415)555-0124 now"),
        ("uk-nino", "it is ab123456c."),
        ("es-nie", "NIE X-2482300-W"),
    ],
)
def test_a_hint_is_in_what_it_stands_for_however_that_is_written(name: str, text: str) -> None:
    (detector,) = [d for d in DETECTORS if d.id == name]
    assert re.search(detector.exact, text.encode())
    assert re.search(detector.trigger, text.encode())
