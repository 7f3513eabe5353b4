"""What stands where in a Responses answer, read from values of any shape: texts, calls, seals, counts and errors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from freehold.core.errors import UpstreamRejected
from freehold.core.events import TokenLogprob, ToolCallStart, Usage
from freehold.core.exchange import Path
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, count, parsed_object, rejected
from freehold.gateway.wire.openai_responses_prompt import DIALECT
from freehold.gateway.wire.prompt import sealed

_INDEXES = ("content_index", "summary_index", "command_index")
_STATUSES = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400, "server_error": 502}
CALL = "response.function_call_arguments"
STREAMED_CALLS: dict[object, str] = {  # an item's type -> the event that tells its arguments
    "function_call": CALL,
    "custom_tool_call": "response.custom_tool_call_input",
    "mcp_call": "response.mcp_call_arguments",
    "code_interpreter_call": "response.code_interpreter_call_code",
}
CALL_TEXTS = {  # -> the field of an item, or of the event that ends the text
    CALL: "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
}
_RUN_BY_PROVIDER = frozenset(
    {
        "mcp_call",
        "code_interpreter_call",
        "web_search_call",
        "file_search_call",
        "image_generation_call",
        "tool_search_call",
        "shell_call_command",  # tells a shell_call's command as it grows; the call itself is known at its end
    }
)
_NO_ARGUMENTS = frozenset({"id", "call_id", "type", "status", "name"})


def parse(data: bytes) -> dict[str, Any]:
    return parsed_object(data, "the upstream sent an event that is no object")


def texts_of(item: Mapping[str, Any]) -> Iterator[tuple[str, Path, Path, str]]:
    """(event kind, place in the item, path in the item, text) of what an item says."""
    for at, part in enumerate(items(item.get("summary"))):
        if isinstance(text := mapping(part).get("text"), str) and text:
            yield "response.reasoning_summary_text", (at,), ("summary", at, "text"), text
    for at, part in enumerate(items(item.get("content"))):
        for key, kind in (("text", "output_text"), ("refusal", "refusal")):
            if isinstance(text := mapping(part).get(key), str) and text:
                yield (
                    "response." + ("reasoning_text" if item.get("type") == "reasoning" else kind),
                    (at,),
                    ("content", at, key),
                    text,
                )
    type_ = item.get("type")
    event = STREAMED_CALLS.get(type_) if isinstance(type_, str) else None
    if event is not None and isinstance(text := item.get(CALL_TEXTS[event]), str) and text:
        yield event, (), (CALL_TEXTS[event],), text


def call_start(item: Mapping[str, Any], part: int) -> ToolCallStart:
    """The provider's own calls have no call_id, and some no name."""
    call_id, name = item.get("call_id") or item.get("id"), item.get("name") or item.get("type")
    return ToolCallStart(
        call_id=call_id[:NAME_LIMIT_CHARS] if isinstance(call_id, str) else f"call_{part}",
        name=name[:NAME_LIMIT_CHARS] if isinstance(name, str) else "",
        part=part,
        is_remote=not is_run_by_client(item.get("type")),
    )


def whole_call(item: Mapping[str, Any], part: int) -> ToolCallStart:
    """A call of a kind whose arguments have no text of their own: `local_shell_call`, `computer_call`. They are all it says."""
    said = {key: value for key, value in item.items() if key not in _NO_ARGUMENTS}
    return replace(call_start(item, part), arguments=orjson.dumps(said).decode())


def is_run_by_client(kind: object) -> bool:
    """Whether an item of this type is a call that the client runs: one nobody knows is taken for one."""
    return isinstance(kind, str) and kind.endswith("_call") and kind not in _RUN_BY_PROVIDER


def seal(item: Mapping[str, Any]) -> str | None:
    seal = item.get("encrypted_content") if item.get("type") == "reasoning" else None
    return sealed(DIALECT, seal) if isinstance(seal, str) and seal else None


def indexes(document: Mapping[str, Any]) -> Path:
    return tuple(number(document[name]) for name in _INDEXES if name in document)


def number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def usage(usage: Mapping[str, Any]) -> Usage:
    read, made = mapping(usage.get("input_tokens_details")), mapping(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_input_tokens=count(read.get("cached_tokens")),
        cache_write_tokens=count(read.get("cache_write_tokens")),
        reasoning_tokens=count(made.get("reasoning_tokens")),
    )


def logprobs(said: Mapping[str, Any], text: str) -> tuple[TokenLogprob, ...]:
    """Of the tokens that make up the text; none where they do not."""
    try:
        tokens = tuple(
            TokenLogprob(
                token=token["token"],
                token_bytes=_token_bytes(token),
                logprob=float(token["logprob"]),
                top=tuple(
                    (likely["token"], _token_bytes(likely), float(likely["logprob"]))
                    for likely in token.get("top_logprobs") or ()
                ),
            )
            for token in said.get("logprobs") or ()
        )
        return tokens if b"".join(token.token_bytes for token in tokens).decode() == text else ()
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def _token_bytes(token: Mapping[str, Any]) -> bytes:
    given = token.get("bytes")
    return bytes(given) if given is not None else token["token"].encode()


def rejection(document: Mapping[str, Any]) -> UpstreamRejected:
    error = mapping(document.get("error")) or mapping(mapping(document.get("response")).get("error")) or document
    code = error.get("code")
    return rejected(error, _STATUSES.get(code, 502) if isinstance(code, str) else 502)
