"""The Messages format's own words, and which channel a string of a request or an answer belongs to.

Both follow the content block around a string: blocks of one type look the same in requests, in answers and in streams.
"""

from collections.abc import Mapping
from typing import Any

from freehold.core.exchange import Path
from freehold.core.findings import Channel

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
THOUGHTS = frozenset({"thinking", "redacted_thinking"})

# A string or key that equals one of them holds nothing to find.
OBJECTS = frozenset({"input"})  # that are a tool's own
_WORDS = (
    "model messages role content system user assistant type text max_tokens stream temperature top_p top_k stop_sequences"
    " metadata user_id tools tool_choice name description input_schema strict custom auto any tool none"
    " disable_parallel_tool_use cache_control ephemeral ttl 5m 1h citations enabled disabled adaptive between_tools thinking"
    " budget_tokens display summarized omitted output_config effort low medium high xhigh max format json_schema schema"
    " service_tier standard_only standard priority batch speed fast container context_management edits diagnostics"
    " inference_geo image document source base64 url file file_id media_type data title context image/png image/jpeg"
    " image/gif image/webp application/pdf text/plain tool_use tool_result tool_use_id is_error id input server_tool_use"
    " caller direct web_search_tool_result web_fetch_tool_result code_execution_tool_result search_result redacted_thinking"
    " signature object properties required string number integer boolean array null items enum additionalProperties $schema"
    " default minimum maximum minItems maxItems minLength maxLength anyOf oneOf allOf $ref $defs const pattern"
    " http://json-schema.org/draft-07/schema# https://json-schema.org/draft/2020-12/schema message message_start"
    " message_delta message_stop content_block_start content_block_delta content_block_stop ping error index delta"
    " content_block text_delta input_json_delta thinking_delta signature_delta citations_delta citation partial_json"
    " stop_reason stop_sequence stop_details end_turn pause_turn refusal model_context_window_exceeded usage input_tokens"
    " output_tokens cache_creation_input_tokens cache_read_input_tokens cache_creation ephemeral_5m_input_tokens"
    " ephemeral_1h_input_tokens output_tokens_details thinking_tokens server_tool_use web_search_requests web_fetch_requests"
    " char_location page_location content_block_location cited_text document_index document_title start_char_index"
    " end_char_index invalid_request_error authentication_error permission_error not_found_error rate_limit_error api_error"
    " overloaded_error"
)
VOCABULARY = frozenset(_WORDS.split())


_TOP: dict[str | int, Channel] = {"system": Channel.SYSTEM, "tools": Channel.TOOL_DESCRIPTION}
_ROLES = {"system": Channel.SYSTEM, "user": Channel.USER, "assistant": Channel.ASSISTANT}


def channel_of(path: Path, value: Any, around: Channel) -> Channel:
    """The channel of what lies under `path` of a request or of an answer's payload."""
    if not path:
        return Channel.OTHER
    if isinstance(value, str):
        return _of_text(path, value, around)
    if len(path) == 1 and path[0] in _TOP:
        return _TOP[path[0]]
    return _of_block(value, around) if isinstance(value, Mapping) else around


def _of_text(path: Path, text: str, around: Channel) -> Channel:
    if path == ("system",):
        return Channel.SYSTEM
    if around is Channel.FILE:
        return Channel.FILE if path[-1] == "data" else Channel.OTHER  # beside the data stands its media type
    return Channel.FILE if path[-1] == "url" and text.startswith("data:") else around


def _of_block(block: Mapping[str, Any], around: Channel) -> Channel:
    if around in (Channel.TOOL_DESCRIPTION, Channel.TOOL_ARGUMENTS):
        return around  # a schema's "type" is no block's, nor is that of an argument
    role, kind = block.get("role"), block.get("type")
    if kind is None and isinstance(role, str):
        return _ROLES.get(role, around)
    if not isinstance(kind, str):
        return around
    if kind in CALLS:
        return Channel.TOOL_ARGUMENTS
    if kind.endswith("tool_result"):
        return Channel.TOOL_RESULT
    if kind in THOUGHTS:
        return Channel.REASONING
    return Channel.FILE if kind == "base64" else around
