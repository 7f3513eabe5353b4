"""Numbers that states and insurers give to people, and dates of birth.

A number whose checksum leaves little to chance stands alone; a weak one counts only after a word that says what it is. Checks are
python-stdnum's, where it has them.
"""

from typing import Any, NamedTuple

from stdnum.au import abn, acn, tfn
from stdnum.be import nn
from stdnum.br import cnpj, cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ch_ssn
from stdnum.de import idnr
from stdnum.es import cif, nie, nif
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, gstin, pan
from stdnum.it import codicefiscale, iva
from stdnum.kr import brn, rrn
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import orgnr, personnummer
from stdnum.sg import uen
from stdnum.th import pin as th_pin
from stdnum.tr import tckimlik
from stdnum.us import itin, ssn
from stdnum.za import idnr as za_idnr

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector, always
from freehold.guard.detectors.validators import Validator, digits, luhn, stdnum_valid

_ALONE = r"(?:^|[^A-Za-z0-9 .,_+/-]|(?:^|[^0-9]) )"  # not the rest of a longer row of groups
_APART = r"[^\n]{0,40}?"  # between the word and the number: "SSN of the applicant is "


class _Number(NamedTuple):
    """`words`: what has to stand before it, or nothing."""

    id: str
    pattern: str
    check: Any
    example: str
    counterexample: str
    words: str = ""
    confidence: float = 0.85


