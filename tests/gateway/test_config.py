from typing import Any

import msgspec
import pytest

from freehold.gateway.config import GatewayConfig, UpstreamConfig

FAR: dict[str, Any] = {"name": "far", "url": "https://far.example/v1", "models": ["m"]}


def test_the_defaults_listen_on_loopback_only() -> None:
    config = msgspec.convert({}, GatewayConfig)
    assert (config.host, config.port, config.allow_insecure_bind) == ("127.0.0.1", 8400, False)


@pytest.mark.parametrize(
    "settings",
    [
        {"port": 70_000},
        {"port": "x"},
        {"body_limit_bytes": 0},
        {"idle_timeout_s": 0},
        {"json_depth": 1},
        {"unknown": 1},
        {"tls_key": "k"},
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, GatewayConfig)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "far.example"}, "http://"),
        ({"url": "ftp://far.example"}, "http://"),
        ({"url": "https://user:word@far.example/v1"}, "credentials"),
        ({"url": "https://far.example/v1?key=1"}, "query"),
        ({"models": []}, "models is empty"),
        ({"api_key_env": "A", "api_key_file": "b"}, "keep one"),
        ({"kind": "other"}, "kind"),
        ({"weight": 0}, "weight"),
        ({"priority": 101}, "priority"),
    ],
)
def test_an_upstream_that_cannot_work_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert({**FAR, **change}, UpstreamConfig)


def test_models_may_be_listed_or_mapped() -> None:
    assert msgspec.convert(FAR, UpstreamConfig).models == ["m"]
    assert msgspec.convert({**FAR, "models": {"ours": "theirs"}}, UpstreamConfig).models == {"ours": "theirs"}
