"""Codecs: one file a dialect, one line each in the table. A dialect is imported with its first request, in 15 to 20 ms."""

from collections.abc import Mapping
from typing import Any

from freehold.core.late import Late
from freehold.gateway.wire.codec import Codec

_GEMINI = ("/v1beta/models/", "/v1/models/")
_TABLE: dict[str, tuple[str, tuple[str, ...]]] = {  # where its codec is, and where clients post its requests
    "openai.chat": ("openai_chat:CHAT", ("/v1/chat/completions",)),
    "anthropic.messages": ("anthropic:MESSAGES", ("/v1/messages",)),
    "anthropic.count_tokens": ("anthropic:COUNT_TOKENS", ("/v1/messages/count_tokens",)),
    "openai.responses": ("openai_responses:RESPONSES", ("/v1/responses",)),
    "openai.embeddings": ("openai_embeddings:EMBEDDINGS", ("/v1/embeddings",)),
    "google.gemini": ("gemini:GEMINI", _GEMINI),
    "google.gemini.count_tokens": ("gemini_whole:COUNT_TOKENS", tuple(f"{path}:countTokens" for path in _GEMINI)),
    "google.gemini.embed_content": ("gemini_whole:EMBED_CONTENT", tuple(f"{path}:embedContent" for path in _GEMINI)),
    "google.gemini.embed_contents": ("gemini_whole:EMBED_CONTENTS", tuple(f"{path}:batchEmbedContents" for path in _GEMINI)),
}
CODECS: Mapping[str, Codec] = Late(__package__, {dialect: place for dialect, (place, _) in _TABLE.items()})
# One that ends in "/" takes whatever follows it, as `Incoming.path`; of that, one that ends in "/:word" takes what ends so.
PATHS: Mapping[str, str] = {path: dialect for dialect, (_, paths) in _TABLE.items() for path in paths}


def guessed_dialect(document: Mapping[str, Any]) -> str | None:
    """Of a request that does not say which it is, by what gives it away. Chat's for what may be either's."""
    match document:
        case {"contents": _}:
            return "google.gemini"
        case {"input": _}:
            return "openai.responses"
        case {"messages": list() as turns}:
            contents = [turn.get("content") for turn in turns if isinstance(turn, dict)]
            blocks = [block for content in contents if isinstance(content, list) for block in content if isinstance(block, dict)]
            is_anthropic = "system" in document or any(block.get("type") in ("tool_use", "tool_result") for block in blocks)
            return "anthropic.messages" if is_anthropic else "openai.chat"
        case {"messages": _}:
            return "openai.chat"
    return None
