"""A request in no dialect's words as a Messages request.

Turns of one side that follow each other become one message, results first: the format wants roles in turn, and each result in
the message after its call. All system turns go to the top, where every provider of the dialect takes them. Refused by name is
what the answer depends on and the format can't say; a seed is dropped, as no provider promises anything for it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import orjson

from freehold.core.exchange import ResponseFormat, Sampling, ToolChoice
from freehold.gateway.wire.anthropic_prompt import DIALECT, REDACTED
from freehold.gateway.wire.fields import unsupported
from freehold.gateway.wire.prompt import (
    CallPart,
    MediaPart,
    Part,
    Prompt,
    PromptTool,
    ReasoningPart,
    ResultPart,
    TextPart,
    Turn,
    bare_seal,
    inner_schemas,
)

_MAX_TOKENS = 8192  # the format wants a limit; each model in service takes at least this much
_LEAST_BUDGET_TOKENS = 1024  # of thinking
_LEAST_TOP_P = 0.95  # beside it
_FORCED = ("required", "named")
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
_MODES = {"auto": "auto", "none": "none", "required": "any", "named": "tool"}
_NO_ID = re.compile(r"[^A-Za-z0-9_-]")  # providers refuse other characters in a call's id


def write(prompt: Prompt, *, model: str) -> dict[str, Any]:
    """The document for a provider. Raises InvalidRequest for what it can't say."""
    if prompt.choices > 1:
        raise unsupported("n", "a provider of anthropic.messages gives one answer a request; leave it at 1")
    sampling = _sampling(prompt.sampling)
    thinking = _thinking(prompt, sampling["max_tokens"])
    if thinking and thinking["type"] != "disabled":
        sampling = _beside_thinking(sampling)
    document: dict[str, Any] = {
        "model": model,
        "messages": _messages(prompt),
        "stream": True,
        **sampling,
        **({"thinking": thinking} if thinking else {}),
    }
    if system := [part for turn in prompt.turns if turn.role == "system" for part in _blocks(turn.parts)]:
        document["system"] = system
    if prompt.tools:
        document["tools"] = [_tool(tool) for tool in prompt.tools]
        if choice := _tool_choice(prompt.tool_choice, prompt.parallel_tool_calls):
            document["tool_choice"] = choice
    output: dict[str, Any] = {}
    if (form := _format(prompt.response_format)) is not None:
        output["format"] = form
    if prompt.reasoning is not None and prompt.reasoning.budget_tokens is None and prompt.reasoning.effort is not None:
        output["effort"] = _EFFORTS.get(prompt.reasoning.effort, "high")
    if output:
        document["output_config"] = output
    if prompt.user is not None:
        document["metadata"] = {"user_id": prompt.user}
    return document


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in prompt.turns:
        if turn.role == "system":
            continue
        role = "assistant" if turn.role == "assistant" else "user"
        blocks = _blocks(turn.parts)
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] = sorted([*messages[-1]["content"], *blocks], key=_is_no_result)
        elif blocks:
            messages.append({"role": role, "content": blocks})
    return messages


def _is_no_result(block: Mapping[str, Any]) -> bool:
    return bool(block["type"] != "tool_result")


