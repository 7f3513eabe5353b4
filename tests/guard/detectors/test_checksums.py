"""Check digits of ours: each on a number that its issuer or its standard gives as an example, and on that number mistyped."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.detectors import checksums
from freehold.guard.detectors.health import HEALTH_NUMBERS
from freehold.guard.detectors.national import NUMBERS
from freehold.guard.detectors.number import Number, validator

EXAMPLES = [
    (checksums.us_routing, b"111000025"),
    (checksums.us_npi, b"1234567893"),
    (checksums.us_dea, b"AB1234563"),
    (checksums.au_medicare, b"2123 45670 1"),
    (checksums.de_health_insurance, b"A123456780"),
    (checksums.de_pension_insurance, b"15070649C103"),
    (checksums.de_doctor, b"987654401"),
    (checksums.document_731, b"T220001293"),
    (checksums.pl_identity_card, b"ABA300000"),
    (checksums.ru_snils, b"112-233-445 95"),
    (checksums.fi_personal_id, b"131052-308T"),
    (checksums.es_social_security, b"281234567840"),
    (checksums.hu_social_security, b"111111110"),
    (checksums.br_pis, b"100.27230.88-8"),
    (checksums.tw_identity, b"A123456789"),
    (checksums.ir_national_code, b"0084575948"),
    (checksums.nz_health, b"ZZZ0016"),
    (checksums.sg_nric, b"S2740116C"),
    (checksums.vin, b"1M8GDM9AXKP042788"),
]


@pytest.mark.parametrize(("check", "number"), EXAMPLES, ids=lambda x: getattr(x, "__name__", None))
def test_a_known_number_passes_and_its_mistyped_digits_do_not(check: Callable[[bytes], bool], number: bytes) -> None:
    assert check(number)
    mistyped = {number[:at] + b"%d" % digit + number[at + 1 :] for at in _digits(number) for digit in range(10)} - {number}
    refused = sum(not check(wrong) for wrong in mistyped)
    assert refused >= 0.7 * len(mistyped)  # places outside of the sum, and digits alike modulo the check, are the rest


def _digits(number: bytes) -> list[int]:
    return [at for at, byte in enumerate(number) if 48 <= byte < 58]


CHECKED = [number for number in (*NUMBERS, *HEALTH_NUMBERS) if number.check is not None]


@pytest.mark.parametrize("number", CHECKED, ids=lambda n: n.id)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_the_pattern_lets_through_the_check_answers(number: Number, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(re.compile(number.pattern, re.ASCII), fullmatch=True))
    assert validator(number)(value.encode()) in (True, False)


def test_icao_check_of_the_standards_specimen() -> None:
    assert checksums.icao_check(b"L898902C3") == 6  # ICAO 9303-4, appendix B
    assert checksums.icao_check(b"740812") == 2
