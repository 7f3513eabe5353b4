"""Telephone numbers: international, North American, national formats, and any number after a word for a telephone.

The shapes here only propose. Whether a country gives out such numbers is asked of phonenumbers (Google's numbering plans), on
the twenty or so characters that were found.
"""

import importlib
import re
from functools import cache
from typing import Any

import re2

from freehold.guard.detectors.detector import NOT_DIGIT, PERSONAL_DATA, Detector
from freehold.guard.detectors.labels import CLOSE, CLOSE_CHARS, LETTER, hint, labelled, words
from freehold.guard.detectors.validators import digits

# Where a number without country code may be from: the plans of most people who write one.
_REGIONS = (
    *("US", "GB", "DE", "FR", "IT", "ES", "NL", "BE", "CH", "AT", "PL", "PT", "SE", "NO", "DK", "FI", "CZ", "HU", "RO", "GR"),
    *("TR", "RU", "UA", "BR", "MX", "AR", "CL", "CO", "PE", "IN", "PK", "BD", "CN", "JP", "KR", "TW", "HK", "SG", "MY", "ID"),
    *("PH", "TH", "VN", "AU", "NZ", "ZA", "NG", "KE", "EG", "IL", "SA", "AE", "IE", "MA", "IR"),
)
_KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan", "voicemail"),
)
_DATE = re.compile(
    rb"(?:19|20)[0-9]{2}[-./ ][01]?[0-9][-./ ][0-3]?[0-9]|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:19|20)[0-9]{2}(?:[ ,].*)?"
    rb"|(?:19|20)[0-9]{2}\) .*"  # the year in brackets, the pages after it
)
PHONE_LABELS = words(
    "phone, phone number, phone no, phones, telephone, telephone number, cellphone, cell, cell number, mobile, "
    "mobile number, mobile no, landline, tel, tel no, telp, tlf, ph, ph no, fax, fax number, telefax, desk, whatsapp, "
    "whats app, viber, hotline, pager, contact number, contact no, call me, call us, call him, call her, call them, "
    "call at, call on, reach me, reach us, reach him, reach her, text me, text us, dial, telefon, telefonnummer, "
    "telefonnr, telefono, telefone, telefoon, telefoonnummer, telefonszám, telefonicznie, téléphone, "
    "numéro de téléphone, numero de telefono, número de telefone, numero di telefono, teléfono, téléphoner, portable, "
    "handy, handynummer, mobil, mobilnummer, mobiltelefon, rufnummer, móvil, celular, cellulare, telemóvel, mobiel, "
    "gsm, puhelin, puhelinnumero, matkapuhelin, komórka, telefonu, numer telefonu, mobilni, cep no, cep telefonu, "
    "telefon numarası, nomor telepon, nomor hp, no hp, điện thoại, số điện thoại, sđt, telefón, telefonní číslo, "
    "telefonas, tālrunis, telefonnummer, sími, símanúmer, fón, simu, numero ya simu, contact me, my number is, "
    "us number, call back, callback number, kontaktnummer, kontakt, numero de contacto, телефон, телефона, телефону, "
    "тел, моб, мобильный, мобільний, мобилен, телефонен номер, контактный номер, τηλέφωνο, τηλεφώνου, τηλ, κινητό, "
    "ტელეფონი, მობილური, հեռախոս, հեռախոսահամար, 电话:, 电话是, 电话号, 電話:, 電話番, 電話は, 電話號, 手机:, 手机号, "
    "手機號, 手機:, 联系方式, 聯絡方式, "
    "携帯電話, 携帯は, 携帯:, 전화번호, 전화는, 전화:, 전화 , 휴대폰, 핸드폰, 연락처, هاتف, الهاتف, جوال, الجوال, "
    "موبايل, تلفن, טלפון, נייד, फोन, "
    "फ़ोन, मोबाइल, ফোন, মোবাইল, โทร, มือถือ"
)


def _number(value: bytes) -> bytes:
    return digits(value).lstrip(b"+")


