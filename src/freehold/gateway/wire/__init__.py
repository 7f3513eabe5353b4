"""Codecs: one file a dialect, one line each in the table."""

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
