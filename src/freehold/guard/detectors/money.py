"""Payment cards and bank accounts."""

from itertools import groupby

from freehold.guard.detectors.checksums import us_routing
from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.labels import CLOSE, hint, labelled, words
from freehold.guard.detectors.validators import all_of, digits, luhn, stdnum_valid

_GROUP = r"[ -]?"
_is_rtn = stdnum_valid("us.rtn")


def _issued(value: bytes) -> bool:
    """Prefix and length of a network that issues cards (ISO/IEC 7812): Visa, Mastercard, Amex, Diners, JCB, Discover, Maestro."""
    number = digits(value)
    size, two, three, four = len(number), int(number[:2]), int(number[:3]), int(number[:4])
    if len(set(number)) < 2:
        return False
    if number.startswith(b"4"):
        return size in (13, 16, 19)
    if 51 <= two <= 55 or 2200 <= four <= 2204 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if two in (36, 38, 39) or 300 <= three <= 305 or three == 309:
        return size in (14, 16)
    if two in (60, 62, 64, 65, 81, 82) or two == 35:
        return 16 <= size <= 19
    return ((two in (50, 63, 67, 56, 57, 58)) and 12 <= size <= 19) or (four in (1800, 2131) and size == 15)


# Characters of an IBAN by country (SWIFT IBAN registry, release 99).
_IBAN_CHARS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FO", "FI", "GL", "NL", "SD", "FK"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}


def _iban_pattern() -> str:
    """One alternative a length, so that capitals after an IBAN are not taken for its last group."""
    by_chars = groupby(sorted(_IBAN_CHARS, key=_IBAN_CHARS.__getitem__), key=_IBAN_CHARS.__getitem__)
    return "|".join(
        rf"(?:{'|'.join(countries)})[0-9]{{2}}(?:[ -]?[A-Z0-9]{{4}}){{{chars // 4 - 1}}}"
        + (rf"[ -]?[A-Z0-9]{{{chars % 4}}}" if chars % 4 else "")
        for chars, countries in by_chars
    )


_PIN = words("PIN, PIN code, PIN number, PIN-Code, code PIN, pincode, codice PIN")
_IS = "(?:is|was|ist|lautet|est|es|e)"