def _blocks(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Content blocks. Empty texts are left out: providers refuse them."""
    blocks: list[dict[str, Any]] = []
    for part in parts:
        match part:
            case TextPart():
                if part.text:
                    blocks.append({"type": "text", "text": part.text, **_cached(part.cache_control)})
            case MediaPart():
                blocks.append(_media(part))
            case ReasoningPart():
                blocks += _thought(part)
            case CallPart():
                call_id = _NO_ID.sub("_", part.call_id)
                blocks.append({"type": "tool_use", "id": call_id, "name": part.name, "input": _arguments(part.arguments)})
            case ResultPart():
                blocks.append(_result(part))
            case _:
                assert_never(part)
    return blocks


def _cached(cache_control: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if cache_control is None else {"cache_control": dict(cache_control)}


def _thought(part: ReasoningPart) -> list[dict[str, Any]]:
    """A thought without a seal of this dialect is left out: a provider refuses what it can't tell from a forged one."""
    if (seal := bare_seal(DIALECT, part.signature)) is None:
        return []
    if seal.startswith(REDACTED):
        return [{"type": "redacted_thinking", "data": seal.removeprefix(REDACTED)}]
    return [{"type": "thinking", "thinking": part.text, "signature": seal}]


def _arguments(text: str) -> dict[str, Any]:
    """The format takes an object; what a model wrote instead goes along as it is, for the model to see."""
    try:
        found = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        found = text
    return found if isinstance(found, dict) else {"arguments": found}


def _result(part: ResultPart) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": _NO_ID.sub("_", part.call_id)}
    if content := _blocks(part.parts):
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return {**block, **_cached(part.cache_control)}


def _media(part: MediaPart) -> dict[str, Any]:
    titled = {"title": part.name} if part.name else {}
    match part.kind:
        case "image":
            return {"type": "image", "source": _source(part, part.media_type)}
        case "file":
            if part.data is not None and (part.media_type or "").startswith("text/"):
                return {"type": "document", "source": _text_source(part.data), **titled}
            return {"type": "document", "source": _source(part, "application/pdf"), **titled}
        case "audio" | "video":
            raise unsupported("messages", f"a provider of anthropic.messages takes no {part.kind}; leave it out")
        case _:
            assert_never(part.kind)


def _source(part: MediaPart, wanted: str | None) -> dict[str, Any]:
    if part.data is not None:
        if wanted is None or part.media_type not in (None, wanted):
            given = part.media_type or "unnamed type"
            raise unsupported("messages", f"a provider of anthropic.messages takes no {part.kind} of {given}; send PDF or text")
        return {"type": "base64", "media_type": wanted, "data": part.data}
    if part.url is not None:
        return {"type": "url", "url": part.url}
    raise unsupported("messages", "a file uploaded to one provider can't be read by another; send its data or a URL")


def _text_source(data: str) -> dict[str, Any]:
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise unsupported("messages", "a text file must be base64 of UTF-8 to go to a provider of anthropic.messages") from exc
    return {"type": "text", "media_type": "text/plain", "data": text}


def _tool(tool: PromptTool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name, "input_schema": {"type": "object", **tool.parameters}}
    if tool.description:
        written["description"] = tool.description
    if tool.is_strict is not None:
        written["strict"] = tool.is_strict
    return {**written, **_cached(tool.cache_control)}


def _tool_choice(choice: ToolChoice | None, parallel: bool | None) -> dict[str, Any] | None:
    if choice is None and parallel is not False:
        return None
    mode = choice.mode if choice is not None else "auto"
    written: dict[str, Any] = {"type": _MODES[mode]}
    if choice is not None and choice.name is not None:
        written["name"] = choice.name
    if parallel is False and mode != "none":
        written["disable_parallel_tool_use"] = True
    return written


def _format(form: ResponseFormat | None) -> dict[str, Any] | None:
    if form is None or form.kind == "text":
        return None
    if form.kind == "json_object":
        raise unsupported("response_format", "a provider of anthropic.messages needs a schema; use json_schema")
    schema = orjson.loads(orjson.dumps(form.schema or {}))
    _close(schema)
    return {"type": "json_schema", "schema": schema}


def _close(schema: Any) -> None:
    """Say of its objects that they have the properties they name and no others: providers hold to nothing else."""
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    for inner in inner_schemas(schema):
        _close(inner)


def _thinking(prompt: Prompt, max_tokens: int) -> dict[str, Any] | None:
    """Thinking counts towards `max_tokens`: a budget that leaves no room for the answer is cut, or thinking left out.

    It is left out, too, where providers refuse it: beside a call that must be made, and, with a budget, between a call and its
    result if the turn that made the call has no thought of theirs.
    """
    if prompt.reasoning is None or (prompt.tools and prompt.tool_choice is not None and prompt.tool_choice.mode in _FORCED):
        return None
    budget = prompt.reasoning.budget_tokens
    if budget is None:
        return {"type": "adaptive"}
    if budget == 0:
        return {"type": "disabled"}
    budget = min(max(budget, _LEAST_BUDGET_TOKENS), max_tokens - 1)
    fits = budget >= _LEAST_BUDGET_TOKENS and not _calls_without_thought(prompt.turns)
    return {"type": "enabled", "budget_tokens": budget} if fits else None


def _calls_without_thought(turns: Sequence[Turn]) -> bool:
    """Whether the last words are results, and what called for them begins without a thought that its provider knows."""
    last = next((turn for turn in reversed(turns) if turn.role != "tool"), None)
    if last is None or turns[-1].role != "tool" or last.role != "assistant":
        return False
    first = next(iter(_blocks(last.parts)), None)
    return first is not None and first["type"] not in ("thinking", "redacted_thinking")


def _beside_thinking(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """What may be chosen of a model that thinks: https://docs.claude.com/en/docs/build-with-claude/extended-thinking."""
    left_out = ("temperature", "top_k") if sampling.get("top_p", 1) >= _LEAST_TOP_P else ("temperature", "top_k", "top_p")
    return {name: value for name, value in sampling.items() if name not in left_out}


def _sampling(sampling: Sampling) -> dict[str, Any]:
    """A temperature or a `top_p` of 1 changes nothing, and newer models take no two of them."""
    _refuse(sampling)
    document: dict[str, Any] = {"max_tokens": _MAX_TOKENS if sampling.max_tokens is None else sampling.max_tokens}
    asked = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    document |= {name: value for name, value in asked.items() if value is not None and (name == "top_k" or value != 1)}
    if sampling.stop:
        document["stop_sequences"] = list(sampling.stop)
    return document


def _refuse(sampling: Sampling) -> None:
    if sampling.temperature is not None and sampling.temperature > 1:
        raise unsupported("temperature", "a provider of anthropic.messages takes 0 to 1")
    if sampling.top_logprobs is not None:
        raise unsupported("logprobs", "a provider of anthropic.messages gives none; leave it out")
    neutral = {"min_p": 0, "repetition_penalty": 1, "presence_penalty": 0, "frequency_penalty": 0}
    for name, value in neutral.items():
        if getattr(sampling, name) not in (None, value):
            raise unsupported(name, f"a provider of anthropic.messages has none; leave it out or at {value}")
