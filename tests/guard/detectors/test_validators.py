import pytest

from freehold.guard.detectors.validators import (
    entropy_bits,
    is_row,
    luhn,
    names_secret,
    quoted_password,
    random_token,
    typed_password,
    varied,
)


@pytest.mark.parametrize(
    ("number", "holds"), [(b"4111 1111 1111 1111", True), (b"4111111111111112", False), (b"79927398713", True)]
)
def test_luhn(number: bytes, holds: bool) -> None:
    assert luhn(number) is holds


def test_entropy_is_in_bits_a_character() -> None:
    assert entropy_bits(b"aaaa") == 0
    assert entropy_bits(b"abcd") == 2


@pytest.mark.parametrize(
    "value",
    [
        b"${API_KEY}",
        b"<your-key>",
        b"your-api-key-1234",
        b"XXXXXXXXXXXX1",
        b"get_token.from_env",
        b"1.24.3-beta",
        b"aaaa1111",
        b"key_abcdefghijkl1",
    ],
)
def test_what_stands_for_a_secret_is_not_one(value: bytes) -> None:
    assert not random_token()(value)


def test_a_generated_token_is() -> None:
    assert random_token()(b"Zf3D0LXCM3EIMbgJpUNnkRtOfOueHznB")
    assert varied(b"Zf3D0LXCM3EIMbgJpUNn")
    assert not varied(b"x" * 20)


def test_passwords_people_type_and_labels_they_read() -> None:
    assert typed_password(b"hunter2")
    assert not typed_password(b"get_password()")
    assert quoted_password(b"correct horse battery")
    assert not quoted_password(b"Enter your password:")


@pytest.mark.parametrize(
    "value", [b" + password() + ", b"/account/password/reset", b"accounts/passwords#update", b"arn:aws:iam::x"]
)
def test_code_and_paths_between_quotes_are_no_password(value: bytes) -> None:
    assert not quoted_password(value)


def test_a_uuid_that_is_a_clock_is_no_secret_and_one_by_chance_may_be() -> None:
    assert not random_token()(b"d2db5ec4-6e7a-11ee-b962-0242ac120002")
    assert random_token()(b"29f63271-dc2f-4734-8221-5b31b5169bac")


@pytest.mark.parametrize("value", [b"abcdefghijklmnop", b"sk_abcdefghijklmnopqrstuvwxyz123", b"1234567890"])
def test_the_alphabet_is_a_row(value: bytes) -> None:
    assert is_row(value)


def test_a_short_stretch_of_the_alphabet_is_none() -> None:
    assert not is_row(b"abcdef0a91c7e5f3d2b1")


@pytest.mark.parametrize(
    ("before", "holds"),
    [
        (b"credentialsId: '", False),
        (b'access_key_id" = "', False),
        (b"TOKEN-ID=", False),
        (b"secret_id: ", True),
        (b"secretId: ", True),
        (b"token_valid=", True),
        (b"client_secret: ", True),
    ],
)
def test_the_id_of_a_secret_is_no_secret(before: bytes, holds: bool) -> None:
    assert names_secret(before) is holds