_NUMBERS = (
    _Number("us-ssn", r"[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}", ssn, "078-05-1121", "000-05-1121"),
    _Number("us-ssn-bare", r"[0-9]{9}", ssn, "SSN 536904399", "SSN 000904399", r"(?i:ssn|social.security|soc.sec)", 0.8),
    _Number("us-itin", r"9[0-9]{2}[- ]?[0-9]{2}[- ]?[0-9]{4}", itin, "912-90-3456", "912-03-3456"),
    _Number("uk-nhs-number", r"[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{4}", nhs, "943-476-5870", "943-476-5871", "", 0.82),
    _Number(
        "uk-nino",
        r"(?i:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])",
        None,
        "AB 12 34 56 C",
        "QQ 12 34 56 C",
    ),
    _Number(
        "uk-driving-licence",
        r"[A-Z9]{5}[0-9][0156][0-9](?:[0-2][0-9]|3[01])[0-9][A-Z9]{2}[A-Z0-9][A-Z]{2}",
        None,
        "MORGA657054SM9IJ",
        "MORGA697054SM9IJ",
    ),
    _Number("de-tax-id", r"[1-9][0-9]{10}", idnr, "Steuer-ID 36574261809", "Steuer-ID 36574261890", r"(?i:steuer|tax|idnr|tin)"),
    _Number(
        "de-id-card",
        r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}[0-9]?",
        None,
        "Personalausweis L01X00T471",
        "Personalausweis none",
        r"(?i:ausweis|reisepass|pass(?:port)?|id.card)",
        0.75,
    ),
    _Number("es-dni", r"[0-9]{8}-?[A-Za-z]", nif, "54362315-K", "54362315-L"),
    _Number("es-nie", r"[XYZxyz]-?[0-9]{7}-?[A-Za-z]", nie, "X-2482300-W", "X-2482300-A"),
    _Number("es-cif", r"[A-HJNP-SU-W]-?[0-9]{7}[0-9A-J]", cif, "J99216582", "J99216583"),
    _Number(
        "fr-nir",
        r"[1-478] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        nir,
        "2 95 10 99 126 111 93",
        "2 95 10 99 126 111 94",
    ),
    _Number(
        "it-fiscal-code",
        r"(?i:[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])",
        codicefiscale,
        "RCCMNL83S18D969H",
        "RCCMNL83S18D969X",
    ),
    _Number("it-vat", r"(?:IT ?)?[0-9]{11}", iva, "Partita IVA 00743110157", "Partita IVA 00743110158", r"(?i:iva|vat|piva)"),
    _Number(
        "in-aadhaar", r"[2-9][0-9]{3}(?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})", aadhaar, "2341 2341 2346", "2341 2341 2347", "", 0.8
    ),
    _Number("in-pan", r"[A-Z]{3}[ABCFGHLJPTK][A-Z][0-9]{4}[A-Z]", pan, "ACUPA7085R", "ACUXA7085R"),
    _Number("in-gstin", r"[0-3][0-9][A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z]", gstin, "27AAPFU0939F1ZV", "27AAPFU0939F1ZO"),
    _Number("in-voter-id", r"[A-Z]{3}[0-9]{7}", None, "voter id ABC1234567", "voter id 12", r"(?i:voter|epic|elector)", 0.75),
    _Number("br-cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", cpf, "390.533.447-05", "390.533.447-06"),
    _Number("br-cpf-bare", r"[0-9]{11}", cpf, "CPF 39053344705", "CPF 39053344706", r"(?i:cpf)"),
    _Number("br-cnpj", r"[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/[0-9]{4}-?[0-9]{2}", cnpj, "16.727.230/0001-97", "16.727.230/0001-98"),
    _Number("pl-pesel", r"[0-9]{11}", pesel, "44051401359", "44051401358", "", 0.7),
    _Number("fi-personal-id", r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", hetu, "131052-308T", "131052-308U"),
    _Number("se-personal-number", r"(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}", personnummer, "880320-0016", "880320-0018"),
    _Number(
        "se-organisation-number", r"[125-9][0-9]{5}-[0-9]{4}", orgnr, "Org.nr 123456-7897", "Org.nr 123456-7898", r"(?i:org)", 0.7
    ),
    _Number("nl-bsn", r"[0-9]{4}\.?[0-9]{2}\.?[0-9]{3}", bsn, "BSN 111222333", "BSN 111252333", r"(?i:bsn|burgerservice|sofi)"),
    _Number("be-national-number", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", nn, "85.07.30-033.28", "85.07.30-033.29"),
    _Number("ch-ahv-number", r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", ch_ssn, "756.9217.0769.85", "756.9217.0769.84"),
    _Number("kr-resident-number", r"[0-9]{6}-?[0-9]{7}", rrn, "971013-9019902", "971013-9019903", "", 0.8),
    _Number("kr-business-number", r"[0-9]{3}-[0-9]{2}-[0-9]{5}", brn, "116-82-00276", "000-82-00276"),
    _Number("tr-identity-number", r"[1-9][0-9]{10}", tckimlik, "17291716060", "17291716050", "", 0.8),
    _Number(
        "th-identity-number", r"[1-8]-?[0-9]{4}-?[0-9]{5}-?[0-9]{2}-?[0-9]", th_pin, "3100600445635", "3100600445636", "", 0.8
    ),
    _Number("za-identity-number", r"[0-9]{6} ?[0-9]{4} ?[01][0-9]{2}", za_idnr, "7503305044089", "8503305044089", "", 0.8),
    _Number("mx-curp", r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", curp, "BOXW310820HNERXN09", "BOXW310820HNERXN08"),
    _Number("sg-nric", r"[STFGM][0-9]{7}[A-Z]", None, "S2740116C", "S2740116D"),
    _Number("sg-uen", r"(?:[0-9]{8,9}|[TSR][0-9]{2}[A-Z0-9]{2}[0-9]{4})[A-Z]", uen, "53125226D", "53125226E", "", 0.75),
    _Number("ca-sin", r"[0-9]{3}[- ][0-9]{3}[- ][0-9]{3}", sin, "123-456-782", "123-456-783", "", 0.75),
    _Number("ca-sin-bare", r"[0-9]{9}", sin, "SIN: 123456782", "SIN: 123456783", r"(?i:sin|social insurance)", 0.75),
    _Number("au-tfn", r"[0-9]{3} ?[0-9]{3} ?[0-9]{2,3}", tfn, "TFN 123 456 782", "TFN 999 999 999", r"(?i:tfn|tax file)"),
    _Number("au-abn", r"[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3}", abn, "83 914 571 673", "99 999 999 999"),
    _Number("au-acn", r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", acn, "ACN 004 085 616", "ACN 002 249 999", r"(?i:acn|company)"),
    _Number("us-npi", r"[12][0-9]{9}", None, "NPI 1234567893", "NPI 1234567894", r"(?i:npi|provider)", 0.75),
    _Number(
        "us-medicare-id",
        r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}",
        None,
        "1EG4-TE5-MK73",
        "1EG4-TE5-MKA3",
    ),
    _Number(
        "passport",
        r"(?:[A-Z]{1,2}[0-9]{6,8}[A-Z]?|[0-9]{8,9}|[0-9]{2}[A-Z]{2}[0-9]{5})",
        None,
        "passport number X1234567",
        "passport number none",
        r"(?i:passport|pasaporte|passeport|passaporto|travel document)",
        0.7,
    ),
    _Number(
        "driver-license",
        r"[A-Z]{1,2}[0-9]{6,13}|[0-9]{7,9}",
        None,
        "driver's license: H12234567",
        "driver's license: no",
        r"(?i:driv(?:er|ing)(?:'?s)? ?(?:licen[cs]e|permit)|licen[cs]e number|patente)",
        0.7,
    ),
    _Number(
        "date-of-birth",
        r"(?:[0-3]?[0-9][./-][0-3]?[0-9][./-](?:19|20)?[0-9]{2}|(?:19|20)[0-9]{2}[./-][01]?[0-9][./-][0-3]?[0-9])",
        None,
        "date of birth: 12/03/1985",
        "date of birth: soon",
        r"(?i:date.of.birth|d\.?o\.?b|born|birth ?(?:date|day))",
        0.75,
    ),
)


def _uk_nino(value: bytes) -> bool:
    """Prefixes that are never given out (HMRC NIM39110)."""
    return value[:2].upper() not in (b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ")


def _sg_nric(value: bytes) -> bool:
    """Weights 2, 7, 6, 5, 4, 3, 2, an offset by series, and a letter by the sum modulo 11."""
    total = sum((byte - 48) * weight for byte, weight in zip(value[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True))
    series = chr(value[0])
    total += {"T": 4, "G": 4, "M": 3}.get(series, 0)
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "KLJNPQRTUWX"}[series]
    index = total % 11 if series != "M" else 10 - total % 11
    return letters[index] == chr(value[8])


def _us_npi(value: bytes) -> bool:
    """Luhn with the issuer prefix 80840 (CMS)."""
    return luhn(b"80840" + value)


_OWN_CHECKS: dict[str, Validator] = {"uk-nino": _uk_nino, "sg-nric": _sg_nric, "us-npi": _us_npi}


_ROWS = b"0123456789012"  # what a person types for the look of a number


def _validator(number: _Number) -> Validator:
    if number.check is None:
        return _OWN_CHECKS.get(number.id, always)
    check = stdnum_valid(number.check)
    return lambda value: (
        check(value) and len(set(digits(value))) > 2 and not _ROWS.startswith(digits(value), value.startswith(b"1"))
    )


NATIONAL = tuple(
    Detector(
        id=number.id,
        category=PERSONAL_DATA,
        left="" if number.words else _ALONE,
        before=f"{number.words}{_APART}[^A-Za-z0-9]" if number.words else "",
        pattern=number.pattern,
        confidence=number.confidence,
        validator=_validator(number),
        retry=not number.words,
        must_match=(number.example, f"it says {number.example}, and more"),
        must_not_match=(number.counterexample,),
    )
    for number in _NUMBERS
)
