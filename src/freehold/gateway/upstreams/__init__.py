"""Where answers come from over HTTP: one file a kind of provider, one line in the table."""

from collections.abc import Callable

from freehold.core.ports import Upstream
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.upstreams.openai import OpenAIUpstream
from freehold.gateway.wire import CODECS

UPSTREAMS: dict[str, Callable[[UpstreamConfig], Upstream]] = {
    "openai": lambda config: OpenAIUpstream(config, CODECS["openai.chat"]),
}


def make_upstream(config: UpstreamConfig) -> Upstream:
    """Raises ConfigError where the provider's key is missing."""
    return UPSTREAMS[config.kind](config)
