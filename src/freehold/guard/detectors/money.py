"""Payment cards, bank accounts, crypto addresses."""

import hashlib

from stdnum import bic, bitcoin, iban
from stdnum.us import rtn

from freehold.guard.detectors.detector import NOT_DIGIT, PERSONAL_DATA, SPACE, Detector
from freehold.guard.detectors.examples import HEX, sample
from freehold.guard.detectors.validators import all_of, digits, luhn, stdnum_valid

_GROUP = r"[ -]?"


def _issued(value: bytes) -> bool:
    """Prefix and length of a network that issues cards (ISO/IEC 7812): Visa, Mastercard, Amex, Diners, JCB, Discover, Maestro."""
    number = digits(value)
    size, two, three, four = len(number), int(number[:2]), int(number[:3]), int(number[:4])
    if len(set(number)) < 2:
        return False
    if number.startswith(b"4"):
        return size in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720:
        return size == 16
    if two in (34, 37):
        return size == 15
    if two in (36, 38, 39) or 300 <= three <= 305:
        return size in (14, 16)
    if two in (60, 62, 64, 65, 81) or two == 35:
        return 16 <= size <= 19
    return ((two in (50, 63, 67, 56, 57, 58)) and 12 <= size <= 19) or (four in (1800, 2131) and size == 15)


def _ethereum(value: bytes) -> bool:
    """All of one case, as wallets without EIP-55 write it, or mixed case with both present."""
    return len(set(value[2:].lower())) > 8


def _bech32(value: bytes) -> bool:
    return bool(bitcoin.is_valid(value.decode("ascii", "replace")))


def _base58_checked(value: bytes) -> bool:
    """Base58Check: the last four bytes are the double SHA-256 of what is before them."""
    alphabet = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for byte in value:
        number = number * 58 + alphabet.index(byte)
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    raw = b"\0" * (len(value) - len(value.lstrip(b"1"))) + raw
    return len(raw) == 25 and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


MONEY = (
    Detector(
        id="payment-card",
        category=PERSONAL_DATA,
        left=NOT_DIGIT,
        pattern=(
            rf"[2-6][0-9]{{3}}(?:{_GROUP}[0-9]{{4}}){{2}}{_GROUP}[0-9]{{1,7}}"
            rf"|3[0-9]{{3}}{_GROUP}[0-9]{{6}}{_GROUP}[0-9]{{4,5}}|(?:1800|2131)[0-9]{{11}}|[3-6][0-9]{{11,18}}"
        ),
        after=r"(?:[^A-Za-z0-9]|$)",
        confidence=0.95,
        validator=all_of(luhn, _issued),
        retry=True,
        must_match=("card 4111 1111 1111 1111 please", "5555-5555-5555-4444", "amex 3782 822463 10005", "n=4012888888881881;"),
        must_not_match=("card 4111 1111 1111 1112", "1234567890123456", "0000 0000 0000 0000"),
    ),
    Detector(
        id="iban",
        category=PERSONAL_DATA,
        pattern=r"(?:[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?|[a-z]{2}[0-9]{2}[a-z0-9]{11,30})",
        confidence=0.97,
        validator=stdnum_valid(iban),
        retry=True,
        must_match=(
            "pay to DE89 3704 0044 0532 0130 00 now",
            "GB82WEST12345698765432",
            "gb82west12345698765432",
            "NL91 ABNA 0417 1643 00.",
        ),
        must_not_match=("pay to DE89 3704 0044 0532 0130 01 now", "GB82WEST12345698765433"),
    ),
    Detector(
        id="bic",
        category=PERSONAL_DATA,
        left="",
        before=rf"(?i:bic|swift)(?i:{SPACE}?code)?[:= ]{{1,4}}",
        pattern=r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?",
        confidence=0.8,
        validator=stdnum_valid(bic),
        must_match=("BIC: DEUTDEFF500",),
        must_not_match=("BIC: none", "SWIFT: language"),
    ),
    Detector(
        id="us-routing-number",
        category=PERSONAL_DATA,
        left="",
        before=r"(?i:routing|aba|rtn)[^\n0-9]{0,32}",
        pattern=r"[0-9]{4}-?[0-9]{4}-?[0-9]",
        confidence=0.85,
        validator=lambda value: bool(rtn.is_valid(digits(value).decode())),
        must_match=("routing number 111000025",),
        must_not_match=("routing number 111000026",),
    ),
    Detector(
        id="bank-account-number",
        category=PERSONAL_DATA,
        left="",
        before=r"(?i:bank|account|acct)(?i: (?:number|no\.?|num|#))[^\n0-9]{0,16}",
        pattern=r"[0-9][0-9 -]{5,18}[0-9]",
        confidence=0.6,
        must_match=("account number is 945456787654",),
        must_not_match=("account number 12",),
    ),
    Detector(
        id="bitcoin-address",
        category=PERSONAL_DATA,
        pattern=r"[13][1-9A-HJ-NP-Za-km-z]{25,34}",
        confidence=0.97,
        validator=_base58_checked,
        must_match=("send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",),
        must_not_match=("send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",),
    ),
    Detector(
        id="bitcoin-bech32-address",
        category=PERSONAL_DATA,
        pattern=r"(?:bc1|BC1)[a-zA-Z0-9]{25,59}",
        confidence=0.97,
        validator=_bech32,
        must_match=("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",),
        must_not_match=("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdz",),
    ),
    Detector(
        id="ethereum-address",
        category=PERSONAL_DATA,
        pattern=r"0x[0-9a-fA-F]{40}",
        confidence=0.9,
        validator=_ethereum,
        must_match=(f"0x{sample(40, HEX)}",),
        must_not_match=("0x" + "0" * 40,),
    ),
)
