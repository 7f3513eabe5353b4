"""Codecs: one file a dialect, one line each in the table."""

from collections.abc import Mapping
from typing import Any

from freehold.gateway.wire.anthropic import AnthropicCountTokens, AnthropicMessages
from freehold.gateway.wire.codec import Codec
from freehold.gateway.wire.gemini import Gemini
from freehold.gateway.wire.gemini_whole import GeminiCountTokens, GeminiEmbeddings
from freehold.gateway.wire.openai_chat import OpenAIChat
from freehold.gateway.wire.openai_embeddings import OpenAIEmbeddings
from freehold.gateway.wire.openai_responses import OpenAIResponses

CODECS: dict[str, Codec] = {
    "openai.chat": OpenAIChat(),
    "anthropic.messages": AnthropicMessages(),
    "anthropic.count_tokens": AnthropicCountTokens(),
    "openai.responses": OpenAIResponses(),
    "openai.embeddings": OpenAIEmbeddings(),
    "google.gemini": Gemini(),
    "google.gemini.count_tokens": GeminiCountTokens(),
    "google.gemini.embed_content": GeminiEmbeddings("google.gemini.embed_content", "embedContent"),
    "google.gemini.embed_contents": GeminiEmbeddings("google.gemini.embed_contents", "batchEmbedContents"),
}


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
