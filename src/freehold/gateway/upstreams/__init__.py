"""Where answers come from over HTTP. A provider's kind says which dialects it speaks, unless its configuration does."""

from pathlib import Path

from freehold.core.errors import ConfigError
from freehold.core.ports import Upstream
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.upstreams.remote import RemoteUpstream
from freehold.gateway.wire import CODECS

# The first one is for clients who speak none of them.
DIALECTS: dict[str, tuple[str, ...]] = {
    "openai": ("openai.chat", "openai.embeddings"),  # what compatible servers have; OpenAI itself has "openai.responses" too
    "anthropic": ("anthropic.messages", "anthropic.count_tokens"),
    "gemini": ("google.gemini", "google.gemini.count_tokens", "google.gemini.embed_content", "google.gemini.embed_contents"),
}


def make_upstream(config: UpstreamConfig, folder: Path = Path()) -> Upstream:
    """Raises ConfigError where the provider's key, which may lie in `folder`, is missing, and for dialects that there are not."""
    names = DIALECTS[config.kind] if config.dialects is None else config.dialects
    unknown = [name for name in names if name not in CODECS]
    if unknown or not names:
        what = f"has {unknown[0]!r}, which there is not" if unknown else "is empty"
        raise ConfigError(f"upstream {config.name}: dialects {what}; there are {', '.join(sorted(CODECS))}")
    return RemoteUpstream(config, [CODECS[name] for name in names], folder)
