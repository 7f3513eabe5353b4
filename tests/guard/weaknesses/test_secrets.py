"""Constants that are secrets, and those that only stand near the word."""

import pytest

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.secrets import is_secret_name, looks_secret

NAMES = """
password db_password DB_PASSWORD userPassword apiKey APIKey api_key API_KEY clientSecret token authToken pw passwd SECRET_KEY
jwtSecret dbpassword
"""
OTHERS = """
passenger compass tokenizer token_count max_tokens password_field_label secretary keyboard public_key_path author monkey bypass
"""
SECRETS = ["Tr0ub4dor&3", "hunter2-prod", "f62e5bcda4fae4f82370da0c6f20697b8f8447ef", "S3cr3t!", "correcthorsebattery9"]
STAND_INS = [
    "",
    "xxx",
    "changeme",
    "<password>",
    "${DB_PASS}",
    "your-api-key-here",
    "password",
    "Enter password",
    "secret",
    "example",
    "********",
    "https://x.example/token",
    "/run/secrets/db",
    "os.environ['X']",
    "Please type your password",
    "aaaa",
]


@pytest.mark.parametrize("name", NAMES.split())
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHERS.split())
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", SECRETS)
def test_values_that_may_be_secrets(value: str) -> None:
    assert looks_secret(value)


@pytest.mark.parametrize("value", STAND_INS)
def test_values_that_stand_for_one_or_are_something_else(value: str) -> None:
    assert not looks_secret(value)


@pytest.mark.parametrize(
    "program",
    [
        "password = 'Tr0ub4dor&3'",
        "config = {'db_password': 'Tr0ub4dor&3'}",
        "connect(password='Tr0ub4dor&3')",
        "self.password = 'Tr0ub4dor&3'",
        "if password == 'Tr0ub4dor&3': login()",
        "config['password'] = 'Tr0ub4dor&3'",
        "def f(password='Tr0ub4dor&3'): pass",
    ],
)
def test_wherever_a_secret_is_given_its_name(program: str) -> None:
    assert "hard-coded-secret" in {weakness.rule for weakness in find(program, Language.PYTHON)}
