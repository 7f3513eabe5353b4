"""A text that is one identifier and nothing else: a field of a form, a value in JSON, a message that answers "your number?".

Nothing stands beside it to say what it is. But a whole text that has the shape of a document's number, or passes the check of one
of the numbers in the tables, is far more likely that than anything else. In a longer text the same digits are left alone.
"""

import re

from freehold.guard.detectors import checksums
from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.health import HEALTH_NUMBERS
from freehold.guard.detectors.national import NUMBERS
from freehold.guard.detectors.number import Number, validator
from freehold.guard.detectors.phones import is_telephone
from freehold.guard.detectors.validators import Validator

# Shapes without a check, as countries write them; digits alone would be too many.
_SHAPES = (
    rb"[A-Z]{1,3} ?[0-9]{6,13}",  # passports, identity cards, licences: US, UK, ES, KR, IN, IT, PL ...
    rb"[A-Z][0-9]{3}[A-Z][0-9]{4}",  # passports: KR
    rb"[A-Z]{2}[0-9]{7}[A-Z]|[0-9]{2}[A-Z]{3}[0-9]{5}|[A-Z][0-9][A-Z][0-9]{3}[A-Z][0-9]{2}[A-Z]",  # licences: IT, US
    rb"[0-9]{2}[A-Z]{2}[0-9]{5}|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}",  # documents: FR, DE
    rb"[0-9]{7,8}[A-Z]{1,2}|[A-Z]{2}[0-9]{5}[A-Z]{2}",  # documents: MT, IT, ES
    rb"[A-Z]{2}[0-9]{2} ?[A-HJ-PR-Z]{3}|[A-Z]{3}[ -]?[0-9]{3}[ -]?[A-Z]{2}",  # plates: UK, NG
    rb"[A-Z][0-9]{1,3} ?[A-Z]{3}|[A-Z]{3} ?[0-9]{1,3}[A-Z]",
    rb"[A-Z]{2}[ -]?[0-9]{1,2}[ -]?[A-Z]{1,3}[ -]?[0-9]{4}|[A-Z]{2}-[0-9]{3}-[A-Z]{2}",  # plates: IN, FR, IT
    rb"[0-9]{2} ?[A-Z]{1,3} ?[0-9]{2,4}|[0-9]{4} ?[BCDFGHJ-NPRSTV-Z]{3}",  # plates: TR, ES
    rb"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|GIR ?0AA",  # postcodes: UK
    rb"[0-9]{6}-[0-9]{7}|[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{2}-[0-9]{2}-[0-9]{6}-[0-9]{2}",  # KR, US
)
_SHAPE = re.compile(rb"(?i)" + rb"|".join(_SHAPES))
# Labelled numbers whose check passes one in thirty by chance, or fewer. With the many that pass one in ten, any number would.
_TELLING = (
    *("ar-cuit-bare", "au-abn-bare", "au-medicare", "az-voen", "be-national-number-bare", "bg-egn"),
    *("br-cpf-bare", "br-voter-id", "ca-bc-", "health-number", "ch-ahv-number-bare", "cu-identity"),
    *("de-health-insurance", "de-tax-id", "dk-cpr", "ec-cedula", "ec-ruc", "ee-lt-", "personal-code"),
    *("es-social-security", "fr-siret", "gr-amka", "hu-personal-tax", "id-nik", "is-kennitala", "it-vat"),
    *("kw-civil-id", "kz-", "iin", "ma-ice", "my-nric-bare", "nz-health-index", "pe-ruc"),
    *("pl-identity-card", "sa-national-id", "se-organisation-number", "se-", "personal-number-bare"),
    *("th-identity-number-bare", "tw-identity", "us-dea-number", "us-npi", "yu-jmbg"),
)
_CHECKED = (
    Number("us-routing-number", r"[0-9]{9}", checksums.us_routing, "", ""),
    Number("de-id-card", r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]", checksums.document_731, "", ""),
)


def _checks() -> tuple[tuple[re.Pattern[bytes], Validator], ...]:
    numbers = [*_CHECKED, *(number for number in (*NUMBERS, *HEALTH_NUMBERS) if number.id in _TELLING)]
    return tuple((re.compile(rf"(?i){number.pattern}".encode()), validator(number)) for number in numbers)


_CHECKS = _checks()


_TIME = re.compile(
    rb"1[4-9][0-9]{8}(?:[0-9]{3})?|20[0-9]{6}(?:[0-9]{4}|[0-9]{6})?|(?:[0-9]{1,4}[-./ ]){2}[0-9]{1,4}(?:[T ].*)?"
)  # since 1970, or as a calendar has it


_OF_THINGS = (b"EAN", b"GTIN", b"UPC", b"ISBN", b"ISSN", b"SKU", b"KB", b"PMID", b"RFC", b"CVE")


def _identifies(value: bytes) -> bool:
    value = value.upper()
    if len(set(value)) < 3 or _TIME.fullmatch(value) or value.startswith(_OF_THINGS):
        return False
    if _SHAPE.fullmatch(value) or is_telephone(value):
        return True
    return any(shape.fullmatch(value) and check(value) for shape, check in _CHECKS)


ALONE = (
    Detector(
        id="identifier-alone",
        category=PERSONAL_DATA,
        left="^",
        pattern=r"[A-Za-z]{0,5}[ .-]?[0-9][A-Za-z0-9 ()./:-]{2,22}[A-Za-z0-9]",
        head=r"[A-Za-z]{0,5}[ .-]?[0-9][A-Za-z0-9 ()./:-]{2}",
        after="$",
        confidence=0.5,
        validator=_identifies,
        must_match=("121000358", "M12345678", "AB1234567", "09181234567", "34 ABC 1234"),
        must_not_match=(
            "EAN 4006381333931",
            "KB5034441",
            "1700000000",
            "gpt-4o-2024",
            "2024-11-05",
            "hello",
            "RTX 3090",
            "121000358 is it",
        ),
    ),
)
