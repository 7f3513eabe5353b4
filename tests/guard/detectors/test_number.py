"""Numbers as rows: how many countries, and what makes a row a detector."""

import importlib

import pytest

from freehold.guard.detectors.labels import label
from freehold.guard.detectors.national import NUMBERS
from freehold.guard.detectors.number import Number, detector, validator


def test_numbers_of_more_than_sixty_countries_are_known() -> None:
    countries = {country for number in NUMBERS for country in number.id.split("-")[:1]}
    assert len(countries) >= 60


@pytest.mark.parametrize("number", [n for n in NUMBERS if isinstance(n.check, str)], ids=lambda n: n.id)
def test_every_check_that_is_named_is_in_python_stdnum(number: Number) -> None:
    assert callable(importlib.import_module(f"stdnum.{number.check}").is_valid)


def test_a_check_that_raises_has_answered_no() -> None:
    assert not validator(Number("x", "[0-9]{18}", "cn.ric", "", ""))(b"659004198001011234")
    assert not validator(Number("x", "[0-9]{2}", "cn.ric", "", ""))(b"\xff\xfe")


def test_what_a_person_types_for_the_look_of_it_is_no_number() -> None:
    check = validator(Number("x", "[0-9]{11}", lambda _: True, "", ""))
    assert not check(b"11111111111")
    assert not check(b"12345678901")
    assert check(b"44051401359")


def test_a_number_with_labels_needs_one() -> None:
    assert detector(Number("x-id", "[0-9]{9}", None, "EGN 123456789", "123456789", ("EGN",))).before
    assert not detector(Number("x-id", "[0-9]{9}", None, "123456789", "x")).before


def test_a_label_of_another_script_is_refused_as_folding_keeps_nothing_of_it() -> None:
    with pytest.raises(ValueError, match="folding"):
        label("телефон")
