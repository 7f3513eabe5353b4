"""Where answers come from over HTTP. A provider's kind says which dialects it speaks, unless its configuration does."""

from freehold.core.ports import Upstream
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.upstreams.remote import RemoteUpstream
from freehold.gateway.wire import CODECS

# The first one is for clients who speak none of them.
DIALECTS: dict[str, tuple[str, ...]] = {
    "openai": ("openai.chat", "openai.embeddings"),  # what compatible servers have; OpenAI itself has "openai.responses" too
    "anthropic": ("anthropic.messages", "anthropic.count_tokens"),
    "gemini": (
        "google.gemini",
        "google.gemini.count_tokens",
        "google.gemini.embed_content",
        "google.gemini.embed_contents",
    ),
}


def make_upstream(config: UpstreamConfig) -> Upstream:
    """Raises ConfigError where the provider's key is missing."""
    names = config.dialects or DIALECTS[config.kind]
    return RemoteUpstream(config, [CODECS[name] for name in names if name in CODECS])
