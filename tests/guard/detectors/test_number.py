"""Numbers as rows: how many countries, and what makes a row a detector."""

import importlib
import re

import pytest

from freehold.guard.detectors.labels import label
from freehold.guard.detectors.national import NUMBERS
from freehold.guard.detectors.number import Number, detector, validator
from freehold.guard.fold import fold


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


@pytest.mark.parametrize(("word", "reason"), [("тел½", "folding"), ("密码", "3 characters")])
def test_a_label_that_folding_tells_from_nothing_is_refused(word: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        label(word)


def test_a_label_of_a_script_with_capitals_is_a_word_and_of_others_a_part_of_one() -> None:
    assert re.search(label("ИНН"), fold("мой инн").decode())
    assert not re.search(label("ИНН"), fold("длинный").decode())
    assert re.search(label("身份证"), fold("我的身份证号").decode())
