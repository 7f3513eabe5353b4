"""Addresses of crypto-currencies: by their checksum, or after a word for a wallet."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.examples import HEX, sample
from freehold.guard.detectors.labels import CLOSE, labelled, words
from freehold.guard.detectors.validators import Validator, not_filler

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32 = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def base58_check(alphabet: str = _BASE58, sizes: tuple[int, ...] = (25, 26)) -> Validator:
    """Base58Check: the last four bytes are the double SHA-256 of what is before them."""
    places = {byte: place for place, byte in enumerate(alphabet.encode())}

    def valid(value: bytes) -> bool:
        number = 0
        for byte in value:
            number = number * 58 + places[byte]
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        raw = b"\0" * (len(value) - len(value.lstrip(alphabet[:1].encode()))) + raw
        return len(raw) in sizes and hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]

    return valid


def _bech32(value: bytes) -> bool:
    """BIP 173 and BIP 350: the polynomial of prefix and data leaves 1 or 0x2bc830a3."""
    prefix, _, data = value.lower().rpartition(b"1")
    if any(byte not in _BECH32 for byte in data):
        return False
    expanded = [byte >> 5 for byte in prefix] + [0] + [byte & 31 for byte in prefix] + [_BECH32.index(byte) for byte in data]
    return _polynomial(expanded) in (1, 0x2BC830A3)


def _polynomial(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> bit & 1 else 0
    return check


def _ethereum(value: bytes) -> bool:
    """All of one case, as wallets without EIP-55 write it, or mixed case with both present."""
    return len(set(value[2:].lower())) > 8


def _mixed(value: bytes) -> bool:
    """Letters of both cases and digits, as chance has them."""
    is_mixed = any(48 <= b < 58 for b in value) and value.upper() != value and value.lower() != value
    return is_mixed and len(set(value)) > 12 and not_filler(value)


class _Wallet(NamedTuple):
    id: str
    pattern: str
    check: Callable[[bytes], bool]
    example: str
    counterexample: str
    confidence: float = 0.97


_B = "[1-9A-HJ-NP-Za-km-z]"
_WALLETS = (
    _Wallet(
        "bitcoin-address",
        rf"[13]{_B}{{25,34}}",
        base58_check(),
        "send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "send to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    ),
    _Wallet(
        "bitcoin-bech32-address",
        r"(?:bc1|BC1)[a-zA-Z0-9]{25,59}",
        _bech32,
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdz",
    ),
    _Wallet("ethereum-address", r"0x[0-9a-fA-F]{40}", _ethereum, f"0x{sample(40, HEX)}", "0x" + "0" * 40, 0.9),
    _Wallet(
        "litecoin-address",
        rf"[LM]{_B}{{26,33}}",
        base58_check(),
        "LMkm7yACCCit8VrGRbfRsgqwxUua3Y5ReR",
        "LMkm7yACCCit8VrGRbfRsgqwxUua3Y5Rex",
    ),
    _Wallet(
        "dogecoin-address",
        rf"D[5-9A-HJ-NP-U]{_B}{{32}}",
        base58_check(),
        "D7fuQ1o1QxP7QhLhz3fh9RwndQGbJu5gSt",
        "D7fuQ1o1QxP7QhLhz3fh9RwndQGbJu5gSx",
    ),
    _Wallet(
        "dash-address",
        rf"X{_B}{{33}}",
        base58_check(),
        "XdDeh1WG5FhR2dkh7LzMTCTyac7ywaeUiH",
        "XdDeh1WG5FhR2dkh7LzMTCTyac7ywaeUix",
    ),
    _Wallet(
        "tron-address",
        rf"T{_B}{{33}}",
        base58_check(),
        "TCW1rpE6GGbn2sDjqjKr7pUKf4Hc8krFt3",
        "TCW1rpE6GGbn2sDjqjKr7pUKf4Hc8krFtx",
    ),
    _Wallet(
        "zcash-address",
        rf"t[13]{_B}{{33}}",
        base58_check(),
        "t1LQQs6GW5sGRULD1BtVFjUt6zvjNmF9tBJ",
        "t1LQQs6GW5sGRULD1BtVFjUt6zvjNmF9tBx",
    ),
    _Wallet(
        "ripple-address",
        rf"r{_B}{{24,34}}",
        base58_check(_RIPPLE),
        "rsXoiki4fY7F16wfETg3bC8BkGYHthcGvq",
        "rsXoiki4fY7F16wfETg3bC8BkGYHthcGvx",
    ),
    _Wallet(
        "bech32-address",
        r"(?:ltc|tb|addr|cosmos|osmo|stake|bnb|terra|inj|erd|lnbc[0-9a-z]{0,8})1[02-9ac-hj-np-z]{30,110}",
        _bech32,
        "ltc1qr0pas674792jdyznxu8qqhvfscfw89eadjafqd",
        "ltc1qr0pas674792jdyznxu8qqhvfscfw89eadjafqx",
    ),
    _Wallet(
        "monero-address",
        rf"[48][0-9AB]{_B}{{93}}",
        _mixed,
        "48Geb9QfXhe5f1vXHcFDnXbvcXShxAFhAxaRp1jr5Bqe3Lr2uxJXfoyRnsUSotdV9yQ739YEHkUrhwLTZvRdPbeTeFzNk2w",
        "4" * 95,
        0.95,
    ),
)

WALLETS = (
    Detector(
        id="bitcoin-private-key",  # wallet import format
        pattern=rf"[5KL9c]{_B}{{50,51}}",
        confidence=0.99,
        validator=base58_check(sizes=(37, 38)),
        must_match=("L3gGrWmuk" + "ngAuGJ5HAhGtFFTdto96asiMHReM5aN5MPZLux9421B",),
        must_not_match=("L3gGrWmuk" + "ngAuGJ5HAhGtFFTdto96asiMHReM5aN5MPZLux9421C",),
    ),
    Detector(
        id="extended-private-key",  # BIP 32, with SLIP 132's other letters: all keys of a wallet
        pattern=rf"[xyzYZtuv]prv{_B}{{107}}",
        confidence=0.99,
        validator=base58_check(sizes=(82,)),
        must_match=(
            "xprv9s21ZrQH143K26c"
            + "WnGeAk3vuCNVoovbC94Bm8U3zStJh25ubhz35DE6qZXVsmXCPaGUGEbACaTujTycQiV9LU1P7nB9Ws7wfJje4kQfv3S5",
        ),
        must_not_match=(f"xprv{'9' * 107}",),
    ),
    *(
        Detector(
            id=wallet.id,
            category=PERSONAL_DATA,
            pattern=wallet.pattern,
            confidence=wallet.confidence,
            validator=wallet.check,
            must_match=(wallet.example,),
            must_not_match=(wallet.counterexample,),
        )
        for wallet in _WALLETS
    ),
    Detector(
        id="wallet-address",
        category=PERSONAL_DATA,
        left="",
        before=labelled(
            *words(
                "bitcoin, btc, litecoin, ltc, ethereum, eth, dogecoin, doge, ripple, xrp, solana, sol, monero, xmr, "
                "tron, trx, usdt, crypto, wallet, wallet address, crypto address, cartera, portefeuille, "
                "bitcoin address, bitcoinadresse, dirección bitcoin, adresse bitcoin, indirizzo bitcoin, brieftasche"
            ),
            apart=CLOSE,
        ),
        pattern=rf"{_B}{{26,44}}|0x[0-9a-fA-F]{{40}}",
        confidence=0.7,
        validator=_mixed,
        must_match=(f"my wallet address is 3{sample(33).translate({48: 50, 73: 74, 79: 80, 108: 109})}",),
        must_not_match=("bitcoin is 3", "ethereum " + "abcdefghijkmnopqrstuvwxyzabcdef"),
    ),
)
