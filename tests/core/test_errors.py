import ssl

from freehold.core.errors import reason_of


def test_a_reason_is_the_systems_words_and_quotes_nothing() -> None:
    assert reason_of(ConnectionRefusedError(111, "Connect call failed (10.0.0.1, 80)")) == "connection refused"
    assert reason_of(ssl.SSLError(1, "wrong version number")) == "TLS failed (SSLError)"
    assert reason_of(ValueError("a secret")) == "ValueError"
