"""What a request over HTTP does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.guard.effects.requests import address_of, effects_of_request, ip_of


def rules(method: str, url: str, headers: dict[str, str] | None = None, body: str = "") -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in effects_of_request(method, url, headers, body)}


@pytest.mark.parametrize("method", ["GET", "get", "HEAD", "", " OPTIONS "])
def test_what_gets_downloads(method: str) -> None:
    assert rules(method, "https://x.example/a?q=what+is+this") == {"download-host"}


@pytest.mark.parametrize("method", ["POST", "put", "PATCH", "PROPFIND", "anything"])
def test_what_does_not_get_sends(method: str) -> None:
    assert rules(method, "https://x.example/a") == {"send-host"}


def test_a_delete_deletes_on_the_other_machine() -> None:
    assert rules("DELETE", "https://x.example/a") == {"send-host", "delete-host"}
    assert rules("GET", "https://x.example/a", {"X-HTTP-Method-Override": "DELETE"}) == {"send-host", "delete-host"}


@pytest.mark.parametrize(
    "url",
    [
        "https://x.example/?d=" + "a1B2" * 60,
        "https://x.example/?d=" + "word+" * 200,
        "https://x.example/" + "QUJD" * 40,
        "https://" + "a1b2" * 11 + ".x.example/",
        "wss://x.example/",
        "gopher://x.example/1",
    ],
)
def test_what_carries_more_than_a_question_sends(url: str) -> None:
    assert "send-host" in rules("GET", url)


def test_a_get_with_a_body_sends() -> None:
    assert rules("GET", "https://x.example", body="a") == {"send-host"}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://2852039166/",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://user@169.254.169.254/",
        "http://good.example@169.254.169.254/",
        "HTTP://METADATA.GOOGLE.INTERNAL./computeMetadata/v1/",
        "http://100.100.100.200/latest/meta-data/",
        "//169.254.169.254/",
        "http:\\\\169.254.169.254\\",
        "http://proxy.example/latest/meta-data/iam",
    ],
)
def test_what_gives_out_credentials_is_known_however_it_is_written(url: str) -> None:
    assert "read-credential" in rules("GET", url)


def test_it_is_said_whose_machine_it_is() -> None:
    said = {url: effects_of_request("GET", url)[0].because for url in ("http://127.1/", "http://10.0.0.1/", "http://x.example/")}
    assert [
        "this machine" in said["http://127.1/"],
        "private" in said["http://10.0.0.1/"],
        "another" in said["http://x.example/"],
    ] == [True] * 3


def test_a_file_is_read_and_not_requested() -> None:
    assert rules("GET", "file:///etc/shadow") == {"read-credential"}
    assert rules("GET", "data:text/plain,hello") == set()


def test_an_address_that_is_not_known_is_unknown() -> None:
    assert rules("GET", "") == {"unknown-nothing"}


def test_parts_of_an_address() -> None:
    assert address_of("https://a:b@X.example:8080/p/q?r=s#t") == ("https", "x.example", "/p/q", "r=s")
    assert str(ip_of("0x7f.1")) == "127.0.0.1"
    assert ip_of("x.example") is None


@given(st.text(max_size=100), st.text(max_size=200))
def test_any_request_is_judged(method: str, url: str) -> None:
    assert all(effect.kind in EffectKind for effect in effects_of_request(method, url))
