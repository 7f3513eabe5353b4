import pytest

from freehold.guard.detectors.validators import entropy_bits, luhn, quoted_password, random_token, typed_password, varied


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
    [b"${API_KEY}", b"<your-key>", b"your-api-key-1234", b"XXXXXXXXXXXX1", b"get_token.from_env", b"1.24.3-beta", b"aaaa1111"],
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
