import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.findings import Action, Mode
from freehold.guard.detectors.validators import luhn
from freehold.guard.policy_file import Tokens
from freehold.guard.ruling import Ruling, TokenShape
from freehold.guard.vault import ClientTokens, Vault

SETTINGS = Tokens(ttl_s=100.0, max_values=3)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ruling(rule: str = "email", shape: TokenShape = "token") -> Ruling:
    return Ruling(rule=rule, category="personal_data", confidence=0.9, action=Action.TOKENISE, mode=Mode.ENFORCE, shape=shape)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(clock: Clock) -> Vault:
    return Vault(b"secret", clock)


def test_the_longest_unused_goes_first(vault: Vault) -> None:
    tokens = vault.of("key", SETTINGS)
    issued = [tokens.issue(f"{n}@x.org", ruling()) for n in range(3)]
    tokens.issue("0@x.org", ruling())
    tokens.issue("3@x.org", ruling())
    assert [tokens.value(token) for token in issued] == ["0@x.org", None, "2@x.org"]
    assert len(tokens) == 3


def test_a_token_lives_as_long_as_it_is_used(vault: Vault, clock: Clock) -> None:
    tokens = vault.of("key", SETTINGS)
    token = tokens.issue("a@x.org", ruling())
    clock.now_s = 99.0
    assert tokens.issue("a@x.org", ruling()) == token
    clock.now_s = 198.0
    assert tokens.value(token) == "a@x.org"
    clock.now_s = 199.0
    assert tokens.value(token) is None


def test_what_expired_is_forgotten_though_its_client_does_not_come_back(vault: Vault, clock: Clock) -> None:
    tokens = vault.of("key", SETTINGS)
    tokens.issue("a@x.org", ruling())
    clock.now_s = 126.0
    vault.of("other", SETTINGS)
    assert len(tokens) == 0
    assert vault.of("key", SETTINGS) is tokens


def test_two_values_never_share_a_token(monkeypatch: pytest.MonkeyPatch, vault: Vault) -> None:
    monkeypatch.setattr("freehold.guard.vault._MARK_CHARS", 1)
    tokens = vault.of("key", Tokens(max_values=1000))
    issued = {f"{n}@x.org": tokens.issue(f"{n}@x.org", ruling()) for n in range(12)}
    assert len(set(issued.values())) == 12
    assert {value: tokens.value(token) for value, token in issued.items()} == {value: value for value in issued}


def test_where_a_shape_has_none_left_the_value_is_masked(vault: Vault) -> None:
    tokens = vault.of("key", Tokens(max_values=10_000))
    shape = ruling("ip-address", "preserving")
    issued = [tokens.issue(f"10.0.{n // 256}.{n % 256}", shape) for n in range(600)]
    real = [token for token in issued if token != shape.mask]
    assert len(set(real)) == len(real) > 400
    assert shape.mask in issued


def test_nothing_shows_what_it_holds(vault: Vault) -> None:
    tokens = vault.of("key", SETTINGS)
    token = tokens.issue("a@x.org", ruling())
    for shown in (repr(tokens), str(vars(vault)), repr(tokens._tokens[token])):
        assert "a@x.org" not in shown
        assert token not in shown


def issue(value: str) -> str:
    return ClientTokens(b"k", "key", Clock(), SETTINGS).issue(value, ruling("some-number", "preserving"))


@pytest.mark.parametrize(
    "value", ["4539578763621486", "4539 5787 6362 1486", "+49 (0)30 1234-5678", "0123456789", "123-45-6789", "1234.5678/90"]
)
def test_digits_stay_as_many_in_their_groups_and_are_no_card(value: str) -> None:
    token = issue(value)
    assert token != value
    assert "".join("9" if c.isdigit() else c for c in token) == "".join("9" if c.isdigit() else c for c in value)
    assert not luhn("".join(filter(str.isdigit, token)).encode())
    first = next(c for c in token if c.isdigit())
    assert (first == "0") == (next(c for c in value if c.isdigit()) == "0")


@pytest.mark.parametrize(
    ("value", "pattern"),
    [
        ("ada@lovelace.org", r"user-[0-9a-f]{8}@example\.com"),
        ("10.1.2.3", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.[12]\d\d"),
        ("fe80::1ff:fe23:4567:890a", r"2001:db8(:[0-9a-f]{4}){6}"),
        ("123e4567-e89b-12d3-a456-426614174000", r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("123E4567-E89B-12D3-A456-426614174000", r"[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}"),
        ("1234567", r"SOME_NUMBER_[0-9a-f]{8}"),
        ("Ada Lovelace", r"SOME_NUMBER_[0-9a-f]{8}"),
        ("999.1.2.3", r"SOME_NUMBER_[0-9a-f]{8}"),
    ],
)
def test_a_shape_is_kept_where_it_is_known(value: str, pattern: str) -> None:
    assert re.fullmatch(pattern, issue(value))


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=200)
def test_any_value_has_a_token_that_gives_it_back(value: str) -> None:
    for shape in ("token", "preserving"):
        tokens = ClientTokens(b"k", "key", Clock(), SETTINGS)
        token = tokens.issue(value, ruling(shape=shape))
        assert tokens.value(token) == value
        assert token in tokens.index
        assert token.isascii()