MONEY = (
    Detector(
        id="payment-card",
        category=PERSONAL_DATA,
        left=r"(?:^|[^A-Za-z0-9._+-])",  # a comma parts columns: groups of thousands have three digits
        pattern=(
            rf"[2-68][0-9]{{3}}(?:{_GROUP}[0-9]{{4}}){{2}}{_GROUP}[0-9]{{1,7}}"
            rf"|3[0-9]{{3}}{_GROUP}[0-9]{{6}}{_GROUP}[0-9]{{4,5}}|(?:1800|2131)[0-9]{{11}}|[3-6][0-9]{{11,18}}"
        ),
        after=r"(?:[^A-Za-z0-9]|$)",
        confidence=0.95,
        validator=all_of(luhn, _issued),
        retry=True,
        must_match=(
            "card 4111 1111 1111 1111 please",
            "5555-5555-5555-4444",
            "amex 3782 822463 10005",
            "n=4012888888881881;",
            "7,4012888888881881,12/29",
        ),
        must_not_match=("card 4111 1111 1111 1112", "1234567890123456", "0000 0000 0000 0000"),
    ),
    Detector(
        id="payment-card-context",  # networks that are not in the table, and cards of shops
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *words(
                "card, card number, credit card, debit card, kreditkarte, kreditkartennummer, carte, carte bancaire, "
                "carte de credit, tarjeta, tarjeta de credito, carta di credito, cartão, cartão de crédito, "
                "creditcard, creditcardnummer, kredittkort, kreditkort, luottokortti, karta, karty, kredi kartı, kart, "
                "cc, PAN"
            ),
            apart=CLOSE,
        ),
        pattern=r"[1-9](?:[ -]?[0-9]){11,18}",
        confidence=0.85,
        validator=lambda value: luhn(value) and len(set(digits(value))) > 2,
        must_match=("my credit card: 122000000000003", "card number 1220 0000 0000 003"),
        must_not_match=("credit card: 122000000000004", "a card of 12"),
    ),
    Detector(
        id="card-security-code",
        category=PERSONAL_DATA,
        left="",
        before=labelled(*words("CVV, CVV2, CVC, CVC2, CVN, CVV code, CVC code, security code, card verification"), apart=CLOSE),
        pattern=r"[0-9]{3,4}",
        after=r"(?:[^A-Za-z0-9.]|\.[^0-9]|\.?$)",
        confidence=0.6,
        must_match=("CVV: 123", "the security code is 4821"),
        must_not_match=("CVV: 12345", "security code 12"),
    ),
    Detector(
        id="card-pin",
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *_PIN,
            apart=rf"(?: (?:for|of|on|fur|de|del|du|van) [^0-9\n:=]{{1,40}}?(?: {_IS}|[:=])|(?: (?:to|{_IS}))?)[:= ]{{1,3}}",
        ),
        hint=hint(*_PIN),
        hint_reach_chars=64,
        pattern=r"[0-9]{4}|[0-9]{6}",
        after=r"(?:[^A-Za-z0-9.]|\.[^0-9]|\.?$)",
        confidence=0.55,
        must_match=("PIN: 4821", "my PIN is 482193", "I changed my PIN to 4821", "the PIN for my debit card is 4821"),
        must_not_match=("pin 13", "a pin for the board, 2024", "spin: 4821", "pin the 4821"),
    ),
    Detector(
        id="iban",
        category=PERSONAL_DATA,
        pattern=rf"(?:{_iban_pattern()}|[a-z]{{2}}[0-9]{{2}}[a-z0-9]{{11,29}})",
        head=r"(?:[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2}|[a-z]{2}[0-9]{2}[a-z0-9]{11})",
        confidence=0.97,
        validator=stdnum_valid("iban"),
        retry=True,
        must_match=(
            "pay to DE89 3704 0044 0532 0130 00 now",
            "GB82WEST12345698765432",
            "gb82west12345698765432",
            "NL91 ABNA 0417 1643 00.",
            "AL47212110090000000235698741 ALL CAPS",
        ),
        must_not_match=("pay to DE89 3704 0044 0532 0130 01 now", "GB82WEST12345698765433"),
    ),
    Detector(
        id="bic",
        category=PERSONAL_DATA,
        left="",
        before=r"(?:^|[^A-Za-z])(?i:bic|swift)(?i:[ /-](?:bic|code|swift)){0,2}(?i: (?:is|code|number|no))?[^A-Za-z0-9]{1,4}",
        pattern=r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?",
        confidence=0.8,
        validator=stdnum_valid("bic"),
        must_match=("BIC: DEUTDEFF500", "SWIFT/BIC code is DEUTDEFF"),
        must_not_match=("BIC: none", "SWIFT: language"),
    ),
    Detector(
        id="us-routing-number",
        category=PERSONAL_DATA,
        left="",
        before=labelled("routing", "routing number", "aba", "aba number", "rtn"),
        pattern=r"[0-9]{4}-?[0-9]{4}-?[0-9]",
        confidence=0.85,
        validator=all_of(us_routing, lambda value: _is_rtn(digits(value))),
        must_match=("routing number 111000025",),
        must_not_match=("routing number 111000026",),
    ),
    Detector(
        id="uk-sort-code",
        category=PERSONAL_DATA,
        left="",
        before=labelled("sort code", "sortcode", "BSB", "sort-code no"),
        pattern=r"[0-9]{2}[- ][0-9]{2}[- ][0-9]{2}|[0-9]{3}-[0-9]{3}|[0-9]{6}",
        confidence=0.75,
        must_match=("sort code: 20-00-00", "BSB 062-000"),
        must_not_match=("sort code below", "sort: 20-00-00"),
    ),
    Detector(
        id="in-ifsc",
        category=PERSONAL_DATA,
        pattern=r"[A-Z]{4}0[A-Z0-9]{6}",
        confidence=0.6,
        left="",
        before=labelled("IFSC", "IFSC code", "RTGS", "NEFT"),
        must_match=("IFSC code: SBIN0001234",),
        must_not_match=("IFSC code: none",),
    ),
    Detector(
        id="mx-clabe",
        category=PERSONAL_DATA,
        left="",
        before=labelled("CLABE", "clabe interbancaria", "CBU", "cuenta clabe"),
        pattern=r"[0-9]{18}|[0-9]{22}",
        confidence=0.8,
        must_match=("CLABE 032180000118359719",),
        must_not_match=("CLABE 03218000011835971",),
    ),
    Detector(
        id="bank-account-number",
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *words(
                "account number, account no, account num, account #, acct number, acct no, acct, acct #, bank account, "
                "account, account is, bank number, a/c no, a/c, beneficiary account, checking account, "
                "savings account, kontonummer, konto, bankverbindung, numéro de compte, compte bancaire, "
                "numero de cuenta, cuenta bancaria, numero di conto, conto corrente, conto bancario, número da conta, "
                "conta bancária, conta corrente, rekeningnummer, bankrekening, numer konta, kontonumero, tilinumero, "
                "bankszámlaszám, číslo účtu, cont bancar, broj računa, hesap numarası, hesap no, nomor rekening, "
                "số tài khoản, bankkonto"
            ),
            apart=CLOSE,
        ),
        pattern=r"[0-9](?:[ -]?[0-9]){5,18}",
        confidence=0.76,
        validator=lambda value: len(set(digits(value))) > 2,
        must_match=("account number is 945456787654", "Kontonummer: 532 013 000"),
        must_not_match=("account number 12", "account 0000000"),
    ),
)