def _is_plausible(value: bytes) -> bool:
    """6 to 15 digits (E.164), not all alike, and not a date."""
    number = _number(value)
    return 6 <= len(number) <= 15 and len(set(number)) > 2 and _DATE.fullmatch(value) is None


@cache
def _library() -> Any:
    """Google's numbering plans: 1.4 MiB, and 15 ms of the first text with what may be a telephone in it."""
    return importlib.import_module("phonenumbers")


def _parsed(value: bytes, region: str | None) -> Any:
    """A number, or None."""
    try:
        return _library().parse(value.decode("ascii", "replace"), region)
    except _library().NumberParseException:
        return None


def _international(value: bytes) -> bool:
    """A country code, and as many digits as the country has; after 00, which other numbers begin with, digits it gives out."""
    is_dialled = value.startswith(b"00")
    parsed = _parsed(b"+" + value[2:] if is_dialled else value, None)
    if parsed is None or not _is_plausible(value):
        return False
    return bool(_library().is_valid_number(parsed) if is_dialled else _library().is_possible_number(parsed))


def _national(value: bytes) -> bool:
    """Whether some country gives out such numbers, with or without the digit that leads out of town."""
    return _is_plausible(value) and _plans().fullmatch(_number(value)) is not None


@cache
def _plans() -> Any:
    """All that `_REGIONS` give out, as one pattern: 7 us a number, where asking region by region takes 20 us each."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20  # 30 KB of pattern; takes 4 MiB
    plans = [_library().PhoneMetadata.metadata_for_region(region, None) for region in _REGIONS]
    given_out = {getattr(getattr(plan, kind), "national_number_pattern", None) for plan in plans for kind in _KINDS}
    return re2.compile(f"[018]?(?:{'|'.join(sorted(filter(None, given_out)))})".encode(), options)


def is_telephone(value: bytes) -> bool:
    """Whether `value` is a number that some country gives out, with ten digits or more as people write it without its country."""
    number = _number(value)
    return number.isdigit() and 9 <= len(number) <= 12 and number[:1] in b"059" and _national(value)


def _north_american(value: bytes) -> bool:
    """Area code and exchange begin with 2 to 9 (NANP)."""
    number = _number(value).split(b"x")[0]
    number = number[1:] if len(number) == 11 and number.startswith(b"1") else number
    return len(number) == 10 and number[0] > 49 and number[3] > 49 and len(set(number)) > 2


# A bracket before a number ends a unit (`boundary.py`), so it stands in `left`, not in the value.
_BRACKET = rf"{NOT_DIGIT}\("
_END = r"(?:[^A-Za-z0-9 ./-]|[ ./-](?:[^0-9]|$)|$)"  # not a longer row of groups

PHONES = (
    Detector(
        id="phone-international",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9+])",
        pattern=r"\+[1-9](?:[ ./()-]{0,3}[0-9]){6,14}",
        head=r"\+[1-9][0-9 ./()-]{6}",
        confidence=0.8,
        validator=_international,
        must_match=("call +49 151 2345 6789 now", "+14155550123", "+44 (0)20 7946 0958", "(+39) 06 6982 1234"),
        must_not_match=("+1 2", "a+123456", "x = 5 +1234567", "+999 123 456 789"),
    ),
    Detector(
        id="phone-dialled-abroad",
        category=PERSONAL_DATA,
        left=NOT_DIGIT,
        pattern=r"00[1-9](?:[ ./()-]{0,3}[0-9]){8,14}",
        hint=r"(?:^|[^0-9])00[1-9][0-9 ./()-]{8}",
        after=_END,
        confidence=0.75,
        validator=_international,
        must_match=("0049 30 901820", "0033 1 42 68 53 00"),
        must_not_match=("0000 0000 0000", "00123456789", "id 0012 0013 0014 0015"),
    ),
    Detector(
        id="phone-us",
        category=PERSONAL_DATA,
        left=r"(?:(?:^|[^A-Za-z0-9.,_+-])\(?|[^0-9],)",
        pattern=r"(?:1[ .-]?\(?)?(?:[2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?:x[0-9]{1,5})?",
        hint=r"(?:^|[^0-9])1?[2-9][0-9]{2}\)?[ .-]?[2-9][0-9]{2}[ .-][0-9]{4}",
        confidence=0.8,
        validator=_north_american,
        retry=True,
        must_match=(
            "ring (415) 555-0123",
            "or 415-555-0124",
            "1-800-275-2273",
            "415.555.0199",
            "(415)555-0132",
            "Ann,415-555-0132,x",
        ),
        must_not_match=("115-555-0123", "version 415.55.0123"),
    ),
    Detector(
        id="phone-national",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9 .,_+/-]|(?:^|[^0-9.,-])[ ,])",
        pattern=r"0(?:[1-9][0-9]{1,4}(?:[ /-]| / )|[1-9][ -][0-9]|[1-9]\.[0-9]{2}\.)[0-9]{1,8}(?:[ .-]?[0-9]{2,5}){0,4}",
        hint=r"(?:^|[^0-9])0(?:[1-9][0-9]{1,4}(?:[ /-]| / )|[1-9][ -][0-9]|[1-9]\.[0-9]{2}\.)[0-9]",
        after=_END,
        confidence=0.7,
        validator=lambda value: 9 <= len(_number(value)) <= 12 and _national(value),
        must_match=(
            "ring 0532 123 45 67",
            "am 089 / 4512 7789",
            "Ann,0532 123 45 67,x",
            "0917-123-4567",
            "am 030 901820",
            "06 12 34 56 78",
            "le 01.42.68.53.00",
        ),
        must_not_match=("01 02 03 04 05 06 07", "on 01-02-2020", "0.123 456 789", "007", "01-02-2020 10"),
    ),
    Detector(
        id="phone-area-code",
        category=PERSONAL_DATA,
        left=_BRACKET,
        pattern=r"0?[0-9]{2,4}\)[ -]?[0-9]{2,5}(?:[ .-]?[0-9]{2,5}){1,3}",
        head=r"[0-9]{2,5}\)[ -]?[0-9]",
        after=_END,
        confidence=0.7,
        validator=lambda value: 8 <= len(_number(value)) <= 12 and _national(value),
        must_match=("at (011) 4321-5678", "(030) 901820 12", "(11) 98765-4321"),
        must_not_match=("(2003) 1234-1240", "(1) 2", "f(12) 34", "(10) 20 30"),
    ),
    Detector(
        id="phone-other-script",  # after a word of a script that is no label
        category=PERSONAL_DATA,
        left="",
        before=rf"[{LETTER}]{{2}}[ :]{{0,3}}",
        pattern=r"(?:1[3-9][0-9]|0[1-9]0|010|89[0-9])[ -]?[0-9]{4}[ -]?[0-9]{4}|9[0-9]{9}",
        confidence=0.7,
        validator=_national,
        must_match=("打给我吧 13812345678", "かけて 09012345678", "звоните: 89161234567"),
        must_not_match=("电话 12345", "是 20231105123"),
    ),
    Detector(
        id="phone-context",
        category=PERSONAL_DATA,
        left="",
        before=labelled(*PHONE_LABELS, apart=CLOSE),
        hint=hint(*PHONE_LABELS),
        hint_reach_chars=CLOSE_CHARS,
        pattern=r"(?:\+|00)?[0-9](?:[ ./()-]{0,3}[0-9]){5,14}",
        confidence=0.83,
        validator=_is_plausible,
        must_match=(
            *("phone: 7946 0958", "call me at 171 2345678", "Telefon: 72 128 827", "Cep no: 05321234567", "tel.: 612 345 678"),
            *("my number is 5403926876", "Phone:\n467 3395", "mobile (64) 3591-3246"),
        ),
        must_not_match=("phone: none", "call 911 now", "call me on 2022-02-25", "telephone poles: 12 in 1985"),
    ),
)
