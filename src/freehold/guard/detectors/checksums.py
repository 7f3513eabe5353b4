"""Check digits that python-stdnum does not know, each with its source.

Every function takes folded characters whose shape the pattern has settled; separators do not count.
"""

import datetime

from freehold.guard.detectors.validators import digits, luhn


def weighted(number: bytes, *weights: int) -> int:
    """The sum of digits times weights, from the left; digits beyond the weights do not count."""
    return sum((byte - 48) * weight for byte, weight in zip(number, weights, strict=False))


def is_date(year: int, month: int, day: int) -> bool:
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


def _digit_sums(number: bytes, *weights: int) -> int:
    """As `weighted`, with the digits of each product added up."""
    return sum(sum(divmod((byte - 48) * weight, 10)) for byte, weight in zip(number, weights, strict=False))


def _letter_as_digits(value: bytes, at: int) -> bytes:
    """`value` with the letter at `at` as its place in the alphabet, two digits."""
    return value[:at] + b"%02d" % ((value[at] & 0x5F) - 64) + value[at + 1 :]


def uk_nino(value: bytes) -> bool:
    """Prefixes that are never given out (HMRC NIM39110)."""
    return value[:2].upper() not in (b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ")


def sg_nric(value: bytes) -> bool:
    """Weights 2, 7, 6, 5, 4, 3, 2, an offset by series, and a letter by the sum modulo 11."""
    value = value.upper()
    series = chr(value[0])
    total = weighted(value[1:8], 2, 7, 6, 5, 4, 3, 2) + {"T": 4, "G": 4, "M": 3}.get(series, 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}[series]
    index = total % 11 if series != "M" else 10 - total % 11
    return letters[index] == chr(value[8])


def us_npi(value: bytes) -> bool:
    """Luhn with the issuer prefix 80840 (CMS)."""
    return luhn(b"80840" + digits(value))


def us_dea(value: bytes) -> bool:
    """Odd places once and even places twice give the last digit (21 CFR 1301)."""
    number = value[2:]
    return (weighted(number, 1, 2, 1, 2, 1, 2)) % 10 == number[6] - 48


def us_routing(value: bytes) -> bool:
    """Weights 3, 7, 1 make a multiple of ten, and the Federal Reserve gives out these beginnings (ABA)."""
    number = digits(value)
    first = int(number[:2])
    return weighted(number, 3, 7, 1, 3, 7, 1, 3, 7, 1) % 10 == 0 and (
        1 <= first <= 12 or 21 <= first <= 32 or 61 <= first <= 72 or first == 80
    )


def au_medicare(value: bytes) -> bool:
    """Weights 1, 3, 7, 9 over eight digits give the ninth modulo ten (Services Australia)."""
    number = digits(value)
    return weighted(number, 1, 3, 7, 9, 1, 3, 7, 9) % 10 == number[8] - 48


def de_health_insurance(value: bytes) -> bool:
    """Letter as two digits, weights 1 and 2 in turn, digit sums, modulo ten (SGB V section 290)."""
    number = _letter_as_digits(digits(value), 0)
    return _digit_sums(number[:10], *(1, 2) * 5) % 10 == number[10] - 48


def de_pension_insurance(value: bytes) -> bool:
    """Area, date of birth, letter, serial number; digit sums under 2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1 (VKVV section 4)."""
    number = _letter_as_digits(digits(value), 8)
    has_date = 1 <= int(number[2:4]) % 50 <= 31 + 18 and 1 <= int(number[4:6]) <= 12
    return has_date and _digit_sums(number[:12], 2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1) % 10 == number[12] - 48


def de_doctor(value: bytes) -> bool:
    """LANR: weights 4 and 9 over six digits; the seventh makes it ten (KBV)."""
    return (10 - weighted(value, 4, 9, 4, 9, 4, 9) % 10) % 10 == value[6] - 48


def document_731(value: bytes) -> bool:
    """Letters count from ten on, weights 7, 3, 1, the last character is the sum modulo ten (ICAO 9303-3, section 4.9)."""
    return icao_check(value[:-1]) == value[-1] - 48


def icao_check(field: bytes) -> int:
    return sum(_icao_value(byte) * (7, 3, 1)[place % 3] for place, byte in enumerate(field.upper())) % 10


def _icao_value(byte: int) -> int:
    return 0 if byte == 60 else byte - 48 if byte < 58 else byte - 55


def pl_identity_card(value: bytes) -> bool:
    """Three letters, a check digit, five digits; weights 7, 3, 1, 9, 7, 3, 1, 7, 3 make a multiple of ten."""
    number = digits(value).upper()
    weights = (7, 3, 1, 9, 7, 3, 1, 7, 3)
    return sum(_icao_value(byte) * weight for byte, weight in zip(number, weights, strict=True)) % 10 == 0


def ru_snils(value: bytes) -> bool:
    """Weights 9 down to 1, modulo 101, then modulo 100."""
    number = digits(value)
    return weighted(number, 9, 8, 7, 6, 5, 4, 3, 2, 1) % 101 % 100 == int(number[9:11])


def es_social_security(value: bytes) -> bool:
    """The last two digits are the rest of what is before them modulo 97."""
    number = digits(value)
    province, serial = number[:2], number[2:10]
    whole = int(province + (serial[1:] if serial.startswith(b"0") else serial))
    return whole % 97 == int(number[10:12])


def fi_personal_id(value: bytes) -> bool:
    """Date and serial number as one number modulo 31; numbers from 900 on are given to those whose own is not known yet (DVV)."""
    rest = int(value[:6] + value[7:10]) % 31
    return (
        1 <= int(value[2:4]) <= 12
        and 1 <= int(value[:2]) <= 31
        and b"0123456789ABCDEFHJKLMNPRSTUVWXY"[rest] == value[10:].upper()[0]
    )


def hu_social_security(value: bytes) -> bool:
    """TAJ: weights 3 and 7 in turn, modulo ten."""
    number = digits(value)
    return weighted(number, 3, 7, 3, 7, 3, 7, 3, 7) % 10 == number[8] - 48


def hu_tax(value: bytes) -> bool:
    """Begins with 8; places as weights, modulo eleven."""
    number = digits(value)
    return weighted(number, 1, 2, 3, 4, 5, 6, 7, 8, 9) % 11 == number[9] - 48


def kz_iin(value: bytes) -> bool:
    """A date of birth, and weights 1 to 11 modulo eleven; where that is ten, weights that begin at three."""
    check = weighted(value, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) % 11
    if check == 10:
        check = weighted(value, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2) % 11
    return 1 <= int(value[2:4]) <= 12 and 1 <= int(value[4:6]) <= 31 and check == value[11] - 48


def br_pis(value: bytes) -> bool:
    """Weights 3, 2, 9 ... 2, modulo eleven."""
    number = digits(value)
    rest = 11 - weighted(number, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) % 11
    return (0 if rest > 9 else rest) == number[10] - 48


def br_voter(value: bytes) -> bool:
    """Serial number under 2 to 9, then state and first check digit under 7, 8, 9, each modulo eleven (TSE)."""
    number = digits(value)
    first = weighted(number, 2, 3, 4, 5, 6, 7, 8, 9) % 11 % 10
    second = weighted(number[8:], 7, 8, 9) % 11 % 10
    return 1 <= int(number[8:10]) <= 28 and (first, second) == (number[10] - 48, number[11] - 48)


def uy_identity(value: bytes) -> bool:
    """Weights 2, 9, 8, 7, 6, 3, 4 make a multiple of ten with the last digit."""
    number = digits(value).rjust(8, b"0")
    return (weighted(number, 2, 9, 8, 7, 6, 3, 4) + number[7] - 48) % 10 == 0


def tw_identity(value: bytes) -> bool:
    """The letter stands for two digits by its county; weights 1, 9, 8, ... 1, 1 make a multiple of ten."""
    county = b"ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[:1].upper()) + 10
    return (county // 10 + county % 10 * 9 + weighted(value[1:], 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def ir_national_code(value: bytes) -> bool:
    """Weights 10 to 2, modulo eleven."""
    number = digits(value)
    rest = weighted(number, 10, 9, 8, 7, 6, 5, 4, 3, 2) % 11
    return (rest if rest < 2 else 11 - rest) == number[9] - 48


def kw_civil_id(value: bytes) -> bool:
    """Century, date of birth, serial number; weights 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 modulo eleven."""
    has_date = 1 <= int(value[3:5]) <= 12 and 1 <= int(value[5:7]) <= 31
    return has_date and 11 - weighted(value, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2) % 11 == value[11] - 48


def eg_national_id(value: bytes) -> bool:
    """Century, date of birth and governorate."""
    return is_date(1700 + 100 * (value[0] - 48) + int(value[1:3]), int(value[3:5]), int(value[5:7])) and (
        1 <= int(value[7:9]) <= 35 or value[7:9] == b"88"
    )


def nz_health(value: bytes) -> bool:
    """Letters by their place without I and O, weights 7 to 2, modulo eleven (HISO 10046)."""
    value = value.upper()
    letters = b"ABCDEFGHJKLMNPQRSTUVWXYZ"
    places = [letters.index(byte) + 1 for byte in value[:3]] + [byte - 48 for byte in value[3:6]]
    rest = sum(place * weight for place, weight in zip(places, (7, 6, 5, 4, 3, 2), strict=True)) % 11
    return rest != 0 and (11 - rest) % 10 == value[6] - 48


def vin(value: bytes) -> bool:
    """Letters as digits, seventeen weights, modulo eleven in the ninth place (ISO 3779, 49 CFR 565)."""
    value = value.upper()
    values = dict(
        zip(b"ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
    )
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(values.get(byte, byte - 48) * weight for byte, weight in zip(value, weights, strict=True))
    return b"0123456789X"[total % 11] == value[8] and len(set(value)) > 6
