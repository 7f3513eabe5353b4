"""Codecs: one file a dialect, one line each in the table."""

from freehold.gateway.wire.codec import Codec
from freehold.gateway.wire.openai_chat import OpenAIChat

CODECS: dict[str, Codec] = {
    "openai.chat": OpenAIChat(),
}
